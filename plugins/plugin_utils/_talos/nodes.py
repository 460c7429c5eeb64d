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

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.together import attempted, together
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, documents
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import differences
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.extension import keep_login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import needs_boot
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.probe import asks_for_certificate
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.shown import shown
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import (
    CALL_SECONDS,
    Failure,
    Private,
    Talosctl,
    TalosctlError,
)

Progress = Callable[[str], None]

PAUSE_SECONDS = 1.0
TELL_SECONDS = 15.0

# What a node may answer while its API or etcd starts. Anything else is an error at once.
PASSING = frozenset({Failure.UNREACHABLE, Failure.CUT, Failure.NOT_YET, Failure.UNKNOWN, Failure.CLOCK})


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
class Found:
    """A node as one look found it, with its configuration where it is ours."""

    look: Look
    persistent: bytes = field(default=b"", repr=False)  # with which it will boot
    active: bytes = field(default=b"", repr=False)  # with which it runs
    schematic: str | None = None  # that it runs; empty: none of the Image Factory's; None: it does not tell

    @property
    def standing(self) -> Standing:
        return self.look.standing


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
            # Newer clients ask for the version first, which a node before 1.13 does not tell everybody. Who answers so
            # without a certificate is Talos, and has no configuration.
            return None if error.failure is Failure.NOT_HERE else _passed(error)
        return None

    def found(self, node: Node, timeout: float = CALL_SECONDS) -> Found:
        """A node's state, and its configuration where it is ours."""
        look = self.look(node, timeout)
        if look.standing is not Standing.OURS:
            return Found(look)
        try:
            return Found(look, *self.config(node), self.schematic(node))
        except TalosctlError as error:
            if error.failure not in PASSING:
                raise
            return Found(Look(Standing.SILENT, error.failure.value))

    def schematic(self, node: Node) -> str | None:
        """The id of the schematic that a configured node runs. The Image Factory notes it as an extension."""
        try:
            answer = self.call(node, "get", "extensions", "--output", "yaml")
            told = [document["spec"]["metadata"] for document in documents(answer) if isinstance(document, Mapping)]
            return next((str(each["version"]) for each in told if each["name"] == "schematic"), "")
        except TalosctlError as error:
            if error.failure is not Failure.NOT_HERE:
                raise
            return None
        except (NotYaml, KeyError, TypeError):
            return None

    def boot(self, node: Node) -> str:
        """The id of the boot in which a configured node is, which its Kubernetes node has, too."""
        return self.call(node, "read", "/proc/sys/kernel/random/boot_id").decode(errors="replace").strip()

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
        heard: Callable[[str], None] | None = None,
    ) -> bytes:
        """A call to one node, by its own address: a virtual one needs etcd, which may not run yet.

        C(heard) gets each line of its output while it goes on.
        """
        if insecure:
            reach: list[str | Private] = ["--nodes", node.address, "--insecure"]
        else:
            given = self.talosconfig
            credentials = Private(given) if isinstance(given, bytes) else str(given)
            reach = ["--nodes", node.address, "--endpoints", node.address, "--talosconfig", credentials]
        target = f"{node.name} ({node.address})"
        return self.talosctl.run(*arguments, *reach, timeout=timeout, target=target, heard=heard)


@dataclass(frozen=True)
class Change:
    """What was done, or in check mode would be done, to a node's configuration."""

    node: Node
    state: str
    changed: bool = False
    paths: tuple[str, ...] = ()  # at which it differed, or differs still
    shown: tuple[str, ...] = ()  # the same, with the values that are no secret


# What a Change's state says.
APPLIED = "configured"
UPDATED = "updated"
SAME = "unchanged"
DEFERRED = "not answering yet"
# What is left as it is, as nobody has said that it may be changed.
BOOTS = "the change needs a reboot"
STAGED = "it runs with an older configuration until its next reboot"
OTHERS = "somebody else has changed it, or made it"
LEFT = (BOOTS, STAGED, OTHERS)


def survey(nodes: Nodes, wanted: Sequence[Node], timeout: float = CALL_SECONDS) -> dict[Node, Found]:
    """One look at each node, side by side."""
    return dict(zip(wanted, together(lambda node: nodes.found(node, timeout), wanted), strict=True))


