# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: proxmox_image
short_description: Have Proxmox VE nodes download the Image Factory's disk image of Talos
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Puts the Image Factory's C(nocloud) disk image for a schematic and a version on a storage of each node, once.
    The node downloads it itself.
  - The file's name carries version and schematic, so each image is another file and one that is there is the right one.
  - All nodes are checked before anything is downloaded. The storage's content must include C(import).
  - A download that a run which was killed left running is waited for, not begun again.
extends_documentation_fragment:
  - tazlab.bootstrap.proxmox
  - tazlab.bootstrap.proxmox.action
attributes:
  check_mode:
    description: Reads and checks for real, downloads nothing.
    support: full
  diff_mode:
    description: Shows each image that is downloaded and where it comes from.
    support: full
  idempotent:
    description: An image that is there is not downloaded again.
    support: full
options:
  nodes:
    description: The Proxmox nodes.
    type: list
    elements: str
    required: true
  storage:
    description: The storage on each node. On a shared storage the image is downloaded once.
    type: str
    required: true
  schematic:
    description: The Image Factory's id of a set of extensions and kernel arguments, 64 hexadecimal digits.
    type: str
    required: true
  version:
    description: The version of Talos, such as V(v1.12.6).
    type: str
    required: true
  factory_url:
    description: The Image Factory's address, as the nodes reach it.
    type: str
    default: https://factory.talos.dev
  task_timeout:
    description: Seconds for one download.
    type: int
    default: 1800
seealso:
  - module: tazlab.bootstrap.proxmox_vm
"""

EXAMPLES = r"""
- name: The image of Talos lies on each node
  tazlab.bootstrap.proxmox_image:
    url: https://pve.example.net:8006
    token_id: "{{ proxmox_token_id }}"
    token_secret: "{{ proxmox_token_secret }}"
    nodes: [pve]
    storage: local
    schematic: 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba
    version: v1.12.6
  register: image
"""

RETURN = r"""
volid:
  description: The image's volume, to be given to O(tazlab.bootstrap.proxmox_vm#module:image).
  returned: success
  type: str
  sample: local:import/talos-v1.12.6-376567988ad3-nocloud-amd64.qcow2
url:
  description: Where the nodes download it.
  returned: success
  type: str
images:
  description: The image on each node.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: The node.
      type: str
    volid:
      description: The volume.
      type: str
    changed:
      description: Whether it was downloaded, in check mode would be.
      type: bool
"""
