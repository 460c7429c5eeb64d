# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_apply
short_description: Give living nodes the configuration of the inventory, one after the other
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Changes the machine configuration of each node that differs from the inventory, also where that needs a boot, and
    where somebody else made the difference. M(tazlab.bootstrap.talos_config) leaves those as they are.
  - Control planes go first. Before a node is touched every other node is Ready and etcd is well. Where it has to boot,
    its pods are evicted, so that disruption budgets hold, and the next node follows when this one runs with its
    configuration and is Ready in that boot.
  - The cluster's CAs and keys are never changed, and neither are the versions of Talos and Kubernetes, which
    M(tazlab.bootstrap.talos_upgrade) moves.
  - A run that was broken off is followed by another one at any point. That the change of a node began is noted in its
    Kubernetes node (annotation C(tazlab.bootstrap/upgrade)); a node that was cordoned before stays so.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.cluster
  - tazlab.bootstrap.talos.rolling
  - tazlab.bootstrap.talos.action
attributes:
  check_mode:
    description: Tells each node's differences, whether it would boot, and which pods it would lose. Changes nothing.
    support: full
  diff_mode:
    description: The differences are told in any mode, with both values where they are no secret.
    support: none
  idempotent:
    description: A node that runs with its configuration is left alone.
    support: full
options:
  only:
    description: The names of the nodes that may be changed. By default, all of them.
    type: list
    elements: str
    default: []
seealso:
  - module: tazlab.bootstrap.talos_config
  - module: tazlab.bootstrap.talos_upgrade
"""

EXAMPLES = r"""
- name: Every node runs with the configuration of the inventory
  tazlab.bootstrap.talos_apply:
    cluster: home
    nodes: "{{ groups | tazlab.bootstrap.machines(hostvars) }}"
    version: v1.14.1
    kubernetes_version: 1.35.4
    schematic: 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba
    state_dir: ~/.config/tazlab/home
    kubeconfig: ~/.config/tazlab/home/kubeconfig
"""

RETURN = r"""
plan:
  description: What is done to each node that differs, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: The node's name.
      type: str
    differences:
      description: The paths at which it differs, each marked as added (C(+)), removed (C(-)) or changed (C(~)).
      type: list
      elements: str
    boots:
      description: Whether the change needs a boot.
      type: bool
    evicts:
      description: The pods that are evicted, as namespace/name.
      type: list
      elements: str
    stays:
      description: The pods that nobody makes elsewhere. They end and start with the machine.
      type: list
      elements: str
given_back:
  description: The nodes whose change had been broken off, and that only take pods again.
  returned: success
  type: list
  elements: str
text:
  description: What was done, or in check mode would be, in one line.
  returned: success
  type: str
"""
