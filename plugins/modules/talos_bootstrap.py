# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_bootstrap
short_description: Bootstrap etcd of a Talos cluster once, and fetch its kubeconfig
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Waits until every control plane answers, asks each of them whether etcd has members, and only when none knows of any
    bootstraps it on the first control plane. It ends when etcd has members.
  - Whether etcd is bootstrapped is read from the cluster, so that an interrupted run can be repeated at any point.
  - It is bootstrapped only at a birth, which M(tazlab.bootstrap.talos_config) notes in the state directory. The note
    goes when etcd has members. Without it etcd is waited for, since its data may be there and not be served yet.
  - Writes C(kubeconfig) into the state directory where there is none, where it is of another cluster, and where its
    certificate is about to expire.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.waiting
  - tazlab.bootstrap.talos.action
attributes:
  check_mode:
    description: Looks whether etcd has members and whether the kubeconfig serves, and changes nothing.
    support: full
  diff_mode:
    description: What would be written is secret.
    support: none
  idempotent:
    description: etcd is bootstrapped once.
    support: full
options:
  recover_from:
    description:
      - A snapshot of etcd with whose content it is bootstrapped (C(talosctl bootstrap --recover-from)), where
        M(tazlab.bootstrap.talos_config) has noted that with the same option. Then it is waited for until Kubernetes
        knows the control planes in the boot in which they are.
      - Without it, etcd is new and empty.
    type: path
seealso:
  - module: tazlab.bootstrap.talos_config
  - module: tazlab.bootstrap.kubernetes_ready
"""

EXAMPLES = r"""
- name: The cluster is bootstrapped
  tazlab.bootstrap.talos_bootstrap:
    nodes: "{{ groups | tazlab.bootstrap.machines(hostvars) }}"
    state_dir: ~/.config/tazlab/home
"""

RETURN = r"""
bootstrapped:
  description: Whether this run bootstrapped etcd, or in check mode would.
  returned: success
  type: bool
kubeconfig:
  description: Where the kubeconfig lies.
  returned: success
  type: str
waiting:
  description:
    - A line for each node that Kubernetes has and O(nodes) has not, and after a restore for each worker that may have
      run meanwhile. Empty where Kubernetes does not answer yet.
  returned: success
  type: list
  elements: str
"""
