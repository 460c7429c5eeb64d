# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a repository as they lie on a disk: only read, bounded, and nothing outside of it, whatever a link says.

Private: other collections must not import it.
"""

from __future__ import annotations

import os
import posixpath
import typing as t
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.yaml import Lined, lined

MOST_BYTES: t.Final = 4 * 2**20  # of a file of manifests
MOST_FILES: t.Final = 50_000
MOST_LOOKED_AT: t.Final = 500_000  # files, with those that are left out
GIT: t.Final = ".git"


class Unreadable(BootstrapError):
    """A file that is not there, leads out of the repository, or is not what it is taken for."""

    def __init__(self, path: str, why: str, step: str) -> None:
        super().__init__(f"{path} of the repository: {why} {step}", code="unreadable", subject=path)


class Tree:
    """A repository's files, by their paths in it: with C(/), and the root as ''.

    C(instead) is what files hold in the place of what lies there, and what there is beside it; None hides a file.
    """

    def __init__(self, root: Path, instead: Mapping[str, bytes | None] | None = None) -> None:
        self.root = Path(os.path.realpath(root))
        self.instead = dict(instead or {})

    def with_files(self, instead: Mapping[str, bytes | None]) -> Tree:
        """The same with other files: what it would be if they were written."""
        return Tree(self.root, {**self.instead, **instead})

    def normal(self, path: str, base: str = "") -> str:
        """A path as this class has it; C(base) is the folder that it is relative to. Raises where it leads out."""
        joined = posixpath.normpath(posixpath.join(base, path))
        if joined.startswith("../") or joined == ".." or posixpath.isabs(path):
            raise Unreadable(posixpath.join(base, path), "it leads out of the repository.", "Name something inside it.")
        return "" if joined == "." else joined

    def place(self, path: str) -> Path:
        """Where it lies on the disk. A link to a file is followed inside the repository, one to a folder is not."""
        where = self.root
        try:
            for part in Path(path).parts:
                if where.is_symlink():
                    raise Unreadable(path, "it leads through a link to a folder.", "Name the folder itself.")
                where /= part
            found = Path(os.path.realpath(where))
            if where.is_symlink() and found.is_dir():
                raise Unreadable(path, "it is a link to a folder.", "Name the folder itself.")
        except (OSError, ValueError):
            raise Unreadable(_shown(path), "it is not a path.", "Correct who names it.") from None
        if found != self.root and self.root not in found.parents:
            raise Unreadable(path, "it is a link that leads out of the repository.", "Put the file itself there.")
        return found

    def is_file(self, path: str) -> bool:
        return self.instead[path] is not None if path in self.instead else self._is(path, Path.is_file)

    def is_folder(self, path: str) -> bool:
        below = {each is None for name, each in self.instead.items() if name.startswith(f"{path}/")}
        if False in below or not self._is(path, Path.is_dir):
            return False in below
        return not below or any(
            self.instead.get(each, b"") is not None for each in self.lying(path)
        )  # Git knows no folder but by its files

    def _is(self, path: str, what: Callable[[Path], bool]) -> bool:
        try:
            return what(self.place(path))
        except (OSError, ValueError):
            return False

    def read(self, path: str) -> bytes:
        instead = self.instead.get(path)
        if instead is not None:
            return instead
        if not self.is_file(path):
            raise Unreadable(_shown(path), "it is not there.", "Correct who names it, or add it.")
        try:
            with self.place(path).open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise Unreadable(path, f"it cannot be read (errno {error.errno}).", "Make it readable.") from None
        if len(content) > MOST_BYTES:
            raise Unreadable(
                path,
                f"it is larger than {MOST_BYTES // 2**20} MiB, which no manifest is.",
                "Split it, or take it out of what Flux builds.",
            )
        return content

    def documents(self, path: str) -> list[Lined]:
        """The YAML documents of a file that are not empty."""
        try:
            return [each for each in lined(self.read(path)) if each.value is not None]
        except NotYaml as error:
            raise Unreadable(path, f"it is not YAML that is read here ({error}).", "Correct it there.") from None

    def files(self, folder: str) -> list[str]:
        """Every file below a folder, in the order of names."""
        found: list[str] = []
        for path in self.lying(folder):
            if self._takes(path):
                found.append(path)
            if len(found) > MOST_FILES:
                raise Unreadable(folder or ".", f"it has more than {MOST_FILES} files.", "Name the cluster's folder.")
        start = f"{folder}/" if folder else ""
        more = [each for each in self.instead if each.startswith(start) and self._takes(each)]
        return [each for each in sorted({*found, *more}) if self.instead.get(each, b"") is not None] if more else found

    def lying(self, folder: str) -> Iterator[str]:
        """Every file that lies below a folder on the disk, those that are left out of the tree among them."""
        count = 0
        for where, folders, files in os.walk(self.place(folder)):
            folders[:] = sorted(name for name in folders if name != GIT)
            count += len(files)
            if count > MOST_LOOKED_AT:
                raise Unreadable(
                    folder or ".",
                    f"more than {MOST_LOOKED_AT} files lie there, with those that Git or Flux leaves out.",
                    "Take away what does not belong to it, or use a fresh clone.",
                )
            base = os.path.relpath(where, self.root).replace(os.sep, "/")
            yield from (posixpath.normpath(posixpath.join(base, name)) for name in sorted(files) if _is_text(name))

    def _takes(self, path: str) -> bool:  # all of them, here
        """Whether a file that lies there is one of the tree."""
        return True


def _shown(path: str) -> str:
    """A path for a message."""
    return path if len(path) <= 200 and path.isprintable() else f"{path[:50]!r}..."


def _is_text(name: str) -> bool:
    """Whether a file's name can be written in YAML: what Git holds in another encoding is no manifest."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
