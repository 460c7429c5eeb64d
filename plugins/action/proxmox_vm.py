# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(proxmox_vm): Talos' VMs are created and started, or removed."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.diff import difference, show_diff
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import BRIDGE
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.checks import refuse
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import (
    ARGUMENTS,
    Connection,
    ProxmoxClient,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Cluster
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import (
    MACHINE_ARGUMENTS,
    Machine,
    Source,
    completion,
    creation,
    vm_problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.plans import (
    COMPLETE,
    CREATE,
    DELETE,
    MARK,
    Plan,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.tasks import Tasks
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.vms import VmLayer


class ActionModule(ControllerAction):
    secret_result: t.ClassVar[bool] = True
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **ARGUMENTS,
        "task_timeout": {"type": "int", "default": 1800},
        "cluster": {"type": "str", "required": True},
        "vms": {"type": "list", "elements": "dict", "required": True, "options": MACHINE_ARGUMENTS},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "storage": {"type": "str"},
        "image": {"type": "str"},
        "iso": {"type": "str"},
        "bridge": {"type": "str", "default": BRIDGE},
        "pool": {"type": "str"},
        "agent": {"type": "bool", "default": False},
        "purge": {"type": "bool", "default": False},
        "adopt": {"type": "bool", "default": False},
        "reborn": {"type": "bool", "default": False},
    }
    spec_rules: t.ClassVar[dict[str, t.Any]] = {
        "mutually_exclusive": [["image", "iso"]],
        "required_if": [["state", "present", ["storage"]]],
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        source = Source(
            cluster=str(params["cluster"]),
            storage=str(params["storage"] or ""),
            image=str(params["image"] or ""),
            iso=str(params["iso"] or ""),
            agent=params["agent"],
            pool=str(params["pool"] or ""),
        )
        present = params["state"] == "present"
        refuse(vm_problems(params["vms"], source.cluster))
        machines = [Machine.read(row, str(params["bridge"])) for row in params["vms"]]
        connection = Connection.from_params(params)
        client = ProxmoxClient(connection)
        tasks = Tasks(client, timeout=params["task_timeout"], progress=self.progress)
        layer = VmLayer(client, tasks, source, self.progress, purge=params["purge"])
        end = "running" if present else "absent"
        if present and params["adopt"]:
            plans, cluster = layer.adopted(machines)
        elif present:
            reborn = params["reborn"] and self.check_mode
            plans, cluster = layer.present(machines, check_mode=self.check_mode, reborn=reborn)
        else:
            plans, cluster = layer.absent(machines)
        diff = [_diff(plan, source, end) for plan in plans if plan.actions]
        if self.diff_mode:
            show_diff(diff)
        if not self.check_mode:
            plans = layer.carry_out(plans)
        return {
            "changed": any(plan.actions for plan in plans),
            "vms": [_result(plan, plan.status if self.check_mode or params["adopt"] else end) for plan in plans],
            "unlisted": _unlisted(cluster, machines, source),
            "warnings": [
                *connection.warnings,
                *tasks.warnings,
                *layer.warnings,
                *(_drift_warning(plan) for plan in plans if plan.drift),
            ],
            "diff": diff,
        }


def _result(plan: Plan, status: str) -> dict[str, t.Any]:
    return {
        "name": plan.machine.name,
        "vmid": plan.machine.vmid,
        "node": plan.node,
        "status": status,
        "changed": bool(plan.actions),
        "actions": list(plan.actions),
        "drift": [{"setting": found.setting, "wanted": found.wanted, "found": found.found} for found in plan.drift],
        "jobs": [
            {"kind": job.kind.name.lower(), "name": job.name, "effect": job.effect.value, "text": str(job)}
            for job in plan.jobs
        ],
    }


def _unlisted(cluster: Cluster, machines: list[Machine], source: Source) -> list[dict[str, t.Any]]:
    """VMs of this cluster that the list does not name."""
    listed = {machine.vmid for machine in machines}
    return [
        {"name": guest.name, "vmid": guest.vmid, "node": guest.node, "status": guest.status}
        for guest in cluster.marked(source.mark)
        if guest.vmid not in listed
    ]


def _drift_warning(plan: Plan) -> str:
    found = "; ".join(str(difference) for difference in plan.drift)
    return f"{plan.machine.label} on node {plan.node} differs from what is wanted and is left so: {found}."


def _diff(plan: Plan, source: Source, end: str) -> dict[str, t.Any]:
    before: dict[str, t.Any] = {"status": plan.status} if plan.guest else {}
    after: dict[str, t.Any] = {"status": end} if DELETE not in plan.actions else {}
    if CREATE in plan.actions:
        made = {key: value for key, value in creation(plan.machine, source).items() if key != "vmid"}
        after |= {**made, **completion(str(made["description"])), "node": plan.node, "disk": f"{plan.machine.disk} GiB"}
    elif COMPLETE in plan.actions:
        change = {key: str(value) for key, value in completion(plan.config.notes).items()}
        before |= {"disk": f"{plan.config.disk_gib:g} GiB", **{key: plan.config.now.get(key, "") for key in change}}
        after |= {"disk": f"{max(plan.machine.disk, plan.config.disk_gib):g} GiB", **change}
    elif MARK in plan.actions and plan.guest:
        before = {"tags": ";".join(sorted(plan.guest.tags))}
        after = {"tags": ";".join(sorted({*plan.guest.tags, source.mark}))}
    return difference(plan.machine.label, _text(before), _text(after))


def _text(config: dict[str, t.Any]) -> str:
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in sorted(config.items()))
