# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change in a repository so that it installs the operators, in order. Changes nothing.

What is there is changed where it stands, and only in what is ours; what is missing goes into new files. It is proven as
Secrets are: the changed files are built again.
Private: other collections must not import it.
"""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery import pieces
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.files import Files, differing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import (
    EXTERNAL,
    MOVED,
    VAULT,
    Document,
    api_version,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.obstacles import (
    BETA,
    V1,
    obstacles,
    of_beta,
    release_of,
    shown,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.order import Order
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.pieces import Piece
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.plan import Plan, Read
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.restarts import chart_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import (
    CHARTS,
    LOGIN,
    NAMESPACES,
    PLACES,
    STORE,
    Operator,
    Wanted,
    problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import kustomization_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.kustomization import FILES
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import (
    KUSTOMIZE,
    ROOT,
    Kustomization,
    Object,
    Repository,
    mapping,
    mappings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree

_GENERATORS: t.Final = f"generators.{EXTERNAL}"
_SECRETS: t.Final = tuple((VAULT, f"Vault{kind}Secret") for kind in ("Static", "Dynamic", "PKI"))
_CHECKS: t.Final = ("healthChecks", "healthCheckExprs")
# By which object the Kustomization of a part is known.
_MAIN: t.Final = {STORE: "ClusterSecretStore", LOGIN: "VaultAuth"}
_BUILT_IN: t.Final = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})  # namespaces


def plan_tree(tree: Tree, read: Read, given: Wanted) -> Plan:
    """The files of a repository that change, C(tree), of which C(read) makes a model. Where anything is wrong, none."""
    if wrong := problems(given):
        return Plan(problems=wrong)
    return _Planner(tree, read, given).plan()


@dataclass(frozen=True)
class _Home:
    """The Kustomization of a part: its label, the folder that it builds, and whether it is yet to be made."""

    label: str
    folder: str
    is_new: bool = False

    @classmethod
    def of(cls, each: Kustomization) -> _Home:
        return cls(each.label, each.folder)


class _Planner:
    """Plans on the objects as Flux builds them."""

    def __init__(self, tree: Tree, read: Read, given: Wanted) -> None:
        self._tree = tree
        self._read = read
        self._wanted = given
        self._files = Files(tree)
        self._places = {**PLACES, **given.places}
        self._before = read(tree)
        self._root = next(iter(self._before.kustomizations.values()))
        self._order = Order(self._before)
        self._pieces = list(self._wished())
        self._homes = {part: self._home(part) for part in dict.fromkeys(piece.part for piece in self._pieces)}

    def plan(self) -> Plan:
        wrong = [*self._before.problems, *self._order.cycles(), *obstacles(self._before, self._wanted.operators)]
        wrong = wrong or list(dict.fromkeys(self._needs()))
        if wrong:
            return Plan(problems=wrong)
        self._move()
        for piece in self._pieces:
            self._place(piece)
        self._declare()
        self._wait()
        wrong = self._files.problems or list(self._unproven() if self._files.planned else ())
        return Plan(problems=wrong) if wrong else Plan(files=self._files.planned)

    # -- what there shall be

    def _wished(self) -> Iterator[Piece]:
        """Every object of the tree."""
        given, flux = self._wanted, self._root.namespace
        logins = sorted(self._login_namespaces())
        labels: dict[str, Mapping[str, str]] = {name: {} for name in logins}
        for operator in given.operators.values():
            labels[operator.namespace] = {**labels.get(operator.namespace, {}), **operator.labels}
        for name in sorted(set(labels) - {flux} - _BUILT_IN):
            if not self._there("", "Namespace", "", name):
                yield pieces.namespace(name, labels[name])
        for part, operator in given.operators.items():
            yield from self._operator(part, operator)
        if given.store:
            yield from pieces.store(given.store, given.operators[ESO])
        if given.login:
            yield from pieces.login(given.login, given.operators[VSO], logins)

    def _operator(self, part: str, operator: Operator) -> Iterator[Piece]:
        """HelmRepository and HelmRelease of an operator, as far as they are not said in another way already."""
        flux = self._root.namespace
        chart = chart_of(release := release_of(self._before, operator))
        source = mapping(chart.get("sourceRef"))
        if source.get("kind", "HelmRepository") == "HelmRepository":
            where = str(source.get("namespace") or (release.namespace if release else flux))
            yield pieces.helm_repository(part, operator, str(source.get("name") or CHARTS[part].repository), where)
        said = str(chart.get("version") or "")
        if said.removeprefix("v") == operator.version.removeprefix("v"):
            operator = replace(operator, version=said)
        yield pieces.helm_release(part, operator, flux)

    def _login_namespaces(self) -> set[str]:
        """The namespaces that log in through the VaultAuth: those that are named, and those that do so already."""
        login = self._wanted.login
        return {*login.namespaces, *(each.namespace for each in self._through())} - {""} if login else set()

    def _through(self) -> Iterator[Object]:
        """What reads through the VaultAuth."""
        if self._wanted.login:
            own = self._wanted.operators[VSO].namespace
            for each in self._before.objects:
                said = str(each.spec.get("vaultAuthRef") or f"{own}/default")
                reference = said if "/" in said else f"{each.namespace}/{said}"
                if (each.group, each.kind) in _SECRETS and reference == f"{own}/{self._wanted.login.auth}":
                    yield each

    def _there(self, group: str, kind: str, namespace: str, name: str) -> list[Object]:
        return _objects(self._before, group, kind, namespace, name)

    # -- where it stands

    def _home(self, part: str) -> _Home:
        """The Kustomization of a part: that which applies its main object, has its name, or builds its folder."""
        place = self._places[part]
        there = self._before.kustomizations
        for piece in self._pieces:
            if piece.part == part and piece.identity[1] == _MAIN.get(part, "HelmRelease"):
                for each in self._there(*piece.identity):
                    return _Home.of(there[each.kustomization])
        label = f"{self._root.namespace}/{place.kustomization}"
        if label in there:
            return _Home.of(there[label])
        builders = [each for each in there.values() if self._builds(each, place.folder)]
        if builders:
            return _Home.of(max(builders, key=lambda each: len(each.folder)))
        self._order.declare(label, self._root.label)
        return _Home(label, place.folder, is_new=True)

    def _builds(self, each: Kustomization, folder: str) -> bool:
        """Whether a Kustomization builds a folder, or would take up what is put there."""
        if each.folder == folder:
            return True
        return _is_below(folder, each.folder) and not kustomization_file(self._tree, each.folder)

    def _folder(self, part: str) -> str:
        """Where the files of a part go: to its place, if its Kustomization builds that, and no other one does."""
        place, home = self._places[part], self._homes[part]
        if not _is_below(place.folder, home.folder):
            return home.folder
        if _is_below(place.home, home.folder) or kustomization_file(self._tree, place.home):
            return place.home
        others = (each for each in self._before.kustomizations.values() if each.label != home.label)
        return home.folder if any(self._builds(each, place.home) for each in others) else place.home

    def _lists(self, file: str, home: _Home, *, listed: bool) -> str:
        """The kustomization that has to list a new file; nothing where Flux takes all that lies there."""
        tree = self._tree.with_files(self._files.planned)
        folders = [posixpath.dirname(file)]
        while folders[-1] != home.folder and _is_below(folders[-1], home.folder):
            folders.append(posixpath.dirname(folders[-1]))
        for folder in folders if folders[-1] == home.folder else [home.folder]:
            if name := kustomization_file(tree, folder):
                return posixpath.join(folder, name)
        return posixpath.join(home.folder, FILES[0]) if home.is_new and listed else ""

    # -- what comes before what

    def _needs(self) -> Iterator[Problem]:
        """Have each Kustomization wait for what its objects need."""
        for part, groups, used in ((ESO, (EXTERNAL, _GENERATORS), STORE), (VSO, (VAULT,), LOGIN)):
            if part not in self._homes:
                continue
            operator = self._homes[part].label
            if used in self._homes:
                yield from self._order.need(self._homes[used].label, operator, f"the {used} needs the kinds of {part}")
            for each in self._before.objects:
                if each.group in groups:
                    why = f"{shown(each)} ({each.place}) needs the kinds of {part}"
                    yield from self._order.need(each.kustomization, operator, why)
        yield from self._namespaces_first()
        for each, part in self._readers():
            why = f"{shown(each)} ({each.place}) needs the {part}"
            yield from self._order.follow(each.kustomization, self._homes[part].label, why)

    def _namespaces_first(self) -> Iterator[Problem]:
        new = {piece.identity[3] for piece in self._pieces if piece.part == NAMESPACES}
        for piece in self._pieces:
            _group, kind, space, _name = piece.identity
            if kind == "ServiceAccount" and self._there(*piece.identity):
                continue
            homes = [self._homes[NAMESPACES].label] if space in new else []
            homes += [each.kustomization for each in self._there("", "Namespace", "", space)]
            for home in homes[:1]:
                why = f"{piece.shown} needs its namespace"
                yield from self._order.follow(self._homes[piece.part].label, home, why)

    def _readers(self) -> Iterator[tuple[Object, str]]:
        """Who reads through the store or the login."""
        if self._wanted.store:
            store = {"kind": "ClusterSecretStore", "name": self._wanted.store.name}
            for each in self._before.of_kind(EXTERNAL, "ExternalSecret"):
                if mapping(each.spec.get("secretStoreRef")) == store:
                    yield each, STORE
        yield from ((each, LOGIN) for each in self._through())

    # -- the changes

    def _move(self) -> None:
        """Have objects of ESO say the version that is served from now on, and health checks of them, too."""
        eso = self._wanted.operators.get(ESO)
        if eso is None or api_version(eso.version) != V1:
            return
        for each in of_beta(self._before):
            self._files.change(each, lambda raw: {**raw, "apiVersion": V1})
        for each in self._before.of_kind(KUSTOMIZE, "Kustomization"):
            if any(_is_beta(check) for key in _CHECKS for check in mappings(each.spec.get(key))):
                self._files.change(each, _with_moved_checks)

    def _place(self, piece: Piece) -> None:
        """Have an object say what is ours, where it stands; in a new file where it is missing."""
        for each in self._there(*piece.identity)[:1]:
            self._files.change(each, partial(piece.said, built=each.spec))
            return
        file = posixpath.join(self._folder(piece.part), piece.file)
        self._add(file, piece.document, self._homes[piece.part], listed=self._places[piece.part].listed)

    def _add(self, file: str, document: Document, home: _Home, *, listed: bool = False) -> None:
        if self._files.add(file, document) and (lists := self._lists(file, home, listed=listed)):
            self._files.list(lists, file)

    def _declare(self) -> None:
        """Declare the Kustomizations that are new."""
        source = mapping(self._root.spec.get("sourceRef")) or {"kind": "GitRepository", "name": ROOT}
        new = {home.label: part for part, home in reversed(self._homes.items()) if home.is_new}
        for label, part in reversed(new.items()):
            after = self._order.added.get(label, [])
            place = self._places[part]
            wait = part not in _MAIN  # to which others add what may never be Ready
            document = pieces.kustomization(place, self._root.namespace, source, after, wait=wait)
            file = posixpath.join(self._root.folder, self._wanted.declared.format(kustomization=place.kustomization))
            self._add(file, document, _Home.of(self._root))

    def _wait(self) -> None:
        """Have those that are there wait: before they are applied, and, for a release, before they are Ready."""
        awaited: dict[str, list[Document]] = {}
        for piece in self._pieces:
            if piece.identity[1] == "HelmRelease" and (label := self._homes[piece.part].label) != self._root.label:
                documents = [each.document for each in self._there(*piece.identity)] or [piece.document]
                awaited.setdefault(label, []).append(pieces.health_check(documents[0]))
        for each in self._before.of_kind(KUSTOMIZE, "Kustomization"):
            where = each.namespace or ROOT
            label = f"{where}/{each.name}"
            after = [pieces.dependency(other, where) for other in self._order.added.get(label, [])]
            checks = [check for check in awaited.get(label, []) if not _is_awaited(check, each)]
            if after or checks:
                self._files.change(each, partial(_waiting, after=after, checks=checks))

    # -- the proof

    def _unproven(self) -> Iterator[Problem]:
        """What the changed files do not bring about, or bring about beside it, once they are built."""
        after = self._read(self._tree.with_files(self._files.planned))
        yield from after.problems
        for piece in self._pieces:
            made = _objects(after, *piece.identity)
            if not made:
                what = "no Flux Kustomization builds it."
                yield Problem("unreached", piece.shown, what, "Have one build its folder, or name another place.")
            elif len(made) > 1:
                where = ", ".join(f"{each.file} by {each.kustomization}" for each in made)
                yield Problem("twice", piece.shown, f"it is there more than once: {where}.", "Keep one of them.")
            elif piece.said(made[0].document, made[0].spec) != made[0].document:
                what = f"what {made[0].file} says is changed on its way, by its kustomization or by variables."
                yield Problem("not_as_written", piece.shown, what, "Change what changes it, or leave it to its file.")
        for each in of_beta(after):
            if api_version(self._wanted.operators[ESO].version if ESO in self._wanted.operators else "") == V1:
                what = f"{each.file} says v1beta1 of it still."
                yield Problem("not_as_written", shown(each), what, "Write v1 there by hand.")
        order = Order(after)
        for label, others in self._order.added.items():
            for other in others:
                if not order.waits(label, other):
                    what = f"it would not wait for {other}."
                    yield Problem("not_as_written", label, what, "Add it to its dependsOn by hand.")
        for group, kind, namespace, name in sorted(differing(self._before, after) - self._files.touched):
            what = f"{kind} {namespace}/{name} ({group or 'core'}) would be another one."
            yield Problem("collateral", "The change", what, "Name other places for the new files.")


def _objects(repository: Repository, group: str, kind: str, namespace: str, name: str) -> list[Object]:
    return [each for each in repository.of_kind(group, kind) if (each.namespace, each.name) == (namespace, name)]


def _is_beta(check: t.Any) -> bool:
    found = mapping(check)
    return found.get("apiVersion") == BETA and found.get("kind") in MOVED


def _with_moved_checks(raw: Document) -> Document:
    spec = dict(raw["spec"])
    for key in _CHECKS:
        if spec.get(key):
            spec[key] = [{**each, "apiVersion": V1} if _is_beta(each) else each for each in spec[key]]
    return {**raw, "spec": spec}


def _waiting(raw: Document, after: list[Document], checks: list[Document]) -> Document:
    """A Kustomization that waits for more."""
    spec = dict(raw["spec"])
    for key, more in (("dependsOn", after), ("healthChecks", checks)):
        if more:
            spec[key] = [*(spec.get(key) or []), *more]
    return {**raw, "spec": spec}


def _is_awaited(check: Document, kustomization: Object) -> bool:
    """Whether a Kustomization is Ready only when an object is that would be checked."""
    there = mappings(kustomization.spec.get("healthChecks"))
    named = any(all(each.get(key) == check[key] for key in ("kind", "namespace", "name")) for each in there)
    return named or kustomization.spec.get("wait") is True


def _is_below(folder: str, other: str) -> bool:
    return folder == other or not other or folder.startswith(f"{other}/")
