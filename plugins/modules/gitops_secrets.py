# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of gitops_secrets; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gitops_secrets
short_description: Says what Secrets a GitOps repository delivers, as declarations
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Reads a repository as Flux builds it, from the cluster's folder on, and turns its ExternalSecrets and
    VaultStaticSecrets into entries of C(tazlab_workload_secrets), each with the writer that it has.
  - M(tazlab.bootstrap.gitops_delivery) changes nothing for these entries, as they say what is there.
  - Nothing is guessed. What says more than a declaration can is named with the reason, and left to its file.
  - Nothing is changed. A repository that is named by its address is fetched as
    M(tazlab.bootstrap.flux_repository) fetches it, with the token in no argument list. Runs on the controller.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes.reads
  - tazlab.bootstrap.gitops
options:
  checkout:
    description:
      - A clone of the repository. Either this or O(url).
    type: str
  url:
    description:
      - The repository's address, as C(https://).
    type: str
  branch:
    description:
      - The branch that Flux follows. Needed with O(url).
    type: str
  username:
    description:
      - The user name to log in with. Most hosts take any beside a token.
    type: str
    default: git
  password:
    description:
      - The token to log in with. It only needs to read. Without one the repository must be public.
    type: str
    default: ""
  ca_cert:
    description:
      - The CA that signed the host's certificate, as PEM or as the file that holds it, when it is a private one.
    type: str
    default: ""
  file:
    description:
      - A file that gets RV(text), and that its owner alone can read. It is not written in check mode.
    type: path
  anchor:
    description: The recovery anchor, in which O(file) must not lie.
    type: path
    default: ~/secrets
seealso:
  - module: tazlab.bootstrap.gitops_delivery
"""

EXAMPLES = r"""
- name: What the repository delivers is known
  tazlab.bootstrap.gitops_secrets:
    checkout: ~/src/cluster
    path: clusters/home
    vault_auth: vso-system/vault-auth
  register: found

- name: Show it as an inventory has it
  ansible.builtin.debug:
    msg: "{{ found.text }}"
"""

RETURN = r"""
secrets:
  description: The entries.
  returned: success
  type: list
  elements: dict
  sample:
    - name: web
      namespace: apps
      writer: eso
      keys:
        token: tazlab-k8s/static/web/TOKEN
text:
  description: The entries as the text of an inventory's file, with C(!unsafe) where Ansible must leave them alone.
  returned: success
  type: str
left:
  description: The objects that say more than an entry can, each with its file, its line and the reason.
  returned: success
  type: list
  elements: str
notes:
  description: The workloads that read a Secret and that nobody restarts when it changes.
  returned: success
  type: list
  elements: str
unread:
  description: What of the repository could not be read, or was not looked into.
  returned: success
  type: list
  elements: str
"""
