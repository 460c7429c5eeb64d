# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a VM cannot be made, completed or removed, told before anything is changed.

Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem, texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import numbered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import ProxmoxClient, ProxmoxError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Cluster, Guest
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import (
    UNFINISHED,
    Machine,
    Source,
    mark_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.jobs import refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.plans import COMPLETE, START, Plan
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.settle import SUSPENDED


def guest_problem(guest: Guest, machine: Machine, mark: str, cluster: Cluster) -> Problem | None:
    """Why a guest that already has this vmid cannot be the wanted VM."""
    if not guest.carries(mark):
        return Problem(
            "foreign",
            machine.label,
            f"the vmid belongs to somebody else: {guest.description} has no tag {mark}. It is not touched.",
            "Choose a vmid that is free. Or, if it is a machine of this cluster that others made, take it over first: "
            "ansible-playbook -i INVENTORY tazlab.bootstrap.adopt",
        )
    if guest.template:
        what = f"{guest.description} is a template and cannot run."
        return Problem("template", machine.label, what, "Choose a vmid that is free.")
    if not cluster.nodes.get(guest.node, False):
        what = f"its node {guest.node} is offline."
        return Problem("offline", machine.label, what, "Bring it back, or leave the VM out.")
    return None


def adoption_problems(machines: Sequence[Machine], mark: str, cluster: Cluster) -> Iterator[Problem]:
    """Why VMs that others made cannot be taken for the wanted ones."""
    listed = {machine.vmid for machine in machines}
    for guest in cluster.marked(mark):
        if guest.vmid not in listed:
            yield Problem(
                "marked_elsewhere",
                guest.description,
                f"it carries the tag {mark}, and the inventory does not name it.",
                "If it is this cluster's, add it to the inventory. If another cluster has the same name, give one of "
                "them another (tazlab_cluster): destroying one would remove the VMs of both.",
            )
    for machine in machines:
        found = cluster.guests.get(machine.vmid)
        if found is None:
            what = f"there is no VM {machine.vmid} that the token may see."
            yield Problem("absent", machine.label, what, "Correct its vmid, or leave the host out until it is made.")
            continue
        others = sorted(tag for tag in found.tags if tag.startswith(mark_of("")) and tag != mark)
        if found.kind != "qemu" or found.template:
            what = f"{found.description} is not a VM that can run."
            yield Problem("foreign", machine.label, what, "Correct its vmid.")
        elif others:
            what = f"{found.description} carries what marks another cluster: {', '.join(others)}."
            yield Problem("foreign", machine.label, what, "Correct its vmid.")
        elif found.name != machine.name:
            yield Problem(
                "foreign",
                machine.label,
                f"{found.description} has another name, so it may be another machine. It is not marked.",
                f"Correct the vmid; or, if it is this machine, give both the same name: qm set {found.vmid} --name "
                f"{machine.name}",
            )


def placement_problems(new: Sequence[Machine], cluster: Cluster, source: Source) -> Iterator[Problem]:
    """What keeps new VMs from being created, as far as the cluster's resources tell."""
    ours = {guest.name: guest for guest in cluster.marked(source.mark)}
    for machine in new:
        if machine.name in ours and ours[machine.name].vmid != machine.vmid:
            yield Problem(
                "other_vmid",
                machine.label,
                f"this cluster already has {ours[machine.name].description}.",
                "Give it that vmid again, or remove that VM first.",
            )
        found = cluster.node_problem(machine.node) or cluster.storage_problem(machine.node, source.storage, "images")
        if found:
            yield Problem(found.code, f"{machine.label}: {found.subject}", found.what, found.step)


def reading_problems(
    client: ProxmoxClient, new: Sequence[Machine], cluster: Cluster, source: Source, *, check_mode: bool
) -> Iterator[Problem]:
    """What only further questions show: vmids that the token may not see, bridges, the image."""
    for machine in (machine for machine in new if machine.vmid not in cluster.guests):
        try:
            client.get("cluster/nextid", vmid=machine.vmid)
        except ProxmoxError as error:
            if error.status != 400:
                raise
            what = "the vmid belongs to a guest that the token may not see."
            yield Problem("hidden", machine.label, what, "Choose a vmid that is free.")
    for node, bridge in dict.fromkeys((machine.node, machine.bridge) for machine in new):
        yield from bridge_problem(client, node, bridge)
    if not check_mode:  # then the image may be one that a run would still fetch
        for node in dict.fromkeys(machine.node for machine in new):
            yield from volume_problem(client, node, cluster, source)


def bridge_problem(client: ProxmoxClient, node: str, bridge: str) -> Iterator[Problem]:
    """Whether the token may use a bridge of a node."""
    found = {str(row.get("iface")) for row in client.get(f"nodes/{node}/network", type="any_bridge")}
    if bridge not in found:
        yield Problem(
            "no_bridge",
            f"bridge {bridge} on node {node}",
            f"it is not there, or the token has no SDN.Use on /sdn/zones/localnetwork/{bridge} (for a VNet, on "
            "/sdn/zones/ZONE/VNET).",
            f"The token sees: {', '.join(sorted(found)) or 'none'}.",
        )


def volume_problem(client: ProxmoxClient, node: str, cluster: Cluster, source: Source) -> Iterator[Problem]:
    """Whether the image or ISO of new VMs lies on a node."""
    if not (source.image or source.iso):
        what = "neither an image nor an iso is given."
        yield Problem("no_image", "image", what, "Give one, so that VMs can be created from it.")
        return
    volume, content = (source.image, "import") if source.image else (source.iso, "iso")
    storage = volume.partition(":")[0]
    found = cluster.storage_problem(node, storage, content)
    if found:
        yield found
        return
    rows = client.get(f"nodes/{node}/storage/{storage}/content", content=content)
    if not any(row.get("volid") == volume for row in rows):
        step = "Put it there first, e.g. with tazlab.bootstrap.proxmox_image."
        yield Problem("no_volume", f"node {node}", f"there is no volume {volume}.", step)


def lock_problems(plans: Sequence[Plan]) -> Iterator[Problem]:
    """VMs with a lock that does not go by itself, where something is to be done that it prevents."""
    for plan in plans:
        guest = plan.guest
        if guest is None or not guest.lock or not plan.actions:
            continue
        if guest.lock != SUSPENDED:
            yield Problem(
                "locked",
                plan.machine.label,
                f"it is locked ({guest.lock}).",
                f"Look what works on it on node {guest.node} (pvenode task list --source active), and run this again "
                "when that has ended.",
            )
        elif plan.actions != (START,):  # by which it goes on where it was
            yield Problem(
                "suspended",
                plan.machine.label,
                "it is suspended, its memory lies on its disk.",
                f"On node {guest.node}: qm start {guest.vmid} lets it go on; qm unlock {guest.vmid} throws its memory "
                "away. Then run this again.",
            )


def completion_problems(plans: Sequence[Plan]) -> Iterator[Problem]:
    """VMs that say that they are half made, and look otherwise."""
    for plan in plans:
        if COMPLETE in plan.actions and "scsi0" not in plan.config.now:
            yield Problem(
                "not_half_made",
                plan.machine.label,
                "its notes say that its making has not ended, and it has no disk scsi0, so it cannot be completed. It "
                "is not touched.",
                f"Look at it on node {plan.node}: qm config {plan.machine.vmid}. If you made it what it is, take "
                f'"{UNFINISHED.strip()}" out of its notes; if it holds nothing, remove it: '
                f"qm destroy {plan.machine.vmid} (deletes it for ever, with the disks that its configuration names). "
                "Then run this again.",
            )


def removal_problems(plans: Sequence[Plan]) -> Iterator[Problem]:
    """What Proxmox VE would not remove, foretold before anything is stopped."""
    for plan in plans:
        if plan.config.protected:
            step = f"To lose it: qm set {plan.machine.vmid} --protection 0"
            yield Problem("protected", plan.machine.label, "it is protected from removal.", step)
    yield from lock_problems(plans)
    for plan in plans:
        found = refusal(plan.machine.label, plan.node, plan.jobs)
        if found is not None:
            yield found


def refuse(problems: Sequence[Problem]) -> None:
    """Raise one error for all problems."""
    if not problems:
        return
    told = texts(problems)
    if len(told) == 1:
        message = f"{told[0]} Nothing was changed."
    else:
        message = f"{len(told)} problems; nothing was changed.{numbered(told)}"
    raise BootstrapError(message, code=problems[0].code, subject=problems[0].subject)
