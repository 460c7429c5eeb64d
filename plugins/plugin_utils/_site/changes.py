# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has created, changed and removed, or would in check mode, and what waits for somebody's decision. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class Changes:
    """Each list has what it is about, in words, in the order of the phases."""

    create: list[str] = field(default_factory=list)
    change: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, list[str]]:
        return {"create": self.create, "change": self.change, "remove": self.remove, "waiting": self.waiting}


def changes(
    *,
    vms: Iterable[Mapping[str, t.Any]],
    nodes: Iterable[Mapping[str, t.Any]],
    seeds: Iterable[Mapping[str, t.Any]],
    flux: Iterable[Mapping[str, t.Any]],
    drift: Iterable[Mapping[str, t.Any]],
    waiting: Iterable[str] = (),
) -> Changes:
    """From what the phases tell of VMs, nodes and Kubernetes objects, and of where the anchor differs.

    C(waiting): what else waits for somebody; a command stands on a line of its own.
    """
    found = Changes()
    for vm in vms:
        actions = vm.get("actions") or []
        name = f"VM {vm['name']}"
        if "create" in actions:
            found.create.append(name)
        elif "delete" in actions:
            found.remove.append(name)
        elif actions:
            found.change.append(f"{name} ({', '.join(actions)})")
        differences = [f"{one['setting']} is {one['found']}, wanted {one['wanted']}" for one in vm.get("drift") or []]
        if differences:
            found.waiting.append(f"{name} differs and is left so: {'; '.join(differences)}")
    found.change += [f"Node {node['name']} ({node['configuration']})" for node in nodes if node.get("changed")]
    seeds = list(seeds)
    for each in (*seeds, *flux):
        label = f"{each['kind']} {'/'.join(filter(None, [each.get('namespace'), each['name']]))}"
        if each.get("change") == "made":
            found.create.append(label)
        elif each.get("change") == "changed" and label not in found.create:
            found.change.append(label)  # what one phase made and a later one added to is told once, as made
    for each in seeds:
        held = ", ".join(f"{one['key']} ({one['manager']})" for one in each.get("held") or [])
        if held:
            name = "/".join(filter(None, [each.get("namespace"), each["name"]]))
            found.waiting.append(
                f"{each['kind']} {name} keeps labels or annotations that others set otherwise: {held}. Say the same in "
                "cluster_seed_objects, or change it there"
            )
        if each.get("leftovers"):
            keys = ", ".join(f"{left['key']} ({left['manager']})" for left in each["leftovers"])
            name = f"{each['namespace']}/{each['name']}"
            found.waiting.append(
                f"{each['kind']} {name} still holds what was left in it: {keys}. To remove that: "
                f"-e tazlab_seed_exact={name}"
            )
    found.waiting += [str(each["message"]) for each in drift]
    found.waiting += [str(each) for each in waiting]
    return found
