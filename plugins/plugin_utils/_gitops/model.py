# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GitOps repository as Flux sees it: its Kustomizations, the objects that each applies, and where these stand.

It knows no cluster: variables that come from one are those that are given here, or that the repository itself declares.
Private: other collections must not import it.
"""

from __future__ import annotations

import hashlib
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder, Document
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.substitute import BadSubstitution, substituted
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Unreadable

KUSTOMIZE: t.Final = "kustomize.toolkit.fluxcd.io"
HELM: t.Final = "helm.toolkit.fluxcd.io"
ROOT: t.Final = "flux-system"  # the name and namespace of what flux bootstrap declares

_RELEASE_LENGTH: t.Final = 53  # of Helm's names

Known = Mapping[tuple[str, str, str], Mapping[str, str]]  # data by kind, namespace and name


@dataclass(frozen=True)
class Object:
    """An object that Flux applies. C(file) is where it, or what it is generated from, stands in the repository."""

    document: Document
    file: str
    kustomization: str  # which applies it, as NAMESPACE/NAME

    @property
    def group(self) -> str:
        return str(self.document.get("apiVersion", "")).rpartition("/")[0]

    @property
    def kind(self) -> str:
        return str(self.document.get("kind", ""))

    @property
    def namespace(self) -> str:
        return str((self.document.get("metadata") or {}).get("namespace") or "")

    @property
    def name(self) -> str:
        return str((self.document.get("metadata") or {}).get("name") or "")

    @property
    def spec(self) -> Mapping[str, t.Any]:
        spec = self.document.get("spec")
        return spec if isinstance(spec, Mapping) else {}


@dataclass(frozen=True)
class Kustomization:
    """A Flux Kustomization: the folder that it builds, and those that must be Ready before."""

    namespace: str
    name: str
    folder: str
    depends_on: tuple[str, ...] = ()
    spec: Mapping[str, t.Any] = field(default_factory=dict)
    file: str = ""  # where it is declared; nothing for the root of a repository that does not declare it

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass
class Repository:
    """All of it. C(problems) are folders that could not be read; C(skipped), what was not looked into: a line each."""

    kustomizations: dict[str, Kustomization] = field(default_factory=dict)
    objects: list[Object] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def of_kind(self, group: str, kind: str) -> Iterator[Object]:
        return (each for each in self.objects if (each.group, each.kind) == (group, kind))


def read(builder: Builder, folder: str, known: Known | None = None) -> Repository:
    """A repository from the folder on that its root Kustomization builds.

    C(known) has the data of ConfigMaps and Secrets that the repository's variables come from and that others make.
    """
    found = Repository()
    data: dict[tuple[str, str, str], Mapping[str, str]] = dict(known or {})
    root, source = _root(builder, folder)
    waiting = [root]
    while waiting:
        each = waiting.pop(0)
        if each.label in found.kustomizations:
            continue
        found.kustomizations[each.label] = each
        applied = _applied(builder, each, data, found)
        found.objects += applied
        waiting += _declared(builder, applied, source, found)
    found.skipped = list(dict.fromkeys([*found.skipped, *builder.skipped]))
    return found


def _root(builder: Builder, folder: str) -> tuple[Kustomization, str]:
    """The root Kustomization, as its own folder declares it where it does, and the name of its source."""
    try:
        placed = builder.build(folder)
    except Unreadable:  # which is told when it is read as a part of the repository
        placed = []
    for each in placed:
        one = Object(each.document, each.file, "")
        source = one.spec.get("sourceRef") or {}
        if (one.group, one.kind, source.get("kind")) == (KUSTOMIZE, "Kustomization", "GitRepository"):
            root = _kustomization(builder, one)
            if root is not None and root.folder == folder:
                return root, str(source.get("name"))
    return Kustomization(ROOT, ROOT, folder), ROOT


def _applied(
    builder: Builder,
    kustomization: Kustomization,
    data: dict[tuple[str, str, str], Mapping[str, str]],
    found: Repository,
) -> list[Object]:
    """The objects that a Kustomization applies, its variables replaced."""
    try:
        placed = builder.build(kustomization.folder, kustomization.spec)
    except Unreadable as error:
        found.problems.append(Problem(error.code, kustomization.label, str(error)))
        return []
    variables, whole = _variables(kustomization, data, found)
    objects = []
    for each in placed:
        document = each.document
        if variables is not None:
            try:
                document = substituted(document, variables, whole=whole)
            except BadSubstitution as error:
                if whole:
                    found.problems.append(Problem("substitution", kustomization.label, f"{each.file}: {error}."))
                else:
                    found.skipped.append(
                        f"{kustomization.label}: {each.file} is read with no variable replaced: {error}"
                    )
        one = Object(document, each.file, kustomization.label)
        objects.append(one)
        if one.kind == "ConfigMap" and isinstance(document.get("data"), Mapping):
            texts = {str(key): str(value) for key, value in document["data"].items()}
            data.setdefault(("ConfigMap", one.namespace, one.name), texts)
    return objects


def _variables(kustomization: Kustomization, data: Known, found: Repository) -> tuple[dict[str, str] | None, bool]:
    """A Kustomization's variables, None where it has none; and whether all of them are known here."""
    after = kustomization.spec.get("postBuild") or {}
    sources: Sequence[Mapping[str, t.Any]] = after.get("substituteFrom") or []
    if not sources and not after.get("substitute"):
        return None, True
    variables: dict[str, str] = {}
    whole = True
    for source in sources:
        kind, name = str(source.get("kind")), str(source.get("name"))
        values = data.get((kind, kustomization.namespace, name))
        if values is not None:
            variables |= values
        elif not source.get("optional"):
            whole = False
            found.skipped.append(
                f"{kustomization.label}: variables of {kind} {kustomization.namespace}/{name} are not known here"
            )
    variables |= {str(key): str(value) for key, value in (after.get("substitute") or {}).items()}
    return variables, whole


