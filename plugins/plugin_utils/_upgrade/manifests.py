# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(talosctl upgrade-k8s) would do to Talos' objects in Kubernetes, as its dry run says, and whose they are. Pure.

Of the differences that it prints only the names are read: there is a Secret among them.
Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import label

MADE, CHANGED, PRUNED = "made", "changed", "pruned"

# Where Talos from 1.13 on keeps which objects it has made: what it makes no longer, it prunes.
INVENTORY: t.Final = "talos-bootstrap-manifests-inventory"
TALOS: t.Final = "talos"  # its field manager

# The head of a difference, with the lines that it takes and gives: -0,0 is an object that is not there yet.
_HEAD = re.compile(
    r"^--- a/(?P<path>\S+)\n\+\+\+ b/(?P=path)\n@@ -\d+(?:,(?P<took>\d+))? \+\d+(?:,(?P<gives>\d+))? @@", re.MULTILINE
)
_PATH = re.compile(
    r"(?P<version>(?:[a-z0-9.-]+/)?v[a-z0-9]+)\.(?P<kind>[A-Z]\w*)/(?:(?P<namespace>[^/]+)/)?(?P<name>[^/]+)"
)
_FLUX: t.Final = {
    "kustomize.toolkit.fluxcd.io": "Kustomization",
    "helm.toolkit.fluxcd.io": "HelmRelease",
}
# Who declares objects without server-side apply. Helm's client is named like the program that it is part of.
_DECLARES = re.compile(r"terraform|hashicorp|helm|argocd|kustomize-controller", re.IGNORECASE)
_HELM: t.Final = "meta.helm.sh/release-"
# How newer clients tell of each object, before its difference.
_TOLD = re.compile(r"^ < (?:created|configured|pruned) (?P<subject>\S+)$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Manifest:
    """One of Talos' objects, and what would become of it."""

    change: str
    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def label(self) -> str:
        return label(self.kind, self.namespace, self.name)

    @property
    def entry(self) -> str:
        """Under which name Talos' inventory has it."""
        group = self.api_version.rpartition("/")[0]
        return "_".join((self.namespace, self.name.replace(":", "__"), group, self.kind))


def changes(dry_run: str) -> list[Manifest]:
    """The objects that would be made, changed or pruned. Raises where it is not known of all."""
    found = []
    for head in _HEAD.finditer(dry_run):
        path = _PATH.fullmatch(head["path"])
        if path is None:
            raise _unread(head["path"])
        change = MADE if head["took"] == "0" else PRUNED if head["gives"] == "0" else CHANGED
        found.append(Manifest(change, path["version"], path["kind"], path["namespace"] or "", path["name"]))
    subjects = {"/".join(filter(None, (each.kind, each.namespace, each.name))) for each in found}
    for told in _TOLD.finditer(dry_run):
        if told["subject"] not in subjects:
            raise _unread(told["subject"])
    return found


def _unread(subject: str) -> BootstrapError:
    return BootstrapError(
        f"What the dry run of talosctl upgrade-k8s says of {subject} cannot be read, so it is not known whose that is. "
        "Kubernetes was not moved. Use a release of the client that this collection knows.",
        code="unread",
        subject=subject,
    )


def owner(living: Mapping[str, t.Any]) -> str:
    """Who else has declared an object; nothing where nobody has."""
    metadata = living.get("metadata") or {}
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    for domain, kind in _FLUX.items():
        if name := labels.get(f"{domain}/name"):
            return f"Flux ({label(kind, labels.get(f'{domain}/namespace'), name)})"
    if release := annotations.get(f"{_HELM}name"):
        return f"Helm (release {annotations.get(f'{_HELM}namespace')}/{release})"
    for entry in metadata.get("managedFields") or []:
        manager = str(entry.get("manager"))
        if entry.get("subresource") or manager == TALOS:
            continue
        if entry.get("operation") == "Apply" or _DECLARES.search(manager):
            return f"a seed, or Terraform (field manager {manager})" if manager == "Terraform" else f"{manager}"
    return ""
