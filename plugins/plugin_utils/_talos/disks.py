# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which disk of a machine Talos is installed, where nobody says it: the only one that there is, and never a guess.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, documents
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import install_disk
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found, Nodes, Standing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Failure, TalosctlError

GIB: t.Final = 1024**3
_UNFIT: t.Final = ("readonly", "cdrom", "secondary_disks")


_NEWER = Problem(
    "client_too_new",
    "",
    "The disks cannot be asked for: a newer client asks for the machine's version first, which a Talos before 1.13 "
    "does not tell without a configuration.",
    "Set install_disk for each host, or install the talosctl of the machines' minor version.",
)


@dataclass(frozen=True)
class Disk:
    """A disk as Talos reports it."""

    device: str
    size: int
    about: str

    def __str__(self) -> str:
        return f"{self.device} ({', '.join(filter(None, (f'{self.size / GIB:.0f} GiB', self.about)))})"


@dataclass
class Disks:
    """The disks that were found, by the nodes' names, and what keeps others from being known."""

    found: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def find(nodes: Nodes, seen: Mapping[Node, Found]) -> Disks:
    """The disk of each node: as it was installed, or the only one that a node in maintenance mode reports.

    Nodes that do not answer, and foreign ones, are for others to tell.
    """
    disks = Disks()
    for node, each in seen.items():
        if each.standing is Standing.OURS:
            disks.found[node.name] = install_disk(each.persistent)
        elif each.standing is Standing.MAINTENANCE:
            candidates = usable(reported(nodes, node))
            if len(candidates) == 1:
                disks.found[node.name] = candidates[0].device
            else:
                disks.problems.append(_several(node, candidates))
    return disks


def _several(node: Node, candidates: Sequence[Disk]) -> Problem:
    listed = "; ".join(map(str, candidates))
    return Problem(
        "disk_unknown",
        node.name,
        f"it is not known on which disk Talos is to be installed: it has {listed}."
        if candidates
        else "Talos reports no disk on which it could be installed.",
        "Set install_disk for this host." if candidates else "Give the machine a disk.",
    )


def reported(nodes: Nodes, node: Node) -> list[Mapping[str, t.Any]]:
    """What a node in maintenance mode says of its disks."""
    try:
        answer = nodes.call(node, "get", "disks", "--output", "yaml", insecure=True)
        return [{**document["metadata"], **document["spec"]} for document in documents(answer) if document]
    except (NotYaml, KeyError, TypeError):
        return []
    except TalosctlError as error:
        raise refusal([_NEWER if error.failure is Failure.NOT_HERE else error.problem]) from None


def usable(reported: Sequence[Mapping[str, t.Any]]) -> list[Disk]:
    """The disks on which Talos could be installed: none that is read-only, a CD, or made of others."""
    return [
        Disk(
            str(each.get("dev_path") or f"/dev/{each.get('id')}"),
            int(each["size"]),
            " ".join(str(each[key]) for key in ("model", "transport") if each.get(key)),
        )
        for each in reported
        if each.get("size") and each.get("bus_path") != "/virtual" and not any(each.get(mark) for mark in _UNFIT)
    ]
