# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_upgrade
short_description: Move the nodes of a living cluster to another Talos, one after the other, and its Kubernetes
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Brings each node to O(version) with the extensions of O(schematic), by C(talosctl upgrade) with the installer of
    O(factory_url), O(platform) and O(schematic). Control planes go first. Minor versions are passed one by one, each in
    its newest release that the Image Factory lists.
  - Before a node is touched, and again before it is to install, every other node is Ready and etcd is well. Its pods
    are evicted, so that disruption budgets hold. The next node follows when this one runs its new Talos, is Ready in
    that boot, and etcd is well again.
  - The installer is that of each node's configuration, the inventory's patches included, in the version of the step.
  - Refused before anything is changed are a way back, a version or schematic of which there is no image, and nodes that
    do not answer.
  - Kubernetes is brought to O(kubernetes_version) by C(talosctl upgrade-k8s), minor versions one by one, before Talos
    goes on where that does not run it any more, else at the end. Before, every node is Ready, every kubelet healthy and
    etcd well, and its dry run is asked. From Talos 1.13 on it applies and prunes what Talos makes in Kubernetes; an
    object that a seed, Flux or another field manager declares is refused before anything is changed. So are an image of
    another version in the inventory's patches, and a node with a change that waits for its next boot, which would be
    lost. The dry run gives each control plane the configuration that it has, and where there is no inventory of Talos'
    objects, an empty one (ConfigMap C(kube-system/talos-bootstrap-manifests-inventory)).
  - A run that was broken off is followed by another one at any point. That a node's upgrade began is noted in its
    Kubernetes node (annotation C(tazlab.bootstrap/upgrade)); a node that was cordoned before stays so.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.cluster
  - tazlab.bootstrap.talos.rolling
  - tazlab.bootstrap.talos.action
attributes:
  check_mode:
    description:
      - Tells the plan, node by node, with the pods that would be evicted, and what would become of Talos' objects in
        Kubernetes, and changes nothing.
    support: full
  diff_mode:
    description: The plan says what changes.
    support: none
  idempotent:
    description: A node that runs what is wanted is left alone.
    support: full
options:
  snapshots:
    description:
      - A folder into which a snapshot of etcd is taken before the first node is upgraded, as
        M(tazlab.bootstrap.talos_snapshot) does it. Without it none is.
    type: path
  anchor:
    description: The recovery anchor, which is never written.
    type: path
    default: ~/secrets
seealso:
  - module: tazlab.bootstrap.talos_config
  - module: tazlab.bootstrap.talos_snapshot
"""

EXAMPLES = r"""
- name: Every node runs the wanted Talos
  tazlab.bootstrap.talos_upgrade:
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
  description: What is done to each node, in this order. A node that passes two minor versions is there twice.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: The node's name.
      type: str
    from:
      description: The Talos that it runs then.
      type: str
    to:
      description: The Talos that it gets.
      type: str
    image:
      description: The installer.
      type: str
    evicts:
      description: The pods that are evicted, as C(NAMESPACE/NAME).
      type: list
      elements: str
    stays:
      description: The pods that nothing makes elsewhere. They are left, and end and start with the machine.
      type: list
      elements: str
    seconds:
      description: How long it may take at most.
      type: int
kubernetes:
  description: Each step of Kubernetes, in its order. Of Talos' objects only those of the first step are told.
  returned: success
  type: list
  elements: dict
  contains:
    from:
      description: The version that runs then.
      type: str
    to:
      description: The version that all nodes get.
      type: str
    made:
      description: The objects that Talos makes in Kubernetes, as C(KIND NAMESPACE/NAME).
      type: list
      elements: str
    changed:
      description: Those that it changes.
      type: list
      elements: str
    pruned:
      description: Those that it removes.
      type: list
      elements: str
text:
  description: What was done, or in check mode would be, as one line for a person.
  returned: success
  type: str
nodes:
  description: The nodes, in their order in O(nodes).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
    from:
      description: The Talos that it ran.
      type: str
    to:
      description: The Talos that it runs now, or in check mode would.
      type: str
    changed:
      description: Whether it was upgraded, or given back.
      type: bool
    given_back:
      description: Whether it only takes pods again, as an upgrade of it had been broken off.
      type: bool
"""
