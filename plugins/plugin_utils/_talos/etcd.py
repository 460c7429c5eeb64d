# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd, bootstrapped exactly once, and the kubeconfig of the cluster that it holds.

Whether it is bootstrapped is read from the cluster; that it may be, the note of a birth says. Private: other
collections must not import it.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.together import together
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, mapping
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Birth, Note
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    PASSING,
    Nodes,
    Progress,
    Standing,
    Waiting,
    foreign,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import expires_soon
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import (
    CALL_SECONDS,
    Failure,
    TalosctlError,
)

# A snapshot is uploaded within.
RECOVER_SECONDS = 600.0
# Where etcd does not run, Talos may leave the question unanswered.
MEMBERS_SECONDS = 8.0


# Why an etcd without members is waited for where no birth is under way.
LOST = "its etcd tells no members yet"
ADVICE = (
    "This run may not make a new etcd, as it did not begin the cluster's birth. Where the old one is lost for good, on "
    "every control plane, restore it from a snapshot (restore.yml); or let the machines have a new, empty one: -e "
    "tazlab_etcd_lost= with the cluster's name."
)


@dataclass(frozen=True)
class Members:
    """What the control planes tell of etcd."""

    members: int
    running: tuple[Node, ...] = ()

    @property
    def is_bootstrapped(self) -> bool:
        return self.members > 0


def look_at_etcd(nodes: Nodes, control_planes: Sequence[Node]) -> Members:
    """Ask every control plane: one of them alone may be new, in a cluster that has long been running."""
    running = []
    for node in control_planes:
        members = _members(nodes, node)
        if members:
            return Members(members)
        if _etcd_runs(nodes, node):
            running.append(node)
    return Members(0, tuple(running))


def bootstrap(
    nodes: Nodes,
    control_planes: Sequence[Node],
    note: Note,
    deadline: Deadline,
    progress: Progress,
    snapshot: Path | None = None,
) -> bool:
    """Bootstrap etcd on the first control plane unless it has members; whether this call did it.

    Without the note of a birth, etcd is waited for and never made: its data may be there and just not be served yet.
    While it is being restored, it is made with what C(snapshot) holds, and without one not at all.
    """
    begun = note.read()
    needs = begun in (Birth.INTENDED, Birth.RESTORING)
    if begun is not Birth.RESTORED and needs is not (snapshot is not None):
        raise BootstrapError(
            "etcd is made from a snapshot only where restore.yml has begun that, and then in no other way. Nothing was "
            "changed. Run restore.yml, with its snapshot.",
            code="restoring",
        )
    _wait_for_api(nodes, control_planes, deadline, progress)
    waiting = Waiting(deadline, progress)
    first = control_planes[0]
    done = False
    while True:
        try:
            etcd = look_at_etcd(nodes, control_planes)
            if etcd.is_bootstrapped:
                progress(f"etcd has {etcd.members} member{'s' if etcd.members > 1 else ''}")
                note.write(Birth.RESTORED if begun in (Birth.RESTORING, Birth.RESTORED) else Birth.NONE)
                return done
            others = [node for node in etcd.running if node != first]
            if others:
                # It has data and no quorum: a second etcd on the first control plane would be another cluster.
                missing: Mapping[Node, str] = dict.fromkeys(others, "etcd runs and tells no members")
            elif done:
                missing = {first: "etcd was bootstrapped and tells no members yet"}
            elif begun in (Birth.NONE, Birth.RESTORED):
                missing = {first: LOST}
            elif snapshot is not None:
                done, missing = _try(nodes, first, progress, snapshot)
            else:
                note.write(Birth.ASKED)
                done, missing = _try(nodes, first, progress)
        except TalosctlError as error:
            if error.failure not in PASSING:
                raise
            missing = {first: error.failure.value}
        waiting.pause("have etcd members", missing, ADVICE if begun is Birth.NONE else "")


