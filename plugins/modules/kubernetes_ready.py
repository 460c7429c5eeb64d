# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of kubernetes_ready; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kubernetes_ready
short_description: Waits until Kubernetes objects are ready
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Looks at all given objects until each shows its condition, with one deadline over everything, and says while it
    waits what is missing and why.
  - A Kustomization of Flux must moreover have applied what its GitRepository has fetched, where both are given.
  - Flux that was moved to another branch, path or repository may be set back by what its controller had under way. With
    O(flux_sync) that is noticed, and declared again.
  - An API server that refuses, restarts or answers with an error is asked again until the deadline.
  - Where the time is up, the message names every object that is still missing with its condition's reason and message.
  - Runs on the controller.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes.asks_kubernetes
options:
  kubeconfig:
    description:
      - The kubeconfig of the cluster.
    type: path
    required: true
  objects:
    description:
      - What to wait for.
    type: list
    elements: dict
    required: true
    suboptions:
      api_version:
        description:
          - The object's API version, for instance V(apps/v1).
        type: str
        required: true
      kind:
        description:
          - The object's kind, for instance V(Deployment). A kind that the API does not serve yet is waited for, too.
        type: str
        required: true
      namespace:
        description:
          - The object's namespace, for kinds that have one.
        type: str
      name:
        description:
          - The object's name. Give this or O(objects[].label_selector).
        type: str
      label_selector:
        description:
          - Every object that this selector finds is waited for, and at least one must be there.
        type: str
      condition:
        description:
          - The condition whose status must be V(True), for instance V(Ready), V(Available) or V(Established), and which
            must be of the object's newest generation.
          - When it is not given, it is enough that the object exists.
        type: str
  flux_sync:
    description:
      - The GitRepository and the Kustomization that Flux is to follow, as M(tazlab.bootstrap.flux_repository) returns
        them. They are not ready while they follow something else.
      - Where something has made them follow something else, they are declared again, with the field manager V(flux),
        until the deadline.
    type: list
    elements: dict
    default: []
  without_vault:
    description:
      - Vault is away, so stores of the External Secrets Operator or the Vault Secrets Operator cannot be ready. While
        one is not, a Kustomization that was applied is not waited for. What waits is returned in RV(waiting).
    type: bool
    default: false
  timeout:
    description:
      - Seconds after which waiting ends.
    type: int
    default: 300
  redact:
    description:
      - Secrets that must not be shown, should a condition's message quote one.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Looks once, reports and never fails because something is not ready.
    support: full
  diff_mode:
    description: Nothing is changed, so there is no difference.
    support: none
  idempotent:
    description: Nothing is changed but what O(flux_sync) declares again, which is told as a change.
    support: full
requirements:
  - kubernetes (Python package) on the controller
"""

EXAMPLES = r"""
- name: CoreDNS is available
  tazlab.bootstrap.kubernetes_ready:
    kubeconfig: ~/.config/tazlab/home/kubeconfig
    objects:
      - api_version: apps/v1
        kind: Deployment
        namespace: kube-system
        name: coredns
        condition: Available
    timeout: 120

- name: Every node is ready
  tazlab.bootstrap.kubernetes_ready:
    kubeconfig: ~/.config/tazlab/home/kubeconfig
    objects:
      - api_version: v1
        kind: Node
        label_selector: kubernetes.io/os=linux
        condition: Ready
"""

RETURN = r"""
ready:
  description: Whether every object is ready. Only in check mode it can be V(false) without a failure.
  returned: always
  type: bool
elapsed:
  description: Seconds that the task waited.
  returned: always
  type: float
waiting:
  description: With O(without_vault), what waits for Vault, each with C(kind), C(namespace), C(name) and C(why).
  returned: always
  type: list
  elements: dict
objects:
  description: What the last look found, one entry an object.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The object's name; empty when a selector found none.
      type: str
    exists:
      description: Whether the object is there.
      type: bool
    ready:
      description: Whether it shows its condition.
      type: bool
    why:
      description: Why it is not ready, in words; empty when it is.
      type: str
    status:
      description: The object's status, as the API gave it.
      type: dict
    condition:
      description: The condition that it must show, as given.
      type: str
    kind:
      description: The object's kind, as given; so are C(api_version) and C(namespace).
      type: str
    api_version:
      description: The version of its API.
      type: str
    namespace:
      description: Its namespace.
      type: str
"""
