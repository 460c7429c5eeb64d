# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of Proxmox VE: what a UPID says, how a task ended, and a waiter that fails at once when one failed.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import time
import typing as t
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxClient, ProxmoxError

# What Proxmox VE says when somebody else holds the lock of a storage or of a VM's configuration for a moment.
LOCKED = re.compile(r"can't lock file|cfs-lock\b.*\berror|\block\b.*\bgot timeout|got lock (request )?timeout")
LOCK_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds between attempts
PROGRESS_EVERY = 5.0  # seconds
BLIP = 60.0  # seconds for which a node may be unreachable while its task runs
TAIL = 10  # lines of a failed task's log


@dataclass(frozen=True)
class Upid:
    """The parts of a task's id that matter here."""

    text: str
    node: str
    kind: str
    subject: str

    @classmethod
    def parse(cls, text: t.Any) -> Upid | None:
        """Read C(UPID:node:pid:pstart:starttime:type:id:user:), or return None where an answer is not a task's id."""
        parts = text.split(":") if isinstance(text, str) else []
        if len(parts) != 9 or parts[0] != "UPID" or not parts[1]:
            return None
        return cls(text, parts[1], parts[5], parts[6])


@dataclass(frozen=True)
class Ending:
    """How a task ended."""

    succeeded: bool
    warnings: int
    text: str

    @classmethod
    def read(cls, exitstatus: t.Any) -> Ending:
        text = str(exitstatus or "no exit status")
        warned = re.fullmatch(r"WARNINGS: (\d+)", text)
        return cls(text == "OK" or warned is not None, int(warned[1]) if warned else 0, text)


class TaskFailed(ProxmoxError):
    """A task that ended with an error; C(reason) is its exit status."""


class Tasks:
    """Starts tasks and waits for them."""

    def __init__(
        self,
        client: ProxmoxClient,
        *,
        timeout: float,
        progress: Callable[[str], None],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self.timeout = timeout
        self._progress = progress
        self.sleep = sleep
        self.clock = clock
        self.warnings: list[str] = []

    def run(self, what: str, request: Callable[[], t.Any]) -> None:
        """Send a request and wait for its task. Only a lock that somebody else holds is waited out, a bounded time."""
        for pause in (*LOCK_PAUSES, None):
            try:
                answer = request()
                upid = Upid.parse(answer)
                if upid is not None:
                    self.wait(what, upid)
            except ProxmoxError as error:
                if pause is None or not LOCKED.search(error.reason):
                    raise
                self._progress(f"{what}: a lock is held by somebody else; next attempt in {pause:.0f} s")
                self.sleep(pause)
            else:
                return

    def wait(self, what: str, upid: Upid) -> None:
        """Wait until a task has ended. Warnings are noted; a failure is raised with the tail of the log."""
        begun = self.clock()
        log = _Log(self._client, upid)
        pause, reported, blip = 0.2, begun, None
        while True:
            now = self.clock()
            try:
                status = self._client.get(f"nodes/{upid.node}/tasks/{upid.text}/status")
                blip = None
            except ProxmoxError as error:
                blip = blip or now
                if not error.transient or now - blip >= BLIP:
                    raise
                status = {}
            if status.get("status") == "stopped":
                return self._ended(what, upid, Ending.read(status.get("exitstatus")), log)
            if now - begun >= self.timeout:
                raise self._late(what, upid, log)
            if now - reported >= PROGRESS_EVERY:
                reported = now
                self._progress(f"{what}: {now - begun:.0f} s, {log.last() or 'running'}")
            self.sleep(pause)
            pause = min(pause * 1.5, 2.0)

    def active(self, node: str, **filters: t.Any) -> list[Upid]:
        """The tasks that run on a node now, as far as the token may see them."""
        rows = self._client.get(f"nodes/{node}/tasks", source="active", limit=1000, **filters)
        running = [Upid.parse(row.get("upid")) for row in rows if "endtime" not in row]
        return [upid for upid in running if upid is not None]

    def _ended(self, what: str, upid: Upid, ending: Ending, log: _Log) -> None:
        if not ending.succeeded:
            tail = "".join(f"\n    {line}" for line in log.tail())
            raise TaskFailed(
                f"{what}: the task {upid.kind} {upid.subject} on node {upid.node} failed: "
                f"{self._client.readable(ending.text)}{tail}",
                reason=ending.text,
            )
        if ending.warnings:
            shown = "; ".join(line for line in log.tail() if "WARN" in line.upper())
            self.warnings.append(f"{what}: the task ended with {ending.warnings} warnings. {shown}".rstrip())

    def _late(self, what: str, upid: Upid, log: _Log) -> BootstrapError:
        return BootstrapError(
            f"{what}: the task {upid.kind} {upid.subject} on node {upid.node} still runs after {self.timeout:.0f} s; "
            f"its log's last line: {log.last() or 'none'}. It goes on there (pvenode task list --source active). "
            "Run the playbook again to wait for it, or raise task_timeout."
        )


class _Log:
    """A task's log, read from where the last reading ended. What cannot be read now is left out."""

    def __init__(self, client: ProxmoxClient, upid: Upid) -> None:
        self._client = client
        self._path = f"nodes/{upid.node}/tasks/{upid.text}/log"
        self._start = 0
        self._lines: deque[str] = deque(maxlen=TAIL)

    def last(self) -> str:
        self._read()
        return self._lines[-1] if self._lines else ""

    def tail(self) -> list[str]:
        self._read()
        return list(self._lines)

    def _read(self) -> None:
        try:
            rows = self._client.get(self._path, start=self._start, limit=2000)
        except ProxmoxError:
            return
        # An empty log is answered with one line of number 1 and the text "no content".
        lines = [self._client.readable(str(row.get("t", ""))) for row in rows if row.get("t") != "no content"]
        self._start += len(lines)
        self._lines.extend(line for line in lines if line)