def _try(
    nodes: Nodes, first: Node, progress: Progress, snapshot: Path | None = None
) -> tuple[bool, Mapping[Node, str]]:
    """Bootstrap now; whether it was accepted, and why it is still waited for."""
    words = ("--recover-from", str(snapshot)) if snapshot else ()
    try:
        nodes.call(first, "bootstrap", *words, timeout=RECOVER_SECONDS if snapshot else CALL_SECONDS)
    except TalosctlError as error:
        if error.failure is Failure.EXISTS:
            return False, {first: "etcd's data is there already, and it tells no members yet"}
        if error.failure is Failure.NOT_YET:
            return False, {first: "it is not ready to be bootstrapped yet"}
        raise
    progress(f"etcd bootstrapped on {first.name}{f' from {snapshot}' if snapshot else ''}")
    return True, {first: "etcd was bootstrapped and tells no members yet"}


def _wait_for_api(nodes: Nodes, control_planes: Sequence[Node], deadline: Deadline, progress: Progress) -> None:
    """Wait until every control plane answers to our credentials: a silent one may hold etcd's data."""
    waiting = Waiting(deadline, progress)
    while True:
        looks = dict(zip(control_planes, together(nodes.look, control_planes), strict=True))
        for node, look in looks.items():
            if look.standing is Standing.FOREIGN:
                raise refusal([foreign(node, have_secrets=True)])
        missing = {
            node: look.why or look.standing.value for node, look in looks.items() if look.standing is not Standing.OURS
        }
        if not missing:
            return
        waiting.pause("come up with their configuration", missing)


def _members(nodes: Nodes, node: Node) -> int:
    """How many members etcd has, as one control plane knows; 0 where its etcd does not answer."""
    try:
        table = nodes.call(node, "etcd", "members", timeout=MEMBERS_SECONDS).decode(errors="replace")
    except TalosctlError as error:
        if error.failure not in PASSING:
            raise
        return 0
    rows = [line.split() for line in table.splitlines() if line.strip()]
    return sum(row[0] != "NODE" for row in rows)


def _etcd_runs(nodes: Nodes, node: Node) -> bool:
    """Whether the etcd of a control plane runs, so that it has data."""
    table = nodes.call(node, "services").decode(errors="replace")
    rows = [line.split() for line in table.splitlines()]
    return any(row[1:3] == ["etcd", "Running"] for row in rows)


def fetch_kubeconfig(nodes: Nodes, node: Node, deadline: Deadline, progress: Progress) -> bytes:
    """The administrator's kubeconfig, as Talos makes it anew for each who asks."""
    waiting = Waiting(deadline, progress)
    while True:
        try:
            content = nodes.call(node, "kubeconfig", "-", "--merge=false")
            _credentials(content)
        except TalosctlError as error:
            if error.failure not in PASSING:
                raise
            waiting.pause("give their kubeconfig", {node: error.failure.value})
        except (NotYaml, KeyError, TypeError):
            raise BootstrapError(
                f"{node.name}: talosctl kubeconfig printed no kubeconfig. Look at the node's console."
            ) from None
        else:
            return content


def kubeconfig_serves(stored: bytes | None, fetched: bytes, now: datetime.datetime) -> bool:
    """Whether the kubeconfig that we have is as good as a new one: same API, same CA, and valid for a while."""
    if stored is None:
        return False
    try:
        mine, new = _credentials(stored), _credentials(fetched)
    except (NotYaml, KeyError, TypeError):
        return False
    return mine.get("cluster") == new.get("cluster") and not expires_soon(mine["certificate"], now)


def _credentials(kubeconfig: bytes) -> dict[str, t.Any]:
    """The cluster and the client certificate that a kubeconfig's current context names."""
    config = mapping(kubeconfig)
    context = _named(config["contexts"], config["current-context"])["context"]
    return {
        "cluster": _named(config["clusters"], context["cluster"])["cluster"],
        "certificate": str(_named(config["users"], context["user"])["user"]["client-certificate-data"]),
    }


def _named(entries: Sequence[Mapping[str, t.Any]], name: str) -> Mapping[str, t.Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise KeyError(name)
