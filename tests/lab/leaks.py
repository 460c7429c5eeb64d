# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds secrets where none may be: in output, in files that a run writes, even for a moment, in argv and environments.

A secret is looked for in its plain form, in base64, and, where it has several lines, line by line.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

SHORTEST = 8
INTERVAL = 0.01


class Canaries:
    """The secrets of a test, by name, with every form in which they could leak."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.forms = {form: name for name, secret in secrets.items() for form in _forms(secret)}

    def names_in(self, data: bytes) -> set[str]:
        """The names of the secrets that the data holds."""
        return {name for form, name in self.forms.items() if form in data}


def _forms(secret: str) -> Iterable[bytes]:
    lines = [line for line in secret.splitlines() if not line.startswith("-----")]
    for text in (secret, secret.rstrip("\n"), secret.rstrip("\n") + "\n"):
        yield text.encode()
        yield base64.b64encode(text.encode())
    for line in lines:
        if len(line) >= SHORTEST:
            yield line.encode()


@dataclass
class Watch:
    """Watches, while it is entered, the files below some directories and every process of this user.

    Files that were there before and processes that are allowed to know a secret (by a word in their argv) are left out.
    """

    canaries: Canaries
    directories: tuple[Path, ...]
    allowed_files: Set[Path] = frozenset()
    environments: bool = True
    leaks: set[tuple[str, str]] = field(default_factory=set)
    programs: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._known: dict[Path, tuple[int, int, int]] = {}
        self._others = set(_processes())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look_at_files()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._look_at_processes()
            self._look_at_files()
            time.sleep(INTERVAL)

    def _look_at_processes(self) -> None:
        for process in _processes():
            if process in self._others:
                continue
            argv = _content(Path("/proc", str(process), "cmdline"))
            self.programs.add(argv.replace(b"\0", b" ").decode(errors="replace").strip())
            self._note(argv, f"argv of {argv[:80]!r}")
            if self.environments:
                self._note(_content(Path("/proc", str(process), "environ")), f"environ of {argv[:80]!r}")

    def _look_at_files(self) -> None:
        for directory in self.directories:
            for folder, _folders, names in os.walk(directory):
                for name in names:
                    self._look_at_file(Path(folder, name))

    def _look_at_file(self, path: Path) -> None:
        if path in self.allowed_files:
            return
        try:
            status = path.lstat()
            state = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._known.get(path) == state or not path.is_file():
                return
        except OSError:
            return
        self._known[path] = state
        self.files.add(str(path))
        self._note(_content(path), f"file {path}")

    def _note(self, data: bytes, place: str) -> None:
        self.leaks |= {(name, place) for name in self.canaries.names_in(data)}


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
