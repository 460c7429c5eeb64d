# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a new etcd may be made: only at a birth, and never beside a machine that an older etcd knows.

A birth is noted in the state directory before the first node is configured, and until etcd has members. Machines that
are configured meanwhile are its own. Without that note, a configured machine belongs to a cluster whose etcd lives, or
is lost: a new one beside it would be another, empty cluster. Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import BIRTH, KUBECONFIG, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Standing

API_SECONDS = 3.0


class Birth(Enum):
    """How far a birth has come, as the state directory notes it."""

    BEGUN = "begun"  # etcd was not asked to bootstrap yet
    ASKED = "asked"  # it was, and has shown no member yet
    # etcd is made with what a snapshot holds, and in no other way: no machine was looked at for that yet; all control
    # planes were without configuration, and are given theirs; etcd has members, and not all nodes were seen since.
    INTENDED = "to be restored"
    RESTORING = "restoring"
    RESTORED = "restored"
    NONE = "none"


@dataclass(frozen=True)
class Note:
    """The note of a birth in the state directory."""

    state: State

    def read(self) -> Birth:
        content = self.state.read(BIRTH)
        if content is None:
            return Birth.NONE
        # What is not whole was cut off while it was written, which is when etcd may have been asked.
        text = content.decode().strip()
        known = {each.value: each for each in (Birth.BEGUN, Birth.INTENDED, Birth.RESTORING, Birth.RESTORED)}
        return known.get(text, Birth.INTENDED if text.startswith(("to", "rest")) else Birth.ASKED)

    def write(self, birth: Birth) -> None:
        if birth is Birth.NONE:
            self.state.remove(BIRTH)
        else:
            self.state.replace(BIRTH, f"{birth.value}\n".encode())


class Verdict(Enum):
    """What the machines and the note say together."""

    BIRTH = "no machine has etcd's data: a birth begins"
    GOING_ON = "a birth that was begun goes on"
    LIVING = "a control plane is configured: etcd is there, or its machine still is"
    LOST = "machines of a cluster live, and no control plane of it does"
    UNKNOWN = "not every machine that could tell answers"


def judge(standings: Mapping[Node, Standing], birth: Birth, living: Callable[[], Sequence[str]]) -> Verdict:
    """C(living) tells what shows that an older etcd was there; it is asked only where that decides."""
    control_planes = {node: standing for node, standing in standings.items() if node.is_control_plane}
    first = next(iter(control_planes))
    # Who asked the first control plane to bootstrap had configured it: one without a configuration is another machine.
    if birth is Birth.BEGUN or (birth is Birth.ASKED and control_planes[first] is Standing.OURS):
        return Verdict.GOING_ON
    if Standing.OURS in control_planes.values():
        return Verdict.LIVING
    if Standing.SILENT in control_planes.values():
        return Verdict.UNKNOWN
    if living():
        return Verdict.LOST
    # A worker of a cluster whose control plane is gone answers nobody once it has rebooted. A new one does.
    return Verdict.UNKNOWN if Standing.SILENT in standings.values() else Verdict.BIRTH


def signs(standings: Mapping[Node, Standing], kubeconfig: Path) -> list[str]:
    """What shows that a cluster lives whose control planes are gone: its workers, or its API somewhere else."""
    workers = [node for node, standing in standings.items() if standing is Standing.OURS and not node.is_control_plane]
    found = [f"{node.name} ({node.address}) is configured as a worker of it" for node in workers]
    server = answering(kubeconfig)
    return found + ([f"its Kubernetes API answers at {server}"] if server else [])


def answering(kubeconfig: Path) -> str:
    """The address of the API that a kubeconfig names, where it answers with the kubeconfig's CA; else nothing."""
    try:
        with Api(str(kubeconfig)) as api:
            api.get("/version", seconds=API_SECONDS)
            return api.server
    except BootstrapError:
        return ""


def refusal(cluster: str, missing: Sequence[Node], found: Sequence[str]) -> str:
    """What to say where a new etcd would be made beside a living cluster."""
    names = ", ".join(f"{node.name} ({node.address})" for node in missing)
    return (
        f"Cluster {cluster} lives, and the machines of its control plane do not: {names} "
        f"{'has' if len(missing) == 1 else 'have'} no configuration and no etcd, but {'; '.join(found)}. A new etcd "
        "would be another, empty cluster. No node was changed. Bring the old control plane back, with its disk; or, "
        "where it is lost, destroy the rest of the cluster first (tazlab.bootstrap.destroy), so that all of it is born "
        f"anew. To give the machines that live a new, empty etcd, say that the old one is lost: -e "
        f"tazlab_etcd_lost={cluster}"
    )


