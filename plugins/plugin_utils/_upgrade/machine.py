# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine after the other gets another Talos: emptied, installed, seen again, and given back.

Where a run ended before, another one goes on: what a node runs is asked of it, and that its upgrade began is noted on
its Node. Private: other collections must not import it.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.together import together
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import Host, begin, drain, end, hosts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Cluster, Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    PASSING,
    Nodes,
    Progress,
    Standing,
    Waiting,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import minor
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Failure, TalosctlError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.etcd import unwell
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.plan import runs_image

# Since this one talosctl drains a node by itself, which is ours to do: its own gives up after the installation.
DRAINS: t.Final = (1, 13)
# Since this one it can install without booting.
BOOTS_APART: t.Final = (1, 14)
ASK_SECONDS: t.Final = 5.0
ASK_AGAIN_SECONDS: t.Final = 5.0

# What is no answer to an upgrade: it is asked for again. Everything else is final, and the node runs as before.
UNHEARD: t.Final = frozenset({Failure.UNREACHABLE, Failure.CUT, Failure.NOT_YET})
ADVICE: t.Final = {
    Failure.PULL: "Is its registry reached from the node, and has it that version and schematic?",
    Failure.INSTALLER: "Its console tells why, e.g. a Kubernetes that this Talos does not run.",
}


class InDoubt(BootstrapError):
    """A node may have installed, or may be booting: it takes no pods until that is known."""


@dataclass(frozen=True)
class Bounds:
    """Seconds for each wait for a node, and for its pods to leave. Without C(drain) they are not asked to."""

    node: int
    pods: int
    drain: bool

    @property
    def all(self) -> int:
        """How long one node may take: to be spared, emptied, installed, and Ready again."""
        return 3 * self.node + (self.pods if self.drain else 0)


