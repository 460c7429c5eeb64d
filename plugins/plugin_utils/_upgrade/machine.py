# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine gets another Talos. Where a run ended before, another one goes on: what a node runs is asked of it.

Private: other collections must not import it.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import PASSING, Look, Standing, Waiting
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import minor
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Failure, TalosctlError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.plan import runs_image
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import UNHEARD, InDoubt, Rolling, lost

# Since this one talosctl drains a node by itself, which is ours to do: its own gives up after the installation.
DRAINS: t.Final = (1, 13)
# Since this one it can install without booting.
BOOTS_APART: t.Final = (1, 14)
ASK_AGAIN_SECONDS: t.Final = 5.0

ADVICE: t.Final = {
    Failure.PULL: "Is its registry reached from the node, and has it that version and schematic?",
    Failure.INSTALLER: "Its console tells why, e.g. a Kubernetes that this Talos does not run.",
}


@dataclass(frozen=True)
class Upgrade(Rolling):
    """The procedure for one machine."""

    client: str  # the version of talosctl

    def move(self, node: Node, image: str) -> None:
        """Bring a node to an image, when all others are well; it is Ready again when this ends."""
        version = image.rpartition(":")[2]
        boot = self.spared(node, lambda: self._ask_until_heard(node, image))
        if boot:
            self.come_back(node, boot, f"come back with Talos {version}", lambda look: self._lacks(node, look, image))
        self.settle(node, version)

    def _ask_until_heard(self, node: Node, image: str) -> str:
        """Let a node install an image and boot it. Returns the boot in which it heard; empty where it runs it."""
        deadline = Deadline(self.bounds.node)
        waiting = Waiting(deadline, self.say)
        asked = installed = False
        ask_at = 0.0
        while True:
            missing, _host = self.others(node)
            boot, why = self.boot(node)
            look = self.nodes.look(node)
            if look.standing in (Standing.MAINTENANCE, Standing.FOREIGN):
                raise lost(node, look.standing.value)
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

    def _runs(self, node: Node, version: str, image: str) -> bool | None:
        """Whether a node runs what an image holds, as far as it tells; None where that cannot be asked now."""
        try:
            return runs_image(version, self.nodes.schematic(node), image)
        except TalosctlError as error:
            if error.failure not in PASSING:
                raise
            return None

    def _lacks(self, node: Node, look: Look, image: str) -> str:
        """What is missing in a node's new boot. It may be of the old Talos: nothing more is waited for then."""
        runs = self._runs(node, look.version or "", image)
        if runs is False:
            raise BootstrapError(
                f"{node.name} ({node.address}): it was booted anew and runs {look.version} as before: Talos "
                f"{image.rpartition(':')[2]} was not installed, or does not come up there. Look at its console. No "
                "other node was touched; run this again to try once more.",
                code="not_upgraded",
                subject=node.name,
            )
        return "" if runs else "it does not tell its extensions yet"
