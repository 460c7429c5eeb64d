# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_adopt
short_description: Take over the state of a Talos cluster that others made
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Finds the secrets of a living cluster, in a file or on its control planes, and keeps them as this collection's
    state, with a C(talosconfig) and a C(kubeconfig) made of them. It changes no machine.
  - They are proven first - every node that answers must let credentials in that are made of them, and every key in the
    configuration of each control plane must be theirs.
  - Tells with which contract the cluster was born, which is the one whose configuration is nearest to the living one,
    and keeps that, since a configuration of another contract has another form.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.cluster
  - tazlab.bootstrap.talos.action
attributes:
  check_mode:
    description: Finds and proves the secrets, and writes nothing.
    support: full
  diff_mode:
    description: What would be written is secret.
    support: none
  idempotent:
    description: A state that is kept is proven again, and left alone.
    support: full
options:
  source:
    description:
      - A file with the secrets - a control plane's machine configuration, or a Terraform state with a resource
        C(talos_machine_secrets). Without it they are read from a control plane, with O(credentials).
    type: path
  credentials:
    description:
      - A talosconfig of the cluster. Without it, the variable E(TALOSCONFIG) of the environment, else
        C(~/.talos/config).
    type: path
  secretbox_key:
    description: The bundle's key, which is compared with the cluster's own.
    type: str
  anchor:
    description: The recovery anchor, in which the state directory must not lie.
    type: path
  scratch:
    description:
      - A directory in which the kubeconfig is written in check mode, so that later tasks can compare what is in
        Kubernetes.
    type: path
seealso:
  - module: tazlab.bootstrap.talos_secrets
"""

EXAMPLES = r"""
- name: The cluster's state is ours
  tazlab.bootstrap.talos_adopt:
    cluster: home
    nodes: "{{ groups | tazlab.bootstrap.machines(hostvars, patches=true) }}"
    version: v1.12.6
    kubernetes_version: 1.35.4
    schematic: 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba
    state_dir: ~/.config/tazlab/home
    credentials: ~/.talos/config
"""

RETURN = r"""
contract:
  description: The form of the machine configurations that the cluster was born with.
  returned: success
  type: str
  sample: v1.8
written:
  description: What was written, or in check mode would be.
  returned: success
  type: list
  elements: str
nodes:
  description:
    - Each node, whether it C(answers), and the C(differences) between its configuration and the one that the inventory
      describes, by paths, marked as added (C(+)), removed (C(-)) or changed (C(~)).
  returned: success
  type: list
  elements: dict
problems:
  description:
    - What would be refused - other versions than those that run, and another secretbox key than the cluster's own.
  returned: success
  type: list
  elements: dict
kubeconfig:
  description: Where the kubeconfig lies.
  returned: success
  type: str
"""