@dataclass(frozen=True)
class Upgrade:
    """The procedure for one machine."""

    nodes: Nodes
    api: Api
    cluster: Cluster
    client: str  # the version of talosctl
    bounds: Bounds
    say: Progress

    def move(self, node: Node, image: str) -> None:
        """Bring a node to an image, when all others are well; it is Ready again when this ends."""
        self._begin(node)
        try:
            if self.bounds.drain:
                drain(self.api, node.name, Deadline(self.bounds.pods), self.say)
            boot = self._ask_until_heard(node, image)
        except InDoubt:
            raise
        except BootstrapError:
            self._give_back(node)
            raise
        if boot:
            self._wait_for_boot(node, image, boot)
        self.settle(node, image.rpartition(":")[2])

    def settle(self, node: Node, version: str = "") -> None:
        """Wait until a node is Ready in the boot in which it is, with etcd; then it takes pods again, if it did before.

        C(version) is the Talos that its Node must tell.
        """
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            missing, host = self._missing([node])
            if host is not None and version and f"({version})" not in host.system:
                missing.setdefault(node, f"its Node tells {host.system or 'no version'} still")
            if host is not None and not missing:
                try:
                    end(self.api, host, ASK_SECONDS)
                except Unanswered as error:
                    missing = {node: str(error).rstrip(".")}
                else:
                    return
            waiting.pause("be Ready again", missing, "No other node was touched. Run this again when it is.")

    def _begin(self, node: Node) -> None:
        """Wait until the node can be spared, and note that its upgrade begins."""
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            missing, host = self._others(node)
            if host is not None and not missing:
                try:
                    begin(self.api, host, cordon=self.bounds.drain, seconds=ASK_SECONDS)
                except Unanswered as error:
                    missing = {node: str(error).rstrip(".")}
                else:
                    return
            waiting.pause(f"be well before {node.name} is upgraded", missing, f"{node.name} was not touched.")

    def _others(self, node: Node) -> tuple[dict[Node, str], Host | None]:
        """What speaks against taking a node away now."""
        missing, host = self._missing([other for other in self.cluster.nodes if other != node], node)
        if host is None:
            missing.setdefault(node, "Kubernetes has no Node of that name")
        return missing, host

    def _missing(self, nodes: list[Node], asked: Node | None = None) -> tuple[dict[Node, str], Host | None]:
        """Why these nodes, or etcd, are not well; and the Node of the one that was C(asked) for, by default the first.

        That a Node is Ready may be of its last boot: the boot's id tells, which the machine itself is asked for.
        """
        missing = unwell(self.nodes, self.cluster.control_planes)
        try:
            found = hosts(self.api, ASK_SECONDS)
        except Unanswered as error:
            first = asked or nodes[0]
            missing.setdefault(first, str(error).rstrip("."))
            return missing, None
        boots = dict(zip(nodes, together(self._boot, nodes), strict=True))
        for node, (boot, why) in boots.items():
            if why or (why := _not_ready(found.get(node.name), boot)):
                missing.setdefault(node, why)
        return missing, found.get((asked or nodes[0]).name)

    def _boot(self, node: Node) -> tuple[str, str]:
        """The id of the boot in which a machine is, or why it does not tell it."""
        try:
            return self.nodes.boot(node), ""
        except TalosctlError as error:
            if error.failure not in PASSING:
                raise
            return "", error.failure.value

    def _ask_until_heard(self, node: Node, image: str) -> str:
        """Let a node install an image and boot it. Returns the boot in which it heard; empty where it runs it."""
        deadline = Deadline(self.bounds.node)
        waiting = Waiting(deadline, self.say)
        asked = installed = False
        ask_at = 0.0
        while True:
            missing, _host = self._others(node)
            boot, why = self._boot(node)
            look = self.nodes.look(node)
            if look.standing in (Standing.MAINTENANCE, Standing.FOREIGN):
                raise _lost(node, look.standing.value)
            if look.standing is not Standing.OURS:
                why = look.why
            elif self._runs(node, look.version or "", image):
                return ""
            elif boot and not missing and time.monotonic() >= ask_at:
                ask_at = time.monotonic() + ASK_AGAIN_SECONDS
                asked = True
                runs = look.version or ""
                if not installed:
                    why = self._ask(node, image, runs, deadline)
                    installed = not why
                    if installed and not self._boots_apart(runs):
                        return boot
                    ask_at = 0.0 if installed else ask_at
                else:  # what it needs was asked again since
                    why = self._call(node, image, deadline, "reboot", "--wait=false")
                    if not why:
                        return boot
            try:
                waiting.pause(
                    f"{'boot' if installed else 'take'} {image}",
                    {**missing, node: why or "it waits for the others"},
                    "" if asked else "Nothing was installed on it.",
                )
            except BootstrapError as error:
                if not asked:
                    raise
                raise InDoubt(
                    f"{error} Whether it has installed that is not known: it stays cordoned. Run this again."
                ) from None

    def _boots_apart(self, runs: str) -> bool:
        """Whether installing and booting are two calls, so that the others can be looked at in between."""
        return minor(runs) >= DRAINS and minor(self.client) >= BOOTS_APART

    def _ask(self, node: Node, image: str, runs: str, deadline: Deadline) -> str:
        """Ask a node to install an image; why it was not heard. An answer that is final is raised."""
        words = ["upgrade", "--image", image]
        if self._boots_apart(runs):
            words.append("--no-reboot")
        else:
            words.append("--wait=false")
            if minor(self.client) >= DRAINS:
                words.append("--drain=false")
            if minor(runs) < DRAINS and len(self.cluster.control_planes) == 2:
                words.append("--force")  # which leaves out Talos' own look at etcd: of two members it spares none
        self.say(f"{node.name}: installs {image}")
        return self._call(node, image, deadline, *words)

    def _call(self, node: Node, image: str, deadline: Deadline, *words: str) -> str:
        try:
            self.nodes.call(node, *words, timeout=max(1.0, deadline.left))
        except TalosctlError as error:
            if error.failure in UNHEARD:
                return error.failure.value
            raise TalosctlError(
                error.failure,
                f"{error} The image is {image}. {ADVICE.get(error.failure, 'Its console tells more.')} {node.name} "
                "runs as before; run this again when that is mended.",
            ) from None
        return ""

    def _wait_for_boot(self, node: Node, image: str, boot: str) -> None:
        """Wait until a node has booted what it has installed."""
        version = image.rpartition(":")[2]
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            now, why = self._boot(node)  # before the look, which is of this boot then, or of a later one
            look = self.nodes.look(node)
            if look.standing in (Standing.MAINTENANCE, Standing.FOREIGN):
                raise _lost(node, look.standing.value)
            if look.standing is not Standing.OURS:
                why = look.why
            elif now and now != boot:
                runs = self._runs(node, look.version or "", image)
                if runs:
                    return
                if runs is False:
                    raise BootstrapError(
                        f"{node.name} ({node.address}): it was booted anew and runs {look.version} as before: Talos "
                        f"{version} was not installed, or does not come up there. Look at its console. No other node "
                        "was touched; run this again to try once more.",
                        code="not_upgraded",
                        subject=node.name,
                    )
                why = "it does not tell its extensions yet"
            else:
                why = why or f"it runs {look.version} still"
            waiting.pause(
                f"come back with Talos {version}",
                {node: why},
                "No other node was touched. If it does not come back, its console tells why; run this again when it "
                "has, or after it was made anew.",
            )

    def _runs(self, node: Node, version: str, image: str) -> bool | None:
        """Whether a node runs what an image holds, as far as it tells; None where that cannot be asked now."""
        try:
            return runs_image(version, self.nodes.schematic(node), image)
        except TalosctlError as error:
            if error.failure not in PASSING:
                raise
            return None

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


def _lost(node: Node, why: str) -> InDoubt:
    return InDoubt(
        f"{node.name} ({node.address}): it is {why}: its configuration is gone, or another machine stands there. No "
        "other node was touched. Look at its console; site.yml configures a machine that has none.",
        code="lost",
        subject=node.name,
    )
