# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long others' work on our VMs is waited for, and when a lock counts as left behind, on a clock of our own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import Machine
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.settle import ABANDONED, CALM, Settled, Settler
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.tasks import Tasks

MACHINE = Machine("cp-1", 101, "pve1", 2, 4096, 32, "", 24, "", (), "vmbr0", "", "")
TIMEOUT = 600.0


class World:
    """A node on which things happen at moments: C(guest) and C(tasks) say what there is at a time."""

    def __init__(
        self,
        guest: Callable[[float], dict[str, Any] | None],
        tasks: Callable[[float], dict[str, float]] = lambda _now: {},
        sees: bool = True,
    ) -> None:
        self.now = 0.0
        self.guest = guest
        self.tasks = tasks  # kind of what is listed -> when it ends
        self.sees = sees
        self.said: list[str] = []
        self.asked: list[str] = []
        self.ends: dict[str, float] = {}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def readable(self, text: str) -> str:
        return text

    def get(self, path: str, **_params: Any) -> Any:
        self.asked.append(path)
        if path == "cluster/resources":
            guest = self.guest(self.now)
            nodes = [{"type": "node", "node": name, "status": "online"} for name in ("pve1", "pve2")]
            return [*nodes, *([{"type": "qemu", "vmid": 101, "node": "pve1", **guest}] if guest else [])]
        if path == "access/permissions":
            return {"/": {"Sys.Audit": 1} if self.sees else {"VM.Audit": 1}}
        if path.endswith("/tasks"):
            node = path.split("/")[1]
            here = {kind: end for kind, end in self.tasks(self.now).items() if kind.startswith(node)}
            upids = {f"UPID:{node}:1:1:1:{_kind_and_subject(kind)}:u@pve!t:": end for kind, end in here.items()}
            self.ends |= upids
            return [{"upid": upid} for upid in upids]
        upid = path.split("/")[3]
        if path.endswith("/log"):
            return []
        if self.now < self.ends[upid]:
            return {"status": "running"}
        return {"status": "stopped", "exitstatus": "OK"}

    def settle(self, **options: Any) -> Settled:
        tasks = Tasks(self, timeout=TIMEOUT, progress=self.said.append, sleep=self.sleep, clock=lambda: self.now)  # type: ignore[arg-type]
        return Settler(self, tasks, "tazlab-home", self.said.append).settle([MACHINE], **options)  # type: ignore[arg-type]


def _kind_and_subject(listed: str) -> str:
    """C(pve1 vzdump -) is one that names no guest."""
    _node, kind, *other = listed.split()
    return f"{kind}:{'' if other else 101}"


BARE = {"lock": "create", "status": "stopped"}
OURS = {"tags": "tazlab-home", "name": "cp-1", "status": "stopped"}
RUNNING = {**OURS, "status": "running"}


@pytest.mark.parametrize("guest", [None, RUNNING, {**RUNNING, "lock": "backup"}, {"tags": "prod", "lock": "create"}])
def test_where_nothing_of_ours_can_be_at_work_the_cluster_is_asked_once(guest: dict[str, Any] | None) -> None:
    world = World(lambda _now: guest)
    assert not world.settle().remnants
    assert world.asked == ["cluster/resources"]


def test_a_vm_of_ours_that_is_stopped_costs_one_look_at_the_tasks() -> None:
    world = World(lambda _now: OURS)
    world.settle()
    assert world.asked == ["cluster/resources", "nodes/pve1/tasks"]


def test_a_creation_that_is_listed_is_waited_for() -> None:
    world = World(lambda now: BARE if now < 100 else OURS, lambda now: {"pve1 qmcreate": 100} if now < 100 else {})
    assert world.settle().cluster.guests[101].carries("tazlab-home")
    assert 100 + CALM <= world.now < 115
    assert "cp-1 (vmid 101): waiting for qmcreate, which runs already on node pve1" in world.said


def test_a_creation_whose_task_is_listed_late_is_waited_for() -> None:
    world = World(
        lambda now: BARE if now < 100 else OURS, lambda now: {"pve1 qmcreate": 100} if 20 <= now < 100 else {}
    )
    assert not world.settle().remnants
    assert world.now >= 100


def test_a_creation_on_another_node_is_waited_for_there() -> None:
    world = World(
        lambda now: {**(BARE if now < 50 else OURS), "node": "pve2"},
        lambda now: {"pve2 qmcreate": 50} if now < 50 else {},
    )
    assert world.settle().cluster.guests[101].node == "pve2"
    assert world.now >= 50


def test_the_steps_of_a_run_that_lives_are_waited_for_one_after_the_other() -> None:
    """It asks for the next step within seconds; in between neither a task nor a lock is there."""
    steps = {"qmcreate": (0, 40), "resize": (43, 50), "qmstart": (54, 60)}

    def guest(now: float) -> dict[str, Any]:
        return BARE if now < 40 else OURS if now < 60 else RUNNING

    def tasks(now: float) -> dict[str, float]:
        return {f"pve1 {kind}": end for kind, (begin, end) in steps.items() if begin <= now < end}

    world = World(guest, tasks)
    assert world.settle().cluster.guests[101].status == "running"
    assert [line for line in world.said if "waiting for" in line] == [
        f"cp-1 (vmid 101): waiting for {kind}, which runs already on node pve1" for kind in steps
    ]


