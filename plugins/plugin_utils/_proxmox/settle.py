# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits until what another run began on our VMs has come to rest, and tells a remnant from what is still at work.

While Proxmox VE creates a VM, or ends its removal, the configuration holds a lock and nothing else: no mark, no name.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxClient, ProxmoxError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Cluster, Guest, Privileges
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import Machine
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.tasks import PROGRESS_EVERY, Tasks, Upid

LOOK_EVERY: t.Final = 2.0  # seconds
# A run that lives asks for its next task within seconds: after so many without any, it is over.
CALM: t.Final = 6.0
# A lock that stays for so long with no task and no change is what an interrupted task has left.
ABANDONED: t.Final = 30.0

MAKING: t.Final = frozenset({"create", "destroyed"})  # locks beside which a configuration holds nothing
SUSPENDED: t.Final = "suspended"  # the one lock that stays: the VM's memory lies on its disk


@dataclass(frozen=True)
class Remnant:
    """A VM with a lock on which nothing seems to work. C(sees): the token would see whoever does.

    C(unnamed): tasks on its node that name no guest, such as a backup of several, so that they may be what works on it.
    """

    guest: Guest
    seconds: float
    sees: bool
    unnamed: tuple[Upid, ...] = ()

    def problem(self, label: str, mark: str) -> Problem:
        guest = self.guest
        if self.unnamed:
            kinds = ", ".join(dict.fromkeys(upid.kind for upid in self.unnamed))
            return Problem(
                "perhaps_busy",
                label,
                f"VM {guest.vmid} is locked ({guest.lock}), and after {self.seconds:.0f} s something still runs on "
                f"node {guest.node} that may work on it, as it names no VM: {kinds}.",
                "Look at it there (pvenode task list --source active), and run this again when it has ended, or raise "
                "task_timeout.",
            )
        unlock = f"qm unlock {guest.vmid} (takes the lock away and changes nothing else)"
        if guest.carries(mark):
            return Problem(
                "left_locked",
                label,
                f"it is locked ({guest.lock}), and {self._seen}.",
                f"{self._look}. If nothing works on it: {unlock}. Then run this again.",
            )
        return Problem(
            "remnant",
            label,
            f"VM {guest.vmid} on node {guest.node} is half made or half removed. It is locked ({guest.lock}) and "
            f"carries no tag, and {self._seen}. It is not taken for this cluster's.",
            f"{self._look}; disks that no configuration names: pvesm list STORAGE --vmid {guest.vmid}. If it is a "
            f"remnant: {unlock}, then qm destroy {guest.vmid} (deletes it for ever, with the disks that its "
            "configuration names). Then run this again.",
        )

    @property
    def _seen(self) -> str:
        if self.sees:
            return (
                f"for {self.seconds:.0f} s there was neither a task nor a change, so what worked on it was interrupted"
            )
        return (
            f"it did not change in {self.seconds:.0f} s, and the token does not see the tasks of others there "
            f"(Sys.Audit on /nodes/{self.guest.node})"
        )

    @property
    def _look(self) -> str:
        look = f"Look at it on node {self.guest.node}: qm config {self.guest.vmid}"
        # A backup of several VMs names none of them.
        return look if self.sees else f"{look}; pvenode task list --source active"


@dataclass(frozen=True)
class Settled:
    """The cluster at rest, and by vmid what was left behind."""

    cluster: Cluster
    remnants: Mapping[int, Remnant] = field(default_factory=dict)


def read_cluster(client: ProxmoxClient) -> Cluster:
    return Cluster.read(client.get("cluster/resources"))


