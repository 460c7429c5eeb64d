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
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder, Document, Placed
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.substitute import BadSubstitution, substituted
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Unreadable

KUSTOMIZE: t.Final = "kustomize.toolkit.fluxcd.io"
HELM: t.Final = "helm.toolkit.fluxcd.io"
SOURCE: t.Final = "source.toolkit.fluxcd.io"
ROOT: t.Final = "flux-system"  # the name and namespace of what flux bootstrap declares

PASSES: t.Final = 4  # so often variables may be declared by what itself has variables

_RELEASE_LENGTH: t.Final = 53  # of Helm's names

Known = Mapping[tuple[str, str, str], Mapping[str, str]]  # data by kind, namespace and name


@dataclass(frozen=True)
class Object:
    """An object that Flux applies. C(file) is where it, or what it is generated from, stands in the repository.

    C(line) is where it begins there. It is 0 where a generator makes it, and where several of the file might be meant,
    as their names are changed on the way.
    """

    document: Document
    file: str
    kustomization: str  # which applies it, as NAMESPACE/NAME
    line: int = 0

    @property
    def place(self) -> str:
        """Its file for a message, with the line where that is known."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def group(self) -> str:
        return str(self.document.get("apiVersion", "")).rpartition("/")[0]

    @property
    def kind(self) -> str:
        return str(self.document.get("kind", ""))

    @property
    def namespace(self) -> str:
        return str(mapping(self.document.get("metadata")).get("namespace") or "")

    @property
    def name(self) -> str:
        return str(mapping(self.document.get("metadata")).get("name") or "")

    @property
    def spec(self) -> Mapping[str, t.Any]:
        return mapping(self.document.get("spec"))


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
    found, source = _read(builder, folder, known)
    for each in found.of_kind(SOURCE, "GitRepository"):
        if (each.namespace or ROOT, each.name) == source:
            if ignore := str(each.spec.get("ignore") or ""):
                found, source = _read(builder.ignoring(ignore), folder, known)
            more = [key for key in ("include", "sparseCheckout") if each.spec.get(key)]
            found.skipped += [f"GitRepository {source[0]}/{each.name}: its {key} was not applied" for key in more]
            break
    return found


def _read(builder: Builder, folder: str, known: Known | None) -> tuple[Repository, tuple[str, str]]:
    """A repository, and the namespace and name of the GitRepository that its root follows."""
    root, source = _root(builder, folder)
    data: dict[tuple[str, str, str], Mapping[str, str]] = dict(known or {})
    builds = _Builds(builder)
    for _pass in range(PASSES):  # what declares a variable may be found after what uses it
        found = Repository()
        before = dict(data)
        waiting = [root]
        while waiting:
            each = waiting.pop(0)
            if each.label in found.kustomizations:
                continue
            found.kustomizations[each.label] = each
            applied = _applied(builds, each, data, found)
            found.objects += applied
            waiting += _declared(builder, applied, source, found)
        uses = any(_sources(each) for each in found.kustomizations.values())
        if data == before or not uses:
            break
    found.skipped = list(dict.fromkeys([*found.skipped, *builder.skipped]))
    return found, source


def _root(builder: Builder, folder: str) -> tuple[Kustomization, tuple[str, str]]:
    """The root Kustomization, as its own folder declares it where it does, and its source's namespace and name."""
    try:
        placed = builder.build(folder)
    except Unreadable:  # which is told when it is read as a part of the repository
        placed = []
    for each in placed:
        one = Object(each.document, each.file, "", each.line)
        if (one.group, one.kind) == (KUSTOMIZE, "Kustomization"):
            root, source = _kustomization(builder, one), _source(one)
            if root is not None and root.folder == folder and source is not None:
                return root, source
    return Kustomization(ROOT, ROOT, folder), (ROOT, ROOT)


def _source(declared: Object) -> tuple[str, str] | None:
    """The namespace and name of the GitRepository that a Kustomization builds from; None where it is another kind."""
    source = mapping(declared.spec.get("sourceRef"))
    if source.get("kind") != "GitRepository":
        return None
    return str(source.get("namespace") or declared.namespace or ROOT), str(source.get("name"))