def _declared(builder: Builder, objects: Sequence[Object], followed: str, found: Repository) -> list[Kustomization]:
    """The Flux Kustomizations among these objects that build folders of this repository, the source C(followed)."""
    declared = []
    for each in objects:
        if (each.group, each.kind) != (KUSTOMIZE, "Kustomization"):
            continue
        source = each.spec.get("sourceRef") or {}
        label = f"{each.namespace or ROOT}/{each.name}"
        if (source.get("kind"), source.get("name")) != ("GitRepository", followed):
            found.skipped.append(f"{label}: it builds another source, {source.get('kind')} {source.get('name')}")
        elif "kubeConfig" in each.spec:
            found.skipped.append(f"{label}: what it builds is for another cluster")
        elif (one := _kustomization(builder, each)) is None:
            path = each.spec.get("path")
            what = f"its path {path} leads out of the repository."
            found.problems.append(Problem("unreadable", label, what, f"Correct it in {each.file}."))
        else:
            declared.append(one)
    return declared


def _kustomization(builder: Builder, declared: Object) -> Kustomization | None:
    """A Flux Kustomization as it is declared; None where its path leads out of the repository."""
    namespace = declared.namespace or ROOT
    try:
        folder = builder.tree.normal(str(declared.spec.get("path") or "").lstrip("/") or ".")
    except Unreadable:
        return None
    before = tuple(
        f"{other.get('namespace') or namespace}/{other.get('name')}" for other in declared.spec.get("dependsOn") or []
    )
    return Kustomization(namespace, declared.name, folder, before, declared.spec, declared.file)


def release_name(helm_release: Object) -> str:
    """The name under which Helm has a HelmRelease, from which charts derive the names of what they make."""
    spec = helm_release.spec
    name = str(spec.get("releaseName") or "")
    if not name:
        target = spec.get("targetNamespace")
        name = f"{target}-{helm_release.name}" if target else helm_release.name
    if len(name) <= _RELEASE_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: _RELEASE_LENGTH - 13]}-{digest}"
