# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_remove
short_description: Let a node leave a living cluster
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Empties the node by eviction, lets it leave etcd and wipe itself (C(talosctl reset)), waits until it is back without
    a configuration, and deletes its Kubernetes node. The machine itself is not removed. A member of etcd that is not
    well is taken out by the others first.
  - A node that does not answer, and that Kubernetes does not call Ready, is taken out of etcd and Kubernetes by the
    others. It is not wiped, and must be before it comes back.
  - Before anything is changed, and again before it is wiped, all other nodes are Ready, and etcd is well without it.
  - Refused are the only control plane, one at whose address other machines or the kubeconfig look for Kubernetes' API,
    and a machine that is not configured as that node.
  - A run that was broken off is followed by another one at any point.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.cluster
  - tazlab.bootstrap.talos.rolling
  - tazlab.bootstrap.talos.action
attributes:
  check_mode:
    description: Tells what would be done, with the pods that the node would lose, and changes nothing.
    support: full
  diff_mode:
    description: What is done is told in any mode.
    support: none
  idempotent:
    description: A node that is not in the cluster is left alone.
    support: full
options:
  name:
    description: The name of the node. It must be one of O(nodes).
    type: str
    required: true
seealso:
  - module: tazlab.bootstrap.talos_apply
"""

EXAMPLES = r"""
- name: A worker leaves the cluster
  tazlab.bootstrap.talos_remove:
    name: worker-2
    cluster: home
    nodes: "{{ groups | tazlab.bootstrap.machines(hostvars) }}"
    version: v1.14.1
    kubernetes_version: 1.35.4
    schematic: 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba
    state_dir: ~/.config/tazlab/home
    kubeconfig: ~/.config/tazlab/home/kubeconfig
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be - V(wiped), V(out of etcd), V(out of Kubernetes).
  returned: success
  type: list
  elements: str
evicts:
  description: The pods that are evicted, as namespace/name.
  returned: success
  type: list
  elements: str
stays:
  description: The pods that nobody makes elsewhere. They end with the machine.
  returned: success
  type: list
  elements: str
text:
  description: What was done, or in check mode would be, in one line.
  returned: success
  type: str
"""
