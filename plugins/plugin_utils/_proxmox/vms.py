# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the list of wanted VMs to VMs that run, or that are gone: everything is checked first, and then carried out.

Private: other collections must not import it.
"""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t
from collections.abc import Callable, Sequence
from dataclasses import replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import numbered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.together import attempted, together
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.checks import (
    adoption_problems,
    completion_problems,
    guest_problem,
    lock_problems,
    placement_problems,
    reading_problems,
    refuse,
    removal_problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxClient, ProxmoxError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Cluster, Guest, split_tags
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import (
    NOTHING,
    Config,
    Machine,
    Source,
    completion,
    creation,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.jobs import read_jobs
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.plans import (
    COMPLETE,
    CREATE,
    DELETE,
    DONE,
    MARK,
    RESUME,
    START,
    STOP,
    Plan,
    plan_absent,
    plan_adopted,
    plan_present,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.settle import LOOK_EVERY, Settler, read_cluster
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.tasks import Tasks

VMS_AT_ONCE: t.Final = 16  # that are made, started, stopped or deleted at a time; Proxmox VE has limits of its own
PAUSED: t.Final = "paused"  # as QEMU says it (qmpstatus)


class VmLayer:
    """Plans and carries out what a list of VMs needs. Nothing is changed before all of it was checked."""

    def __init__(
        self,
        client: ProxmoxClient,
        tasks: Tasks,
        source: Source,
        progress: Callable[[str], None],
        *,
        purge: bool = False,
    ) -> None:
        self._client = client
        self._tasks = tasks
        self._source = source
        self._progress = progress
        self._purge = purge
        self._settler = Settler(client, tasks, source.mark, progress)
        self._imports: dict[str, threading.Lock] = {}  # by node: the storage is the same for all of them
        self._locks = threading.Lock()
        self.warnings: list[str] = []

    def present(
        self, machines: Sequence[Machine], *, check_mode: bool, reborn: bool = False
    ) -> tuple[list[Plan], Cluster]:
        """The plans until all VMs run, and what else the cluster holds. C(reborn): as if our own were gone already."""
        cluster, problems = self._at_rest(machines)
        pairs = [
            (machine, None if reborn else guest)
            for machine, guest in _paired(machines, cluster)
            if machine.vmid not in problems
        ]
        configs = together(self._config, [guest for _machine, guest in pairs])
        plans = [
            plan_present(machine, self._source, guest, config)
            for (machine, guest), config in zip(pairs, configs, strict=True)
        ]
        new = [plan.machine for plan in plans if CREATE in plan.actions]
        refuse(
            [
                *problems.values(),
                *lock_problems(plans),
                *completion_problems(plans),
                *placement_problems(new, cluster, self._source),
            ]
        )
        refuse(list(reading_problems(self._client, new, cluster, self._source, check_mode=check_mode)))
        return plans, cluster

    def adopted(self, machines: Sequence[Machine]) -> tuple[list[Plan], Cluster]:
        """The plans until VMs that others made carry the mark, and what else the cluster holds."""
        cluster = read_cluster(self._client)
        refuse(list(adoption_problems(machines, self._source.mark, cluster)))
        plans = [
            plan_adopted(machine, self._source, guest, self._config(guest))
            for machine, guest in _paired(machines, cluster)
            if guest is not None
        ]
        return plans, cluster

    def absent(self, machines: Sequence[Machine]) -> tuple[list[Plan], Cluster]:
        """The plans until all VMs are gone, and what else the cluster holds."""
        cluster, problems = self._at_rest(machines, removal=True)
        refuse(list(problems.values()))
        plans = [plan_absent(machine, guest, self._config(guest)) for machine, guest in _paired(machines, cluster)]
        plans, unread = self._with_jobs(plans)
        self.warnings += unread
        refuse(list(removal_problems(plans)))
        return plans, cluster

    def carry_out(self, plans: Sequence[Plan]) -> list[Plan]:
        """Do each step for all VMs, side by side, before the next step. Returns where they stand then."""
        steps: dict[str, Callable[[Plan], Plan | None]] = {
            STOP: self._stop,
            DELETE: self._delete,
            CREATE: self._create,
            COMPLETE: self._complete,
            START: self._start,
            RESUME: self._resume,
            MARK: self._mark,
        }
        plans = list(plans)
        failed: dict[int, BootstrapError] = {}
        for action, step in steps.items():
            due = [number for number, plan in enumerate(plans) if action in plan.actions and number not in failed]

            def done(number: int, action: str = action, step: Callable[[Plan], Plan | None] = step) -> Plan:
                return self._done(plans[number], action, step)

            for number, ended in zip(due, attempted(done, due, VMS_AT_ONCE), strict=True):
                if isinstance(ended, BootstrapError):  # the others are finished all the same
                    failed[number] = ended
                else:
                    plans[number] = ended
        if failed:
            raise _together([failed[number] for number in sorted(failed)], len(plans))
        return plans

    def _done(self, plan: Plan, action: str, step: Callable[[Plan], Plan | None]) -> Plan:
        """Do one step for one VM, and say so."""
        begun = time.monotonic()
        try:
            plan = step(plan) or plan
        except BootstrapError:
            self._progress(f"{plan.machine.label} on node {plan.node}: FAILED to {action}")
            raise
        took = time.monotonic() - begun
        self._progress(f"{plan.machine.label} on node {plan.node}: {DONE[action]} in {took:.1f} s")
        return plan

    # ------------------------------------------------------------------------------------------ reading and checking

    def _at_rest(self, machines: Sequence[Machine], *, removal: bool = False) -> tuple[Cluster, dict[int, Problem]]:
        """The cluster once nobody works on these VMs, and by vmid why what is there cannot be the wanted VM."""
        settled = self._settler.settle(machines, removal=removal)
        mark = self._source.mark
        found = {
            machine.vmid: guest_problem(guest, machine, mark, settled.cluster)
            for machine, guest in _paired(machines, settled.cluster)
            if guest is not None
        }
        problems = {vmid: problem for vmid, problem in found.items() if problem is not None}
        for machine in machines:
            if machine.vmid in settled.remnants:
                problems[machine.vmid] = settled.remnants[machine.vmid].problem(machine.label, mark)
        known = [
            guest
            for machine, guest in _paired(machines, settled.cluster)
            if guest is not None and machine.vmid not in problems
        ]
        fresh = {guest.vmid: guest for guest in together(self._asked, known)}
        return replace(settled.cluster, guests={**settled.cluster.guests, **fresh}), problems

    def _asked(self, guest: Guest) -> Guest:
        """A guest as its node knows it: what the cluster's resources say is up to ten seconds old."""
        now = self._client.get(f"nodes/{guest.node}/qemu/{guest.vmid}/status/current")
        return replace(
            guest,
            status=str(now.get("status") or guest.status),
            lock=str(now.get("lock") or ""),
            ha_managed=bool((now.get("ha") or {}).get("managed")),
            paused=now.get("qmpstatus") == PAUSED,
        )

    def _with_jobs(self, plans: Sequence[Plan]) -> tuple[list[Plan], Sequence[str]]:
        """The plans with what becomes of the jobs that name the VMs that go, and what could not be looked at."""
        jobs = read_jobs(self._client, [plan.guest for plan in plans if plan.guest], purge=self._purge)
        return [replace(plan, jobs=jobs.of(plan.machine.vmid)) for plan in plans], jobs.unread

    def _config(self, guest: Guest | None) -> Config:
        if guest is None:
            return NOTHING
        return Config.read(self._client.get(f"nodes/{guest.node}/qemu/{guest.vmid}/pending"))

    # ------------------------------------------------------------------------------------------ doing

    def _create(self, plan: Plan) -> Plan:
        machine = plan.machine
        parameters = creation(machine, self._source)
        try:
            with self._import(machine.node):
                self._tasks.run(
                    f"{machine.label}: create", lambda: self._client.post(f"nodes/{machine.node}/qemu", **parameters)
                )
        except ProxmoxError:
            # Another run, or what a killed one has begun, may have made the same VM meanwhile.
            guest = self._settler.settle([machine]).cluster.guests.get(machine.vmid)
            if guest is None or guest.lock or not guest.carries(self._source.mark):
                raise
            plan = replace(plan, node=guest.node)
        config = self._client.get(f"{_path(plan)}/pending")
        self._finish(machine, plan.node, Config.read(config))
        return plan

    def _import(self, node: str) -> contextlib.AbstractContextManager[t.Any]:
        """Imports of one image on one node wait for each other: Proxmox VE locks the storage, and gives up early."""
        if not self._source.image:
            return contextlib.nullcontext()
        with self._locks:
            return self._imports.setdefault(node, threading.Lock())

    def _complete(self, plan: Plan) -> None:
        self._finish(plan.machine, plan.node, plan.config)

    def _finish(self, machine: Machine, node: str, config: Config) -> None:
        """Give the disk its size, which an import takes from the image, and end the making."""
        path = f"nodes/{node}/qemu/{machine.vmid}"
        if config.disk_gib < machine.disk:
            self._tasks.run(
                f"{machine.label}: resize",
                lambda: self._client.put(f"{path}/resize", disk="scsi0", size=f"{machine.disk}G"),
            )
        self._tasks.run(
            f"{machine.label}: configure", lambda: self._client.put(f"{path}/config", **completion(config.notes))
        )

    def _start(self, plan: Plan) -> None:
        try:
            self._tasks.run(f"{plan.machine.label}: start", lambda: self._client.post(f"{_path(plan)}/status/start"))
        except ProxmoxError:
            if self._status(plan) != "running":
                raise
        self._observe(plan, "running")

    def _resume(self, plan: Plan) -> None:
        self._tasks.run(f"{plan.machine.label}: resume", lambda: self._client.post(f"{_path(plan)}/status/resume"))
        self._observe(plan, "running")

    def _stop(self, plan: Plan) -> None:
        self._tasks.run(f"{plan.machine.label}: stop", lambda: self._client.post(f"{_path(plan)}/status/stop"))
        self._observe(plan, "stopped")

    def _mark(self, plan: Plan) -> None:
        """Add the mark to the tags that are there. Who changes the configuration meanwhile is not written over."""
        now = self._client.get(f"{_path(plan)}/config")
        tags = ";".join(sorted({*split_tags(now.get("tags")), self._source.mark}))
        self._tasks.run(
            f"{plan.machine.label}: mark",
            lambda: self._client.put(f"{_path(plan)}/config", tags=tags, digest=now["digest"]),
        )

    def _status(self, plan: Plan) -> str:
        """What the VM is: one that is paused is running to whoever asks for its status alone."""
        now = self._client.get(f"{_path(plan)}/status/current")
        return PAUSED if now.get("qmpstatus") == PAUSED else str(now.get("status"))

    def _observe(self, plan: Plan, wanted: str) -> None:
        """Wait for the state itself: where HA manages a VM, the task ends when HA was told."""
        begun = self._tasks.clock()
        while self._status(plan) != wanted:
            if self._tasks.clock() - begun >= self._tasks.timeout:
                raise BootstrapError(
                    f"{plan.machine.label}: it is not {wanted} {self._tasks.timeout:.0f} s after Proxmox VE was asked. "
                    f"Look on node {plan.node}: qm status {plan.machine.vmid} --verbose; ha-manager status"
                )
            self._tasks.sleep(LOOK_EVERY)

    def _delete(self, plan: Plan) -> None:
        """Remove the VM with the disks that its configuration names, and no other volume that bears its number."""
        options = {"purge": 1} if self._purge else {}
        self._tasks.run(f"{plan.machine.label}: delete", lambda: self._client.delete(_path(plan), **options))


def _together(errors: Sequence[BootstrapError], count: int) -> BootstrapError:
    """One error for all VMs that failed."""
    told = list(dict.fromkeys(map(str, errors)))
    if len(told) == 1:
        return errors[0]
    message = f"{len(errors)} of {count} VMs failed; what could be done for the others is done.{numbered(told)}"
    return BootstrapError(message, code=errors[0].code, status=errors[0].status)


def _path(plan: Plan) -> str:
    return f"nodes/{plan.node}/qemu/{plan.machine.vmid}"


def _paired(machines: Sequence[Machine], cluster: Cluster) -> list[tuple[Machine, Guest | None]]:
    return [(machine, cluster.guests.get(machine.vmid)) for machine in machines]
