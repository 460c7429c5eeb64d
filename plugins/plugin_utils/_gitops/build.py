# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a folder of a repository as Flux does: with kustomize, after a look at all that it would read.

Flux makes up a kustomization where a folder has none, adds what its own object says, and reads files outside of the
folder, but not outside of the repository. Bases from elsewhere are refused: nothing is fetched.
Private: other collections must not import it.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import tempfile
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.kustomization import (
    FILES,
    LISTS,
    MANIFESTS,
    Reference,
    merged,
    references,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import GIT, Tree, Unreadable
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.yaml import dump, manifests

# Each with the words that build a folder. Flux does not restrict a build to its folder.
PROGRAMS: t.Final = (("kustomize", "build"), ("kubectl", "kustomize"))
FREE: t.Final = ("--load-restrictor", "LoadRestrictionsNone")
BUILD_SECONDS: t.Final = 60.0
MOST_BYTES: t.Final = 64 * 2**20  # of what a build prints
ORIGIN: t.Final = "config.kubernetes.io/origin"

Document = dict[str, t.Any]


@dataclass(frozen=True)
class Placed:
    """An object as a folder's build has it, and the file that it comes from."""

    document: Document
    file: str


def program() -> list[str] | None:
    """The program that builds folders, with its words; None where there is none."""
    for name, word in PROGRAMS:
        if found := shutil.which(name):
            return [found, word, *FREE]
    return None


class Builder:
    """Builds the folders of a repository, in a copy of it. Use it as a context manager.

    C(skipped) is what was not looked into, as there is no program that builds: a line each.
    """

    def __init__(self, tree: Tree, deadline: Deadline) -> None:
        self.tree = tree
        self.skipped: list[str] = []
        self._deadline = deadline
        self._program = program()
        self._scratch: Path | None = None

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def build(self, folder: str, spec: Mapping[str, t.Any] | None = None) -> list[Placed]:
        """The objects of a folder. C(spec) is that of the Flux Kustomization that builds it."""
        if not self.tree.is_folder(folder):
            raise Unreadable(folder or ".", "it is not a folder of it.", "Correct the path of who builds it.")
        spec = spec or {}
        name = kustomization_file(self.tree, folder)
        content = self._load(posixpath.join(folder, name)) if name else self._made_up(folder)
        components = [str(each) for each in spec.get("components") or []]
        if spec.get("ignoreMissingComponents"):
            components = [each for each in components if self._is_there(folder, each)]
        content = merged(content, spec, components)
        self._look_at(folder, name or FILES[0], content)
        if self._program is None or self._is_list(folder, content):
            return _each_once(self._listed(folder, name or FILES[0], content), folder)
        keep = "originAnnotations" in (content.get("buildMetadata") or [])
        keep = keep or (bool(name) and not content.get("resources"))  # to which Flux adds the notes itself
        return self._built(self._program, folder, name or FILES[0], content, keep)

    def _is_there(self, folder: str, path: str) -> bool:
        return Path(self.tree.place(self.tree.normal(path, folder))).exists()

    def _load(self, path: str) -> Document:
        found = self.tree.documents(path)
        if found and not isinstance(found[0], dict):
            raise Unreadable(path, "it is not a kustomization.", "Its first document is a mapping.")
        content: Document = found[0] if found else {}
        return content

    def _made_up(self, folder: str) -> Document:
        """The kustomization that Flux makes of a folder that has none: all manifests, and folders that have one."""
        resources: list[str] = []
        taken: list[str] = []
        for path in self.tree.files(folder):
            below = posixpath.dirname(path)
            if any(below == each or below.startswith(f"{each}/") for each in taken):
                continue
            inner = _topmost(self.tree, folder, below)
            if inner:
                taken.append(inner)
                resources.append(posixpath.relpath(inner, folder or "."))
            elif path.endswith(MANIFESTS):
                resources.append(posixpath.relpath(path, folder or "."))
        return {"resources": resources}

    def _look_at(
        self, folder: str, name: str, content: Mapping[str, t.Any], seen: frozenset[str] = frozenset()
    ) -> None:
        """Raise for what a build would read outside of the repository, before a program runs."""
        file = posixpath.join(folder, name)
        for each in references(content):
            if each.is_remote:
                raise Unreadable(
                    file,
                    f"{each.key} names {_shown(each)}, which is fetched from elsewhere.",
                    "That is not looked into here: nothing is fetched. Keep a copy in the repository.",
                )
            path = self.tree.normal(each.path, folder)
            if self.tree.is_folder(path):
                inner = kustomization_file(self.tree, path)
                if path in seen or path == folder:
                    raise Unreadable(file, f"{each.key} names {each.path}, which leads back to it.", "Take it out.")
                if inner:
                    loaded = self._load(posixpath.join(path, inner))
                    self._look_at(path, inner, loaded, seen | {folder})
            elif each.path.endswith(MANIFESTS) and each.key in ("resources", "bases"):
                self.tree.documents(path)
            else:
                self.tree.read(path)

    def _is_list(self, folder: str, content: Mapping[str, t.Any]) -> bool:
        """Whether a kustomization, with all that it names, lists objects and changes none: no program is needed."""
        if set(content) - LISTS:
            return False
        for each in references(content):
            path = self.tree.normal(each.path, folder)
            if self.tree.is_folder(path):
                inner = kustomization_file(self.tree, path)
                if not inner or not self._is_list(path, self._load(posixpath.join(path, inner))):
                    return False
        return True

    def _built(self, words: list[str], folder: str, name: str, content: Document, keep: bool) -> list[Placed]:
        """What the program makes of a folder of our copy. It notes the files; C(keep): as Flux does."""
        root = self._copy()
        file = root / folder / name
        before = file.read_bytes() if file.exists() else None
        metadata = dict.fromkeys([*(content.get("buildMetadata") or []), "originAnnotations"])
        content = {**content, "buildMetadata": list(metadata)}
        file.write_text(dump(content))
        try:
            own = {"HOME": str(root), "TMPDIR": str(root), "KUBECONFIG": os.devnull, "LC_ALL": "C"}
            path = {"PATH": os.environ.get("PATH", os.defpath)}
            seconds = min(self._deadline.left, BUILD_SECONDS)
            argv = [*words, str(root / folder)]
            done = run(argv, env={**path, **own}, seconds=seconds, cwd=root, limit=MOST_BYTES)
        finally:
            if before is None:
                file.unlink()
            else:
                file.write_bytes(before)
        if done.too_much:
            raise Unreadable(folder or ".", f"it builds more than {MOST_BYTES // 2**20} MiB.", "Split it.")
        if done.status is None:
            raise Unreadable(folder or ".", f"it was not built within {seconds:.0f} s.", "Run this again.")
        if done.status:
            by_hand = " ".join((Path(words[0]).name, *words[1:], folder or "."))
            raise Unreadable(
                folder or ".", "it cannot be built as a kustomization.", f"See why, in a clone of it: {by_hand}"
            )
        return [_placed(each, folder, name, keep) for each in _objects(done.output, folder)]

    def _copy(self) -> Path:
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="tazlab-gitops-"))
            shutil.copytree(self.tree.root, self._scratch / "tree", symlinks=True, ignore=lambda _where, _names: {GIT})
        return self._scratch / "tree"

    def _listed(self, folder: str, name: str, content: Mapping[str, t.Any]) -> Iterator[Placed]:
        """The objects that a kustomization lists, unchanged."""
        file = posixpath.join(folder, name)
        if more := sorted(set(content) - LISTS):
            self.skipped.append(f"{file}: {', '.join(more)} was not applied: neither kustomize nor kubectl is on PATH")
        for each in references({key: content.get(key) for key in ("resources", "bases")}):
            path = self.tree.normal(each.path, folder)
            if self.tree.is_folder(path):
                inner = kustomization_file(self.tree, path)
                if not inner:
                    raise Unreadable(path, "it has no kustomization.", "Add one, or list its files.")
                yield from self._listed(path, inner, self._load(posixpath.join(path, inner)))
            else:
                for item in (item for document in self.tree.documents(path) for item in _items(document)):
                    if not _is_object(item):
                        raise Unreadable(
                            path, "a document lacks apiVersion, kind or metadata.", "Flux would refuse it, too."
                        )
                    yield Placed(item, path)