class _Builds:
    """What each folder builds, built once as long as its Kustomization says the same."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._done: dict[str, tuple[Mapping[str, t.Any], list[Placed]]] = {}

    def of(self, kustomization: Kustomization) -> list[Placed]:
        spec, placed = self._done.get(kustomization.label, (None, []))
        if spec != kustomization.spec:
            placed = self._builder.build(kustomization.folder, kustomization.spec)
            self._done[kustomization.label] = kustomization.spec, placed
        return placed


def _applied(
    builds: _Builds,
    kustomization: Kustomization,
    data: dict[tuple[str, str, str], Mapping[str, str]],
    found: Repository,
) -> list[Object]:
    """The objects that a Kustomization applies, its variables replaced."""
    try:
        placed = builds.of(kustomization)
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
                    line = f"{kustomization.label}: {each.file} is read with no variable replaced: {error}"
                    found.skipped.append(line)
        one = Object(_marked(document, kustomization.spec), each.file, kustomization.label, each.line)
        objects.append(one)
        if one.kind == "ConfigMap":
            texts = {str(key): str(value) for key, value in mapping(document.get("data")).items()}
            data.setdefault(("ConfigMap", one.namespace, one.name), texts)
    return objects


def _marked(document: Document, spec: Mapping[str, t.Any]) -> Document:
    """An object with the labels and annotations that its Kustomization gives all."""
    common = mapping(spec.get("commonMetadata"))
    added = {key: mapping(common.get(key)) for key in ("labels", "annotations") if common.get(key)}
    if not added:
        return document
    metadata = mapping(document.get("metadata"))
    merged = {key: {**mapping(metadata.get(key)), **values} for key, values in added.items()}
    return {**document, "metadata": {**metadata, **merged}}


def _sources(kustomization: Kustomization) -> list[Mapping[str, t.Any]]:
    return mappings(mapping(kustomization.spec.get("postBuild")).get("substituteFrom"))


def _variables(kustomization: Kustomization, data: Known, found: Repository) -> tuple[dict[str, str] | None, bool]:
    """A Kustomization's variables, None where it has none; and whether all of them are known here."""
    given = mapping(mapping(kustomization.spec.get("postBuild")).get("substitute"))
    sources = _sources(kustomization)
    if not sources and not given:
        return None, True
    variables: dict[str, str] = {}
    whole = True
    for source in sources:
        kind, name = str(source.get("kind")), str(source.get("name"))
        values = data.get((kind, kustomization.namespace, name))
        if values is not None:
            variables |= values
            continue
        whole = whole and bool(source.get("optional"))
        may = ", which may be missing," if source.get("optional") else ""
        found.skipped.append(
            f"{kustomization.label}: variables of {kind} {kustomization.namespace}/{name}{may} are not known here"
        )
    return variables | {str(key): str(value) for key, value in given.items()}, whole


def _declared(
    builder: Builder, objects: Sequence[Object], followed: tuple[str, str], found: Repository
) -> list[Kustomization]:
    """The Flux Kustomizations among these objects that build folders of this repository, the source C(followed)."""
    declared = []
    for each in objects:
        if (each.group, each.kind) != (KUSTOMIZE, "Kustomization"):
            continue
        label = f"{each.namespace or ROOT}/{each.name}"
        if _source(each) != followed:
            source = mapping(each.spec.get("sourceRef"))
            found.skipped.append(f"{label}: it builds another source, {source.get('kind')} {source.get('name')}")
        elif "kubeConfig" in each.spec:
            found.skipped.append(f"{label}: what it builds is for another cluster")
        elif (one := _kustomization(builder, each)) is None:
            path = each.spec.get("path")
            what = f"its path {path!r} is none of the repository."
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
        f"{other.get('namespace') or namespace}/{other.get('name')}"
        for other in mappings(declared.spec.get("dependsOn"))
    )
    return Kustomization(namespace, declared.name, folder, before, declared.spec, declared.file)


def mapping(value: t.Any) -> Mapping[str, t.Any]:
    """A value where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: t.Any) -> list[Mapping[str, t.Any]]:
    """The mappings of a value where it is a list, else none."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


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
