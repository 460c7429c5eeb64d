# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talos nodes as they answer: in which state they are, what configuration they have, and giving them theirs.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.module_utils._deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.module_utils._errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.module_utils._talos_cluster import Node, numbers
from ansible_collections.tazlab.bootstrap.plugins.module_utils._talos_config import differences
from ansible_collections.tazlab.bootstrap.plugins.module_utils._talos_probe import asks_for_certificate
from ansible_collections.tazlab.bootstrap.plugins.module_utils._talosctl import (
    CALL_SECONDS,
    Failure,
    Private,
    Talosctl,
    TalosctlError,
)
from ansible_collections.tazlab.bootstrap.plugins.module_utils._yaml import NotYaml, documents

Progress = Callable[[str], None]

PAUSE_SECONDS = 1.0
TELL_SECONDS = 15.0


class Standing(Enum):
    """How a node stands towards us."""

    MAINTENANCE = "in maintenance mode"
    OURS = "configured by these secrets"
    FOREIGN = "configured by other secrets"
    SILENT = "not answering"


@dataclass(frozen=True)
class Look:
    """What one look at a node showed."""

    standing: Standing
    why: str = ""
    version: str | None = None


@dataclass(frozen=True)
class Nodes:
    """The nodes' API, asked with the cluster's credentials where there are any."""

    talosctl: Talosctl
    talosconfig: Path | bytes | None = field(default=None, repr=False)
    is_configured: Callable[[str, float], bool] = asks_for_certificate

    def look(self, node: Node, timeout: float = CALL_SECONDS) -> Look:
        """In which state a node is now."""
        failure = None
        if self.talosconfig is not None:
            try:
                answer = self.call(node, "version", timeout=timeout).decode(errors="replace")
                return Look(Standing.OURS, version=_server_version(answer))
            except TalosctlError as error:
                failure = _passed(error)
            if failure is not Failure.UNTRUSTED:
                return Look(Standing.SILENT, failure.value)
        failure = self._ask_without_credentials(node, timeout)
        if failure is None:
            return Look(Standing.MAINTENANCE)
        return Look(Standing.FOREIGN if failure is Failure.CONFIGURED else Standing.SILENT, failure.value)

    def _ask_without_credentials(self, node: Node, timeout: float) -> Failure | None:
        """Why a node does not answer to whoever asks; None where it does, as it does in maintenance mode only."""
        if self.is_configured(node.address, timeout):
            return Failure.CONFIGURED
        try:
            self.call(node, "get", "machinestatus", "--output", "json", insecure=True, timeout=timeout)
        except TalosctlError as error:
            return _passed(error)
        return None

    def config(self, node: Node) -> tuple[bytes, bytes]:
        """A configured node's configuration: as it will boot with, and as it runs with."""
        answer = self.call(node, "get", "machineconfig", "--output", "yaml")
        try:
            found = {
                document["metadata"]["id"]: str(document["spec"]).encode()
                for document in documents(answer)
                if isinstance(document, Mapping)
            }
            active = found["v1alpha1"]
        except (NotYaml, KeyError, TypeError):
            raise BootstrapError(
                f"{node.name}: talosctl get machineconfig gave no configuration. Is the node's Talos older than 1.12?"
            ) from None
        return found.get("persistent", active), active

    def call(
        self,
        node: Node,
        *arguments: str | Private,
        insecure: bool = False,
        timeout: float = CALL_SECONDS,
    ) -> bytes:
        """A call to one node, by its own address: a virtual one needs etcd, which may not run yet."""
        if insecure:
            reach: list[str | Private] = ["--nodes", node.address, "--insecure"]
        else:
            given = self.talosconfig
            credentials = Private(given) if isinstance(given, bytes) else str(given)
            reach = ["--nodes", node.address, "--endpoints", node.address, "--talosconfig", credentials]
        return self.talosctl.run(*arguments, *reach, timeout=timeout, target=f"{node.name} ({node.address})")


@dataclass(frozen=True)
class Change:
    """What was done, or in check mode would be done, to a node's configuration."""

    node: Node
    state: str
    changed: bool = False
    paths: tuple[str, ...] = ()
    warning: str | None = None


# What a Change's state says.
APPLIED = "configured"
UPDATED = "updated"
STAGED = "updated at its next reboot"
SAME = "unchanged"
DEFERRED = "not answering yet"


def configure(
    nodes: Nodes,
    wanted: Mapping[Node, bytes],
    deadline: Deadline,
    progress: Progress,
    *,
    version: str,
    wait_for_workers: bool,
    check: bool,
) -> list[Change]:
    """Give each node its configuration. Those that do not answer yet are waited for; the order is theirs.

    A worker that an interrupted run has configured answers only when the control plane runs, so it may have to be
    deferred: asked again by a later call.
    """
    done: dict[Node, Change] = {}
    waiting = Waiting(deadline, progress)
    while True:
        silent: dict[Node, Look] = {}
        for node in wanted:
            if node not in done:
                look = nodes.look(node)
                if look.standing is Standing.SILENT:
                    silent[node] = look
                else:
                    done[node] = _settle(nodes, node, look, wanted[node], version, check)
                    progress(f"{node.name}: {done[node].state}")
        late = [node for node in silent if node.is_control_plane or wait_for_workers]
        if check or not late:
            for node in silent:
                progress(f"{node.name}: {DEFERRED}")
            done |= {node: Change(node, DEFERRED, changed=check) for node in silent}
            return [done[node] for node in wanted]
        waiting.pause("answer", {node: silent[node].why for node in late})


