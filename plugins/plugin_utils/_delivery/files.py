# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a repository as they are planned so far: new ones, changed ones, and what could not be changed.

Private: other collections must not import it.
"""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Callable, Iterator

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery import edit
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.kustomization import FILES as KUSTOMIZATIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object, Repository, mapping
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree, Unreadable

Identity = tuple[str, str, str, str]  # group, kind, namespace and name

_LIST: t.Final = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


class Files:
    """What is planned of the files of C(tree): C(planned), C(touched) objects, and C(problems)."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.planned: dict[str, bytes | None] = {}  # None: the file goes
        self.touched: set[Identity] = set()
        self.problems: list[Problem] = []
        self._left: set[str] = set()  # folders that are built, and that a file has left

    def content(self, file: str) -> bytes | None:
        """What a file holds as it is planned so far; None where there is none."""
        if file in self.planned:
            return self.planned[file]
        return self.tree.read(file) if self.tree.is_file(file) else None

    def add(self, file: str, document: edit.Document) -> bool:
        """A new object, in a new file or at the end of one that is there. Returns whether the file is new."""
        metadata = document["metadata"]
        group, kind = str(document["apiVersion"]).rpartition("/")[0], str(document["kind"])
        who = (group, kind, str(metadata.get("namespace", "")), str(metadata["name"]))
        self.touched.add(who)
        try:
            there = self.content(file)
            if there is None:
                self._plan(file, edit.rendered(document))
            elif edit.document_of(there, who):  # by a run that was killed before it was listed
                self._plan(file, edit.replaced(there, who, document))
            else:
                self._plan(file, edit.appended(there, document))
        except edit.Unkept as error:
            self._unkept(file, kind, who[3], str(error))
        except Unreadable as error:
            self.problems.append(Problem(error.code, error.subject, str(error)))
        else:
            return there is None
        return False

    def list(self, kustomization: str, file: str) -> None:
        """Have a kustomization, which may be new, list a file."""
        resource = posixpath.relpath(file, posixpath.dirname(kustomization) or ".")
        try:
            self._plan(kustomization, edit.listed(self.content(kustomization) or edit.rendered(_LIST), resource))
        except edit.Unkept as error:
            step = f"Add {resource} to its resources by hand."
            self.problems.append(Problem("unkept", kustomization, f"{error}.", step))
        except Unreadable as error:
            self.problems.append(Problem(error.code, error.subject, str(error)))

    def remove(self, each: Object, repository: Repository) -> None:
        """Take an object out of its file. A file with nothing left goes, and so does its name in what lists it."""
        who = identity(each)
        self.touched.add(who)
        try:
            left = edit.without(self.content(each.file) or b"", who)
            self._plan(each.file, left)
            if left is None:
                for kustomization, resource in self._listing(each.file):
                    self._plan(kustomization, edit.unlisted(self.content(kustomization) or b"", resource))
                self._left.add(repository.kustomizations[each.kustomization].folder)
        except edit.Unkept as error:
            self._unkept(each.file, each.kind, each.name, str(error))
        except Unreadable as error:
            self.problems.append(Problem(error.code, error.subject, str(error)))

    def _listing(self, file: str) -> Iterator[tuple[str, str]]:
        """The kustomizations that list a file, each with how it names it."""
        tree = self.tree.with_files(self.planned)
        for path in tree.files(""):
            folder, _slash, name = path.rpartition("/")
            if name in KUSTOMIZATIONS:
                for document in tree.documents(path):
                    for resource in mapping(document.value).get("resources") or []:
                        if posixpath.normpath(posixpath.join(folder, str(resource))) == file:
                            yield path, str(resource)

    def keep_folders(self) -> None:
        """Keep those that nothing is left in: Git has no folder without a file, and Flux builds none that is not there.

        That is known when all is planned, as new files may go into them.
        """
        tree = self.tree.with_files(self.planned)
        for folder in sorted(self._left):
            try:
                if not tree.files(folder):
                    self._plan(posixpath.join(folder, KUSTOMIZATIONS[0]), edit.rendered({**_LIST, "resources": []}))
            except Unreadable as error:
                self.problems.append(Problem(error.code, error.subject, str(error)))

    def change(self, each: Object, change: Callable[[edit.Document], edit.Document]) -> None:
        """Have an object say in its apiVersion and spec what C(change) makes of it, where that is something else."""

        def changed(content: bytes, who: edit.Identity) -> bytes:
            before = edit.document_of(content, who)
            if not before:
                raise edit.Unkept("it does not stand in it under this name")
            after = change(before)
            return content if after == before else edit.replaced(content, who, after, before)

        self.rewrite(each, changed)

    def rewrite(self, each: Object, change: Callable[[bytes, edit.Identity], bytes]) -> None:
        """Change an object in its file."""
        try:
            content = self.content(each.file) or b""
            changed = change(content, identity(each))
            if changed != content:
                self.touched.add(identity(each))
            self._plan(each.file, changed)
        except edit.Unkept as error:
            self._unkept(each.file, each.kind, each.name, str(error))
        except Unreadable as error:
            self.problems.append(Problem(error.code, error.subject, str(error)))

    def _plan(self, file: str, content: bytes | None) -> None:
        if content != self.content(file):
            self.planned[file] = content

    def _unkept(self, file: str, kind: str, name: str, why: str) -> None:
        self.problems.append(Problem("unkept", file, f"{why}.", f"Change {kind} {name} there by hand."))


def identity(each: Object) -> Identity:
    return each.group, each.kind, each.namespace, each.name


def differing(before: Repository, after: Repository) -> set[Identity]:
    """The objects that are not the same in both."""
    sides: list[dict[Identity, list[t.Any]]] = []
    for repository in (before, after):
        side: dict[Identity, list[t.Any]] = {}
        for each in repository.objects:
            side.setdefault(identity(each), []).append((each.kustomization, each.document))
        sides.append(side)
    return {key for key in {*sides[0], *sides[1]} if sides[0].get(key) != sides[1].get(key)}
