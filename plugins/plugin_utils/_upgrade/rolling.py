# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine after the other is changed in a way that boots it: spared, emptied, changed, seen again, and given back.

Where a run ended before, another one goes on: that the change of a node began is noted on its Node. Private: other
collections must not import it.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.together import together
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import Host, begin, drain, end, hosts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Cluster, Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    PASSING,
    Look,
    Nodes,
    Progress,
    Standing,
    Waiting,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Failure, TalosctlError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.etcd import unwell

ASK_SECONDS: t.Final = 5.0

# What is no answer to a request: it is made again. Everything else is final, and the node runs as before.
UNHEARD: t.Final = frozenset({Failure.UNREACHABLE, Failure.CUT, Failure.NOT_YET})

_Heard = t.TypeVar("_Heard")


class InDoubt(BootstrapError):
    """A node may have taken its change, or may be booting: it takes no pods until that is known."""


@dataclass(frozen=True)
class Bounds:
    """Seconds for each wait for a node, and for its pods to leave. Without C(drain) they are not asked to."""

    node: int
    pods: int
    drain: bool

    @property
    def all(self) -> int:
        """How long one node may take: to be spared, emptied, changed, and Ready again."""
        return 3 * self.node + (self.pods if self.drain else 0)


@dataclass(frozen=True)
class Rolling:
    """What every such change of one machine has in common."""

    nodes: Nodes
    api: Api
    cluster: Cluster
    bounds: Bounds
    say: Progress

    def settle(self, node: Node, version: str = "", steady: float = 0.0) -> None:
        """Wait until a node is Ready in the boot in which it is, with etcd; then it takes pods again, if it did before.

        C(version) is the Talos that its Node must tell; C(steady), for how many seconds all that must hold.
        """
        since: float | None = None
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            missing, host = self.missing([node])
            if host is not None and version and f"({version})" not in host.system:
                missing.setdefault(node, f"its Node tells {host.system or 'no version'} still")
            if missing or host is None:
                since = None
            elif time.monotonic() - (since := since or time.monotonic()) < steady:
                missing = {node: "it is looked at for some seconds more"}
            else:
                try:
                    end(self.api, host, ASK_SECONDS)
                except Unanswered as error:
                    missing = {node: str(error).rstrip(".")}
                else:
                    return
            waiting.pause("be Ready again", missing, "No other node was touched. Run this again when it is.")

    def spared(self, node: Node, change: Callable[[], _Heard]) -> _Heard:
        """Make a change of a node, when all others are well and its pods have left it.

        It takes pods again where it runs as before, which every error but InDoubt means.
        """
        self._begin(node)
        try:
            if self.bounds.drain:
                drain(self.api, node.name, Deadline(self.bounds.pods), self.say)
            return change()
        except InDoubt:
            raise
        except BootstrapError:
            self._give_back(node)
            raise

    def _begin(self, node: Node) -> None:
        """Note that the change of a node begins, when all others are well."""

        def note(host: Host) -> None:
            begin(self.api, host, cordon=self.bounds.drain, seconds=ASK_SECONDS)

        self.wait_until_spared(node, note)

    def wait_until_spared(self, node: Node, then: Callable[[Host], None] = lambda _host: None) -> None:
        """Wait until the others are well enough for a node to be away, and do what follows in that moment."""
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            missing, host = self.others(node)
            if host is not None and not missing:
                try:
                    then(host)
                except Unanswered as error:
                    missing = {node: str(error).rstrip(".")}
                else:
                    return
            waiting.pause(f"be well before {node.name} is changed", missing, f"{node.name} was not touched.")

    def others(self, node: Node) -> tuple[dict[Node, str], Host | None]:
        """What speaks against taking a node away now."""
        missing, host = self.missing([other for other in self.cluster.nodes if other != node], node)
        if host is None:
            missing.setdefault(node, "Kubernetes has no Node of that name")
        return missing, host

    def missing(self, nodes: list[Node], asked: Node | None = None) -> tuple[dict[Node, str], Host | None]:
        """Why these nodes, or etcd, are not well; and the Node of the one that was C(asked) for, by default the first.

        That a Node is Ready may be of its last boot: the boot's id tells, which the machine itself is asked for.
        """
        missing = self.unwell()
        try:
            found = hosts(self.api, ASK_SECONDS)
        except Unanswered as error:
            first = asked or nodes[0]
            missing.setdefault(first, str(error).rstrip("."))
            return missing, None
        boots = dict(zip(nodes, together(self.boot, nodes), strict=True))
        for node, (boot, why) in boots.items():
            if why or (why := _not_ready(found.get(node.name), boot)):
                missing.setdefault(node, why)
        return missing, found.get((asked or nodes[0]).name)

    def unwell(self) -> dict[Node, str]:
        """The control planes that are not well, with the reason."""
        return unwell(self.nodes, self.cluster.control_planes)

    def boot(self, node: Node) -> tuple[str, str]:
        """The id of the boot in which a machine is, or why it does not tell it."""
        try:
            return self.nodes.boot(node), ""
        except TalosctlError as error:
            if error.failure not in (*PASSING, Failure.UNTRUSTED):  # which a machine without configuration is
                raise
            return "", error.failure.value

    def come_back(self, node: Node, boot: str, what: str, seen: Callable[[Look], str]) -> None:
        """Wait until a node is in another boot. C(seen) tells what is missing in that one; nothing when it is through.

        C(what) completes: waiting for nodes to ...
        """
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            now, why = self.boot(node)  # before the look, which is of this boot then, or of a later one
            look = self.nodes.look(node)
            if look.standing in (Standing.MAINTENANCE, Standing.FOREIGN):
                raise lost(node, look.standing.value)
            if look.standing is not Standing.OURS:
                why = look.why
            elif now and now != boot:
                why = seen(look)
                if not why:
                    return
            else:
                why = why or "it was not booted yet"
            waiting.pause(
                what,
                {node: why},
                "No other node was touched. If it does not come back, its console tells why; run this again when it "
                "has, or after it was made anew.",
            )

    def _give_back(self, node: Node) -> None:
        """A node on which nothing was installed takes pods again, where it did before."""
        try:
            host = hosts(self.api, ASK_SECONDS).get(node.name)
            if host is not None:
                end(self.api, host, ASK_SECONDS)
        except BootstrapError:
            self.say(f"{node.name} stays cordoned: Kubernetes did not take that back. The next run will")


def _not_ready(host: Host | None, boot: str) -> str:
    """Why a node is not Ready in the boot in which its machine is."""
    if host is None:
        return "Kubernetes has no Node of that name"
    if host.boot != boot:
        return "its Node is that of an older boot still"
    return "" if host.ready else "its Node is not Ready"


def lost(node: Node, why: str) -> InDoubt:
    return InDoubt(
        f"{node.name} ({node.address}): it is {why}: its configuration is gone, or another machine stands there. No "
        "other node was touched. Look at its console; site.yml configures a machine that has none.",
        code="lost",
        subject=node.name,
    )
