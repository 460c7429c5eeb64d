# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between a living cluster that others made and the inventory, as one table. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import beside, few

MANY: t.Final = 6  # paths of one machine or object that are named
DIFFERS: t.Final = 44  # columns of what differs

# What a change of the machine configuration restarts, by the beginning of its path; others restart nothing.
RESTARTS: t.Final = (
    ("cluster.apiServer", "kube-apiserver starts anew"),
    ("cluster.controllerManager", "kube-controller-manager starts anew"),
    ("cluster.scheduler", "kube-scheduler starts anew"),
    ("cluster.etcd", "needs a reboot"),
    ("cluster.network", "needs a reboot"),
    ("machine.kubelet", "the kubelet starts anew"),
    ("machine.install", "at its next upgrade"),
    ("machine.kernel", "needs a reboot"),
    ("machine.systemDiskEncryption", "needs a reboot"),
)


@dataclass(frozen=True)
class Row:
    """One thing that differs: where, what, and what becomes of it (C(effect)): of a node, when it is changed."""

    layer: str
    name: str
    what: str
    effect: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def rows(
    *,
    vms: Iterable[Mapping[str, t.Any]],
    nodes: Iterable[Mapping[str, t.Any]],
    seeds: Iterable[Mapping[str, t.Any]],
    flux: Iterable[Mapping[str, t.Any]],
    problems: Iterable[Mapping[str, t.Any]],
) -> list[Row]:
    """From what the modules tell in check mode of VMs, nodes and objects, and what they refuse."""
    return [
        *_vms(vms),
        *_nodes(nodes),
        *_objects("seed", seeds),
        *_objects("Flux", flux),
        *(Row("refused", str(one.get("subject") or ""), str(one.get("what")), "yours to decide") for one in problems),
    ]


def _vms(vms: Iterable[Mapping[str, t.Any]]) -> Iterator[Row]:
    for vm in vms:
        for found in vm.get("drift") or []:
            what = f"{found['setting']} is {found['found'] or 'not set'}, wanted {found['wanted'] or 'not set'}"
            yield Row("VM", str(vm["name"]), what, "is left so")


def _nodes(nodes: Iterable[Mapping[str, t.Any]]) -> Iterator[Row]:
    for node in nodes:
        if not node.get("answers"):
            yield Row("node", str(node["name"]), "does not answer, so it was not compared", "unknown")
        grouped: dict[str, list[str]] = {}
        for path in node.get("differences") or []:
            grouped.setdefault(_effect(path), []).append(path)
        for effect, paths in grouped.items():
            yield Row("node", str(node["name"]), few(paths, MANY), effect)


def _effect(path: str) -> str:
    bare = path[2:]
    return next((effect for start, effect in RESTARTS if bare.startswith(start)), "restarts nothing")


def _objects(layer: str, objects: Iterable[Mapping[str, t.Any]]) -> Iterator[Row]:
    absent = []
    for each in objects:
        name = f"{each['kind']} {'/'.join(filter(None, [each.get('namespace'), each['name']]))}"
        if each.get("change") == "made":
            absent.append(name)
        elif each.get("change") == "changed":
            yield Row(layer, name, few(list(each.get("differences") or []), MANY), "is applied")
        for held in each.get("held") or []:
            yield Row(layer, name, f"{held['key']} is {held['manager']}'s", "is left so")
    if absent:
        yield Row(layer, "", f"not there: {few(absent, MANY)}", "is made")


def lines(found: Sequence[Row]) -> list[str]:
    """The table as it is printed, in 80 columns: what it is about, and below, what differs and what becomes of it."""
    printed: list[str] = []
    for about, group in groupby(found, key=lambda row: f"  {row.layer} {row.name}".rstrip()):
        printed.append(about)
        for row in group:
            printed.extend(beside(row.what, row.effect, DIFFERS, "    "))
    return printed
