# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks, purely: what a UPID says, how a task ended, and how the waiter behaves towards a node that hesitates."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.tasks import (
    LOCKED,
    Ending,
    TaskFailed,
    Tasks,
    Upid,
)

UPID = "UPID:pve2:000003E8:00001B58:6B0511AE:qmstart:101:root@pam!name:"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def __call__(self) -> float:
        return self.now


class Script:
    """Answers the status of a task from a list, the last one for ever, and its log."""

    def __init__(self, *statuses: Any, log: tuple[str, ...] = ()) -> None:
        self.statuses = list(statuses)
        self.log = log
        self.paths: list[str] = []

    def get(self, path: str, **params: Any) -> Any:
        self.paths.append(path)
        if path.endswith("/log"):
            return [{"n": n, "t": text} for n, text in enumerate(self.log, 1)][params["start"] :]
        answer = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def readable(self, text: str) -> str:
        return text


RUNNING = {"status": "running"}
DONE = {"status": "stopped", "exitstatus": "OK"}
GONE = ProxmoxError("gone", transient=True)


def tasks(script: Script, clock: Clock, said: list[str] | None = None, timeout: float = 100) -> Tasks:
    say = (said if said is not None else []).append
    return Tasks(script, timeout=timeout, progress=say, sleep=clock.sleep, clock=clock)  # type: ignore[arg-type]


def test_a_upid_names_its_node_kind_and_subject() -> None:
    upid = Upid.parse(UPID)
    assert upid is not None
    assert (upid.node, upid.kind, upid.subject) == ("pve2", "qmstart", "101")


@pytest.mark.parametrize("text", [None, "", 5, "UPID:pve2", "OK", "UPID::1:2:3:qmstart:101:root@pam:"])
def test_what_is_no_upid_is_none(text: Any) -> None:
    assert Upid.parse(text) is None


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("OK", Ending(True, 0, "OK")),
        ("WARNINGS: 3", Ending(True, 3, "WARNINGS: 3")),
        ("start failed", Ending(False, 0, "start failed")),
        ("WARNINGS: many", Ending(False, 0, "WARNINGS: many")),
        (None, Ending(False, 0, "no exit status")),
    ],
)
def test_how_a_task_ended(text: Any, ending: Ending) -> None:
    assert Ending.read(text) == ending


@pytest.mark.parametrize(
    ("text", "locked"),
    [
        ("can't lock file '/var/lock/qemu-server/lock-101.conf' - got timeout", True),
        ("cfs-lock 'storage-ceph' error: got lock request timeout", True),
        ("trying to acquire cfs lock 'file-user_cfg' ... got timeout", True),
        ("VM quit/powerdown failed - got timeout", False),
        ("storage 'local' is blocked, got timeout from nfs", False),
        ("VM is locked (backup)", False),
    ],
)
def test_only_a_lock_is_worth_another_attempt(text: str, locked: bool) -> None:
    assert bool(LOCKED.search(text)) is locked


def test_the_waiter_asks_the_node_that_runs_the_task_and_returns_when_it_has_ended() -> None:
    script, clock = Script(RUNNING, RUNNING, DONE), Clock()
    tasks(script, clock).run("start", lambda: UPID)
    assert script.paths == [f"nodes/pve2/tasks/{UPID}/status"] * 3
    assert clock.now < 1


def test_a_failure_is_raised_at_once_with_the_end_of_the_log() -> None:
    log = tuple(f"line {number}" for number in range(30))
    script, clock = Script({"status": "stopped", "exitstatus": "broken"}, log=log), Clock()
    with pytest.raises(TaskFailed) as caught:
        tasks(script, clock).run("start", lambda: UPID)
    assert clock.now == 0
    message = str(caught.value)
    assert "the task qmstart 101 on node pve2 failed: broken" in message
    assert "line 19" not in message
    assert "line 20" in message
    assert "line 29" in message


def test_warnings_are_kept() -> None:
    script = Script({"status": "stopped", "exitstatus": "WARNINGS: 1"}, log=("fine", "WARN: old machine type"))
    waiter = tasks(script, Clock())
    waiter.run("start", lambda: UPID)
    assert waiter.warnings == ["start: the task ended with 1 warnings. WARN: old machine type"]


def test_progress_is_told_every_few_seconds_with_the_logs_last_line() -> None:
    said: list[str] = []
    script, clock = Script(*[RUNNING] * 12, DONE, log=("transferred 5%",)), Clock()
    tasks(script, clock, said).run("import", lambda: UPID)
    assert said
    assert all("transferred 5%" in line or "running" in line for line in said)
    assert len(said) <= clock.now / 5 + 1


def test_a_node_may_be_away_for_a_moment() -> None:
    script, clock = Script(RUNNING, GONE, GONE, RUNNING, DONE), Clock()
    tasks(script, clock).run("start", lambda: UPID)
    assert script.statuses == [DONE]


def test_a_node_that_stays_away_is_reported() -> None:
    clock = Clock()
    with pytest.raises(ProxmoxError, match="gone"):
        tasks(Script(RUNNING, GONE), clock, timeout=1000).run("start", lambda: UPID)
    assert 60 <= clock.now < 70


def test_waiting_is_bounded_and_says_what_still_runs() -> None:
    clock = Clock()
    with pytest.raises(Exception, match=r"qmstart 101 on node pve2 still runs after 10 s; its log's last line: 7%"):
        tasks(Script(RUNNING, log=("7%",)), clock, timeout=10).run("start", lambda: UPID)
    assert 10 <= clock.now < 13


def test_an_answer_that_is_no_task_is_done_at_once() -> None:
    script = Script(RUNNING)
    tasks(script, Clock()).run("configure", lambda: None)
    assert script.paths == []


def test_only_tasks_that_run_are_active() -> None:
    class Listing(Script):
        def get(self, path: str, **params: Any) -> Any:
            assert (path, params) == ("nodes/pve2/tasks", {"source": "active", "limit": 1000, "vmid": 101})
            return [{"upid": UPID}, {"upid": UPID.replace("101", "102"), "endtime": 5, "status": "OK"}]

    assert [upid.subject for upid in tasks(Listing(), Clock()).active("pve2", vmid=101)] == ["101"]
