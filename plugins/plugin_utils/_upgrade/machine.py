# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine after the other gets another Talos: emptied, installed, seen again, and given back.

Where a run ended before, another one goes on: what a node runs is asked of it, and that its upgrade began is noted on
its Node. Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
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
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import minor, numbers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Failure, TalosctlError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.versions import VANILLA
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.etcd import unwell

# Since this one talosctl drains a node by itself, which is ours to do: its own gives up after the installation.
DRAINS: t.Final = (1, 13)
ASK_SECONDS: t.Final = 5.0

# What a node's answer to the upgrade says for good. It runs as before.
FINAL: t.Final = {
    Failure.PULL: "Is its registry reached from the node, and has it that version and schematic?",
    Failure.INSTALLER: "Its console tells why, e.g. a Kubernetes that this Talos does not run.",
}


@dataclass(frozen=True)
class Bounds:
    """Seconds for each wait for a node, and for its pods to leave. Without C(drain) they are not asked to."""

    node: int
    pods: int
    drain: bool


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
        host = self._wait_for_the_others(node)
        seconds = float(self.bounds.node)
        mark = begin(self.api, host, cordon=self.bounds.drain, seconds=seconds)
        if self.bounds.drain:
            try:
                drain(self.api, node.name, Deadline(self.bounds.pods), self.say)
            except BootstrapError:
                self._give_back(node)
                raise
        try:
            self._install(node, image, mark.boot)
        except TalosctlError:
            self._give_back(node)
            raise
        self.settle(node, image.rpartition(":")[2])

    def settle(self, node: Node, version: str) -> None:
        """Wait until a node that runs its new Talos is Ready, with etcd, and take the note of its upgrade away."""
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            host, why = self._host(node)
            if host is not None:
                why = _not_back(host, version)
            if not why and node.is_control_plane:
                why = "; ".join(unwell(self.nodes, self.cluster.control_planes).values())
            if host is not None and not why:
                try:
                    end(self.api, host, ASK_SECONDS)
                except Unanswered as error:
                    why = str(error).rstrip(".")
                else:
                    return
            waiting.pause("be Ready again", {node: why}, "No other node was touched. Run this again when it is.")

    def _wait_for_the_others(self, node: Node) -> Host:
        """The node as Kubernetes knows it, as soon as it can be spared."""
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            missing, host = self._others(node)
            if host is not None and not missing:
                return host
            waiting.pause(f"be well before {node.name} is upgraded", missing, f"{node.name} was not touched.")

    def _others(self, node: Node) -> tuple[Mapping[Node, str], Host | None]:
        """What speaks against taking a node away now."""
        missing: dict[Node, str] = {}
        if node.is_control_plane:
            missing |= unwell(self.nodes, self.cluster.control_planes)
        try:
            found = hosts(self.api, ASK_SECONDS)
        except Unanswered as error:
            return {node: str(error).rstrip(".")}, None
        for other in self.cluster.nodes:
            host = found.get(other.name)
            if host is None:
                missing.setdefault(other, "Kubernetes has no Node of that name")
            elif not host.ready and other != node:
                missing.setdefault(other, "its Node is not Ready")
        return missing, found.get(node.name)

    def _install(self, node: Node, image: str, boot: str) -> None:
        """Ask the node until it runs the image. It is asked to install it once, and again where that was not heard."""
        version = image.rpartition(":")[2]
        deadline = Deadline(self.bounds.node)
        waiting = Waiting(deadline, self.say)
        asked = False
        while True:
            look = self.nodes.look(node)
            why = look.why
            if look.standing is Standing.OURS:
                if self._runs(node, look.version or "", image):
                    return
                why = f"it runs {look.version} still"
                if not asked:
                    asked, why = self._ask(node, image, deadline)
                elif self._was_booted_anew(node, boot):
                    raise BootstrapError(
                        f"{node.name} ({node.address}): it was booted anew and runs {look.version} as before: Talos "
                        f"{version} was not installed, or does not come up there. Look at its console. No other node "
                        "was touched; run this again to try once more.",
                        code="not_upgraded",
                        subject=node.name,
                    )
            waiting.pause(
                f"come back with Talos {version}",
                {node: why},
                "No other node was touched. If it does not come back, its console tells why; run this again when it "
                "has, or after it was made anew.",
            )

    def _runs(self, node: Node, version: str, image: str) -> bool:
        """Whether a node runs what an image holds, as far as it tells."""
        name, _, wanted = image.rpartition(":")
        if numbers(version) != numbers(wanted):
            return False
        try:
            schematic = self.nodes.schematic(node)
        except TalosctlError as error:
            if error.failure not in PASSING:
                raise
            return False
        return schematic is None or (schematic or VANILLA) == name.rpartition("/")[2]

    def _ask(self, node: Node, image: str, deadline: Deadline) -> tuple[bool, str]:
        """Ask a node to install an image and to boot it: whether it heard, and what is waited for."""
        words = ["upgrade", "--image", image, "--wait=false"]
        if minor(self.client) >= DRAINS:
            words.append("--drain=false")
        self.say(f"{node.name}: installs {image}")
        try:
            self.nodes.call(node, *words, timeout=max(1.0, deadline.left))
        except TalosctlError as error:
            if error.failure in FINAL:
                raise TalosctlError(
                    error.failure,
                    f"{error} The image is {image}. {FINAL[error.failure]} {node.name} runs as before; run this again "
                    "when that is mended.",
                ) from None
            if error.failure not in PASSING:
                raise
            return False, error.failure.value
        return True, "it installs"

    def _was_booted_anew(self, node: Node, boot: str) -> bool:
        """Whether the node was booted since its upgrade began, as far as Kubernetes tells now."""
        host, _ = self._host(node)
        return host is not None and bool(boot) and host.ready and host.boot != boot

    def _host(self, node: Node) -> tuple[Host | None, str]:
        try:
            host = hosts(self.api, ASK_SECONDS).get(node.name)
        except Unanswered as error:
            return None, str(error).rstrip(".")
        return host, "" if host else "Kubernetes has no Node of that name"

    def _give_back(self, node: Node) -> None:
        """A node on which nothing was installed takes pods again, where it did before."""
        host, _ = self._host(node)
        if host is not None:
            try:
                end(self.api, host, ASK_SECONDS)
            except BootstrapError:
                self.say(f"{node.name} stays cordoned: Kubernetes did not take that back. The next run will")


def _not_back(host: Host, version: str) -> str:
    """Why a node is not back in Kubernetes with its new Talos. That it is Ready may be of before."""
    if f"({version})" not in host.system:
        return f"its Node tells {host.system or 'no version'} still"
    if host.mark and host.mark.boot and host.boot == host.mark.boot:
        return "its Node is that of its last boot still"
    return "" if host.ready else "its Node is not Ready"
