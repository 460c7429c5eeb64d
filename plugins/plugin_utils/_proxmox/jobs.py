# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What names a VM by its id: backup jobs, replication jobs, HA; and what becomes of that when the VM is removed.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxClient, ProxmoxError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Guest


class Kind(Enum):
    """What names a VM, and how a person says it."""

    BACKUP = "backup job"
    EXCLUSION = "the exclusions of backup job"
    POOL = "pool"
    REPLICATION = "replication job"
    HA = "HA resource"


class Effect(Enum):
    """What becomes of it."""

    STAYS = "stays"  # the VMID stays there, and is valid again for a new VM that gets it
    TAKEN_OUT = "taken_out"  # the VMID is taken out, the job stays
    REMOVED = "removed"  # the job itself is removed


@dataclass(frozen=True)
class Job:
    """One thing that names a VM, and what its removal does with that."""

    kind: Kind
    name: str
    effect: Effect
    note: str = ""

    @property
    def label(self) -> str:
        return f"{self.kind.value} {self.name}{self.note}"

    def __str__(self) -> str:
        return {
            Effect.STAYS: f"stays in {self.label}",
            Effect.TAKEN_OUT: f"is taken out of {self.label}",
            Effect.REMOVED: f"{self.label} is removed with it",
        }[self.effect]


@dataclass(frozen=True)
class Jobs:
    """Everything that names one of the VMs that go, by vmid, and what the token may not look at."""

    found: Mapping[int, tuple[Job, ...]]
    unread: tuple[str, ...] = ()

    def of(self, vmid: int) -> tuple[Job, ...]:
        return self.found.get(vmid, ())


NO_JOBS: t.Final = Jobs({})


def read_jobs(client: ProxmoxClient, guests: Sequence[Guest], *, purge: bool) -> Jobs:
    """What names these VMs, which all go. Where nothing goes, nothing is asked."""
    if not guests:
        return NO_JOBS
    unread: list[str] = []
    backups = _rows(client, "cluster/backup", "backup jobs", unread)
    replications = _rows(client, "cluster/replication", "replication jobs", unread)
    going = {guest.vmid for guest in guests}
    return Jobs(
        {
            guest.vmid: (
                *_backup_jobs(guest, backups, going, purge, client.readable),
                *_replication_jobs(guest, replications, purge),
                *_ha_resources(guest, purge),
            )
            for guest in guests
        },
        tuple(unread),
    )


def refusal(label: str, node: str, jobs: Sequence[Job]) -> Problem | None:
    """Why Proxmox VE would refuse to remove a VM: without C(purge) it does where HA or a replication job knows it."""
    kept = [job for job in jobs if job.effect is Effect.STAYS and job.kind in (Kind.REPLICATION, Kind.HA)]
    if not kept:
        return None
    names = " and ".join(job.label for job in kept)
    commands = " and ".join(
        f"ha-manager remove {job.name}" if job.kind is Kind.HA else f"pvesr delete {job.name}" for job in kept
    )
    others = [job.label for job in jobs if job not in kept]
    also = f", which takes it out of {', '.join(others)}, too" if others else ""
    return Problem(
        "kept",
        label,
        f"Proxmox VE does not remove a VM while there is {names}.",
        f"Remove that first, on node {node}: {commands}. Or set purge (destroy.yml: -e tazlab_destroy_purge=true)"
        f"{also}.",
    )


def _rows(client: ProxmoxClient, path: str, what: str, unread: list[str]) -> list[Mapping[str, t.Any]]:
    try:
        return list(client.get(path))
    except ProxmoxError as error:
        if error.status != 403:
            raise
        unread.append(
            f"Which {what} name the VMs could not be looked at: the API token lacks Sys.Audit on /. To see it: "
            f"pvesh get /{path} on a node."
        )
        return []


def _backup_jobs(
    guest: Guest, rows: Sequence[Mapping[str, t.Any]], going: Collection[int], purge: bool, shown: Callable[[str], str]
) -> list[Job]:
    """Jobs that list the VM or its pool, or leave it out. A job without any VM left is removed by Proxmox VE."""
    found = []
    for row in rows:
        name = shown(str(row.get("id")))
        note = f" ({shown(str(row['comment']))})" if row.get("comment") else ""
        listed, excluded = _vmids(row.get("vmid")), _vmids(row.get("exclude"))
        if guest.vmid in listed:
            effect = Effect.STAYS
            if purge:
                effect = Effect.TAKEN_OUT if listed - set(going) else Effect.REMOVED
            found.append(Job(Kind.BACKUP, name, effect, note))
        elif guest.vmid in excluded and not listed:
            found.append(Job(Kind.EXCLUSION, name, Effect.TAKEN_OUT if purge else Effect.STAYS, note))
        elif guest.pool and row.get("pool") == guest.pool:
            found.append(Job(Kind.POOL, guest.pool, Effect.TAKEN_OUT, f", which backup job {name}{note} saves"))
    return found


def _replication_jobs(guest: Guest, rows: Sequence[Mapping[str, t.Any]], purge: bool) -> list[Job]:
    effect = Effect.REMOVED if purge else Effect.STAYS
    return [
        Job(Kind.REPLICATION, str(row.get("id")), effect, f" to node {row.get('target')}")
        for row in rows
        if str(row.get("guest")) == str(guest.vmid)
    ]


def _ha_resources(guest: Guest, purge: bool) -> list[Job]:
    effect = Effect.REMOVED if purge else Effect.STAYS
    return [Job(Kind.HA, f"vm:{guest.vmid}", effect)] if guest.ha_managed else []


def _vmids(text: t.Any) -> set[int]:
    return {int(part) for part in re.split(r"[\s,;]+", str(text or "")) if part.isdecimal()}
