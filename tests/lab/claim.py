# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a lab's directory: a lock beside it that lasts as long as whoever holds it lives, however that ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from lab.process import LabError


class Taken(LabError):
    """Somebody else holds the lab's directory."""


class Claim:
    """The lock on a lab's directory. Who starts a lab takes it, and the process that holds the lab inherits it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory.with_name(f"{directory.name}.lock")

    def take(self) -> int | None:
        """Take it: its descriptor, which children can inherit; or None where somebody else has it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                return None
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(descriptor).st_ino == self.path.stat().st_ino:
                    self.note(descriptor, os.getpid())
                    return descriptor
            os.close(descriptor)  # whoever had it took its file away

    @staticmethod
    def note(descriptor: int, process: int) -> None:
        """Write down who has it."""
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {process}, since {time.strftime('%H:%M:%S')}".encode(), 0)

    @property
    def held(self) -> bool:
        descriptor = self.take()
        if descriptor is None:
            return True
        self.release(descriptor)
        return False

    def release(self, descriptor: int) -> None:
        self.forget()
        os.close(descriptor)

    def forget(self) -> None:
        """Take the file away, as who holds it: nobody else may."""
        self.path.unlink(missing_ok=True)

    def holder(self) -> str:
        """Who has it, and since when."""
        try:
            return self.path.read_text() or "somebody"
        except OSError:
            return "somebody"
