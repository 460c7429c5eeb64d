# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A living cluster's versions and schematic are not changed by a configuration: what to say where they would be.

Talos moves by C{talosctl upgrade}, Kubernetes by C{talosctl upgrade-k8s}, each one minor version at a time and node by
node. New images in a configuration would move all nodes at once. Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.tazlab.bootstrap.plugins.module_utils._inventory import numbers
from ansible_collections.tazlab.bootstrap.plugins.module_utils._talos_cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.module_utils._talos_config import main_document
from ansible_collections.tazlab.bootstrap.plugins.module_utils._talos_nodes import Found, Standing, by_hand

# Where a configuration names the images of Kubernetes, whose tags carry its version.
KUBERNETES_IMAGES = (
    ("machine", "kubelet"),
    ("cluster", "apiServer"),
    ("cluster", "controllerManager"),
    ("cluster", "scheduler"),
    ("cluster", "proxy"),
)
INSTALLER = ("machine", "install")


@dataclass(frozen=True)
class Living:
    """A configured node: what it runs, what it is to run, and the image that would bring it there."""

    node: Node
    talos: str
    schematic: str
    kubernetes: frozenset[str]
    wanted_kubernetes: frozenset[str] = field(default=frozenset())
    installer: str = ""


@dataclass(frozen=True)
class Wanted:
    """The versions of the inventory, and the credentials that a person's commands use."""

    talos: str
    schematic: str
    talosconfig: Path


def living(
    found: Mapping[Node, Found], wanted: Mapping[Node, bytes], schematic: Callable[[Node], str | None]
) -> list[Living]:
    """The configured nodes. The schematic that runs is asked for only where another installer is wanted."""
    nodes = []
    for node, config in wanted.items():
        each = found[node]
        if each.standing is not Standing.OURS:
            continue
        now, then = main_document(each.persistent), main_document(config)
        installer = _image(then, INSTALLER)
        same = _image(now, INSTALLER) == installer
        nodes.append(
            Living(
                node,
                talos=each.look.version or "",
                schematic="" if same else schematic(node) or "",
                kubernetes=_tags(now),
                wanted_kubernetes=_tags(then),
                installer=installer,
            )
        )
    return nodes


def change_problems(nodes: list[Living], wanted: Wanted) -> Iterator[str]:
    """Every change of a living cluster's versions or schematic, each with the procedure that makes it."""
    yield from _talos_problems(nodes, wanted)
    yield from _schematic_problems(nodes, wanted)
    yield from _kubernetes_problems(nodes, wanted)


def _talos_problems(nodes: list[Living], wanted: Wanted) -> Iterator[str]:
    moved = [each for each in nodes if each.talos and numbers(each.talos) != numbers(wanted.talos)]
    if not moved:
        return
    lowest = min(moved, key=lambda each: numbers(each.talos)).talos
    head = f"Talos {wanted.talos} is wanted, and {_runs({each.node.name: each.talos for each in moved})}. "
    problem = _step_problem("Talos", "tazlab_talos.version", lowest, wanted.talos)
    yield head + (problem or f"To move, upgrade the nodes yourself. {_upgrade(moved, wanted)}")


def _schematic_problems(nodes: list[Living], wanted: Wanted) -> Iterator[str]:
    """A changed set of extensions, where Talos' version stays. It is installed in the same way."""
    moved = [
        each
        for each in nodes
        if each.schematic and each.schematic != wanted.schematic and numbers(each.talos) == numbers(wanted.talos)
    ]
    if moved:
        runs = _runs({each.node.name: f"{each.schematic[:12]}..." for each in moved})
        yield (
            f"The schematic {wanted.schematic[:12]}... is wanted, and {runs}. To change the extensions, install the "
            f"new image yourself. {_upgrade(moved, wanted)}"
        )


def _upgrade(moved: list[Living], wanted: Wanted) -> str:
    """The procedure: each node by itself, with the image of the inventory's schematic, control planes first."""
    ordered = sorted(moved, key=lambda each: not each.node.is_control_plane)
    commands = [
        by_hand(wanted.talosconfig, each.node, "upgrade", "--image", _moved(each.installer, wanted)) for each in ordered
    ]
    return (
        "One after the other, each when the one before is Ready again (a talosctl of the wanted version, a snapshot of "
        f"etcd before: talosctl etcd snapshot), then run this again:{_lines(commands)}"
    )


def _moved(installer: str, wanted: Wanted) -> str:
    """The installer that the node is to have: the configuration's, of the wanted version."""
    return f"{installer.rpartition(':')[0]}:{wanted.talos}"


def _kubernetes_problems(nodes: list[Living], wanted: Wanted) -> Iterator[str]:
    moved = {
        each.node.name: ", ".join(sorted(each.kubernetes - each.wanted_kubernetes))
        for each in nodes
        if each.kubernetes - each.wanted_kubernetes
    }
    control_planes = [each.node for each in nodes if each.node.is_control_plane]
    if not moved:
        return
    tags = {tag for each in nodes for tag in each.kubernetes - each.wanted_kubernetes}
    lowest = min(tags, key=numbers)
    then = max((tag for each in nodes for tag in each.wanted_kubernetes), key=numbers)
    head = f"Kubernetes {then} is wanted, and {_runs(moved)}. "
    problem = _step_problem("Kubernetes", "tazlab_talos.kubernetes_version", lowest, then)
    if problem or not control_planes:
        yield head + (problem or "Its control planes do not answer; only they can change that.")
        return
    command = by_hand(wanted.talosconfig, control_planes[0], "upgrade-k8s", "--to", then.removeprefix("v"))
    yield (
        f"{head}To move, upgrade it yourself (a snapshot of etcd before: talosctl etcd snapshot; look first, with "
        f"--dry-run), then run this again:{_lines([command])}"
    )


def _step_problem(program: str, setting: str, found: str, wanted: str) -> str | None:
    """Why there is no way from one version to the other, if there is none: back, or over a minor version."""
    now, then = numbers(found), numbers(wanted)
    if then < now:
        return (
            f"{program} does not go back to an older version. Set {setting} to what runs; or destroy the cluster and "
            "let it be born with the older one."
        )
    if then[0] != now[0] or then[1] > now[1] + 1:
        return (
            f"{program} moves one minor version at a time. Set {setting} to the newest {now[0]}.{now[1] + 1} first, "
            "and follow what is said then."
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


def _image(document: Mapping[str, Any], path: tuple[str, str]) -> str:
    outer, inner = path
    found = (document.get(outer) or {}).get(inner) or {}
    return str(found.get("image") or "") if isinstance(found, Mapping) else ""


def _tags(document: Mapping[str, Any]) -> frozenset[str]:
    images = [_image(document, path) for path in KUBERNETES_IMAGES]
    return frozenset(image.rpartition(":")[2] for image in images if image)
