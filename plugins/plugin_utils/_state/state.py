# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's state between runs: its identity (secrets.yaml), what is known of its births, and credentials made of it.

What cannot be made anew has a home, by default the state directory; talosconfig and kubeconfig always lie in that
directory. Private: other collections must not import it.
"""

from __future__ import annotations

import os
import secrets
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import (
    remove_file,
    write_private_file,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem

SECRETS = "secrets.yaml"
BIRTH = "birth"  # there only while a cluster is born
FACTS = "facts.json"
TALOSCONFIG = "talosconfig"
KUBECONFIG = "kubeconfig"
KEPT = (SECRETS, BIRTH, FACTS)
FILES = (*KEPT, TALOSCONFIG, KUBECONFIG)


class Home(t.Protocol):
    """Where what cannot be made anew is kept, by name."""

    def read(self, name: str) -> bytes | None:
        """What is kept under a name, or None where nothing is."""

    def create(self, name: str, content: bytes) -> bool:
        """Keep it unless there is something already; whether this call did."""

    def replace(self, name: str, content: bytes) -> None:
        """Keep it in place of what may be there."""

    def remove(self, name: str) -> None:
        """Keep it no longer."""

    def place(self, name: str) -> str:
        """Where it is, for messages."""

    def problem(self, state: State) -> Problem | None:
        """Why this home cannot serve, without changing it."""


@dataclass(frozen=True)
class Directory:
    """A directory of private files: 0700, its files 0600 and written in one step or not at all."""

    path: Path

    def read(self, name: str) -> bytes | None:
        content = read_text(self.path / name)
        if content.problem is not None:
            raise BootstrapError(f"{self.path / name} {content.problem}. Repair it, or restore it from your backup.")
        return None if content.text is None else content.text.encode()

    def create(self, name: str, content: bytes) -> bool:
        draft = self.path / f".{name}.{secrets.token_hex(4)}"
        write_private_file(draft, content.decode())
        try:
            os.link(draft, self.path / name)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def replace(self, name: str, content: bytes) -> None:
        write_private_file(self.path / name, content.decode())

    def remove(self, name: str) -> None:
        remove_file(self.path / name)

    def place(self, name: str) -> str:
        return str(self.path / name)

    def problem(self, state: State) -> Problem | None:
        return None


@dataclass(frozen=True)
class State:
    """A cluster's state directory, and the home of what it cannot do without where that is another one."""

    directory: Path
    home: Home | None = None

    def path(self, name: str) -> Path:
        """The file of something that lies in the directory whatever the home is."""
        return self.directory / name

    def place(self, name: str) -> str:
        """Where something is, for messages."""
        return self._of(name).place(name)

    def problem(self, anchor: str | None = None) -> Problem | None:
        """Why this state cannot serve, without touching it."""
        real = self.directory.resolve()
        if anchor and real.is_relative_to(Path(anchor).expanduser().resolve()):
            return self._problem(
                f"it lies in the recovery anchor {anchor}, which is only ever read.", "Choose a directory outside it."
            )
        nearest = next(path for path in (real, *real.parents) if path.exists())
        if not nearest.is_dir():
            return self._problem(f"{nearest} is not a directory.", "Move it away or choose another one.")
        if not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
            return self._problem(f"{nearest} is not yours to write.", "Change its owner or choose another one.")
        return self.home.problem(self) if self.home else None

    def _problem(self, what: str, step: str) -> Problem:
        return Problem("state_dir", f"state_dir {self.directory}", what, step)

    def read(self, name: str) -> bytes | None:
        """What is there, or None where nothing is."""
        return self._of(name).read(name)

    def create(self, name: str, content: bytes) -> bool:
        """Write it unless there is something already; whether this call did."""
        return self._of(name).create(name, content)

    def replace(self, name: str, content: bytes) -> None:
        """Write it, in place of what may be there."""
        self._of(name).replace(name, content)

    def remove(self, name: str) -> None:
        self._of(name).remove(name)

    def loose(self) -> list[Path]:
        """What others may read: the directory or its files."""
        wanted = [(self.directory, 0o700), *((self.path(name), 0o600) for name in FILES)]
        return [path for path, mode in wanted if path.exists() and path.stat().st_mode & 0o777 & ~mode]

    def tighten(self) -> bool:
        """Make the directory where it lacks and keep others out of it; whether there was anything to do."""
        missing = not self.directory.exists()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        loose = self.loose()
        for path in loose:
            path.chmod(0o700 if path == self.directory else 0o600)
        return missing or bool(loose)

    def _of(self, name: str) -> Home:
        return self.home if self.home is not None and name in KEPT else Directory(self.directory)
