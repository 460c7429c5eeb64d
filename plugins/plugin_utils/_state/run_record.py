# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at work on a cluster: the record of a run of ansible-playbook, and whether that run still lives.

Where the record lies is not known here. Private: other collections must not import it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import run_command
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import duration


class Standing(Enum):
    """What a record means to a run that finds it."""

    OURS = "ours"
    GONE = "gone"  # that run has ended, however it did
    LIVES = "lives"
    ELSEWHERE = "elsewhere"  # perhaps on another machine, or in another container: whether it lives cannot be seen


@dataclass(frozen=True)
class RunRecord:
    """One run, so that it is told from every other one. It needs no release: a process that is gone holds nothing."""

    command: str
    user: str
    pid: int
    started: str  # when the process began, as the system says it: a number may be given again
    host: str
    machine: str  # what tells machines of one name apart; empty where there is no such thing
    boot: str  # which time the machine runs since, and which processes can be seen
    since: float

    def to_line(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> RunRecord | None:
        """What C(to_line) wrote; None where it is something else."""
        try:
            found = json.loads(line)
            values = {each.name: found[each.name] for each in fields(cls)}
        except (ValueError, KeyError, TypeError):
            return None
        numbers = isinstance(values["pid"], int) and isinstance(values["since"], int | float)
        texts = all(isinstance(values[name], str) for name in values if name not in ("pid", "since"))
        return cls(**values) if numbers and texts else None

    def description(self, now: float) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.since))
        return (
            f"{self.command} of user {self.user} on {self.host} (pid {self.pid}), since {since} "
            f"({duration(now - self.since)})"
        )


def standing(record: RunRecord, here: RunRecord, started: Callable[[int], str | None]) -> Standing:
    """What a record means to the run C(here). C(started) tells when a process of this machine began, if it lives."""
    named_alike = (record.host, record.machine) == (here.host, here.machine)
    # A name alone proves nothing gone: machines that share a home directory may bear the same one.
    proves = bool(here.machine or here.boot)
    if not (record.boot == here.boot if here.boot else named_alike):
        rebooted = named_alike and bool(here.machine) and _kernel(record.boot) != _kernel(here.boot)
        return Standing.GONE if rebooted else Standing.ELSEWHERE
    if (record.pid, record.started) == (here.pid, here.started):
        return Standing.OURS
    if started(record.pid) == record.started:
        return Standing.LIVES
    return Standing.GONE if proves else Standing.ELSEWHERE


def this_run(pid: int, command: str) -> RunRecord:
    """The record of the run whose process has this number."""
    host = os.uname().nodename
    identity = _read(Path("/etc/machine-id"))
    return RunRecord(
        command=command,
        user=_user(),
        pid=pid,
        started=process_start(pid) or "",
        host=host,
        machine=hashlib.sha256(identity.encode()).hexdigest()[:16] if identity else "",
        boot=_boot(),
        since=time.time(),
    )


def process_start(pid: int) -> str | None:
    """When a process began, in the system's own words; None where none of that number lives."""
    if sys.platform == "linux":
        status = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        return status[19] if len(status) > 19 and status[0] not in "ZX" else None
    said = run_command(["ps", "-o", "stat=,lstart=", "-p", str(pid)], {"LC_ALL": "C", "PATH": os.defpath}, 10)
    state, _blank, began = (said.text or "").strip().partition(" ")
    return began.strip() if state and not state.startswith("Z") else None


def _boot() -> str:
    """The kernel's present life and the space of its process numbers; empty where the system does not tell."""
    life = _read(Path("/proc/sys/kernel/random/boot_id"))
    try:
        return f"{life} {os.readlink('/proc/self/ns/pid')}" if life else ""  # noqa: PTH115  # it is not a path
    except OSError:
        return life


def _kernel(boot: str) -> str:
    return boot.partition(" ")[0]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as somebody who has no name
        return f"with uid {os.getuid()}"
