# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory that keeps a cluster's identity between runs: secrets.yaml, talosconfig and kubeconfig.

Private: other collections must not import it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import write_private_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem

SECRETS = "secrets.yaml"
TALOSCONFIG = "talosconfig"
KUBECONFIG = "kubeconfig"
BIRTH = "birth"  # there only while a cluster is born
FILES = (SECRETS, TALOSCONFIG, KUBECONFIG, BIRTH)


@dataclass(frozen=True)
class State:
    """A cluster's state directory: 0700, its files 0600 and written in one step or not at all."""

    directory: Path

    def path(self, name: str) -> Path:
        return self.directory / name

    def problem(self, anchor: str | None = None) -> Problem | None:
        """Why this directory cannot serve, without touching it."""
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
        return None

    def _problem(self, what: str, step: str) -> Problem:
        return Problem("state_dir", f"state_dir {self.directory}", what, step)

    def read(self, name: str) -> bytes | None:
        """What a file holds, or None where there is none."""
        content = read_text(self.path(name))
        if content.problem is not None:
            raise BootstrapError(f"{self.path(name)} {content.problem}. Repair it, or restore it from your backup.")
        return None if content.text is None else content.text.encode()

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

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless there is one already; whether this call made it."""
        draft = self.path(f".{name}.{secrets.token_hex(4)}")
        write_private_file(draft, content.decode())
        try:
            os.link(draft, self.path(name))
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def replace(self, name: str, content: bytes) -> None:
        """Write a file, in place of one that may be there."""
        write_private_file(self.path(name), content.decode())
