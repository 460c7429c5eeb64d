# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: adoption_report
short_description: Show what differs between a living cluster and the inventory
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Prints one table of what the other modules told in check mode of a cluster that others made, and what
    C(playbooks/site.yml) would make of each difference.
  - It contacts nothing.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.reads
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  written:
    description: The files that M(tazlab.bootstrap.talos_adopt) wrote, or would write.
    type: list
    elements: str
    default: []
  vms:
    description: The VMs as M(tazlab.bootstrap.proxmox_vm) returned them with its option C(adopt).
    type: list
    elements: dict
    default: []
  nodes:
    description: Nodes as M(tazlab.bootstrap.talos_config) returns them, each with its C(differences).
    type: list
    elements: dict
    default: []
  seeds:
    description: Objects as M(tazlab.bootstrap.kubernetes_objects) returns them.
    type: list
    elements: dict
    default: []
  flux:
    description: Flux' own objects, likewise.
    type: list
    elements: dict
    default: []
  problems:
    description: What a module refused to compare or to change, as problems with C(subject) and C(what).
    type: list
    elements: dict
    default: []
  json_file:
    description: A file that gets the report as JSON (0600), written at once. A place inside the anchor is refused.
    type: path
  anchor:
    description: The recovery anchor, which is never written.
    type: path
    default: ~/secrets
seealso:
  - module: tazlab.bootstrap.talos_adopt
"""

EXAMPLES = r"""
- name: What differs is shown
  tazlab.bootstrap.adoption_report:
    cluster: home
    nodes: "{{ configured.nodes }}"
"""

RETURN = r"""
differences:
  description: What differs, each with C(layer), C(name), C(what) and C(effect).
  returned: success
  type: list
  elements: dict
marked:
  description: The names of the VMs that were marked, or in check mode would be.
  returned: success
  type: list
  elements: str
written:
  description: As given.
  returned: success
  type: list
  elements: str
"""