def survey_until(
    nodes: Nodes,
    wanted: Sequence[Node],
    deadline: Deadline,
    progress: Progress,
    awaited: Callable[[Node], bool],
    advice: str = "",
) -> dict[Node, Found]:
    """Look at each node until those that are awaited answer. C(advice) is given when the time is up."""
    waiting = Waiting(deadline, progress)
    found = survey(nodes, wanted)
    while True:
        silent = {node: each.look.why for node, each in found.items() if each.standing is Standing.SILENT}
        late = {node: why for node, why in silent.items() if awaited(node)}
        if not late:
            return found
        waiting.pause("answer", late, advice)
        found |= survey(nodes, list(silent))


def configure(
    nodes: Nodes,
    wanted: Mapping[Node, bytes],
    seen: Mapping[Node, Found],
    deadline: Deadline,
    progress: Progress,
    *,
    permit: Callable[[Mapping[Node, Found]], None],
    wait_for_workers: bool,
    check: bool,
    join: Callable[[Node, bytes], bytes] = lambda _node, config: config,
    ours: Callable[[Node, bytes], bool] = lambda _node, _config: True,
    note: Callable[[Mapping[Node, Sequence[bytes]]], None] = lambda _given: None,
) -> list[Change]:
    """Give each node its configuration, beginning from what was C(seen). Those that do not answer yet are waited for.

    C(permit) raises where that would harm a node: it is asked for whoever answers, before anything is done to it.

    C(ours) tells whether a living configuration was given here; one that was not is left as it is. C(note) keeps which
    ones a node may have after this.

    C(join) makes the configuration of a machine that is about to get its first one, for what serves only once.

    A worker that an interrupted run has configured answers only when the control plane runs, so it may have to be
    deferred: asked again by a later call.
    """
    done: dict[Node, Change] = {}
    waiting = Waiting(deadline, progress)
    found = {node: seen[node] for node in wanted}
    while True:
        permit(found)
        ready = [node for node, each in found.items() if each.standing is not Standing.SILENT]
        if not check:  # before it is done: of a run that is killed, too, it is known what was given
            note(_given(ready, found, wanted, ours))

        def settle(node: Node, found: Mapping[Node, Found] = found) -> Change:
            change = _settle(nodes, node, found[node], wanted[node], check, join, ours)
            progress(f"{node.name}: {change.state}")
            return change

        done |= _all_of(ready, attempted(settle, ready))
        silent = {node: found[node].look for node in found if node not in done}
        late = [node for node in silent if node.is_control_plane or wait_for_workers]
        if check or not late:
            for node in silent:
                progress(f"{node.name}: {DEFERRED}")
            done |= {node: Change(node, DEFERRED, changed=check) for node in silent}
            return [done[node] for node in wanted]
        waiting.pause("answer", {node: silent[node].why for node in late})
        found = survey(nodes, list(silent))


def _given(
    ready: Sequence[Node],
    found: Mapping[Node, Found],
    wanted: Mapping[Node, bytes],
    ours: Callable[[Node, bytes], bool],
) -> dict[Node, Sequence[bytes]]:
    """The configurations that each node may have when this run has ended, or was killed."""
    given: dict[Node, Sequence[bytes]] = {}
    for node in ready:
        living = found[node].persistent
        config = keep_login(living, wanted[node])
        if found[node].standing is Standing.MAINTENANCE:
            given[node] = [wanted[node]]
        elif not differences(living, config):
            given[node] = [living]  # alone: who puts an earlier one back has changed it
        elif ours(node, living) and ours(node, found[node].active):
            given[node] = [living, config]
    return given


def _all_of(ready: Sequence[Node], results: Sequence[Change | BootstrapError]) -> dict[Node, Change]:
    """What was done to every node; where one failed, the others that have taken their change are named."""
    done = {node: each for node, each in zip(ready, results, strict=True) if isinstance(each, Change)}
    for each in results:
        if isinstance(each, BootstrapError):
            took = [node.name for node, change in done.items() if change.changed]
            if took:
                raise BootstrapError(f"{each} {' and '.join(took)} took it.", code=each.code, subject=each.subject)
            raise each
    return done


