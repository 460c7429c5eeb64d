# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine leaves the cluster: emptied, out of etcd, wiped, and forgotten by Kubernetes.

Where a run ended before, another one goes on: a machine that was wiped has no configuration any more. Private: other
collections must not import it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Unanswered, require
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import PASSING, Standing, Waiting
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import TalosctlError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.etcd import is_well, member_of, unwell
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import (
    ASK_SECONDS,
    UNHEARD,
    InDoubt,
    Rolling,
)

# What of a machine's disk is wiped: its configuration, and all that it holds. The image stays, so that it boots again
# and shows that it has none.
WIPED: t.Final = ("STATE", "EPHEMERAL")


@dataclass(frozen=True)
class Removal(Rolling):
    """The procedure for one machine. C(cluster) is what stays."""

    leaving: Node

    def unwell(self) -> dict[Node, str]:
        return unwell(self.nodes, self.cluster.control_planes, self.leaving)

    def rest(self) -> dict[Node, str]:
        """What speaks against taking the machine away now."""
        missing, _host = self.missing(list(self.cluster.nodes), self.leaving)
        return missing

    def member(self) -> str:
        """The id of its member, as a control plane that stays knows it, whatever the inventory says that it is."""
        first = self.cluster.control_planes[0]
        try:
            return member_of(self.nodes, first, self.leaving)
        except TalosctlError as error:
            raise BootstrapError(
                f"{first.name} ({first.address}) does not tell etcd's members: {error} Nothing was changed. Has etcd "
                "its quorum? Without it no member can leave: bring one back, or restore a snapshot (restore.yml).",
                code="no_quorum",
            ) from None

    def reset(self, *, runs_etcd: bool, known: bool) -> None:
        """Wipe a machine that answers, when those that stay are well.

        C(runs_etcd): whether it is configured as a control plane; C(known): whether Kubernetes has its Node.
        """
        if known:
            boot = self.spared(self.leaving, lambda: self._ask_until_heard(runs_etcd=runs_etcd))
        else:
            boot = self._ask_until_heard(runs_etcd=runs_etcd)
        self._wait_until_wiped(boot)

    def wait_for_rest(self) -> None:
        """Wait until those that stay are well."""
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while missing := self.rest():
            waiting.pause(f"be well before {self.leaving.name} is removed", missing, "Nothing was changed.")

    def leave_etcd(self) -> None:
        """Take the member out of etcd, from a control plane that stays."""
        first = self.cluster.control_planes[0]
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            try:
                identity = member_of(self.nodes, first, self.leaving)
                if not identity:
                    return
                self.say(f"{self.leaving.name}: its member is taken out of etcd")
                self.nodes.call(first, "etcd", "remove-member", identity)
                why = f"etcd has {self.leaving.name} as a member still"
            except TalosctlError as error:
                if error.failure not in PASSING:
                    raise
                why = error.failure.value
            waiting.pause("have etcd without it", {first: why}, "Run this again.")

    def forget(self) -> None:
        """Delete the Node. Kubernetes then makes its pods elsewhere."""
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            try:
                answer = self.api.request("DELETE", f"/api/v1/nodes/{self.leaving.name}", seconds=ASK_SECONDS)
                if answer.status != 404:
                    require(answer, self.api.server, f"the removal of Node {self.leaving.name}")
            except Unanswered as error:
                waiting.pause("be forgotten by Kubernetes", {self.leaving: str(error).rstrip(".")}, "Run this again.")
            else:
                return

    def _ask_until_heard(self, *, runs_etcd: bool) -> str:
        """Ask the machine to leave etcd and to wipe itself. Returns the boot in which it heard."""
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        labels = [word for label in WIPED for word in ("--system-labels-to-wipe", label)]
        asked = ""
        while True:
            missing = self.rest()
            boot, why = self.boot(self.leaving)
            if asked and self.nodes.look(self.leaving).standing is Standing.MAINTENANCE:
                return asked
            if boot and not missing:
                # One that is no member, or not a well one, cannot leave: Talos gives up after a while, and boots.
                graceful = not runs_etcd or (bool(self.member()) and is_well(self.nodes, self.leaving))
                if not graceful:
                    self.leave_etcd()
                asked = boot
                self.say(f"{self.leaving.name}: leaves, and is wiped")
                try:
                    words = ("--graceful=true" if graceful else "--graceful=false", "--reboot", "--wait=false")
                    self.nodes.call(self.leaving, "reset", *words, *labels)
                except TalosctlError as error:
                    if error.failure not in UNHEARD:
                        raise
                    why = error.failure.value
                else:
                    return boot
            try:
                waiting.pause("hear that they leave", {**missing, self.leaving: why or "it waits for the others"})
            except BootstrapError as error:
                if not asked:
                    raise
                raise InDoubt(f"{error} Whether it leaves is not known: it stays cordoned. Run this again.") from None

    def _wait_until_wiped(self, boot: str) -> None:
        """Wait until the machine is back without a configuration. One that is back with it was not wiped."""
        waiting = Waiting(Deadline(self.bounds.node), self.say)
        while True:
            now, why = self.boot(self.leaving)
            if now and now != boot:
                raise InDoubt(
                    f"{self.leaving.name} ({self.leaving.address}): it was booted anew and has its configuration "
                    "still: it could not leave etcd, or its disk could not be wiped. Its console tells why; it stays "
                    "cordoned. Run this again when that is mended.",
                    code="not_wiped",
                    subject=self.leaving.name,
                )
            if not now and self.nodes.look(self.leaving).standing is Standing.MAINTENANCE:
                return
            waiting.pause(
                "be back without a configuration",
                {self.leaving: why or "it runs still"},
                "It stays cordoned. Where its console shows maintenance mode at another address, switch it off, and "
                "run this again: it is then removed as one that is lost.",
            )
