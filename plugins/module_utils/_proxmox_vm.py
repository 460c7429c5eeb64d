# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the list of wanted VMs to VMs that run, or that are gone: everything is checked first, and then carried out.

Private: other collections must not import it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.module_utils._errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.module_utils._proxmox_client import ProxmoxClient, ProxmoxError
from ansible_collections.tazlab.bootstrap.plugins.module_utils._proxmox_cluster import Cluster, Guest
from ansible_collections.tazlab.bootstrap.plugins.module_utils._proxmox_config import (
    NOTHING,
    Config,
    Difference,
    Machine,
    Source,
    completion,
    creation,
    differences,
)
from ansible_collections.tazlab.bootstrap.plugins.module_utils._proxmox_task import Tasks

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

    @property
    def status(self) -> str:
        return self.guest.status if self.guest else "absent"


def guest_problem(guest: Guest, machine: Machine, mark: str) -> str | None:
    """Why a guest that already has this vmid cannot be the wanted VM."""
    if not guest.carries(mark):
        text = f"{machine.label}: the vmid belongs to somebody else: {guest.description} has no tag {mark}. "
        if guest.lock and not guest.tags:
            return text + (
                f"It is locked ({guest.lock}) and nothing works on it: an interrupted creation or removal. "
                f"Look at it on its node, and if it is a remnant: qm destroy {guest.vmid} --skiplock"
            )
        return text + "It is not touched. Choose a vmid that is free."
    if guest.template:
        return f"{machine.label}: {guest.description} is a template and cannot run. Choose a vmid that is free."
    return None


def plan_present(machine: Machine, source: Source, guest: Guest | None, config: Config) -> Plan:
    """What is missing until this VM runs.

    A VM of ours whose making a killed run left half done is completed: its disk only grows. One without any disk holds
    no data, so it is made anew.
    """
    if guest is None:
        return Plan(machine, None, machine.node, (CREATE, START))
    if guest.status != "running" and not config.finished:
        if config.diskless:
            return Plan(machine, guest, machine.node, (DELETE, CREATE, START), config=config)
        return Plan(machine, guest, guest.node, (COMPLETE, START), config=config)
    drift = tuple(differences(machine, source, config, guest.node))
    return Plan(machine, guest, guest.node, () if guest.status == "running" else (START,), drift, config)


def plan_absent(machine: Machine, guest: Guest | None, config: Config) -> Plan:
    """What is to be done until this VM is gone."""
    if guest is None:
        return Plan(machine, None, machine.node)
    stop = () if guest.status == "stopped" else (STOP,)
    return Plan(machine, guest, guest.node, (*stop, DELETE), config=config)