def _settle(nodes: Nodes, node: Node, look: Look, wanted: bytes, version: str, check: bool) -> Change:
    if look.standing is Standing.FOREIGN:
        raise BootstrapError(foreign(node, nodes.talosconfig is not None))
    if look.standing is Standing.MAINTENANCE:
        if not check:
            nodes.call(node, "apply-config", "--file", Private(wanted), insecure=True)
        return Change(node, APPLIED, changed=True)
    persistent, active = nodes.config(node)
    warning = _version_warning(node, look.version, version)
    paths = tuple(differences(persistent, wanted))
    if not paths:
        waits = differences(active, persistent)
        if waits:
            warning = f"{node.name} runs with an older configuration until its next reboot ({', '.join(waits)})."
        return Change(node, SAME, warning=warning)
    state = UPDATED if check else _update(nodes, node, wanted)
    if state is STAGED:
        warning = (
            f"{node.name} takes its new configuration at its next reboot, which is yours to choose: "
            f"talosctl --nodes {node.address} reboot ({', '.join(paths)})."
        )
    return Change(node, state, changed=True, paths=paths, warning=warning)


def _update(nodes: Nodes, node: Node, wanted: bytes) -> str:
    """Change a running node's configuration, never rebooting it: what needs that waits for the next one."""
    try:
        nodes.call(node, "apply-config", "--file", Private(wanted), "--mode", "no-reboot")
    except TalosctlError as error:
        if error.failure is not Failure.REBOOT:
            raise
        nodes.call(node, "apply-config", "--file", Private(wanted), "--mode", "staged")
        return STAGED
    return UPDATED


def foreign(node: Node, have_secrets: bool) -> str:
    """What to say of a node that is configured, and not by the secrets at hand."""
    found = "with other secrets than those in the state directory" if have_secrets else "while its secrets are gone"
    return (
        f"{node.name} ({node.address}) is configured {found}. Nothing was changed: new secrets would lock you out of "
        "it. Restore the state directory (secrets.yaml above all) from your backup; or, where the node may be lost, "
        "delete its VM with destroy.yml and run again."
    )


def _version_warning(node: Node, found: str | None, wanted: str) -> str | None:
    if found is None or numbers(found) == numbers(wanted):
        return None
    return (
        f"{node.name} runs Talos {found}, and {wanted} is wanted. Its configuration names the new installer; to move, "
        f"run: talosctl --nodes {node.address} upgrade"
    )


@dataclass
class Waiting:
    """Waits in small steps with a bound, and says now and then for what."""

    deadline: Deadline
    progress: Progress
    _told: float | None = None

    def pause(self, what: str, missing: Mapping[Node, str]) -> None:
        """Wait a moment; raise when the time is up. C{missing} tells for each node why it is waited for."""
        listed = "; ".join(f"{node.name} ({node.address}): {why}" for node, why in missing.items())
        if self.deadline.left <= 0:
            raise BootstrapError(
                f"Waited {self.deadline.seconds:g} s for nodes to {what}. {listed}. Look at their consoles in Proxmox: "
                "is the address the one in the inventory, and is Talos running?"
            )
        now = time.monotonic()
        if self._told is None or now - self._told >= TELL_SECONDS:
            self._told = now
            self.progress(f"waiting for nodes to {what} ({self.deadline.left:.0f} s left): {listed}")
        time.sleep(min(PAUSE_SECONDS, max(self.deadline.left, 0.05)))


def refuse_foreign(looks: Mapping[Node, Look], have_secrets: bool) -> list[str]:
    """What to say of every node that is configured by somebody else."""
    return [foreign(node, have_secrets) for node, look in looks.items() if look.standing is Standing.FOREIGN]


def wait_for_maintenance(nodes: Nodes, wanted: Sequence[Node], deadline: Deadline, progress: Progress) -> None:
    """Wait until every node answers and none is configured: only then may secrets be generated."""
    waiting = Waiting(deadline, progress)
    while True:
        looks = {node: nodes.look(node) for node in wanted}
        problems = refuse_foreign(looks, have_secrets=False)
        if problems:
            raise BootstrapError(" ".join(problems))
        silent = {node: look.why for node, look in looks.items() if look.standing is Standing.SILENT}
        if not silent:
            return
        waiting.pause("answer", silent)


def _passed(error: TalosctlError) -> Failure:
    """The failure of a look at a node. What is not the node's doing is no answer, but an error."""
    if error.failure in (Failure.MISSING, Failure.DENIED):
        raise error
    return error.failure


def _server_version(answer: str) -> str | None:
    found = re.search(r"Tag:\s+(v\d+\.\d+\.\d+\S*)", answer.partition("Server:")[2])
    return found[1] if found else None
