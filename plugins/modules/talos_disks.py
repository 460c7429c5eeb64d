# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_disks
short_description: Find out on which disks Talos is installed
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Completes nodes that do not say on which disk Talos is installed. It is the disk of its configuration where a node
    is configured, and otherwise the only disk that the node reports in maintenance mode.
  - A node with several disks, or with none, is a failure that lists them. No disk is ever chosen among several.
  - A node that does not answer is waited for; in check mode it is left without a disk.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.action
  - tazlab.bootstrap.attributes.reads
attributes:
  check_mode:
    description: Looks in check mode, too, as nothing is changed, and waits for nobody.
    support: full
options:
  timeout:
    description: Seconds after which waiting for nodes ends.
    type: int
    default: 900
seealso:
  - module: tazlab.bootstrap.talos_config
"""

EXAMPLES = r"""
- name: Every node says on which disk Talos is installed
  tazlab.bootstrap.talos_disks:
    nodes: "{{ groups | tazlab.bootstrap.machines(hostvars, patches=true) }}"
    state_dir: ~/.config/tazlab/home
  register: found

- name: Nodes are configured
  tazlab.bootstrap.talos_config:
    cluster: home
    nodes: "{{ found.nodes }}"
    version: v1.12.6
    kubernetes_version: 1.35.4
    schematic: 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba
    state_dir: ~/.config/tazlab/home
"""

RETURN = r"""
nodes:
  description: The nodes as they were given, each with its C(install_disk).
  returned: success
  type: list
  elements: dict
"""
