# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A living cluster's versions and schematic are not changed by a configuration: what to say where they would be.

Talos moves by C(talosctl upgrade), Kubernetes by C(talosctl upgrade-k8s), each one minor version at a time and node by
node. New images in a configuration would move all nodes at once. Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import installer, kubernetes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found, Standing, by_hand
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import numbers

# The schematic without any extension. An image of it may tell none.
VANILLA = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"


# Another way, for who upgrades so.
REBIRTH = (
    "\n    Or let the cluster be destroyed and born again with what the inventory has: ansible-playbook -i INVENTORY "
    "tazlab.bootstrap.rebirth --check"
)


@dataclass(frozen=True)
class Living:
    """A configured node: what it runs, what it is to run, and the image that would bring it there."""

    node: Node
    talos: str
    schematic: str | None
    kubernetes: frozenset[str]
    wanted_kubernetes: frozenset[str]
    installer: str


@dataclass(frozen=True)
class Wanted:
    """The versions of the inventory, and the credentials that a person's commands use."""

    talos: str
    schematic: str
    talosconfig: Path
    usable: bool = True  # a talosconfig that is not is made anew by a run that changes no version


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
                installer=installer(config),
            )
        )
    return nodes


def change_problems(nodes: list[Living], wanted: Wanted) -> Iterator[Problem]:
    """Every change of a living cluster's versions or schematic, each with the procedure that makes it."""
    found = [
        *_talos_problems(nodes, wanted),
        *_schematic_problems(nodes, wanted),
        *_kubernetes_problems(nodes, wanted),
    ]
    for problem in found:
        step = problem.step if wanted.usable else f"{problem.step}{_renew(wanted)}"
        yield replace(problem, step=f"{step}{REBIRTH}" if problem is found[-1] else step)


def _renew(wanted: Wanted) -> str:
    return (
        f"\n    {wanted.talosconfig} cannot be used for that now. It is made anew by a run with the versions and the "
        "schematic that run."
    )


def _talos_problems(nodes: list[Living], wanted: Wanted) -> Iterator[Problem]:
    moved = [each for each in nodes if each.talos and numbers(each.talos) != numbers(wanted.talos)]
    if not moved:
        return
    what = f"Talos {wanted.talos} is wanted, and {_runs({each.node.name: each.talos for each in moved})}."
    no_way = _no_way("Talos", "tazlab_talos.version", [each.talos for each in moved], wanted.talos)
    step = no_way or f"To move, upgrade the nodes yourself. {_upgrade(nodes, moved, wanted)}"
    yield Problem("other_talos", "", what, step)


def _schematic_problems(nodes: list[Living], wanted: Wanted) -> Iterator[Problem]:
    """A changed set of extensions, where Talos' version stays. It is installed in the same way."""
    moved = [
        each
        for each in nodes
        if each.schematic is not None
        and (each.schematic or VANILLA) != wanted.schematic
        and numbers(each.talos) == numbers(wanted.talos)
    ]
    if moved:
        runs = _runs({each.node.name: f"{each.schematic[:12]}..." if each.schematic else "none" for each in moved})
        yield Problem(
            "other_schematic",
            "",
            f"The schematic {wanted.schematic[:12]}... is wanted, and {runs}.",
            f"To change the extensions, install the new image yourself. {_upgrade(nodes, moved, wanted)}",
        )


def _upgrade(nodes: list[Living], moved: list[Living], wanted: Wanted) -> str:
    """The procedure: each node by itself, with the image of the inventory's schematic, control planes first."""
    ordered = sorted(moved, key=lambda each: not each.node.is_control_plane)
    commands = [
        by_hand(wanted.talosconfig, each.node, "upgrade", "--image", _moved(each.installer, wanted)) for each in ordered
    ]
    return (
        "A snapshot of etcd first; then one node after the other, each when the one before is Ready again, with a "
        f"talosctl of the wanted version; then run this again:{_lines([*_snapshot(nodes, wanted), *commands])}"
    )


def _snapshot(nodes: list[Living], wanted: Wanted) -> list[str]:
    control_planes = [each.node for each in nodes if each.node.is_control_plane]
    file = f"etcd-before-{wanted.talos}.snapshot"
    return [by_hand(wanted.talosconfig, node, "etcd", "snapshot", file) for node in control_planes[:1]]


def _moved(installer: str, wanted: Wanted) -> str:
    """The installer that the node is to have: the configuration's, of the wanted version."""
    return f"{installer.rpartition(':')[0]}:{wanted.talos}"


def _kubernetes_problems(nodes: list[Living], wanted: Wanted) -> Iterator[Problem]:
    moved = {each.node.name: each.kubernetes - each.wanted_kubernetes for each in nodes if each.wanted_kubernetes}
    tags = sorted({tag for found in moved.values() for tag in found}, key=numbers)
    if not tags:
        return
    then = max((tag for each in nodes for tag in each.wanted_kubernetes), key=numbers)
    runs = _runs({name: ", ".join(sorted(found, key=numbers)) for name, found in moved.items() if found})
    no_way = _no_way("Kubernetes", "tazlab_talos.kubernetes_version", tags, then)
    control_planes = [each.node for each in nodes if each.node.is_control_plane]
    if not no_way and not control_planes:
        no_way = "Its control planes do not answer; only they can change that."
    step = no_way or _kubernetes_upgrade(nodes, control_planes[0], then, wanted)
    yield Problem("other_kubernetes", "", f"Kubernetes {then} is wanted, and {runs}.", step)


def _kubernetes_upgrade(nodes: list[Living], control_plane: Node, then: str, wanted: Wanted) -> str:
    command = by_hand(wanted.talosconfig, control_plane, "upgrade-k8s", "--to", then.removeprefix("v"))
    return (
        "To move, upgrade it yourself: a snapshot of etcd first, and a look with --dry-run; then run this again:"
        f"{_lines([*_snapshot(nodes, wanted), command])}"
    )


def _no_way(program: str, setting: str, found: Sequence[str], wanted: str) -> str | None:
    """Why there is no way from what runs to the wanted version, if there is none: back, or over a minor version."""
    then = numbers(wanted)
    lowest, highest = min(map(numbers, found)), max(map(numbers, found))
    if then < highest:
        newest = max(found, key=numbers)
        return (
            f"{program} does not go back to an older version. Set {setting} to {newest}, which runs; only a cluster "
            "that is born anew can have an older one."
        )
    if then[0] != lowest[0] or then[1] > lowest[1] + 1:
        return (
            f"{program} moves one minor version at a time. Set {setting} to the newest {lowest[0]}.{lowest[1] + 1} "
            "first, and follow what is said then."
        )
    return None


def _runs(found: Mapping[str, str]) -> str:
    by_version: dict[str, list[str]] = {}
    for name, version in found.items():
        by_version.setdefault(version, []).append(name)
    parts = [f"{', '.join(names)} {'runs' if len(names) == 1 else 'run'} {what}" for what, names in by_version.items()]
    return "; ".join(parts)


def _lines(commands: list[str]) -> str:
    return "".join(f"\n    {command}" for command in commands)
