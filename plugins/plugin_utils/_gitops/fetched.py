# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Flux fetches of a repository's files: no links, and nothing that its source is told to ignore.

Private: other collections must not import it.
"""

from __future__ import annotations

import os
import posixpath
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.ignore import (
    FILE,
    Pattern,
    leaves_out,
    patterns,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import GIT, Tree, Unreadable

# What source-controller leaves out whatever it is told, and what else where nobody tells it anything.
_ALWAYS: t.Final = patterns(f"{GIT}/\n.gitignore\n.gitmodules\n.gitattributes")
_BY_DEFAULT: t.Final = patterns(
    "\n".join(
        (
            *("*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip"),
            *(".github/", ".circleci/", ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml"),
            *("cloudbuild.yaml", "codeship-services.yml", "codeship-steps.yml"),
            *(".goreleaser.yml", ".sops.yaml", ".flux.yaml"),
        )
    )
)


class Fetched(Tree):
    """A tree without what Flux does not fetch. C(ignore) is what its GitRepository says under this key.

    What was read once is not read again: all that is asked of it is asked of the same files.
    """

    def __init__(self, tree: Tree, ignore: str = "") -> None:
        super().__init__(tree.root, tree.instead)
        self._all = Tree(tree.root, tree.instead)
        self._last = patterns(ignore)
        self._content: dict[str, bytes] = {}
        self._near: dict[str, tuple[tuple[str, list[Pattern]], ...]] = {}
        self._is_told: bool | None = None

    def is_file(self, path: str) -> bool:
        return self._takes(path) and self._all.is_file(path)

    def is_folder(self, path: str) -> bool:
        return self._all.is_folder(path) and (
            not path or not self._ignores(path, is_folder=True) or bool(self.files(path))
        )

    def read(self, path: str) -> bytes:
        if path not in self._content:
            if self._is_link(path):
                raise Unreadable(path, "it is a link, and Flux fetches none.", "Put the file itself there.")
            if self._ignores(path):
                said = f"Flux does not fetch it: {FILE}, its GitRepository's ignore or Flux' own defaults leave it out."
                raise Unreadable(path, said, "Correct who names it, or have it fetched.")
            self._content[path] = self._all.read(path)
        return self._content[path]

    def _takes(self, path: str) -> bool:
        return not self._is_link(path) and not self._ignores(path)

    def _is_link(self, path: str) -> bool:
        return path not in self.instead and os.path.islink(os.path.join(self.root, path))  # noqa: PTH114, PTH118  # fast

    def _ignores(self, path: str, *, is_folder: bool = False) -> bool:
        """Whether a path is left out: by what the source is told, else by the folder that is nearest to it."""
        said = leaves_out(self._last, path, is_folder=is_folder)
        if said is None:
            for base, given in self._around(posixpath.dirname(path)):
                said = leaves_out(given, path.removeprefix(base), is_folder=is_folder)
                if said is not None:
                    break
        if said is None:
            said = leaves_out(_ALWAYS, path, is_folder=is_folder)
        if said is None and leaves_out(_BY_DEFAULT, path, is_folder=is_folder):
            said = not self._told()
        return bool(said)

    def _around(self, folder: str) -> tuple[tuple[str, list[Pattern]], ...]:
        """The patterns that lie in a folder and above it, the nearest first, each with what their paths begin with."""
        if folder not in self._near:
            found = self._own(posixpath.join(folder, FILE))
            above = self._around(posixpath.dirname(folder)) if folder else ()
            self._near[folder] = ((f"{folder}/" if folder else "", found), *above) if found else above
        return self._near[folder]

    def _own(self, file: str) -> list[Pattern]:
        """The patterns of one file. Flux follows it where it is a link, and finds nothing in a folder."""
        if self._is_link(file) and os.path.isdir(os.path.join(self.root, file)):  # noqa: PTH112, PTH118  # as above
            return []
        return patterns(self._all.read(file).decode(errors="replace")) if self._all.is_file(file) else []

    def _told(self) -> bool:
        """Whether there is any pattern at all, anywhere in the repository."""
        if self._is_told is None:
            self._is_told = bool(self._last) or any(map(self._around, self._folders()))
        return self._is_told

    def _folders(self) -> t.Iterator[str]:
        """Each folder that has a file of patterns.

        In a work tree that is whatever lies there: what Git ignores or does not track counts, too.
        """
        yield from (posixpath.dirname(each) for each in self.instead if posixpath.basename(each) == FILE)
        yield from (posixpath.dirname(each) for each in self.lying("") if posixpath.basename(each) == FILE)
