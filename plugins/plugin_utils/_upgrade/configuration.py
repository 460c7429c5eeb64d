# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine gets another configuration, with a boot where that is needed.

Where a run ended before, another one goes on: a node tells the configuration with which it runs, and that with which it
will boot. Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import Host
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import differences
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import PASSING, Look, Waiting, update
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Private, TalosctlError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import UNHEARD, InDoubt, Rolling

# A change of these starts a component of Kubernetes anew. The old one is ready for some seconds more: only who is well
# without a break is taken for well.
RESTARTED: t.Final = ("cluster.", "machine.kubelet.", "Kube")
STEADY_SECONDS: t.Final = 10.0


@dataclass(frozen=True)
class Reconfiguration(Rolling):
    """The procedure for one machine."""

    def others(self, node: Node) -> tuple[dict[Node, str], Host | None]:
        """What speaks against taking a node away now. That it is not well itself may be why it is changed."""
        missing, host = super().others(node)
        if host is not None:
            missing.pop(node, None)
        return missing, host

    def change(self, node: Node, config: bytes, paths: Sequence[str]) -> None:
        """Change a running node, when all others are well; it and etcd are when this ends."""
        self.wait_until_spared(node)
        if update(self.nodes, node, config):
            restarts = any(path[2:].startswith(RESTARTED) for path in paths)
            self.settle(node, steady=STEADY_SECONDS if restarts else 0.0)
        else:  # this Talos takes more for a reason to boot than we do
            self.boot_with(node, config)

    def boot_with(self, node: Node, config: bytes) -> None:
        """Let a node boot with a configuration, when all others are well and its pods have left it."""
        boot = self.spared(node, lambda: self._ask_until_heard(node, config))
        self.come_back(node, boot, "come back with their configuration", lambda look: self._lacks(node, look, config))
        self.settle(node)

    def _ask_until_heard(self, node: Node, config: bytes) -> str:
        """Have a node keep a configuration and boot it. Returns the boot in which it heard."""
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        kept, heard_in = False, ""
        while True:
            missing, _host = self.others(node)
            boot, why = self.boot(node)
            if heard_in and boot and boot != heard_in:
                return heard_in
            if boot and not missing:
                if kept:
                    heard_in = boot
                    self.say(f"{node.name}: boots")
                    why = self._call(node, "reboot", "--wait=false")
                    if not why:
                        return boot
                else:
                    why = self._call(node, "apply-config", "--file", Private(config), "--mode", "staged")
                    kept = not why
                    if kept:
                        continue  # what it needs is asked again
            try:
                waiting.pause("boot", {**missing, node: why or "it waits for the others"})
            except BootstrapError as error:
                if not heard_in:
                    raise
                raise InDoubt(f"{error} Whether it boots is not known: it stays cordoned. Run this again.") from None

    def _call(self, node: Node, *words: str | Private) -> str:
        """Ask a node for something; why it was not heard. An answer that is final is raised."""
        try:
            self.nodes.call(node, *words)
        except TalosctlError as error:
            if error.failure not in UNHEARD:
                raise
            return error.failure.value
        return ""

    def _lacks(self, node: Node, _look: Look, config: bytes) -> str:
        """What is missing in a node's new boot."""
        try:
            kept, active = self.nodes.config(node)
        except TalosctlError as error:
            if error.failure not in PASSING:
                raise
            return error.failure.value
        return "it has another configuration" if differences(kept, config) or differences(active, config) else ""
