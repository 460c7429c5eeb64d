# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of vault_paths; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: vault_paths
short_description: Says which paths and properties of declared Secrets Vault lacks
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Looks at every path that entries of O(secrets) name, by C(subkeys) of the KV version 2 mount, which has the names of
    a secret's properties and no value. The token needs C(read) on C(MOUNT/subkeys/PATH), and nothing on
    C(MOUNT/data/PATH). With C(list) on C(MOUNT/metadata/FOLDER) a near path is named where one is missing.
  - What Vault lacks is returned, for M(tazlab.bootstrap.gitops_delivery) to tell with all else that is wrong. What
    could not be looked at is a warning.
  - Nothing is changed, and no value is read. Runs on the controller.
extends_documentation_fragment:
  - tazlab.bootstrap.vault_operator
  - tazlab.bootstrap.vault.connection
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.reads
  - tazlab.bootstrap.attributes.asks_vault
options:
  secrets:
    description:
      - The Secrets, as the option O(tazlab.bootstrap.gitops_delivery#module:secrets) describes them.
    type: raw
    required: true
  anchor:
    description: The directory of the recovery anchor, where a copy of Vault's CA may lie. It is read and never touched.
    type: path
    default: ~/secrets
seealso:
  - module: tazlab.bootstrap.gitops_delivery
"""

EXAMPLES = r"""
- name: Vault has what is to be delivered
  tazlab.bootstrap.vault_paths:
    url: https://vault.example.net:8200
    secrets: "{{ tazlab_workload_secrets }}"
  register: looked
"""

RETURN = r"""
problems:
  description: What Vault lacks, each with C(code) (C(no_path) or C(no_property)), C(subject), C(what) and C(step).
  returned: success
  type: list
  elements: dict
unseen:
  description: What could not be looked at, and why.
  returned: success
  type: list
  elements: str
"""
