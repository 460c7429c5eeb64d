# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the run that is at work on a cluster, in its state directory: one file, one line, under a file lock.

Private: other collections must not import it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.run_record import (
    RunRecord,
    Standing,
    process_start,
    standing,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import State

FILE: t.Final = "run.lock"
_LIMIT: t.Final = 4096  # one page, which is written whole or not at all, whatever ends the process
_PATIENCE: t.Final = 10.0  # seconds for those who look at the same time
_REASONS: t.Final = {
    errno.ELOOP: "it is a link, which is not followed",
    errno.EACCES: "permission denied",
    errno.EPERM: "it belongs to somebody else",
    errno.EROFS: "its file system is read-only",
    errno.EISDIR: "it is a directory",
    errno.ENOTDIR: "what it should lie in is not a directory",
    errno.ENOSPC: "there is no space left on its disk",
    errno.EDQUOT: "its owner's quota is used up",
    errno.ENOLCK: "its file system does not lock files",
    errno.EOPNOTSUPP: "its file system does not lock files",
}


@dataclass(frozen=True)
class Found:
    """The record that was there before, and what it means."""

    record: RunRecord
    standing: Standing


class ClusterLock:
    """The place of the record of one cluster."""

    def __init__(
        self, cluster: str, directory: Path, anchor: str | None, started: Callable[[int], str | None] = process_start
    ) -> None:
        self.path = directory / FILE
        self._cluster = cluster
        self._state = State(directory)
        self._anchor = anchor
        self._started = started

    def look(self, here: RunRecord) -> Found | None:
        """Who holds it, without touching anything."""
        with self._errors_told(), contextlib.suppress(FileNotFoundError), self._open(os.O_RDONLY) as descriptor:
            return self._found(descriptor, here)
        return None

    def take(self, here: RunRecord) -> RunRecord | None:
        """Put our record there, or raise who else is at work. Returns the record of a run that ended without going."""
        with self._errors_told():
            problem = self._state.problem(self._anchor)
            if problem:
                raise BootstrapError(f"{problem} Nothing was changed.")
            self._state.tighten()
        with self._errors_told(), self._open(os.O_RDWR | os.O_CREAT) as descriptor:
            self._lock(descriptor)
            found = self._found(descriptor, here)
            if found is None:
                self._write(descriptor, here.to_line())
                return None
            if found.standing is Standing.OURS:
                return None
            if found.standing is not Standing.GONE:
                raise BootstrapError(f"{self.problem(found)} Nothing was changed.")
            self._write(descriptor, here.to_line())
            return found.record

    def free(self, here: RunRecord) -> bool:
        """Take our record away, if it is ours."""
        with self._errors_told(), contextlib.suppress(FileNotFoundError), self._open(os.O_RDWR) as descriptor:
            self._lock(descriptor)
            found = self._found(descriptor, here)
            if found is None or found.standing is not Standing.OURS:
                return False
            self._write(descriptor, "")
            return True
        return False

    def problem(self, found: Found) -> str:
        """Why this run must not go on now."""
        who = f"cluster {self._cluster}: another run is at work on it: {found.record.description(time.time())}."
        if found.standing is Standing.LIVES:
            return f"{who} Wait until it has ended, or end it (kill {found.record.pid}), and run this again."
        return (
            f"{who} Whether it has ended cannot be seen from here. Make sure that it has, remove {self.path}, and run "
            "this again."
        )

    def _found(self, descriptor: int, here: RunRecord) -> Found | None:
        line = os.pread(descriptor, _LIMIT, 0).split(b"\n")[0].strip(b"\0 ")
        if not line:
            return None
        record = RunRecord.from_line(line.decode(errors="replace"))
        if record is None:
            raise BootstrapError(
                f"{self.path} does not hold what a run writes there. Make sure that no run is at work on cluster "
                f"{self._cluster}, and remove the file. Nothing was changed."
            )
        return Found(record, standing(record, here, self._started))

    def _write(self, descriptor: int, line: str) -> None:
        data = f"{line}\n".encode() if line else b""
        if len(data) > _LIMIT:
            raise BootstrapError(f"{self.path}: the name of the playbook is too long to be noted. Use a shorter path.")
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)

    @contextlib.contextmanager
    def _open(self, flags: int) -> Iterator[int]:
        descriptor = os.open(self.path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise BootstrapError(
                        f"{self.path}: something else has held it open for {_PATIENCE:.0f} s. Look who does: "
                        f"fuser {self.path}"
                    ) from None
                time.sleep(0.05)
            else:
                os.fchmod(descriptor, 0o600)
                return

    @contextlib.contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = _REASONS.get(error.errno or 0, f"errno {error.errno}")
            raise BootstrapError(
                f"{error.filename or self.path}: who is at work on cluster {self._cluster} cannot be noted there: "
                f"{reason}. Correct that, or choose another state directory (tazlab_state_dir). Nothing was changed."
            ) from None
