# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_preflight
short_description: Report what would keep a Talos cluster from coming up
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Looks whether C(talosctl) is there in a version that fits, whether the state directory and the secretbox key can
    serve, whether each node's patches give a valid configuration, whether anything could run on the cluster, and
    whether a node that answers is configured by other secrets or runs other versions than are wanted, and whether a new
    etcd would be made beside a living cluster.
  - Problems are returned, not raised, so that they can be reported with those of others.
  - The form of O(version), O(kubernetes_version) and O(schematic) is left to M(tazlab.bootstrap.bootstrap_preflight).
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.cluster
  - tazlab.bootstrap.talos.living
  - tazlab.bootstrap.talos.action
  - tazlab.bootstrap.attributes.reads
options:
  secretbox_key:
    description: The key that encrypts what etcd holds, base64 of 32 bytes. It is not checked when it is empty.
    type: str
  anchor:
    description: The recovery anchor, in which the state directory must not lie.
    type: path
  pending:
    description: Whether the machines have still to be made, so that no node is asked.
    type: bool
    default: false
  unmade:
    description: The names of the nodes whose machine has still to be made.
    type: list
    elements: str
    default: []
seealso:
  - module: tazlab.bootstrap.bootstrap_preflight
"""

EXAMPLES = r"""
- name: Find what would keep Talos from coming up
  tazlab.bootstrap.talos_preflight:
    cluster: home
    nodes: "{{ groups | tazlab.bootstrap.machines(hostvars, patches=true) }}"
    version: v1.12.6
    kubernetes_version: 1.35.4
    schematic: 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba
    secretbox_key: "{{ secretbox_key }}"
    state_dir: ~/.config/tazlab/home
  register: check
"""

RETURN = r"""
problems:
  description:
    - "Everything that is wrong. Empty when all is well."
    - C(code) is a word for programs that stays whatever the words around it.
    - C(subject) is the option or node, or nothing where the text says it. C(what) is wrong, C(step) comes next, and
      C(text) is all of that.
  returned: success
  type: list
  elements: dict
"""
