# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from what a cluster runs to what it is to run, and what speaks against them. Pure.

Talos and Kubernetes move one minor version at a time, and each Talos runs a range of Kubernetes only: where the next
Talos does not run today's Kubernetes any more, that moves first. Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Cluster, Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import (
    Minor,
    minor,
    named,
    numbers,
    pair_problem,
    talos_problem,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.versions import VANILLA
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import SCHEMATIC


@dataclass(frozen=True)
class Runs:
    """What a node runs. C(schematic) is None where it does not tell, and empty where it is none of the factory's."""

    node: Node
    talos: str
    schematic: str | None
    kubernetes: frozenset[str]


@dataclass(frozen=True)
class Step:
    """One step of all nodes to a version of Talos, or of the cluster to one of Kubernetes: never both."""

    talos: str = ""
    kubernetes: str = ""

    @property
    def text(self) -> str:
        return f"Talos {self.talos}" if self.talos else f"Kubernetes {self.kubernetes}"


def refusals(nodes: Sequence[Runs], wanted: Cluster) -> Iterator[Problem]:
    """Why there is no way, with the next step: nothing goes back, and nothing begins below what is supported."""
    for program, setting, runs, then in (
        ("Talos", "tazlab_talos.version", {each.talos for each in nodes}, wanted.version),
        ("Kubernetes", "tazlab_talos.kubernetes_version", _kubernetes(nodes), wanted.kubernetes_version),
    ):
        newest = max(runs, key=numbers, default="")
        if newest and numbers(newest) > numbers(then):
            yield Problem(
                "downgrade",
                setting,
                f"{program} {then} is wanted, and {newest} runs. It does not go back to an older version.",
                f"Set it to {newest}; only a cluster that is born anew can have an older one.",
            )
    for each in nodes:
        if problem := talos_problem(each.talos, each.node.name):
            yield problem


def steps(
    nodes: Sequence[Runs], wanted: Cluster, installers: Mapping[Node, str], newest: Callable[[Minor], str]
) -> list[Step]:
    """All steps, in their order.

    C(installers) has each node's, of any version; C(newest) tells the newest release of a minor version of Talos.
    """
    then, kubernetes = minor(wanted.version), minor(wanted.kubernetes_version)
    at = min(minor(each.talos) for each in nodes)
    runs = min((minor(version) for version in _kubernetes(nodes)), default=kubernetes)
    found = []
    while True:
        above = (at[0], at[1] + 1)
        if at < then and not pair_problem(named(above), named(runs), ""):
            found.append(Step(talos=wanted.version if above == then else newest(above)))
            at = above
        elif runs < kubernetes:
            runs = (runs[0], runs[1] + 1)
            # Of one on the way, any release will do; the first is there for certain.
            found.append(Step(kubernetes=wanted.kubernetes_version if runs == kubernetes else f"{named(runs)}.0"))
        else:
            break
    if not any(step.talos for step in found) and moved(nodes, Step(talos=wanted.version), wanted, installers):
        found.insert(0, Step(talos=wanted.version))
    patched = any(numbers(version) != numbers(wanted.kubernetes_version) for version in _kubernetes(nodes))
    if patched and not any(step.kubernetes for step in found):
        found.append(Step(kubernetes=wanted.kubernetes_version))
    return found


def moved(nodes: Sequence[Runs], step: Step, wanted: Cluster, installers: Mapping[Node, str]) -> list[Runs]:
    """The nodes that a step of Talos moves, in their order: control planes first.

    A step on the way moves only nodes of an older minor version, the last one also those with another schematic.
    """
    if step.talos != wanted.version:
        found = [each for each in nodes if minor(each.talos) < minor(step.talos)]
    else:
        found = [
            each
            for each in nodes
            if not runs_image(each.talos, each.schematic, image(installers[each.node], step.talos))
        ]
    return sorted(found, key=lambda each: not each.node.is_control_plane)


@dataclass(frozen=True)
class Move:
    """One node's part of a step: from what it runs then to what it gets."""

    node: Node
    runs: str
    talos: str
    image: str


def moves(nodes: Sequence[Runs], way: Sequence[Step], wanted: Cluster, installers: Mapping[Node, str]) -> list[Move]:
    """What is done to the nodes on the whole way, in its order."""
    at = {each.node: each.talos for each in nodes}
    found = []
    for step in way:
        for each in moved(nodes, step, wanted, installers) if step.talos else ():
            found.append(Move(each.node, at[each.node], step.talos, image(installers[each.node], step.talos)))
            at[each.node] = step.talos
    return found


def runs_image(talos: str, schematic: str | None, wanted: str) -> bool:
    """Whether a node runs what an image holds, as far as it tells. An image may be none of the Image Factory's."""
    name, _colon, version = wanted.rpartition(":")
    identity = name.rpartition("/")[2]
    return talos == version and (
        schematic is None or not SCHEMATIC.fullmatch(identity) or (schematic or VANILLA) == identity
    )


def image(installer: str, version: str) -> str:
    """A node's installer in another version."""
    name = installer.partition("@")[0]
    at = name.rfind(":")
    return f"{name[:at] if at > name.rfind('/') else name}:{version}"


def _kubernetes(nodes: Sequence[Runs]) -> set[str]:
    return {version.removeprefix("v") for each in nodes for version in each.kubernetes}
