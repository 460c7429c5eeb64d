# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of flux_follows; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flux_follows
short_description: Refuses to move the Flux of a living cluster to something else unasked
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Compares the GitRepository and the Kustomization that Flux is to follow with those of the same names in the cluster.
  - Where the address, the branch (tag, commit), the path or the Kustomization's source differ, it fails and tells what
    a move would do. A root Kustomization with C(prune) deletes what its former place had made and the new one does not
    declare.
  - A root Kustomization of another name that keeps itself counts as a move, too.
  - It fails, too, where a FluxInstance governs Flux, because its operator would undo what is applied.
  - Nothing is changed. Runs on the controller.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes.reads
  - tazlab.bootstrap.attributes.asks_kubernetes
options:
  kubeconfig:
    description:
      - The kubeconfig of the cluster.
    type: path
    required: true
  sync:
    description:
      - The GitRepository and the Kustomization, as M(tazlab.bootstrap.flux_repository) returns them.
    type: list
    elements: dict
    required: true
  move:
    description:
      - The confirmation. It must name the new value of each setting that would change, such as V(./clusters/new).
    type: list
    elements: str
    default: []
  brings_flux:
    description:
      - Whether the new place holds Flux' components itself, as RV(tazlab.bootstrap.flux_repository#module:brings_flux)
        says. A move to one that does not is refused where Flux keeps itself from its present place, since it would
        delete itself.
    type: bool
    default: true
  timeout:
    description:
      - Seconds after which a cluster that gives no answer is given up.
    type: int
    default: 120
  unanswered:
    description:
      - What a cluster that gives no answer, or refuses the kubeconfig, leads to. With V(pass) it is asked once, and
        that is a warning, as in a preflight, which comes before the cluster is made.
    type: str
    choices: [fail, pass]
    default: fail
requirements:
  - kubernetes (Python package) on the controller
"""

EXAMPLES = r"""
# As registered in the example of tazlab.bootstrap.flux_repository.
- name: The cluster's Flux follows the repository already, or nothing yet
  tazlab.bootstrap.flux_follows:
    kubeconfig: ~/.config/tazlab/home/kubeconfig
    sync: "{{ repository.sync }}"
"""

RETURN = r"""
answered:
  description: Whether the cluster was asked.
  returned: success
  type: bool
made:
  description: The objects that Flux has made from the present place, as its root Kustomization lists them.
  returned: success
  type: list
  elements: str
  sample: [Namespace apps, ConfigMap apps/settings]
moves:
  description: The settings that would change, all of them confirmed.
  returned: success
  type: list
  elements: dict
  contains:
    setting:
      description: One of C(url), C(branch), C(path), C(source) and C(root).
      type: str
    from:
      description: What the cluster has.
      type: str
    to:
      description: What it would get.
      type: str
"""