def test_a_lock_with_neither_task_nor_change_is_a_remnant_after_a_while() -> None:
    world = World(lambda _now: BARE)
    (remnant,) = world.settle().remnants.values()
    assert ABANDONED <= world.now < ABANDONED + 5
    problem = remnant.problem(MACHINE.label, "tazlab-home").text
    assert "skiplock" not in problem
    assert problem.index("qm config 101") < problem.index("qm unlock 101") < problem.index("qm destroy 101")
    assert "It is not taken for this cluster's" in problem


def test_a_remnant_with_our_mark_is_unlocked_and_not_deleted() -> None:
    world = World(lambda _now: {**OURS, "lock": "rollback"})
    (remnant,) = world.settle().remnants.values()
    problem = remnant.problem(MACHINE.label, "tazlab-home").text
    assert "qm unlock 101" in problem
    assert "destroy" not in problem


@pytest.mark.parametrize(("lock", "kind"), [("backup", "vzdump"), ("migrate", "migrateall"), ("snapshot", "vncshell")])
@pytest.mark.parametrize("removal", [False, True])
def test_a_task_that_names_no_guest_may_be_at_work_on_a_locked_one(lock: str, kind: str, removal: bool) -> None:
    """A backup of several VMs has no id."""
    world = World(
        lambda now: {**OURS, "lock": lock} if now < 300 else OURS,
        lambda now: {f"pve1 {kind} -": 310} if now < 310 else {},
    )
    assert not world.settle(removal=removal).remnants
    assert 300 <= world.now < 320
    assert any(f"it is locked ({lock}), {kind} runs on its node" in line for line in world.said)


def test_no_unlocking_is_advised_while_such_a_task_runs() -> None:
    world = World(lambda _now: {**OURS, "lock": "backup"}, lambda now: {"pve1 vzdump -": now + 1})
    (remnant,) = world.settle().remnants.values()
    assert TIMEOUT <= world.now < TIMEOUT + 10
    problem = remnant.problem(MACHINE.label, "tazlab-home").text
    assert "unlock" not in problem
    assert "after 600 s something still runs on node pve1 that may work on it, as it names no VM: vzdump" in problem


def test_a_lock_that_outlives_such_a_task_is_a_remnant_a_while_after_it() -> None:
    world = World(lambda _now: {**OURS, "lock": "backup"}, lambda now: {"pve1 vzdump -": 100} if now < 100 else {})
    (remnant,) = world.settle().remnants.values()
    assert 100 + ABANDONED <= world.now < 100 + ABANDONED + 5
    assert "qm unlock 101" in remnant.problem(MACHINE.label, "tazlab-home").text


def test_such_a_task_on_another_node_or_beside_no_lock_is_none_of_ours() -> None:
    elsewhere = World(lambda _now: {**OURS, "lock": "backup"}, lambda now: {"pve2 vzdump -": now + 1})
    assert elsewhere.settle().remnants
    assert elsewhere.now < ABANDONED + 5
    unlocked = World(lambda _now: OURS, lambda now: {"pve1 vzdump -": now + 1})
    assert not unlocked.settle().remnants
    assert unlocked.now == 0


def test_each_change_begins_the_while_anew() -> None:
    locks = ["create", "clone", "create"]
    world = World(lambda now: {**OURS, "lock": locks[min(int(now // 25), 2)]})
    world.settle()
    assert world.now >= 50 + ABANDONED


def test_a_token_that_does_not_see_others_tasks_waits_all_of_the_time() -> None:
    world = World(lambda _now: BARE, sees=False)
    (remnant,) = world.settle().remnants.values()
    assert TIMEOUT <= world.now < TIMEOUT + 10
    assert (
        "the token does not see the tasks of others there (Sys.Audit on /nodes/pve1)" in remnant.problem("x", "y").text
    )
    assert world.asked.count("access/permissions") == 1
    ended = World(lambda now: BARE if now < 400 else OURS, sees=False)
    assert not ended.settle().remnants
    assert ended.now >= 400


def test_a_deletion_is_waited_for_in_each_of_its_states() -> None:
    def guest(now: float) -> dict[str, Any] | None:
        return OURS if now < 20 else {"lock": "destroyed", "status": "stopped"} if now < 40 else None

    for removal in (False, True):
        world = World(guest, lambda now: {"pve1 qmdestroy": 40} if now < 40 else {})
        settled = world.settle(removal=removal)
        assert 101 not in settled.cluster.guests
        assert 40 <= world.now < 45


def test_a_stop_of_a_vm_that_shall_go_is_waited_for() -> None:
    world = World(lambda now: RUNNING if now < 9 else OURS, lambda now: {"pve1 qmstop": 9} if now < 9 else {})
    assert world.settle(removal=True).cluster.guests[101].status == "stopped"


def test_a_suspended_vm_is_at_rest() -> None:
    world = World(lambda _now: {**OURS, "lock": "suspended"})
    assert not world.settle().remnants
    assert world.now == 0


def test_the_waiting_is_bounded_whatever_goes_on() -> None:
    world = World(lambda now: {**OURS, "name": f"n{now}"}, lambda now: {"pve1 qmconfig": now + 1})
    with pytest.raises(BootstrapError, match="something else still works on it after 600 s"):
        world.settle()
    assert world.now < TIMEOUT + 60


def test_a_task_that_fails_is_told_and_what_it_left_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(lambda now: BARE if now < 5 else None, lambda now: {"pve1 qmcreate": 5} if now < 5 else {})

    def fail(_self: Tasks, _what: str, _upid: Any) -> None:
        world.sleep(5)
        raise ProxmoxError("it failed")

    monkeypatch.setattr(Tasks, "wait", fail)
    assert not world.settle().cluster.guests
    assert "it failed" in world.said
