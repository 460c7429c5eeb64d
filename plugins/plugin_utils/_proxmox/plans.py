# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done with one VM until it runs, or is gone. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Guest
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import (
    NOTHING,
    Config,
    Difference,
    Machine,
    Source,
    differences,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.jobs import Job

# What is done with a VM, in this order.
STOP, DELETE, CREATE, COMPLETE, START, RESUME = "stop", "delete", "create", "complete", "start", "resume"
MARK = "mark"
DONE = {
    STOP: "stopped",
    DELETE: "deleted",
    CREATE: "created",
    COMPLETE: "completed",
    START: "started",
    RESUME: "resumed",
    MARK: "marked",
}


@dataclass(frozen=True)
class Plan:
    """What is to be done with one VM. C(guest) is what it is now, C(node) where it stands in the end."""

    machine: Machine
    guest: Guest | None
    node: str
    actions: tuple[str, ...] = ()
    drift: tuple[Difference, ...] = ()
    config: Config = NOTHING
    jobs: tuple[Job, ...] = ()

    @property
    def status(self) -> str:
        if self.guest is None:
            return "absent"
        return "paused" if self.guest.paused else self.guest.status


def plan_present(machine: Machine, source: Source, guest: Guest | None, config: Config) -> Plan:
    """What is missing until this VM runs.

    A VM of ours whose making a killed run left half done is completed: its disk only grows. None is ever deleted here.
    """
    if guest is None:
        return Plan(machine, None, machine.node, (CREATE, START))
    if guest.status != "running" and not config.finished:
        return Plan(machine, guest, guest.node, (COMPLETE, START), config=config)
    drift = tuple(differences(machine, source, config, guest.node))
    actions = (START,) if guest.status != "running" else (RESUME,) if guest.paused else ()
    return Plan(machine, guest, guest.node, actions, drift, config)


def plan_adopted(machine: Machine, source: Source, guest: Guest, config: Config) -> Plan:
    """That a VM which others made carries this cluster's mark. Nothing else of it is changed."""
    actions = () if guest.carries(source.mark) else (MARK,)
    return Plan(machine, guest, guest.node, actions, tuple(differences(machine, source, config, guest.node)), config)


def plan_absent(machine: Machine, guest: Guest | None, config: Config) -> Plan:
    """What is to be done until this VM is gone."""
    if guest is None:
        return Plan(machine, None, machine.node)
    stop = () if guest.status == "stopped" else (STOP,)
    return Plan(machine, guest, guest.node, (*stop, DELETE), config=config)
