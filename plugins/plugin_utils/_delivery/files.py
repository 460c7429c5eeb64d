# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a repository as they are planned so far: new ones, changed ones, and what could not be changed.

Private: other collections must not import it.
"""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Callable

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery import edit
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object, Repository
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree, Unreadable

Identity = tuple[str, str, str, str]  # group, kind, namespace and name

_LIST: t.Final = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


class Files:
    """What is planned of the files of C(tree): C(planned), C(touched) objects, and C(problems)."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.planned: dict[str, bytes] = {}
        self.touched: set[Identity] = set()
        self.problems: list[Problem] = []

    def content(self, file: str) -> bytes | None:
        """What a file holds as it is planned so far; None where there is none."""
        if file in self.planned:
            return self.planned[file]
        return self.tree.read(file) if self.tree.is_file(file) else None

    def add(self, file: str, document: edit.Document) -> bool:
        """A new object, in a new file or at the end of one that is there. Returns whether the file is new."""
        group = str(document["apiVersion"]).rpartition("/")[0]
        metadata = document["metadata"]
        self.touched.add((group, document["kind"], metadata.get("namespace", ""), metadata["name"]))
        try:
            there = self.content(file)
        except Unreadable as error:
            self.problems.append(Problem(error.code, error.subject, str(error)))
            return False
        self.planned[file] = edit.appended(there, document) if there else edit.rendered(document)
        return there is None

    def list(self, kustomization: str, file: str) -> None:
        """Have a kustomization, which may be new, list a file."""
        resource = posixpath.relpath(file, posixpath.dirname(kustomization) or ".")
        try:
            self.planned[kustomization] = edit.listed(self.content(kustomization) or edit.rendered(_LIST), resource)
        except edit.Unkept as error:
            step = f"Add {resource} to its resources by hand."
            self.problems.append(Problem("unkept", kustomization, f"{error}.", step))
        except Unreadable as error:
            self.problems.append(Problem(error.code, error.subject, str(error)))

    def change(self, each: Object, change: Callable[[edit.Document], edit.Document]) -> None:
        """Have an object say in its apiVersion and spec what C(change) makes of it, where that is something else."""
        who = identity(each)
        try:
            content = self.content(each.file) or b""
            before = edit.document_of(content, who)
            after = change(before) if before else {}
            if not before:
                self._unkept(each, "it does not stand in it under this name")
            elif after != before:
                self.planned[each.file] = edit.replaced(content, who, after, before)
                self.touched.add(identity(each))
        except edit.Unkept as error:
            self._unkept(each, str(error))
        except Unreadable as error:
            self.problems.append(Problem(error.code, error.subject, str(error)))

    def _unkept(self, each: Object, why: str) -> None:
        step = f"Change {each.kind} {each.name} there by hand."
        self.problems.append(Problem("unkept", each.file, f"{why}.", step))


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