class Settler:
    """Waits for what others do with VMs that have this mark, or that have nothing yet."""

    def __init__(self, client: ProxmoxClient, tasks: Tasks, mark: str, progress: Callable[[str], None]) -> None:
        self._client = client
        self._tasks = tasks
        self._mark = mark
        self._progress = progress
        self._sees: dict[str, bool] = {}  # by node, whether the token sees the tasks of others there

    def settle(self, machines: Sequence[Machine], *, removal: bool = False) -> Settled:
        """The cluster, once nothing works on these VMs. One that runs is waited for only where it shall go."""
        labels = {machine.vmid: machine.label for machine in machines}
        begun = changed = reported = self._tasks.clock()
        unnamed: list[Upid] = []
        before: list[Guest] | None = None
        while True:
            cluster = read_cluster(self._client)
            guests = [guest for vmid in labels if (guest := cluster.guests.get(vmid)) and self._counts(guest, removal)]
            locked = [guest for guest in guests if guest.lock and guest.lock != SUSPENDED]
            former, (running, unnamed) = unnamed, self._active(guests, locked, cluster)
            now = self._tasks.clock()
            if before is None and not (running or locked):
                return Settled(cluster)
            if guests != before or unnamed != former:
                before, changed = guests, now
            still = now - changed
            if not locked and not running and (not guests or still >= CALM):
                return Settled(cluster)
            if locked and not running:
                remnants = self._remnants(locked, unnamed, still, now - begun)
                if remnants:
                    return Settled(cluster, remnants)
            if now - begun >= self._tasks.timeout and (running or not locked):
                raise self._late(labels, guests)
            if running:
                for upid in running:
                    self._await(labels[int(upid.subject)], upid)
                changed = self._tasks.clock()
                continue
            if now - reported >= PROGRESS_EVERY:
                reported = now
                self._report(labels, guests, unnamed, now - begun)
            self._tasks.sleep(LOOK_EVERY)

    def _counts(self, guest: Guest, removal: bool) -> bool:
        """Whether what others do with it matters: it is ours, or may become so, and something is to be done with it."""
        if guest.kind != "qemu":
            return False
        ours = guest.carries(self._mark) or (not guest.tags and guest.lock in MAKING)
        return ours and (removal or guest.status != "running")

    def _active(
        self, guests: Sequence[Guest], locked: Sequence[Guest], cluster: Cluster
    ) -> tuple[list[Upid], list[Upid]]:
        """The tasks that work on these guests now, and those that may, as far as the token may see them."""
        subjects = {str(guest.vmid) for guest in guests}
        nodes = dict.fromkeys(guest.node for guest in guests if cluster.nodes.get(guest.node, False))
        tasks = [upid for node in nodes for upid in self._tasks.active(node)]
        where = {guest.node for guest in locked}
        return (
            [upid for upid in tasks if upid.subject in subjects],
            [upid for upid in tasks if not upid.subject and upid.node in where],
        )

    def _await(self, label: str, upid: Upid) -> None:
        self._progress(f"{label}: waiting for {upid.kind}, which runs already on node {upid.node}")
        try:
            self._tasks.wait(f"{label}: {upid.kind}", upid)
        except ProxmoxError as error:
            self._progress(str(error))  # what it left behind is what counts

    def _remnants(
        self, locked: Sequence[Guest], unnamed: Sequence[Upid], still: float, waited: float
    ) -> dict[int, Remnant]:
        """What was left behind. Where it cannot be known whether something works on it, only after all of the time."""
        late, calm = waited >= self._tasks.timeout, still >= min(ABANDONED, self._tasks.timeout)
        found = {}
        for guest in locked:
            perhaps = tuple(upid for upid in unnamed if upid.node == guest.node)
            if perhaps and late:
                found[guest.vmid] = Remnant(guest, waited, self._sees_tasks(guest.node), perhaps)
            elif not perhaps and calm and (late or self._sees_tasks(guest.node)):
                found[guest.vmid] = Remnant(guest, still, self._sees_tasks(guest.node))
        return found

    def _sees_tasks(self, node: str) -> bool:
        path = f"/nodes/{node}"
        if node not in self._sees:
            privileges = Privileges(self._client.get("access/permissions"))
            self._sees[node] = not privileges.lacking(path, ["Sys.Audit"])
        return self._sees[node]

    def _report(
        self, labels: Mapping[int, str], guests: Sequence[Guest], unnamed: Sequence[Upid], seconds: float
    ) -> None:
        for guest in guests:
            kinds = ", ".join(dict.fromkeys(upid.kind for upid in unnamed if upid.node == guest.node))
            tasks = f"{kinds} runs on its node" if kinds else "no task is listed"
            what = f"it is locked ({guest.lock}), {tasks}" if guest.lock else "whether more is to come"
            self._progress(f"{labels[guest.vmid]}: waiting: {what}; {seconds:.0f} s")

    def _late(self, labels: Mapping[int, str], guests: Sequence[Guest]) -> BootstrapError:
        names = ", ".join(labels[guest.vmid] for guest in guests)
        return BootstrapError(
            f"{names}: something else still works on it after {self._tasks.timeout:.0f} s. Look who that is "
            "(pvenode task list), and run this again when it has ended, or raise task_timeout."
        )