@dataclass(frozen=True)
class Etcd:
    """What a run may do about etcd in a cluster of this name."""

    cluster: str
    note: Note
    confirmed_lost: str = ""
    restores: bool = False  # this run makes etcd with what a snapshot holds

    def decide(self, standings: Mapping[Node, Standing]) -> Verdict:
        """The verdict, unless a new etcd would be made beside a living cluster: that is refused."""
        birth = self.note.read()
        lost = all(standing is Standing.MAINTENANCE for node, standing in standings.items() if node.is_control_plane)
        if birth is Birth.RESTORED and not lost:
            return Verdict.GOING_ON if self.restores else Verdict.LIVING
        # Nothing was configured yet for what is only intended: a control plane that is, has an etcd of its own.
        lives = birth is Birth.INTENDED and any(
            standing is Standing.OURS for node, standing in standings.items() if node.is_control_plane
        )
        if birth in (Birth.INTENDED, Birth.RESTORING) and not self.restores and not lives:
            return self._refuse_birth()
        if birth is Birth.RESTORING:
            return Verdict.GOING_ON
        if self.restores:
            self._refuse_living(standings)
            return Verdict.LOST
        found: list[str] = []

        def living() -> Sequence[str]:
            found.extend(signs(standings, self.note.state.path(KUBECONFIG)))
            return found

        verdict = judge(standings, birth, living)
        if verdict is Verdict.LOST and not self.is_confirmed_lost:
            raise BootstrapError(refusal(self.cluster, [node for node in standings if node.is_control_plane], found))
        return verdict

    def _refuse_birth(self) -> Verdict:
        """Of a restore that was begun, only another one is the next step; or a birth, where that is said."""
        if self.is_confirmed_lost:
            return Verdict.LOST
        raise BootstrapError(
            f"The etcd of cluster {self.cluster} is being restored, and that run has not ended. Nothing was changed. "
            "Run restore.yml again, with its snapshot; or give the machines a new, empty etcd: -e "
            f"tazlab_etcd_lost={self.cluster}",
            code="restoring",
        )

    def _refuse_living(self, standings: Mapping[Node, Standing]) -> None:
        """Raise where an etcd may live: a snapshot is restored when every control plane is gone."""
        configured = [
            f"{node.name} ({node.address}) is {standing.value}"
            for node, standing in standings.items()
            if node.is_control_plane and standing in (Standing.OURS, Standing.FOREIGN)
        ]
        server = answering(self.note.state.path(KUBECONFIG))
        found = configured + ([f"Kubernetes' API answers at {server}"] if server else [])
        if found:
            raise BootstrapError(
                f"A snapshot is restored when all control planes are gone: {'; '.join(found)}. Nothing was changed. "
                "Where it was restored just now, or etcd lives on one of them, go on with site.yml; where its etcd is "
                "lost for good, make that machine anew first, too.",
                code="etcd_lives",
            )

    @property
    def is_confirmed_lost(self) -> bool:
        return self.confirmed_lost == self.cluster

    @property
    def advice(self) -> str:
        """What to do where machines stay silent that may be a living cluster's."""
        return (
            f"No node was changed. Who is silent may belong to cluster {self.cluster} as it was before, and wait for "
            "its control plane: no new etcd is made beside it. Where the cluster is lost, destroy the rest of it first "
            f"(tazlab.bootstrap.destroy), or say so: -e tazlab_etcd_lost={self.cluster}"
        )

    def begin(self, verdict: Verdict) -> None:
        """Note a birth before anything of it is done. An etcd that is confirmed to be lost is born anew."""
        if self.note.read() is Birth.RESTORED and verdict in (Verdict.GOING_ON, Verdict.LIVING):
            return
        if self.restores:
            self.note.write(Birth.RESTORING)
        elif verdict is Verdict.BIRTH or (self.is_confirmed_lost and verdict is not Verdict.GOING_ON):
            self.note.write(Birth.BEGUN)
        elif verdict is Verdict.LIVING:
            self.note.write(Birth.NONE)
