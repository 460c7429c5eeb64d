# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would keep the VMs from being made, found without changing anything: privileges, nodes, storages, vmids.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.checks import bridge_problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxClient
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Cluster, Guest, Privileges
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import mark_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.settle import MAKING, read_cluster

_CONFIG: t.Final = ("CDROM", "CPU", "Cloudinit", "Disk", "HWType", "Memory", "Network", "Options")
LIMITED: t.Final = " For a token that is limited to a pool, name that pool (tazlab_proxmox.pool)."
_VM: t.Final = ["VM.Allocate", "VM.Audit", *(f"VM.Config.{part}" for part in _CONFIG), "VM.PowerMgmt"]


@dataclass(frozen=True)
class Place:
    """Where one VM is to stand."""

    name: str
    vmid: int
    node: str


@dataclass(frozen=True)
class Targets:
    """What the VMs' phase uses."""

    cluster: str
    storage: str
    image_storage: str
    bridge: str
    places: Sequence[Place]
    pool: str = ""


def readable(rows: Sequence[Mapping[str, t.Any]]) -> list[Place]:
    """The VMs whose vmid and node are given. What lacks them is for the check of the inventory to report."""
    return [
        Place(str(row.get("name")), int(str(row["vmid"])), str(row["node"]))
        for row in rows
        if row.get("node") and str(row.get("vmid") or "").isdecimal()
    ]


def preflight(client: ProxmoxClient, targets: Targets) -> tuple[list[Problem], list[str]]:
    """Every problem; and the names of the VMs that are not there."""
    privileges = Privileges(client.get("access/permissions"))
    cluster = read_cluster(client)
    nodes = list(dict.fromkeys(place.node for place in targets.places))
    pools = {vmid: guest.pool for vmid, guest in cluster.guests.items() if guest.pool}
    problems = list(privilege_problems(privileges, targets, nodes, pools))
    problems += list(_node_problems(cluster, targets, nodes))
    problems += list(_vmid_problems(cluster, targets))
    for node in nodes:
        if cluster.nodes.get(node):
            problems += bridge_problem(client, node, targets.bridge)
    return problems, [place.name for place in targets.places if place.vmid not in cluster.guests]


def privilege_problems(
    privileges: Privileges, targets: Targets, nodes: Sequence[str], pools: Mapping[int, str]
) -> Iterator[Problem]:
    """What the token lacks, path by path. C(pools): the pools of VMs that are there, by vmid."""
    wanted = {}
    for place in targets.places:
        pool = pools.get(place.vmid, targets.pool)
        if not pool or privileges.lacking(f"/pool/{pool}", _VM):  # a privilege on a pool holds for its VMs
            wanted[f"/vms/{place.vmid}"] = _VM
    for storage, names in _storage_privileges(targets):
        wanted[f"/storage/{storage}"] = [*wanted.get(f"/storage/{storage}", []), *names]
    if privileges.lacking("/", ["Sys.Audit", "Sys.Modify"]):  # which would allow a download, too
        wanted |= {f"/nodes/{node}": ["Sys.AccessNetwork"] for node in nodes}
    # A VNet lies in a zone of its own, which its name does not tell: then the node's list of bridges decides.
    if not privileges.holds_below("/sdn/zones", targets.bridge, "SDN.Use"):
        wanted[f"/sdn/zones/localnetwork/{targets.bridge}"] = ["SDN.Use"]
    lacks: dict[tuple[str, ...], list[str]] = {}
    for path, names in wanted.items():
        missing = tuple(privileges.lacking(path, names))
        if missing:
            lacks.setdefault(missing, []).append(path)
    for missing, paths in lacks.items():
        yield Problem(
            "privileges",
            "API token",
            f"it lacks {', '.join(missing)} on {', '.join(paths)}.",
            f"Grant a role that holds this: pveum acl modify {paths[0]} --tokens 'USER!NAME' --roles ROLE "
            "(with privilege separation, the user needs it too)."
            + (LIMITED if "VM.Allocate" in missing and not targets.pool else ""),
        )


def _storage_privileges(targets: Targets) -> Iterator[tuple[str, list[str]]]:
    if targets.storage:
        yield targets.storage, ["Datastore.AllocateSpace"]
    if targets.image_storage:
        yield targets.image_storage, ["Datastore.AllocateTemplate"]


def _node_problems(cluster: Cluster, targets: Targets, nodes: Sequence[str]) -> Iterator[Problem]:
    for node in nodes:
        found = cluster.node_problem(node)
        if found:
            yield found
            continue
        for storage, content in ((targets.storage, "images"), (targets.image_storage, "import")):
            found = cluster.storage_problem(node, storage, content) if storage else None
            if found:
                yield found


def _vmid_problems(cluster: Cluster, targets: Targets) -> Iterator[Problem]:
    mark = mark_of(targets.cluster)
    if not targets.cluster:
        return  # that it lacks is for the check of the inventory to report
    for place in targets.places:
        guest = cluster.guests.get(place.vmid)
        if guest is not None and not guest.carries(mark) and not _in_the_making(guest):
            yield Problem(
                "foreign",
                f"{place.name} (vmid {place.vmid})",
                f"the vmid belongs to somebody else: {guest.description} has no tag {mark}. It is not touched.",
                "Choose a vmid that is free.",
            )


def _in_the_making(guest: Guest) -> bool:
    """A former run may still be at work on it; the VMs' phase waits for that and decides then."""
    return guest.kind == "qemu" and guest.lock in MAKING and not guest.tags
