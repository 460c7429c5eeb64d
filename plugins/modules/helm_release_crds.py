# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of helm_release_crds; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: helm_release_crds
short_description: Says whether the CRDs of a Helm release outlive its removal or an upgrade
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - With a CRD go all objects of its kind, and every Secret that one of these owns. Helm leaves a CRD alone that has
    C(helm.sh/resource-policy) with the value C(keep). An uninstall looks for it in the manifest that is stored of the
    release's newest revision, an upgrade that leaves the CRD out looks for it in the cluster. So both must have it.
  - Reads the newest revision from Helm's Secrets, and the CRDs, their objects and the Secrets that these own from the
    cluster. Of what is stored nothing is kept but names, versions and annotations, and of Secrets only their names are
    asked for.
  - Only the CRDs among the chart's templates count, as those of ESO are. Helm never deletes what stands in the folder
    C(crds) of a chart.
  - Helm looks at the head of each document. Of a CRD within a list the annotations of the list count, and one that is a
    hook of Helm counts as not kept, whatever it says.
  - It fails where something would be lost, and names each thing with the next step. Nothing is changed. Runs on the
    controller.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes.reads
  - tazlab.bootstrap.attributes.asks_kubernetes
options:
  kubeconfig:
    description:
      - The kubeconfig of the cluster. Its user must be allowed to read the Secrets of the release's namespace, and to
        list CRDs, the objects of their kinds, and Secrets.
    type: path
    required: true
  namespace:
    description:
      - The namespace in which Helm stores the release. With Terraform, and without C(storageNamespace) in a
        HelmRelease, that is the release's own.
    type: str
    required: true
  name:
    description:
      - The name of the release.
    type: str
    required: true
  groups:
    description:
      - API groups whose CRDs are looked at even if the release holds none of them, such as V(external-secrets.io). The
        groups of those that it holds always are.
    type: list
    elements: str
    default: []
  rendered:
    description:
      - A file with what C(helm template) prints of an upgrade. It is refused where it leaves out a CRD of the release,
        or has one without C(keep), or one that belongs to somebody else.
    type: path
  since:
    description:
      - A file with RV(objects) of an earlier look, as JSON. What was there and is not, or is another one by its uid,
        fails the task.
    type: path
  json_file:
    description:
      - A file that gets RV(objects) as JSON, for O(since). It is written even where something would be lost, never in
        check mode, and its owner alone can read it.
    type: path
  anchor:
    description: The recovery anchor, in which O(json_file) must not lie.
    type: path
    default: ~/secrets
  report_only:
    description:
      - Return what was found, and do not fail because of it.
    type: bool
    default: false
  timeout:
    description:
      - Seconds for all of it.
    type: int
    default: 60
requirements:
  - kubernetes (Python package) on the controller
  - PyYAML (Python package) on the controller
"""

EXAMPLES = r"""
- name: ESO's CRDs outlive its Helm release
  tazlab.bootstrap.helm_release_crds:
    kubeconfig: ~/.config/tazlab/home/kubeconfig
    namespace: external-secrets
    name: external-secrets

# helm template external-secrets external-secrets/external-secrets --version 0.10.4 --values values.yaml
- name: The upgrade drops no CRD
  tazlab.bootstrap.helm_release_crds:
    kubeconfig: ~/.config/tazlab/home/kubeconfig
    namespace: external-secrets
    name: external-secrets
    rendered: upgrade.yaml
"""

RETURN = r"""
kept:
  description: Whether nothing would be lost, and since O(since) nothing was.
  returned: where the release could be read
  type: bool
problems:
  description:
    - What is wrong, each with C(code), C(subject), C(what), C(step) and C(text).
    - The code is one of V(pending), V(not_deployed), V(missing), V(foreign), V(not_kept_in_release),
      V(not_kept_in_cluster), V(not_served), V(not_held), V(hook), V(going), V(dropped), V(keep_lost), V(gone) and
      V(made_anew).
  returned: where the release could be read
  type: list
  elements: dict
release:
  description: The newest revision, with C(namespace), C(name), C(revision), C(status), C(chart) and C(version).
  returned: where the release could be read
  type: dict
  sample:
    namespace: external-secrets
    name: external-secrets
    revision: 2
    status: deployed
    chart: external-secrets
    version: 0.10.3
crds:
  description: The CRDs of the release.
  returned: where the release could be read
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: externalsecrets.external-secrets.io
    kept_in_release:
      description: Whether an uninstall leaves it alone.
      type: bool
    kept_in_cluster:
      description: Whether an upgrade without it leaves it alone.
      type: bool
    kept_in_upgrade:
      description: Whether it has C(keep) in O(rendered); none without that.
      type: bool
    owner:
      description: The release that it belongs to in the cluster, as C(namespace/name).
      type: str
    managers:
      description: The field managers that have written it.
      type: list
      elements: str
    objects:
      description: How many objects of its kind there are; none where the API server serves nothing of it.
      type: int
    secrets:
      description: How many Secrets these own; none where RV(crds[].objects) is none.
      type: int
loose:
  description:
    - CRDs of the same groups, and of O(groups), that the release does not hold. Helm does not touch them.
    - One that says it is the release's and has no C(keep) is a problem instead.
  returned: where the release could be read
  type: list
  elements: str
objects:
  description: The CRDs, their objects and the Secrets that these own, with C(kind), C(namespace), C(name) and C(uid).
  returned: where the release could be read
  type: list
  elements: dict
lines:
  description: What was found, as text.
  returned: where the release could be read
  type: list
  elements: str
"""
