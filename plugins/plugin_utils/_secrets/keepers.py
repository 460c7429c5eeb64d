# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the owner of the anchor keeps a value: in a file, in a password store, or where only the owner knows. Private.

Nothing of ours writes there: this is for the commands that we print.
"""

from __future__ import annotations

import os
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import CommandProvider, FileProvider
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Provider


@dataclass(frozen=True)
class FileKeeper:
    """A file, by an absolute path."""

    path: Path


@dataclass(frozen=True)
class StoreKeeper:
    """A password store that we know: C(insert) makes an entry of what it reads, or replaces the entry that is there."""

    insert: tuple[str, ...]


@dataclass(frozen=True)
class OtherKeeper:
    """A program of the user's that prints the value; how to write it there is not ours to know. Empty: nobody."""

    argv: tuple[str, ...] = ()


Keeper: t.TypeAlias = FileKeeper | StoreKeeper | OtherKeeper

# How each store takes an entry from its standard input, whole, and which options of its show command change neither
# where the value is nor what of it is shown (with -o only its first line). Only what is certain stands here.
_INSERT: t.Final = {"gopass": ("insert", "--force"), "pass": ("insert", "--multiline", "--force")}
_SHOW_OPTIONS: t.Final = {"gopass": frozenset({"-n", "--noparsing", "-u", "--unsafe"})}


def keeper(providers: Sequence[Provider], name: str, files: Sequence[str]) -> Keeper:
    """Who is asked first for this value after the environment. C(files) are the names that its file may have."""
    for provider in providers:
        if isinstance(provider, FileProvider):
            return FileKeeper(_file(provider.directory, files))
        if isinstance(provider, CommandProvider):
            return _store(provider.argv_for(name))
    return OtherKeeper()


def file_keeper(place: str) -> FileKeeper:
    """The file that a value was read from."""
    path = Path(place)
    return FileKeeper(_behind_link(path.parent, path))


def _file(directory: Path, names: Sequence[str]) -> Path:
    """The file that holds the value already, else the one that is looked for first."""
    paths = [Path(os.path.abspath(directory / name)) for name in names]  # noqa: PTH100  # a link stays a link
    return _behind_link(directory, next((path for path in paths if os.path.lexists(path)), paths[0]))


def _behind_link(directory: Path, path: Path) -> Path:
    """A link within the anchor stays one. A link that leaves it is not followed when the anchor is read, either."""
    try:
        real = path.resolve()
        return real if real.is_relative_to(directory.resolve()) and path.is_symlink() else path
    except (OSError, RuntimeError):  # a loop of links
        return path


def _store(argv: tuple[str, ...]) -> Keeper:
    """The store behind a command, where the whole of it is: PROGRAM show [OPTION ...] ENTRY."""
    program = Path(argv[0]).name
    words = argv[2:]
    options, entries = words[:-1], words[-1:]
    if (
        program in _INSERT
        and argv[1:2] == ("show",)
        and set(options) <= _SHOW_OPTIONS.get(program, frozenset())
        and entries
        and not entries[0].startswith("-")
    ):
        return StoreKeeper((argv[0], *_INSERT[program], entries[0]))
    return OtherKeeper(argv)
