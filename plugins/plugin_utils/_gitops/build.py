# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a folder of a repository as Flux does: with kustomize, after a look at all that it would read.

Flux makes up a kustomization where a folder has none, adds what its own object says, and reads files outside of the
folder, but not outside of the repository. Bases from elsewhere are refused: nothing is fetched.
Private: other collections must not import it.
"""

from __future__ import annotations

import copy
import hashlib
import os
import posixpath
import shlex
import shutil
import tempfile
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.fetched import Fetched
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.kustomization import (
    CONFIGURED,
    FILES,
    LISTS,
    MANIFESTS,
    RENAMES,
    Reference,
    Unknown,
    checked,
    configurations,
    configured,
    merged,
    references,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree, Unreadable
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.yaml import Lined, dump, manifests

# Each with the words that build a folder. Flux does not restrict a build to its folder.
PROGRAMS: t.Final = (("kustomize", "build"), ("kubectl", "kustomize"))
FREE: t.Final = ("--load-restrictor", "LoadRestrictionsNone")
BUILD_SECONDS: t.Final = 60.0
MOST_BYTES: t.Final = 64 * 2**20  # of what a build reads, and of what it prints
ORIGIN: t.Final = "config.kubernetes.io/origin"
LOCAL: t.Final = "config.kubernetes.io/local-config"  # such an object is for programs alone

Document = dict[str, t.Any]


@dataclass(frozen=True)
class Placed:
    """An object as a folder's build has it, and the file that it comes from.

    C(line) is where it begins there: 0 where a generator makes it, or more than one of the file might have become it.
    """

    document: Document
    file: str
    line: int = 0


def program() -> list[str] | None:
    """The program that builds folders, with its words; None where there is none."""
    for name, word in PROGRAMS:
        if found := shutil.which(name):
            return [found, word, *FREE]
    return None


class Builder:
    """Builds the folders of a repository, in copies of the files that each reads.

    C(ignore) is what their GitRepository says under this key. C(skipped) is what was not looked into, as there is no
    program that builds: a line each. Builders that share C(done) build what reads the same files once.
    """

    def __init__(
        self, tree: Tree, deadline: Deadline, done: dict[bytes, t.Any] | None = None, ignore: str = ""
    ) -> None:
        self.tree = Fetched(tree, ignore)
        self.skipped: list[str] = []
        self._deadline = deadline
        self._program = program()
        self._loaded: dict[str, Document] = {}  # kustomizations, by their paths
        self._lists: dict[str, bool] = {}  # whether one only lists objects
        self._read: dict[str, list[Lined]] = {}  # the objects of files
        self._lines: dict[tuple[str, bool], dict[t.Any, list[tuple[int, str, str]]]] = {}
        self._done = {} if done is None else done

    def ignoring(self, ignore: str) -> Builder:
        """The same, for a GitRepository that ignores this."""
        return Builder(self.tree, self._deadline, self._done, ignore)

    def build(self, folder: str, spec: Mapping[str, t.Any] | None = None) -> list[Placed]:
        """The objects of a folder. C(spec) is that of the Flux Kustomization that builds it."""
        if not self.tree.is_folder(folder):
            raise Unreadable(
                folder or ".",
                "it is not a folder of it, or Flux fetches nothing of that.",
                "Correct the path of who builds it.",
            )
        spec = spec or {}
        name = kustomization_file(self.tree, folder)
        content = self._load(posixpath.join(folder, name)) if name else self._made_up(folder)
        file = posixpath.join(folder, name or FILES[0])
        try:
            content = merged(content, spec, self._components(folder, spec))
        except Unknown as error:
            raise Unreadable(file, f"with what Flux adds, {error}.", "Correct who builds it.") from None
        reached: dict[str, bytes] = {}
        self._reach(folder, file, content, reached)
        lists = not set(content) - LISTS and all(self._lists[each] for each in reached if each in self._lists)
        if self._program is None or lists:
            return _each_once(self._listed(file, content, set()), folder)
        keep = "originAnnotations" in (content.get("buildMetadata") or [])
        keep = keep or (bool(name) and not content.get("resources"))  # to which Flux adds the notes itself
        metadata = dict.fromkeys([*(content.get("buildMetadata") or []), "originAnnotations"])
        reached[file] = dump({**content, "buildMetadata": list(metadata)}).encode()
        renames = any(RENAMES & set(each) for each in (content, *(self._loaded.get(path, {}) for path in reached)))
        placed = (_placed(each, file, keep) for each in self._built(self._program, folder, reached))
        return [replace(each, line=self._line(each, renames)) for each in placed]

    def _components(self, folder: str, spec: Mapping[str, t.Any]) -> list[str]:
        """The components that a Flux Kustomization adds, without those that may be missing and are."""
        components = spec.get("components") or []
        if not isinstance(components, list):
            raise Unknown("its components is not a list")
        found = [str(each) for each in components]
        if spec.get("ignoreMissingComponents"):
            found = [each for each in found if self.tree.is_folder(self.tree.normal(each, folder))]
        return found

    def _load(self, path: str) -> Document:
        """A kustomization, when all that it says is known."""
        if path not in self._loaded:
            found = self.tree.documents(path)
            try:
                self._loaded[path] = checked(found[0].value if found else {})
            except Unknown as error:
                step = "Take that out, and have what it makes as files."
                raise Unreadable(path, f"it is not a kustomization that is read here: {error}.", step) from None
            self._lists[path] = not set(self._loaded[path]) - LISTS
        return self._loaded[path]

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

    def _reach(
        self,
        folder: str,
        file: str,
        content: Mapping[str, t.Any],
        reached: dict[str, bytes],
        above: frozenset[str] = frozenset(),
    ) -> None:
        """Collect all files that a build reads. Raises for what is elsewhere, before a program runs.

        Kustomizations are written anew from what was read of them, so that no two readers can differ.
        """
        if self._deadline.left <= 0:
            raise Unreadable(
                folder or ".", f"it was not read within {self._deadline.seconds:.0f} s.", "Run this again."
            )
        reached[file] = dump(content).encode()
        named: set[str] = set()
        waiting = list(references(content))
        for each in waiting:  # to which configurations add what they read
            if each.is_remote:
                raise Unreadable(
                    file,
                    f"{each.key} names {_shown(each)}, which is fetched from elsewhere.",
                    "That is not looked into here: nothing is fetched. Keep a copy in the repository.",
                )
            path = self.tree.normal(each.path, folder)
            if path in above or path == folder:
                raise Unreadable(file, f"{each.key} names {each.path}, which leads back to it.", "Take it out.")
            if each.key in ("resources", "bases") and path in named:
                raise Unreadable(file, f"it names {path} twice.", "Flux would refuse what is there, too.")
            named |= {path} if each.key in ("resources", "bases") else set()
            if each.key in CONFIGURED:
                more, reached[path] = self._configured(path)
                waiting += more
            elif not self.tree.is_folder(path):
                reached.setdefault(path, self.tree.read(path))
            elif (inner := kustomization_file(self.tree, path)) and posixpath.join(path, inner) not in reached:
                inside = posixpath.join(path, inner)
                self._reach(path, inside, self._load(inside), reached, above | {folder})

    def _configured(self, path: str) -> tuple[list[Reference], bytes]:
        """What the configurations in a file read, and the file written anew."""
        found = [each.value for each in self.tree.documents(path)]
        try:
            return list(configured(found)), configurations(found).encode()
        except Unknown as error:
            step = "Take that out, and have what it makes as files."
            raise Unreadable(path, f"it is not a configuration that is read here: {error}.", step) from None

    def _built(self, words: list[str], folder: str, files: Mapping[str, bytes]) -> list[Document]:
        """What the program makes of a folder, of which it sees these files alone."""
        key = hashlib.sha256(repr((words, folder, sorted(files.items()))).encode()).digest()
        if key not in self._done:
            self._done[key] = self._run(words, folder, files)
        return copy.deepcopy(self._done[key])

    def _run(self, words: list[str], folder: str, files: Mapping[str, bytes]) -> list[Document]:
        if sum(map(len, files.values())) > MOST_BYTES:
            raise Unreadable(folder or ".", f"it reads more than {MOST_BYTES // 2**20} MiB.", "Split it.")
        with tempfile.TemporaryDirectory(prefix="tazlab-gitops-") as scratch:
            root = Path(os.path.realpath(scratch)) / "tree"
            for name, content in files.items():
                place = root / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            own = {
                "HOME": scratch,
                "TMPDIR": scratch,
                "KUBECONFIG": os.devnull,
                "LC_ALL": "C",
                # A second wall: what names something elsewhere was refused before.
                "GIT_ALLOW_PROTOCOL": "none",
                **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9"),
            }
            path = {"PATH": os.environ.get("PATH", os.defpath)}
            seconds = min(self._deadline.left, BUILD_SECONDS)
            argv = [*words, str(root / folder)]
            done = run(argv, env={**path, **own}, seconds=seconds, cwd=root, limit=MOST_BYTES)
        where = folder or "."
        if done.too_much:
            raise Unreadable(where, f"it builds more than {MOST_BYTES // 2**20} MiB.", "Split it.")
        if done.status is None:
            raise Unreadable(where, f"it was not built within {seconds:.0f} s.", "Run this again.")
        if done.status:
            by_hand = shlex.join((Path(words[0]).name, *words[1:], where))
            raise Unreadable(where, "it cannot be built as a kustomization.", f"See why, in a clone of it: {by_hand}")
        try:
            found = manifests(done.output)
        except NotYaml as error:
            raise Unreadable(where, f"what it builds is not YAML that is read here ({error}).", "Split it.") from None
        return [each for each in found if isinstance(each, dict)]

    def _listed(self, file: str, content: Mapping[str, t.Any], seen: set[str]) -> Iterator[Placed]:
        """The objects that a kustomization lists, unchanged."""
        folder = posixpath.dirname(file)
        if more := sorted(set(content) - LISTS):
            self.skipped.append(f"{file}: {', '.join(more)} was not applied: neither kustomize nor kubectl is on PATH")
        for reference in references({key: content.get(key) for key in ("resources", "bases")}):
            path = self.tree.normal(reference.path, folder)
            if path in seen:
                step = "Flux would refuse what is there, too."
                raise Unreadable(path, f"it is named twice, the second time in {file}.", step)
            seen.add(path)
            if self.tree.is_folder(path):
                inner = kustomization_file(self.tree, path)
                if not inner:
                    raise Unreadable(path, "it has no kustomization.", "Add one, or list its files.")
                yield from self._listed(posixpath.join(path, inner), self._load(posixpath.join(path, inner)), seen)
            else:
                for each in self._objects(path):
                    if not _is_object(each.value):
                        raise Unreadable(
                            path, "a document lacks apiVersion, kind or a name.", "Flux would refuse it, too."
                        )
                    annotations = each.value["metadata"].get("annotations")
                    if not isinstance(annotations, dict) or annotations.get(LOCAL) != "true":
                        yield Placed(each.value, path, each.line)

    def _objects(self, path: str) -> list[Lined]:
        """The objects of a file, those of its lists among them."""
        if path not in self._read:
            self._read[path] = [item for document in self.tree.documents(path) for item in _items(document, path)]
        return self._read[path]

    def _line(self, placed: Placed, renames: bool) -> int:
        """Where in its file the object begins that became this one, by a longer name if a build C(renames)."""
        kind, space, name = _who(placed.document)
        found = self._index(placed.file, renames).get(kind if renames else (kind, name), [])
        if renames:
            found = [each for each in found if each[2] in name]
        elif len(found) > 1:
            found = [each for each in found if each[1] == space]
        return found[0][0] if len(found) == 1 else 0

    def _index(self, file: str, renames: bool) -> dict[t.Any, list[tuple[int, str, str]]]:
        """The lines, namespaces and names of a file's objects: by kind and name, or by kind if a build C(renames)."""
        if (file, renames) not in self._lines:
            found = self._lines[file, renames] = {}
            try:
                there = [each for each in self._objects(file) if _is_object(each.value)]
            except Unreadable:  # what is read here is less than what kustomize reads
                there = []
            for each in there:
                kind, space, name = _who(each.value)
                found.setdefault(kind if renames else (kind, name), []).append((each.line, space, name))
        return self._lines[file, renames]


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


