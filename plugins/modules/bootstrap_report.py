# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_report
short_description: Show what came of a bootstrap
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Shows each field with its source, the VMs and nodes with their state, the seeded objects, Flux's revision and
    readiness, and the time of each phase that M(tazlab.bootstrap.bootstrap_phase) noted.
  - At the end stands what was created, changed and removed, or would be in check mode, what waits for a decision, and
    what was wrong or the next commands. It has 80 columns, and colours where there is a terminal. A command is one line
    however long, so that it can be pasted.
  - It takes no secret and shows none.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.reads
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  secrets:
    description: Where the secrets came from, as the role P(tazlab.bootstrap.bootstrap_secrets#role) tells.
    type: dict
    default: {}
    suboptions:
      sources:
        description: The provenance of each field.
        type: dict
        default: {}
      vault:
        description: What is known of Vault and of the token.
        type: dict
        default: {}
      missing:
        description: The fields without a value.
        type: list
        elements: str
        default: []
      drift:
        description: Where the recovery anchor disagrees with Vault.
        type: list
        elements: dict
        default: []
  vms:
    description: The fact C(<role>_result) of the role that makes the machines, such as C(proxmox_vms_result).
    type: list
    elements: dict
    default: []
  removed:
    description: The same of the machines that this run has removed before, in a rebirth.
    type: list
    elements: dict
    default: []
  consoles:
    description: Where a person looks at the console of a machine, for a run that ended while Talos came up.
    type: str
    default: ""
  talos:
    description: The fact C(talos_cluster_result).
    type: dict
    default: {}
  seeds:
    description: The fact C(cluster_seed_result).
    type: list
    elements: dict
    default: []
  flux:
    description: The fact C(flux_bootstrap_result).
    type: dict
    default: {}
  birth:
    description: How long the birth took, as M(tazlab.bootstrap.cluster_birth) says it.
    type: str
    default: ""
  problem:
    description:
      - What ended the run, as the task that failed told it. It is shown last, unless the last phase has ended.
    type: str
    default: ""
  json_file:
    description:
      - A file that gets what was created, changed and removed, or would be in check mode, as JSON.
      - It is written in check mode, too, and its owner alone can read it.
    type: path
  anchor:
    description: The recovery anchor, in which O(json_file) must not lie.
    type: path
    default: ~/secrets
seealso:
  - module: tazlab.bootstrap.bootstrap_phase
"""

EXAMPLES = r"""
- name: Show the summary
  tazlab.bootstrap.bootstrap_report:
    cluster: home
    vms: "{{ proxmox_vms_result }}"
"""

RETURN = r"""
complete:
  description: Whether the last chosen phase has ended.
  returned: always
  type: bool
create:
  description: What was created, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [VM cp-1, Namespace tailscale]
change:
  description: What was changed, or would be.
  returned: always
  type: list
  elements: str
remove:
  description: What was removed, or would be.
  returned: always
  type: list
  elements: str
waiting:
  description: What differs and waits for somebody's decision.
  returned: always
  type: list
  elements: str
seconds:
  description: The time of each phase that has begun.
  returned: always
  type: dict
  sample: {"secrets": 0.4, "vms": 31.2}
"""