def kustomization_file(tree: Tree, folder: str) -> str:
    """The name of a folder's kustomization; nothing where it has none."""
    return next((name for name in FILES if tree.is_file(posixpath.join(folder, name))), "")


def _topmost(tree: Tree, folder: str, below: str) -> str:
    """The highest folder between the two that has a kustomization of its own."""
    found = ""
    while below != folder and below:
        if kustomization_file(tree, below):
            found = below
        below = posixpath.dirname(below)
    return found


def _each_once(placed: Iterator[Placed], folder: str) -> list[Placed]:
    """The objects; raises for one that is there twice, which a build refuses."""
    found: dict[tuple[str, ...], Placed] = {}
    for each in placed:
        metadata = each.document["metadata"]
        group = str(each.document["apiVersion"]).rpartition("/")[0]
        identity = (group, each.document["kind"], str(metadata.get("namespace")), str(metadata.get("name")))
        if identity in found:
            raise Unreadable(
                folder or ".",
                f"{each.document['kind']} {metadata.get('name')} is in {found[identity].file} and in {each.file}.",
                "Flux would refuse it, too.",
            )
        found[identity] = each
    return list(found.values())


def _objects(content: bytes, folder: str) -> Iterator[Document]:
    try:
        found = manifests(content)
    except NotYaml as error:
        raise BootstrapError(f"What {folder or '.'} of the repository builds is not YAML ({error}).") from None
    return (each for each in found if isinstance(each, dict))


def _placed(document: Document, folder: str, name: str, keep: bool) -> Placed:
    """An object without the note of its origin, unless it is to keep it."""
    annotations = document.get("metadata", {}).get("annotations") or {}
    origin: t.Mapping[str, t.Any] = {}
    if ORIGIN in annotations:
        (origin,) = manifests(str(annotations[ORIGIN]).encode())
        if not keep:
            del annotations[ORIGIN]
            if not annotations:
                del document["metadata"]["annotations"]
    path = origin.get("path") or origin.get("configuredIn") or name
    return Placed(document, posixpath.normpath(posixpath.join(folder, str(path))))


def _items(document: t.Any) -> list[t.Any]:
    """The objects of a document, which may be a list of them."""
    if isinstance(document, dict) and str(document.get("kind", "")).endswith("List") and "items" in document:
        return list(document["items"] or [])
    return [document]


def _is_object(document: t.Any) -> bool:
    return (
        isinstance(document, dict)
        and all(isinstance(document.get(key), str) for key in ("apiVersion", "kind"))
        and isinstance(document.get("metadata"), dict)
    )


def _shown(reference: Reference) -> str:
    """A reference without the login that it may hold."""
    before, at, rest = reference.path.rpartition("@")
    return f"{before.partition('//')[0]}//{rest}" if at and "//" in before else reference.path