def _placed(document: Document, file: str, keep: bool) -> Placed:
    """An object without the note of its origin, unless it is to C(keep) it. C(file) is the kustomization."""
    metadata = document.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    origin: t.Any = {}
    if isinstance(annotations, dict) and ORIGIN in annotations:
        try:
            (origin,) = manifests(str(annotations[ORIGIN]).encode())
        except (NotYaml, ValueError):
            origin = {}
        if not keep:
            del annotations[ORIGIN]
            if not annotations:
                del document["metadata"]["annotations"]
    folder, name = posixpath.split(file)
    path = (origin.get("path") or origin.get("configuredIn")) if isinstance(origin, dict) else None
    return Placed(document, posixpath.normpath(posixpath.join(folder, str(path or name))))


def _items(document: Lined, path: str) -> list[Lined]:
    """The objects of a document, which may be a list of them."""
    value = document.value
    if isinstance(value, dict) and str(value.get("kind", "")).endswith("List") and "items" in value:
        items = value["items"] or []
        if not isinstance(items, list):
            raise Unreadable(path, "items of a list is not a list.", "Flux would refuse it, too.")
        return [Lined(item, line) for item, line in zip(items, document.items, strict=True)]
    return [document]


def _who(document: Document) -> tuple[tuple[str, str], str, str]:
    """The kind with its group, the namespace and the name of an object."""
    metadata = document.get("metadata")
    space, name = (str(metadata.get(key) or "") for key in ("namespace", "name")) if metadata else ("", "")
    return (str(document.get("apiVersion")).rpartition("/")[0], str(document.get("kind"))), space, name


def _is_object(document: t.Any) -> bool:
    return (
        isinstance(document, dict)
        and all(isinstance(document.get(key), str) for key in ("apiVersion", "kind"))
        and isinstance(document.get("metadata"), dict)
        and bool(document["metadata"].get("name"))
    )


def _shown(reference: Reference) -> str:
    """A reference without the login that it may hold."""
    return reference.path.rpartition("@")[2]