def read_cluster(client: ProxmoxClient) -> Cluster:
    return Cluster.read(client.get("cluster/resources"))


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
    ) -> None:
        self._client = client
        self._tasks = tasks
        self._source = source
        self._progress = progress

    def present(self, machines: Sequence[Machine], *, check_mode: bool) -> tuple[list[Plan], Cluster]:
        """The plans until all VMs run, and what else the cluster holds."""
        cluster = self._settled(machines)
        problems = self._guest_problems(machines, cluster)
        plans = [
            plan_present(machine, self._source, guest, self._config(guest))
            for machine, guest in _paired(machines, cluster)
            if machine.vmid not in problems
        ]
        new = [plan.machine for plan in plans if CREATE in plan.actions]
        found = [*problems.values(), *_lock_problems(plans), *self._placement_problems(new, cluster)]
        if not found:
            found = self._reading_problems(new, cluster, check_mode)
        _refuse(found)
        return plans, cluster

    def absent(self, machines: Sequence[Machine]) -> tuple[list[Plan], Cluster]:
        """The plans until all VMs are gone, and what else the cluster holds."""
        cluster = self._settled(machines)
        _refuse(list(self._guest_problems(machines, cluster).values()))
        plans = [plan_absent(machine, guest, self._config(guest)) for machine, guest in _paired(machines, cluster)]
        protected = [
            f"{plan.machine.label}: it is protected from removal. To lose it: qm set {plan.machine.vmid} --protection 0"
            for plan in plans
            if plan.config.protected
        ]
        _refuse(protected + _lock_problems(plans))
        return plans, cluster

    def carry_out(self, plans: Sequence[Plan]) -> None:
        """Do each step for all VMs before the next step, so that VMs start together."""
        steps: dict[str, Callable[[Plan], None]] = {
            STOP: self._stop,
            DELETE: self._delete,
            CREATE: self._create,
            COMPLETE: self._complete,
            START: self._start,
        }
        for action, step in steps.items():
            for plan in (plan for plan in plans if action in plan.actions):
                begun = time.monotonic()
                step(plan)
                took = time.monotonic() - begun
                self._progress(f"{plan.machine.label} on node {plan.node}: {_DONE[action]} in {took:.1f} s")

    # ------------------------------------------------------------------------------------------ reading and checking

    def _settled(self, machines: Sequence[Machine]) -> Cluster:
        """The cluster, once what a former run started on our vmids has ended.

        While Proxmox VE creates or removes a VM, its configuration holds a lock and nothing else, not even the mark.
        """
        cluster = read_cluster(self._client)
        waited = False
        for machine, guest in _paired(machines, cluster):
            if guest is None or not guest.lock or guest.kind != "qemu":
                continue
            for upid in self._tasks.active(guest.node, vmid=guest.vmid):
                self._progress(f"{machine.label}: waiting for {upid.kind}, which runs already on node {upid.node}")
                waited = True
                try:
                    self._tasks.wait(f"{machine.label}: {upid.kind}", upid)
                except ProxmoxError as error:
                    self._progress(str(error))  # what it left behind is what counts
        return read_cluster(self._client) if waited else cluster

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

    def _create(self, plan: Plan) -> None:
        machine = plan.machine
        parameters = creation(machine, self._source)
        try:
            self._tasks.run(
                f"{machine.label}: create", lambda: self._client.post(f"nodes/{machine.node}/qemu", **parameters)
            )
        except ProxmoxError:
            # A run that was killed may leave a worker that goes on for a while, and makes the same VM.
            guest = self._settled([machine]).guests.get(machine.vmid)
            if guest is None or not guest.carries(self._source.mark):
                raise
        config = self._client.get(f"nodes/{machine.node}/qemu/{machine.vmid}/pending")
        self._finish(machine, machine.node, Config.read(config))

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
        self._tasks.run(f"{machine.label}: configure", lambda: self._client.put(f"{path}/config", **completion()))

    def _start(self, plan: Plan) -> None:
        path = f"nodes/{plan.node}/qemu/{plan.machine.vmid}/status"
        try:
            self._tasks.run(f"{plan.machine.label}: start", lambda: self._client.post(f"{path}/start"))
        except ProxmoxError:
            if self._client.get(f"{path}/current").get("status") != "running":
                raise

    def _stop(self, plan: Plan) -> None:
        self._tasks.run(f"{plan.machine.label}: stop", lambda: self._client.post(f"{_path(plan)}/status/stop"))

    def _delete(self, plan: Plan) -> None:
        """Remove the VM with the disks that its configuration names, and no other volume that bears its number."""
        self._tasks.run(f"{plan.machine.label}: delete", lambda: self._client.delete(_path(plan), purge=1))


def _path(plan: Plan) -> str:
    node = plan.guest.node if plan.guest else plan.node
    return f"nodes/{node}/qemu/{plan.machine.vmid}"


def _paired(machines: Sequence[Machine], cluster: Cluster) -> list[tuple[Machine, Guest | None]]:
    return [(machine, cluster.guests.get(machine.vmid)) for machine in machines]


def _lock_problems(plans: Sequence[Plan]) -> list[str]:
    """VMs that something else works on, where something is to be done with them."""
    return [
        f"{plan.machine.label}: it is locked ({plan.guest.lock}). Wait until that has ended, or if it was interrupted, "
        f"on node {plan.guest.node}: qm unlock {plan.machine.vmid}"
        for plan in plans
        if plan.guest and plan.guest.lock and plan.actions
    ]


def _refuse(problems: Sequence[str]) -> None:
    if len(problems) == 1:
        raise BootstrapError(f"{problems[0]} Nothing was changed.")
    if problems:
        lines = "".join(f"\n  {number}. {problem}" for number, problem in enumerate(problems, 1))
        raise BootstrapError(f"{len(problems)} problems; nothing was changed.{lines}")
