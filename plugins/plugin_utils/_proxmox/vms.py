# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the list of wanted VMs to VMs that run, or that are gone: everything is checked first, and then carried out.

Private: other collections must not import it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxClient, ProxmoxError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Cluster, Guest
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import (
    NOTHING,
    UNFINISHED,
    Config,
    Difference,
    Machine,
    Source,
    completion,
    creation,
    differences,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.jobs import Job, read_jobs, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.settle import LOOK_EVERY, SUSPENDED, Settler
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.tasks import Tasks

# What is done with a VM, in this order.
STOP, DELETE, CREATE, COMPLETE, START = "stop", "delete", "create", "complete", "start"
_DONE = {STOP: "stopped", DELETE: "deleted", CREATE: "created", COMPLETE: "completed", START: "started"}


@dataclass(frozen=True)
class Plan:
    """What is to be done with one VM. C{guest} is what it is now, C{node} where it stands in the end."""

    machine: Machine
    guest: Guest | None
    node: str
    actions: tuple[str, ...] = ()
    drift: tuple[Difference, ...] = ()
    config: Config = NOTHING
    jobs: tuple[Job, ...] = ()

    @property
    def status(self) -> str:
        return self.guest.status if self.guest else "absent"


def guest_problem(guest: Guest, machine: Machine, mark: str) -> str | None:
    """Why a guest that already has this vmid cannot be the wanted VM."""
    if not guest.carries(mark):
        return (
            f"{machine.label}: the vmid belongs to somebody else: {guest.description} has no tag {mark}. "
            "It is not touched. Choose a vmid that is free."
        )
    if guest.template:
        return f"{machine.label}: {guest.description} is a template and cannot run. Choose a vmid that is free."
    return None


def plan_present(machine: Machine, source: Source, guest: Guest | None, config: Config) -> Plan:
    """What is missing until this VM runs.

    A VM of ours whose making a killed run left half done is completed: its disk only grows. None is ever deleted here.
    """
    if guest is None:
        return Plan(machine, None, machine.node, (CREATE, START))
    if guest.status != "running" and not config.finished:
        return Plan(machine, guest, guest.node, (COMPLETE, START), config=config)
    drift = tuple(differences(machine, source, config, guest.node))
    return Plan(machine, guest, guest.node, () if guest.status == "running" else (START,), drift, config)


def plan_absent(machine: Machine, guest: Guest | None, config: Config) -> Plan:
    """What is to be done until this VM is gone."""
    if guest is None:
        return Plan(machine, None, machine.node)
    stop = () if guest.status == "stopped" else (STOP,)
    return Plan(machine, guest, guest.node, (*stop, DELETE), config=config)


def bridges(client: ProxmoxClient, node: str) -> set[str]:
    """The bridges of a node that the token may use."""
    return {str(row.get("iface")) for row in client.get(f"nodes/{node}/network", type="any_bridge")}


def bridge_problem(client: ProxmoxClient, node: str, bridge: str) -> str | None:
    found = bridges(client, node)
    if bridge in found:
        return None
    return (
        f"bridge {bridge} on node {node}: it is not there, or the token has no SDN.Use on "
        f"/sdn/zones/localnetwork/{bridge}. The token sees: {', '.join(sorted(found)) or 'none'}."
    )


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
        self.warnings: list[str] = []

    def present(self, machines: Sequence[Machine], *, check_mode: bool) -> tuple[list[Plan], Cluster]:
        """The plans until all VMs run, and what else the cluster holds."""
        cluster, problems = self._at_rest(machines)
        plans = [
            plan_present(machine, self._source, guest, self._config(guest))
            for machine, guest in _paired(machines, cluster)
            if machine.vmid not in problems
        ]
        new = [plan.machine for plan in plans if CREATE in plan.actions]
        found = [*problems.values(), *_lock_problems(plans), *_completion_problems(plans)]
        found += self._placement_problems(new, cluster)
        _refuse(found or self._reading_problems(new, cluster, check_mode))
        return plans, cluster

    def absent(self, machines: Sequence[Machine]) -> tuple[list[Plan], Cluster]:
        """The plans until all VMs are gone, and what else the cluster holds."""
        cluster, problems = self._at_rest(machines, removal=True)
        _refuse(list(problems.values()))
        plans = [plan_absent(machine, guest, self._config(guest)) for machine, guest in _paired(machines, cluster)]
        protected = [
            f"{plan.machine.label}: it is protected from removal. To lose it: qm set {plan.machine.vmid} --protection 0"
            for plan in plans
            if plan.config.protected
        ]
        plans, unread = self._with_jobs(plans)
        self.warnings += unread
        _refuse([*protected, *_lock_problems(plans), *_refusals(plans)])
        return plans, cluster

    def carry_out(self, plans: Sequence[Plan]) -> list[Plan]:
        """Do each step for all VMs before the next step, so that VMs start together. Returns where they stand then."""
        steps: dict[str, Callable[[Plan], Plan | None]] = {
            STOP: self._stop,
            DELETE: self._delete,
            CREATE: self._create,
            COMPLETE: self._complete,
            START: self._start,
        }
        plans = list(plans)
        for action, step in steps.items():
            for number, plan in enumerate(plans):
                if action not in plan.actions:
                    continue
                begun = time.monotonic()
                plans[number] = plan = step(plan) or plan
                took = time.monotonic() - begun
                self._progress(f"{plan.machine.label} on node {plan.node}: {_DONE[action]} in {took:.1f} s")
        return plans

    # ------------------------------------------------------------------------------------------ reading and checking

    def _at_rest(self, machines: Sequence[Machine], *, removal: bool = False) -> tuple[Cluster, dict[int, str]]:
        """The cluster once nobody works on these VMs, and by vmid why what is there cannot be the wanted VM."""
        settled = self._settler.settle(machines, removal=removal)
        problems = self._guest_problems(machines, settled.cluster)
        for machine in machines:
            if machine.vmid in settled.remnants:
                problems[machine.vmid] = settled.remnants[machine.vmid].problem(machine.label, self._source.mark)
        fresh = {
            guest.vmid: self._asked(guest)
            for machine, guest in _paired(machines, settled.cluster)
            if guest is not None and machine.vmid not in problems and (removal or guest.status != "running")
        }
        return replace(settled.cluster, guests={**settled.cluster.guests, **fresh}), problems

    def _asked(self, guest: Guest) -> Guest:
        """A guest as its node knows it: what the cluster's resources say is up to ten seconds old."""
        now = self._client.get(f"nodes/{guest.node}/qemu/{guest.vmid}/status/current")
        return replace(
            guest,
            status=str(now.get("status") or guest.status),
            lock=str(now.get("lock") or ""),
            ha_managed=bool((now.get("ha") or {}).get("managed")),
        )

    def _with_jobs(self, plans: Sequence[Plan]) -> tuple[list[Plan], Sequence[str]]:
        """The plans with what becomes of the jobs that name the VMs that go, and what could not be looked at."""
        jobs = read_jobs(self._client, [plan.guest for plan in plans if plan.guest], purge=self._purge)
        return [replace(plan, jobs=jobs.of(plan.machine.vmid)) for plan in plans], jobs.unread

    def _config(self, guest: Guest | None) -> Config:
        if guest is None:
            return NOTHING
        return Config.read(self._client.get(f"nodes/{guest.node}/qemu/{guest.vmid}/pending"))

    def _guest_problems(self, machines: Sequence[Machine], cluster: Cluster) -> dict[int, str]:
        """By vmid, why what is there already cannot be the wanted VM."""
        problems = {}
        for machine, guest in _paired(machines, cluster):
            if guest is None:
                continue
            problem = guest_problem(guest, machine, self._source.mark)
            if problem is None and not cluster.nodes.get(guest.node, False):
                problem = f"{machine.label}: its node {guest.node} is offline. Bring it back, or leave the VM out."
            if problem:
                problems[machine.vmid] = problem
        return problems

    def _placement_problems(self, new: Sequence[Machine], cluster: Cluster) -> list[str]:
        """What keeps new VMs from being created, as far as the cluster's resources tell."""
        problems = []
        ours = {guest.name: guest for guest in cluster.marked(self._source.mark)}
        for machine in new:
            if machine.name in ours and ours[machine.name].vmid != machine.vmid:
                problems.append(
                    f"{machine.label}: this cluster already has {ours[machine.name].description}. "
                    "Give it that vmid again, or remove that VM first."
                )
            found = cluster.node_problem(machine.node)
            found = found or cluster.storage_problem(machine.node, self._source.storage, "images")
            problems += [f"{machine.label}: {found}"] if found else []
        return problems

    def _reading_problems(self, new: Sequence[Machine], cluster: Cluster, check_mode: bool) -> list[str]:
        """What only further questions show: vmids that the token may not see, bridges, the image."""
        problems = []
        for machine in (machine for machine in new if machine.vmid not in cluster.guests):
            try:
                self._client.get("cluster/nextid", vmid=machine.vmid)
            except ProxmoxError as error:
                if error.status != 400:
                    raise
                problems.append(
                    f"{machine.label}: the vmid belongs to a guest that the token may not see. "
                    "Choose a vmid that is free."
                )
        for node, bridge in dict.fromkeys((machine.node, machine.bridge) for machine in new):
            found = bridge_problem(self._client, node, bridge)
            problems += [found] if found else []
        if not check_mode:  # then the image may be one that a run would still fetch
            for node in dict.fromkeys(machine.node for machine in new):
                problems += self._volume_problems(node, cluster)
        return list(dict.fromkeys(problems))

    def _volume_problems(self, node: str, cluster: Cluster) -> list[str]:
        if not (self._source.image or self._source.iso):
            return ["image: neither an image nor an iso is given. Give one, so that VMs can be created from it."]
        volume, content = (self._source.image, "import") if self._source.image else (self._source.iso, "iso")
        storage = volume.partition(":")[0]
        found = cluster.storage_problem(node, storage, content)
        if found:
            return [found]
        rows = self._client.get(f"nodes/{node}/storage/{storage}/content", content=content)
        if any(row.get("volid") == volume for row in rows):
            return []
        return [
            f"node {node}: there is no volume {volume}. Put it there first, e.g. with tazlab.bootstrap.proxmox_image."
        ]

    # ------------------------------------------------------------------------------------------ doing

    def _create(self, plan: Plan) -> Plan:
        machine = plan.machine
        parameters = creation(machine, self._source)
        try:
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

    def _stop(self, plan: Plan) -> None:
        self._tasks.run(f"{plan.machine.label}: stop", lambda: self._client.post(f"{_path(plan)}/status/stop"))
        self._observe(plan, "stopped")

    def _status(self, plan: Plan) -> str:
        return str(self._client.get(f"{_path(plan)}/status/current").get("status"))

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


def _path(plan: Plan) -> str:
    return f"nodes/{plan.node}/qemu/{plan.machine.vmid}"


def _paired(machines: Sequence[Machine], cluster: Cluster) -> list[tuple[Machine, Guest | None]]:
    return [(machine, cluster.guests.get(machine.vmid)) for machine in machines]


def _lock_problems(plans: Sequence[Plan]) -> list[str]:
    """VMs with a lock that does not go by itself, where something is to be done that it prevents."""
    return [
        problem
        for plan in plans
        if plan.guest and plan.guest.lock and (problem := _lock_problem(plan, plan.guest)) is not None
    ]


def _lock_problem(plan: Plan, guest: Guest) -> str | None:
    if not plan.actions or (guest.lock == SUSPENDED and plan.actions == (START,)):  # which goes on where it was
        return None
    if guest.lock == SUSPENDED:
        return (
            f"{plan.machine.label}: it is suspended, its memory lies on its disk. On node {guest.node}: "
            f"qm start {guest.vmid} lets it go on; qm unlock {guest.vmid} throws its memory away. Then run this again."
        )
    return (
        f"{plan.machine.label}: it is locked ({guest.lock}). Look what works on it on node {guest.node} "
        "(pvenode task list --source active), and run this again when that has ended."
    )


def _completion_problems(plans: Sequence[Plan]) -> list[str]:
    """VMs that say that they are half made, and look otherwise."""
    return [
        f"{plan.machine.label}: its notes say that its making has not ended, and it has no disk scsi0, so it cannot be "
        f"completed. It is not touched. Look at it on node {plan.node}: qm config {plan.machine.vmid}. If you made it "
        f'what it is, take "{UNFINISHED.strip()}" out of its notes; if it holds nothing, remove it: '
        f"qm destroy {plan.machine.vmid} (deletes it for ever, with the disks that its configuration names). "
        "Then run this again."
        for plan in plans
        if COMPLETE in plan.actions and "scsi0" not in plan.config.now
    ]


def _refusals(plans: Sequence[Plan]) -> list[str]:
    """What Proxmox VE would not remove, foretold before anything is stopped."""
    found = [refusal(plan.machine.label, plan.node, plan.jobs) for plan in plans]
    return [problem for problem in found if problem is not None]


def _refuse(problems: Sequence[str]) -> None:
    if len(problems) == 1:
        raise BootstrapError(f"{problems[0]} Nothing was changed.")
    if problems:
        lines = "".join(f"\n  {number}. {problem}" for number, problem in enumerate(problems, 1))
        raise BootstrapError(f"{len(problems)} problems; nothing was changed.{lines}")
