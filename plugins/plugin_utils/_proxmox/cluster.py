# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(/cluster/resources) says: guests, nodes and storages, read once; and what a token may do. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem


@dataclass(frozen=True)
class Guest:
    """A VM or container that exists, whoever owns it."""

    vmid: int
    kind: str
    name: str
    node: str
    status: str
    tags: frozenset[str]
    lock: str
    template: bool
    pool: str
    ha_managed: bool = False  # known only where the VM itself was asked, as is the next
    paused: bool = False  # its status is running all the same

    def carries(self, mark: str) -> bool:
        """Whether it is a VM of this cluster."""
        return self.kind == "qemu" and mark in self.tags

    @property
    def description(self) -> str:
        kind = {"qemu": "VM", "lxc": "container"}.get(self.kind, self.kind)
        tags = ", ".join(sorted(self.tags)) or "none"
        return f"{kind} {self.vmid} on node {self.node} (name {self.name or 'none'}, tags {tags})"


@dataclass(frozen=True)
class Storage:
    """A storage as one node sees it."""

    name: str
    node: str
    content: frozenset[str]
    available: bool
    shared: bool


@dataclass(frozen=True)
class Cluster:
    """The cluster at one moment, as far as the token may see it."""

    guests: Mapping[int, Guest]
    nodes: Mapping[str, bool]
    storages: Mapping[tuple[str, str], Storage]

    @classmethod
    def read(cls, rows: Iterable[Mapping[str, t.Any]]) -> Cluster:
        by_type: dict[str, list[Mapping[str, t.Any]]] = {}
        for row in rows:
            by_type.setdefault(str(row.get("type")), []).append(row)
        guests = [_guest(row) for row in [*by_type.get("qemu", []), *by_type.get("lxc", [])]]
        storages = [_storage(row) for row in by_type.get("storage", [])]
        return cls(
            {guest.vmid: guest for guest in guests},
            {str(row["node"]): row.get("status") == "online" for row in by_type.get("node", [])},
            {(storage.node, storage.name): storage for storage in storages},
        )

    def marked(self, mark: str) -> list[Guest]:
        return [guest for _vmid, guest in sorted(self.guests.items()) if guest.carries(mark)]

    def node_problem(self, node: str) -> Problem | None:
        """What keeps a node from being used."""
        if node not in self.nodes:
            known = ", ".join(sorted(self.nodes)) or "none that the token may see"
            return Problem("no_node", f"node {node}", "there is no such node.", f"The nodes are: {known}.")
        if not self.nodes[node]:
            return Problem("offline", f"node {node}", "it is offline.", "Bring it back, or give the VM another node.")
        return None

    def storage_problem(self, node: str, name: str, content: str) -> Problem | None:
        """What keeps a storage of a node from taking this kind of content."""
        storage, subject = self.storages.get((node, name)), f"storage {name} on node {node}"
        if storage is None:
            known = ", ".join(sorted(known for owner, known in self.storages if owner == node)) or "none"
            what = f"it is not there, or the token has no Datastore.Audit on /storage/{name}."
            return Problem("no_storage", subject, what, f"The token sees: {known}.")
        if content not in storage.content:
            wanted = ",".join([*sorted(storage.content), content])
            step = f"Allow it on the node: pvesm set {name} --content {wanted}"
            return Problem("no_content", subject, f"its content does not include {content}.", step)
        if not storage.available:
            return Problem("inactive", subject, "it is not active.", f"Look at: pvesm status --storage {name}")
        return None


def _guest(row: Mapping[str, t.Any]) -> Guest:
    return Guest(
        vmid=int(row["vmid"]),
        kind=str(row["type"]),
        name=str(row.get("name") or ""),
        node=str(row["node"]),
        status=str(row.get("status") or "unknown"),
        tags=split_tags(row.get("tags")),
        lock=str(row.get("lock") or ""),
        template=bool(row.get("template")),
        pool=str(row.get("pool") or ""),
    )


def _storage(row: Mapping[str, t.Any]) -> Storage:
    return Storage(
        name=str(row["storage"]),
        node=str(row["node"]),
        content=frozenset(filter(None, str(row.get("content") or "").split(","))),
        available=row.get("status") == "available",
        shared=bool(row.get("shared")),
    )


def split_tags(tags: t.Any) -> frozenset[str]:
    """Tags are separated by semicolons, and older versions used commas and blanks."""
    return frozenset(tag.lower() for tag in re.split(r"[;,\s]+", str(tags or "")) if tag)


class Privileges:
    """What the token may do. An entry of a path replaces those of the paths above it, unless there is none."""

    def __init__(self, dump: Mapping[str, Mapping[str, t.Any]]) -> None:
        self._dump = dump

    def lacking(self, path: str, wanted: Sequence[str]) -> list[str]:
        for above in _upwards(path):
            if above in self._dump:
                held = {name for name, spreads in self._dump[above].items() if above == path or _true(spreads)}
                return [name for name in wanted if name not in held]
        return list(wanted)

    def holds_below(self, root: str, name: str, privilege: str) -> bool:
        """Whether the token holds a privilege on something of this name, or on all of a zone, anywhere below a path."""
        return any(
            (path.endswith(f"/{name}") and privilege in held) or (path.count("/") == 3 and _true(held.get(privilege)))
            for path, held in self._dump.items()
            if path.startswith(f"{root}/")
        )


def _upwards(path: str) -> Iterator[str]:
    while path != "/":
        yield path
        path = path.rpartition("/")[0] or "/"
    yield "/"


def _true(value: t.Any) -> bool:
    return str(value) not in ("0", "", "None", "False")