def _settle(
    nodes: Nodes,
    node: Node,
    found: Found,
    wanted: bytes,
    check: bool,
    join: Callable[[Node, bytes], bytes],
    ours: Callable[[Node, bytes], bool],
) -> Change:
    if found.standing is Standing.FOREIGN:
        raise refusal([foreign(node, nodes.talosconfig is not None)])
    if found.standing is Standing.MAINTENANCE:
        if not check:
            nodes.call(node, "apply-config", "--file", Private(join(node, wanted)), insecure=True)
        return Change(node, APPLIED, changed=True)
    wanted = keep_login(found.persistent, wanted)
    paths = tuple(differences(found.persistent, wanted))
    if not paths:
        waits = tuple(differences(found.active, found.persistent))
        if not waits:
            return Change(node, SAME)
        return Change(node, STAGED, paths=waits, shown=tuple(shown(found.active, found.persistent)))
    state = OTHERS
    if ours(node, found.persistent) and ours(node, found.active):
        state = UPDATED if _update(nodes, node, wanted, paths, check) else BOOTS
    return Change(node, state, state is UPDATED, paths, tuple(shown(found.persistent, wanted)))


def _update(nodes: Nodes, node: Node, wanted: bytes, paths: Sequence[str], check: bool) -> bool:
    """Change a running node's configuration, or in check mode say that it would be; False where that needs a boot."""
    if any(needs_boot(path) for path in paths):
        return False
    return check or update(nodes, node, wanted)


def update(nodes: Nodes, node: Node, wanted: bytes) -> bool:
    """Change a running node's configuration without a reboot; False where it would need one, and nothing is done."""
    try:
        nodes.call(node, "apply-config", "--file", Private(wanted), "--mode", "no-reboot")
    except TalosctlError as error:
        if error.failure is not Failure.REBOOT:
            raise
        return False
    return True


def foreign(node: Node, have_secrets: bool) -> Problem:
    """What to say of a node that is configured, and not by the secrets at hand."""
    found = "with other secrets than those in the state directory" if have_secrets else "while its secrets are gone"
    return Problem(
        "foreign",
        f"{node.name} ({node.address})",
        f"it is configured {found}. Nothing was changed: new secrets would lock you out of it.",
        "Restore the state directory (secrets.yaml above all) from your backup; or, where the node may be lost, delete "
        "its VM with destroy.yml and run again.",
    )


@dataclass
class Waiting:
    """Waits in small steps with a bound, and says now and then for what."""

    deadline: Deadline
    progress: Progress
    _told: float | None = None

    def pause(self, what: str, missing: Mapping[Node, str], advice: str = "") -> None:
        """Wait a moment; raise with C(advice) when the time is up. C(missing) tells why each node is waited for."""
        listed = "; ".join(f"{node.name} ({node.address}): {why}" for node, why in missing.items())
        if self.deadline.left <= 0:
            raise BootstrapError(
                f"Waited {self.deadline.seconds:g} s for nodes to {what}. {listed}. Look at their consoles: "
                f"is the address the one in the inventory, and is Talos running?{f' {advice}' if advice else ''}"
            )
        now = time.monotonic()
        if self._told is None or now - self._told >= TELL_SECONDS:
            self._told = now
            self.progress(f"waiting for nodes to {what} ({self.deadline.left:.0f} s left): {listed}")
        time.sleep(min(PAUSE_SECONDS, max(self.deadline.left, 0.05)))


def refuse_foreign(looks: Mapping[Node, Look], have_secrets: bool) -> list[Problem]:
    """What to say of every node that is configured by somebody else."""
    return [foreign(node, have_secrets) for node, look in looks.items() if look.standing is Standing.FOREIGN]


def wait_for_maintenance(nodes: Nodes, wanted: Sequence[Node], deadline: Deadline, progress: Progress) -> None:
    """Wait until every node answers and none is configured: only then may secrets be generated."""
    waiting = Waiting(deadline, progress)
    while True:
        looks = dict(zip(wanted, together(nodes.look, wanted), strict=True))
        problems = refuse_foreign(looks, have_secrets=False)
        if problems:
            raise refusal(problems)
        silent = {node: look.why for node, look in looks.items() if look.standing is Standing.SILENT}
        if not silent:
            return
        waiting.pause("answer", silent)


def _passed(error: TalosctlError) -> Failure:
    """The failure of a look at a node. What is not the node's doing is an error, not an answer."""
    if error.failure in (Failure.MISSING, Failure.DENIED):
        raise error
    return error.failure


def _server_version(answer: str) -> str | None:
    found = re.search(r"Tag:\s+(v\d+\.\d+\.\d+\S*)", answer.partition("Server:")[2])
    return found[1] if found else None
