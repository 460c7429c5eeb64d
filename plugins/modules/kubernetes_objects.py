# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of kubernetes_objects; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kubernetes_objects
short_description: Brings Kubernetes objects about by server-side apply, without showing a Secret
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Applies objects in the given order by server-side apply, taking over the fields that they set and touching no other.
  - They go from memory to the API. No value of a Secret reaches an argument list, a file, a result or a message.
  - An API server that refuses, restarts or is busy is asked again until O(timeout). What it refuses for good is
    reported for each object, after all were tried.
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
      - The objects, each complete with C(apiVersion), C(kind) and C(metadata.name).
    type: list
    elements: dict
    required: true
  field_manager:
    description:
      - Under which name the API server notes who owns the fields, for instance V(Terraform) or V(flux).
      - Fields that this manager owned and that the definition no longer sets are taken away; those of others stay.
    type: str
    required: true
  keep_existing:
    description:
      - The objects, as V(KIND/NAMESPACE/NAME), that are left alone where they are there already, and only made when
        they are missing.
    type: list
    elements: str
    default: []
  marks_only:
    description:
      - Of objects that are there already, add only the labels and annotations that they lack, and set those that
        C(kubectl), Terraform or O(field_manager) has set. What another field manager has set otherwise stays, and is
        told in RV(objects[].held). None is ever taken away.
      - This suits namespaces, which several own.
    type: bool
    default: false
  exact_data:
    description:
      - The Secrets and ConfigMaps, as V(NAMESPACE/NAME), from which the keys of C(data) that the definition lacks are
        taken away, whoever set them, and the annotation in which C(kubectl) keeps a copy of the whole object.
      - In others they stay. Those that C(kubectl) or Terraform left are told in RV(objects[].leftovers).
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds after which an API server that gives no answer is given up.
    type: int
    default: 120
  pending:
    description:
      - The cluster is still to be made, as happens in check mode. Report what would be made and contact nothing.
    type: bool
    default: false
attributes:
  check_mode:
    description: The API server is asked what it would do, by a dry run. Objects whose namespace or kind would be made
      by an earlier object count as made.
    support: full
  diff_mode:
    description: Shown for objects that are changed, unless a Secret is among the objects.
    support: partial
    details:
      - Of a Secret nothing but its name is ever reported.
  idempotent:
    description: An object that already is as it should be, and owned, is unchanged.
    support: full
requirements:
  - kubernetes (Python package) on the controller
notes:
  - Other than M(kubernetes.core.k8s), it shows a diff without the values of Secrets, says in its own words what the API
    refuses (whose words may quote them), outlasts an API server that restarts, and says in check mode what it would do
    where the cluster, a namespace or a kind is still to be made.
seealso:
  - module: kubernetes.core.k8s
  - module: tazlab.bootstrap.kubernetes_ready
"""

EXAMPLES = r"""
- name: The operator finds its credentials
  tazlab.bootstrap.kubernetes_objects:
    kubeconfig: ~/.config/tazlab/home/kubeconfig
    field_manager: Terraform
    objects:
      - apiVersion: v1
        kind: Secret
        metadata:
          namespace: tailscale
          name: tailscale-operator-oauth
        type: Opaque
        data:
          clientId: "{{ client_id | ansible.builtin.b64encode }}"
          clientSecret: "{{ client_secret | ansible.builtin.b64encode }}"
  no_log: true
"""

RETURN = r"""
objects:
  description: What became of each object, in the given order.
  returned: always
  type: list
  elements: dict
  contains:
    api_version:
      description: As given.
      type: str
    kind:
      description: As given.
      type: str
    namespace:
      description: As given.
      type: str
    name:
      description: As given.
      type: str
    change:
      description: V(made), V(changed), V(unchanged) or V(failed).
      type: str
    changed:
      description: Whether it was made or changed, or in check mode would be.
      type: bool
    differences:
      description:
        - The paths at which an object that was there is changed, marked as added (C(+)), removed (C(-)) or changed
          (C(~)); V(field manager) alone where it only changes its owner. Never a value.
      type: list
      elements: str
      sample: [~ data.token, + metadata.labels.owner]
    leftovers:
      description:
        - What C(kubectl) or Terraform left in a Secret or ConfigMap and the definition does not have, each with C(key)
          and C(manager). It stays, unless O(exact_data) names the object.
      type: list
      elements: dict
    held:
      description:
        - The labels and annotations that another field manager has set otherwise and that O(marks_only) left to it,
          each with C(key) and C(manager).
      type: list
      elements: dict
"""
