# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: proxmox_preflight
short_description: Report what would keep the VMs of a Talos cluster from being made on Proxmox VE
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Looks whether the API answers and takes the token, whether the token has the privileges that
    M(tazlab.bootstrap.proxmox_image) and M(tazlab.bootstrap.proxmox_vm) need, whether nodes, storages and bridges are
    there, and whether the vmids are free or belong to this cluster.
  - Problems are returned, not raised, so that they can be reported with those of others.
extends_documentation_fragment:
  - tazlab.bootstrap.proxmox
  - tazlab.bootstrap.proxmox.action
  - tazlab.bootstrap.attributes.reads
options:
  cluster:
    description: The cluster's name. The tag C(tazlab-<cluster>) marks its VMs.
    type: str
    required: true
  vms:
    description:
      - The VMs, as in O(tazlab.bootstrap.proxmox_vm#module:vms). Of each, C(name), C(vmid) and C(node) are read.
      - A VM that lacks C(vmid) or C(node) is left out.
    type: list
    elements: dict
    required: true
  storage:
    description: The storage of the disks.
    type: str
    required: true
  image_storage:
    description: The storage of the image.
    type: str
    required: true
  pool:
    description:
      - The resource pool that new VMs join. A token that is limited to a pool needs it.
    type: str
  bridge:
    description: The bridge of the VMs' NICs.
    type: str
    default: vmbr0
seealso:
  - module: tazlab.bootstrap.bootstrap_preflight
"""

EXAMPLES = r"""
- name: Find what would keep the VMs from being made
  tazlab.bootstrap.proxmox_preflight:
    url: https://pve.example.net:8006
    token_id: "{{ proxmox_token_id }}"
    token_secret: "{{ proxmox_token_secret }}"
    cluster: home
    vms: "{{ groups | tazlab.bootstrap.machines(hostvars) }}"
    storage: local-lvm
    image_storage: local
  register: check
"""

RETURN = r"""
problems:
  description:
    - "Everything that is wrong. Empty when all is well."
    - C(code) is a word for programs that stays whatever the words around it.
    - C(subject) is the VM, node, storage or token. C(what) is wrong, C(step) comes next, and C(text) is all of that.
  returned: success
  type: list
  elements: dict
absent:
  description: The names of the VMs that are not there, as far as the token may see them.
  returned: success
  type: list
  elements: str
"""
