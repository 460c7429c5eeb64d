# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that describe a Talos cluster, documented once."""

from __future__ import annotations


class ModuleDocFragment:
    """What C(extends_documentation_fragment: tazlab.bootstrap.talos.nodes) and the others add."""

    NODES = r"""
options:
  nodes:
    description:
      - The cluster's nodes. The first control plane is the one on which etcd is bootstrapped.
      - Other keys than those below are ignored, so that the machines of the inventory can be given as they are.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The node's name, which becomes its hostname and the name of its Kubernetes node.
        type: str
        required: true
      address:
        description: The address at which the node's Talos API answers.
        type: str
        required: true
      role:
        description: What the node is for.
        type: str
        required: true
        choices:
          - control_plane
          - worker
      install_disk:
        description:
          - The disk on which Talos is installed, such as V(/dev/sda) for scsi, V(/dev/vda) for virtio, or a path below
            C(/dev/disk/by-id).
          - M(tazlab.bootstrap.talos_disks) finds it where a machine has only one.
        type: str
        default: ""
      patches:
        description:
          - Changes to the node's machine configuration, applied in this order.
          - Each is a strategic merge patch, as a mapping or as YAML text (also of several documents). An empty one is
            left out.
          - A JSON patch is refused, as Talos applies none to a configuration of several documents.
        type: list
        elements: raw
        default: []
requirements:
  - talosctl on the controller's PATH, of the cluster's minor version or newer
  - cryptography (Python package) on the controller
"""

    CLUSTER = r"""
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  endpoint:
    description:
      - The address of the Kubernetes API with its port, such as V(https://192.0.2.11:6443) - of a control plane, a
        virtual address or a DNS name. Talos puts its host into the API server's certificate.
      - Without it, it is the first control plane's address and port 6443.
    type: str
  version:
    description: Talos' version, such as V(v1.12.6).
    type: str
    required: true
  kubernetes_version:
    description: Kubernetes' version, such as V(1.35.4).
    type: str
    required: true
  schematic:
    description: The Image Factory's id of the set of extensions, 64 hexadecimal digits.
    type: str
    required: true
  factory_url:
    description:
      - The Image Factory. Its host is the registry of the image from which a node installs and upgrades itself,
        C(<platform>-installer/<schematic>:<version>).
    type: str
    default: https://factory.talos.dev
  platform:
    description:
      - The platform of the image that the machines boot, as the Image Factory calls it, such as V(metal), or
        V(nocloud) for VMs that cloud-init gives their address.
    type: str
    default: metal
  coredns:
    description: Whether Talos runs its own CoreDNS. With V(false), the cluster needs one of its own.
    type: bool
    default: false
"""

    LIVING = r"""
options:
  etcd_lost:
    description:
      - The confirmation that the etcd of a living cluster is lost and that its machines shall get a new, empty one. It
        must equal O(cluster).
      - Without it, no etcd is made where a machine that answers belongs to an older one - a configured worker, or the
        API that the stored kubeconfig names. A birth that an interrupted run had begun goes on.
    type: str
    default: ""
  recover_from:
    description:
      - A snapshot of etcd, as M(tazlab.bootstrap.talos_snapshot) takes it, with whose content etcd is to be made.
      - Refused unless all control planes are machines without configuration, and while Kubernetes' API answers. It is
        noted in the state directory (C(birth)), and until etcd has members no other etcd is made.
    type: path
  raise_contract:
    description:
      - The contract to which a living cluster's machine configurations are brought, such as V(v1.14), and which is kept
        from then on. The patches must have its form.
      - Without it, the cluster keeps the one with which it was born.
    type: str
    default: ""
"""

    WAITING = r"""
options:
  timeout:
    description: Seconds after which waiting for nodes ends.
    type: int
    default: 900
  pending:
    description:
      - Whether the machines have still to be made. In check mode nothing is contacted then.
    type: bool
    default: false
"""

    ROLLING = r"""
options:
  kubeconfig:
    description: The kubeconfig of an administrator of the cluster.
    type: path
    required: true
  drain:
    description:
      - Whether a node's pods are evicted before it boots. Without it they end with the machine, whatever their
        disruption budgets say.
      - Nodes that run Talos 1.12 evict by themselves as well before they boot anew, and ask budgets for some minutes
        only.
    type: bool
    default: true
  drain_seconds:
    description: Seconds in which a node's pods have to leave it. A node that is not empty then is not touched.
    type: int
    default: 300
  timeout:
    description: Seconds for each of the waits for a node - to be spared and hear, to come back, and to be Ready again.
    type: int
    default: 900
"""

    ACTION = r"""
options: {}
attributes:
  action:
    description: Runs on the controller, in memory; no module is copied to a host.
    support: full
  action_group:
    description: Use C(group/tazlab.bootstrap.talos) in C(module_defaults) to set what all of them take once.
    support: full
    membership:
      - tazlab.bootstrap.talos
"""
