# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A living cluster's versions and schematic are not changed by a configuration: what to say where they would be.

New images in a configuration would move all nodes at once; an upgrade moves one after the other. Private: other
collections must not import it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Cluster, Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import kubernetes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found, Standing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import numbers

# The schematic without any extension. An image of it may tell none.
VANILLA = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"

UPGRADE = "To move it node by node: ansible-playbook -i INVENTORY tazlab.bootstrap.upgrade --check"
# Another way, for who upgrades so.
REBIRTH = (
    "\n    Or let the cluster be destroyed and born again with what the inventory has: ansible-playbook -i INVENTORY "
    "tazlab.bootstrap.rebirth --check"
)


@dataclass(frozen=True)
class Living:
    """A configured node: what it runs, and the Kubernetes that it is to run."""

    node: Node
    talos: str
    schematic: str | None
    kubernetes: frozenset[str]
    wanted_kubernetes: frozenset[str]


def living(found: Mapping[Node, Found], wanted: Mapping[Node, bytes]) -> list[Living]:
    """The configured nodes."""
    nodes = []
    for node, config in wanted.items():
        each = found.get(node)
        if each is None or each.standing is not Standing.OURS:
            continue
        nodes.append(
            Living(
                node,
                talos=each.look.version or "",
                schematic=each.schematic,
                kubernetes=kubernetes(each.persistent),
                wanted_kubernetes=kubernetes(config),
            )
        )
    return nodes


def change_problems(nodes: list[Living], wanted: Cluster) -> Iterator[Problem]:
    """Every change of a living cluster's versions or schematic, with the playbook that makes it."""
    found = [
        *_talos_problems(nodes, wanted.version),
        *_schematic_problems(nodes, wanted),
        *_kubernetes_problems(nodes),
    ]
    for problem in found:
        yield replace(problem, step=f"{problem.step}{REBIRTH}") if problem is found[-1] else problem


def _talos_problems(nodes: list[Living], wanted: str) -> Iterator[Problem]:
    moved = {each.node.name: each.talos for each in nodes if each.talos and numbers(each.talos) != numbers(wanted)}
    if moved:
        what = f"Talos {wanted} is wanted, and {_runs(moved)}."
        no_way = _no_way("Talos", "tazlab_talos.version", list(moved.values()), wanted)
        yield Problem("other_talos", "", what, no_way or UPGRADE)


def _schematic_problems(nodes: list[Living], wanted: Cluster) -> Iterator[Problem]:
    """A changed set of extensions, where Talos' version stays. It is installed in the same way."""
    moved = [
        each
        for each in nodes
        if each.schematic is not None
        and (each.schematic or VANILLA) != wanted.schematic
        and numbers(each.talos) == numbers(wanted.version)
    ]
    if moved:
        runs = _runs({each.node.name: f"{each.schematic[:12]}..." if each.schematic else "none" for each in moved})
        yield Problem(
            "other_schematic", "", f"The schematic {wanted.schematic[:12]}... is wanted, and {runs}.", UPGRADE
        )


def _kubernetes_problems(nodes: list[Living]) -> Iterator[Problem]:
    moved = {each.node.name: each.kubernetes - each.wanted_kubernetes for each in nodes if each.wanted_kubernetes}
    tags = sorted({tag for found in moved.values() for tag in found}, key=numbers)
    if not tags:
        return
    then = max((tag for each in nodes for tag in each.wanted_kubernetes), key=numbers)
    runs = _runs({name: ", ".join(sorted(found, key=numbers)) for name, found in moved.items() if found})
    no_way = _no_way("Kubernetes", "tazlab_talos.kubernetes_version", tags, then)
    yield Problem("other_kubernetes", "", f"Kubernetes {then} is wanted, and {runs}.", no_way or UPGRADE)


def _no_way(program: str, setting: str, found: Sequence[str], wanted: str) -> str | None:
    """Why there is no way from what runs to the wanted version, if there is none: it would be the way back."""
    newest = max(found, key=numbers)
    if numbers(wanted) >= numbers(newest):
        return None
    return (
        f"{program} does not go back to an older version. Set {setting} to {newest}, which runs; only a cluster that "
        "is born anew can have an older one."
    )


def _runs(found: Mapping[str, str]) -> str:
    by_version: dict[str, list[str]] = {}
    for name, version in found.items():
        by_version.setdefault(version, []).append(name)
    parts = [f"{', '.join(names)} {'runs' if len(names) == 1 else 'run'} {what}" for what, names in by_version.items()]
    return "; ".join(parts)
