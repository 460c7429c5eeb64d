# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what is done to nodes in every state, and of etcd's one bootstrap, with scripted answers of talosctl."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import dump
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos import nodes as _talos_nodes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Birth
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.etcd import bootstrap
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.left import waiting
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    BOOTS,
    OTHERS,
    STAGED,
    Change,
    Found,
    Nodes,
    Standing,
    configure,
    survey,
    survey_until,
    wait_for_maintenance,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import (
    Failure,
    Private,
    Talosctl,
    TalosctlError,
)

CP = Node("cp-1", "192.0.2.11", "control_plane")
CP2 = Node("cp-2", "192.0.2.12", "control_plane")
WORKER = Node("worker-1", "192.0.2.21", "worker")
CONFIG = b"machine: {token: canary}\n"
OTHER = b"machine: {token: canary-2}\n"
NODE = b"machine: {token: canary, nodeLabels: {a: b}}\n"
LABELLED = b"machine: {token: canary, nodeLabels: {a: c}}\n"
VERSION = b"Client:\n\tTag:  v1.13.0\nServer:\n\tTag:         v1.12.6\n"
MEMBERS = b"NODE  ID  HOSTNAME\n192.0.2.11  1f  cp-1\n"

Answer = bytes | Failure


@dataclass(frozen=True)
class Scripted(Talosctl):
    """A talosctl that gives each node's answers in turn, the last one for ever, and notes what was asked."""

    script: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def run(self, *arguments: str | Private, timeout: float = 1.0, target: str = "", heard: object = None) -> bytes:
        words = [argument for argument in arguments if isinstance(argument, str)]
        address = words[words.index("--nodes") + 1]
        call = " ".join(words[: next(i for i, word in enumerate(words) if word.startswith("-"))])
        call += "".join(f" {word}" for word in words if word in ("no-reboot", "--insecure", "--dry-run"))
        self.asked.append((address, call))
        answers = self.script.get((address, call), [Failure.UNREACHABLE])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Failure):
            raise TalosctlError(answer, f"{target}: {answer.value}")
        return answer

    def changes(self) -> list[tuple[str, str]]:
        """What was asked that changes something."""
        return [asked for asked in self.asked if asked[1].partition(" ")[0] in ("apply-config", "bootstrap")]


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_talos_nodes, "PAUSE_SECONDS", 0.001)


def nodes(talosctl: Scripted, credentials: bool = True) -> Nodes:
    def is_configured(address: str, _timeout: float) -> bool:
        return (address, CERTIFICATE) in talosctl.script

    return Nodes(talosctl, b"talosconfig" if credentials else None, is_configured)


def resource(name: str, config: bytes) -> bytes:
    return dump({"node": "x", "metadata": {"id": name}, "spec": config.decode()})


def machineconfig(persistent: bytes, active: bytes) -> bytes:
    return resource("persistent", persistent) + b"---\n" + resource("v1alpha1", active)


INSECURE = "get machinestatus --insecure"
CERTIFICATE = "asks for a certificate"
MAINTENANCE = {"version": [Failure.UNTRUSTED], INSECURE: [b"{}"]}
FOREIGN = {"version": [Failure.UNTRUSTED], CERTIFICATE: [b""], INSECURE: [Failure.CUT]}


def state(node: Node, answers: dict[str, list[Any]]) -> dict[tuple[str, str], list[Answer]]:
    return {(node.address, call): list(answer) for call, answer in answers.items()}


@pytest.mark.parametrize(
    ("answers", "credentials", "standing"),
    [
        ({"version": [VERSION]}, True, Standing.OURS),
        (MAINTENANCE, True, Standing.MAINTENANCE),
        (MAINTENANCE, False, Standing.MAINTENANCE),
        (FOREIGN, True, Standing.FOREIGN),
        (FOREIGN, False, Standing.FOREIGN),
        ({"version": [Failure.UNTRUSTED], INSECURE: [Failure.CUT]}, True, Standing.SILENT),
        ({"version": [Failure.UNREACHABLE], INSECURE: [b"{}"]}, True, Standing.SILENT),
        ({"version": [Failure.CLOCK]}, True, Standing.SILENT),
        ({INSECURE: [Failure.UNREACHABLE]}, False, Standing.SILENT),
        ({INSECURE: [Failure.NOT_TALOS]}, False, Standing.SILENT),
    ],
)
def test_a_node_stands_towards_us_as_it_answers(
    answers: dict[str, list[Any]], credentials: bool, standing: Standing
) -> None:
    assert nodes(Scripted(script=state(CP, answers)), credentials).look(CP).standing is standing


def test_the_node_tells_its_version_and_not_the_client() -> None:
    assert nodes(Scripted(script=state(CP, {"version": [VERSION]}))).look(CP).version == "v1.12.6"


def configured(
    script: dict[tuple[str, str], list[Answer]],
    check: bool = False,
    wait_for_workers: bool = False,
    seconds: float = 5,
    permit: Callable[[Mapping[Node, Found]], None] | None = None,
) -> tuple[Scripted, list[Change]]:
    talosctl = Scripted(script=script)
    asked = nodes(talosctl)
    done = configure(
        asked,
        {CP: CONFIG, WORKER: CONFIG},
        survey(asked, [CP, WORKER]),
        Deadline(seconds),
        lambda line: None,
        permit=permit or (lambda _found: None),
        wait_for_workers=wait_for_workers,
        check=check,
    )
    return talosctl, done


OURS = {"version": [VERSION], "get machineconfig": [machineconfig(CONFIG, CONFIG)], "get extensions": [b""]}


def test_a_node_in_maintenance_gets_its_configuration_and_one_that_has_it_is_left_alone() -> None:
    script = state(CP, {**MAINTENANCE, "apply-config --insecure": [b""]}) | state(WORKER, OURS)
    talosctl, done = configured(script)
    assert talosctl.changes() == [(CP.address, "apply-config --insecure")]
    assert [(change.state, change.changed) for change in done] == [("configured", True), ("unchanged", False)]


def test_check_mode_changes_nothing_and_does_not_wait() -> None:
    script = state(CP, MAINTENANCE)
    talosctl, done = configured(script, check=True, wait_for_workers=True)
    assert talosctl.changes() == []
    assert [(change.state, change.changed) for change in done] == [("configured", True), ("not answering yet", True)]


def test_a_worker_that_does_not_answer_is_deferred() -> None:
    _, done = configured(state(CP, OURS))
    assert [change.state for change in done] == ["unchanged", "not answering yet"]
    assert not any(change.changed for change in done)


def test_a_control_plane_is_waited_for_and_named_when_the_time_is_up() -> None:
    late = {**OURS, "version": [Failure.UNREACHABLE, Failure.UNREACHABLE, VERSION]}
    assert [change.state for change in configured(state(CP, late) | state(WORKER, OURS))[1]] == ["unchanged"] * 2
    with pytest.raises(BootstrapError, match=r"Waited 0.05 s for nodes to answer. cp-1 \(192.0.2.11\)"):
        configured(state(WORKER, OURS), seconds=0.05)


def test_a_difference_is_applied_without_a_reboot() -> None:
    differs = {**OURS, "get machineconfig": [machineconfig(NODE, NODE)], "apply-config no-reboot": [b""]}
    talosctl, done = configured(state(CP, differs) | state(WORKER, OURS))
    assert talosctl.changes() == [(CP.address, "apply-config no-reboot")]
    assert (done[0].state, done[0].paths) == ("updated", ("- machine.nodeLabels.a",))
    assert done[0].shown == ("- machine.nodeLabels.a: b",)


def test_what_needs_a_reboot_is_left_and_told() -> None:
    # It is known of most paths; up to Talos 1.13 the machine refuses what else there may be.
    for path, refuses in (("files", 0), ("registries", 1)):
        living = dump({"machine": {path: {"a": "b"}}}) + b"---\n" + CONFIG
        answers = {"get machineconfig": [machineconfig(living, living)], "apply-config no-reboot": [Failure.REBOOT]}
        for check in (True, False):
            talosctl, done = configured(state(CP, {**OURS, **answers}) | state(WORKER, OURS), check=check)
            assert len(talosctl.changes()) == (0 if check else refuses)
            assert (done[0].state, done[0].changed) == (("updated", True) if check and refuses else (BOOTS, False))
            lines = list(waiting(done, {CP: CONFIG, WORKER: CONFIG}))
            wanted = (
                f"Node cp-1 differs from the inventory and is left so, as the change needs a reboot: - machine.{path}"
            )
            assert not lines if done[0].changed else lines[0].startswith(wanted)
    staged = {**OURS, "get machineconfig": [machineconfig(CONFIG, OTHER)]}
    talosctl, done = configured(state(CP, staged) | state(WORKER, OURS))
    assert talosctl.changes() == []
    assert (done[0].state, done[0].changed, done[0].paths) == (STAGED, False, ("~ machine.token",))


def test_what_somebody_else_has_made_is_left_and_what_is_given_is_noted_before() -> None:
    differs = {**OURS, "get machineconfig": [machineconfig(NODE, NODE)], "apply-config no-reboot": [b""]}
    new = {**MAINTENANCE, "apply-config --insecure": [b""]}
    for living, state_of_cp, given in (
        (NODE, "updated", {CP: [NODE, LABELLED], CP2: [LABELLED]}),
        (b"", OTHERS, {CP2: [LABELLED]}),
    ):
        talosctl = Scripted(script=state(CP, differs) | state(CP2, new))
        asked = nodes(talosctl)
        noted: list[tuple[dict[Node, list[bytes]], int]] = []

        def note(each: Mapping[Node, Sequence[bytes]], noted: list[Any] = noted, talosctl: Scripted = talosctl) -> None:
            noted.append(({node: list(configs) for node, configs in each.items()}, len(talosctl.changes())))

        done = configure(
            asked,
            {CP: LABELLED, CP2: LABELLED},
            survey(asked, [CP, CP2]),
            Deadline(5),
            lambda line: None,
            permit=lambda _found: None,
            wait_for_workers=False,
            check=False,
            ours=lambda _node, config, living=living: config == living,
            note=note,
        )
        assert [change.state for change in done] == [state_of_cp, "configured"]
        assert noted == [(given, 0)]


def test_who_has_taken_a_change_is_named_where_another_one_refuses() -> None:
    takes = {**OURS, "get machineconfig": [machineconfig(NODE, NODE)], "apply-config no-reboot": [b""]}
    refuses = {**takes, "apply-config no-reboot": [Failure.REFUSED]}
    with pytest.raises(BootstrapError, match=r"worker-1 .* it refuses the configuration cp-1 took it\."):
        configured(state(CP, takes) | state(WORKER, refuses))


def test_a_configuration_that_a_node_refuses_is_an_error_without_its_text() -> None:
    refuses = {**MAINTENANCE, "apply-config --insecure": [Failure.REFUSED]}
    with pytest.raises(TalosctlError, match="cp-1") as caught:
        configured(state(CP, refuses))
    assert "canary" not in str(caught.value)


def test_a_control_plane_that_is_silent_is_looked_at_again_until_it_answers() -> None:
    late = {**MAINTENANCE, "version": [Failure.UNREACHABLE, Failure.UNREACHABLE, Failure.UNTRUSTED]}
    asked = nodes(Scripted(script=state(CP, late)))
    found = survey_until(asked, [CP, WORKER], Deadline(5), lambda line: None, lambda node: node.is_control_plane)
    assert {node.name: each.standing for node, each in found.items()} == {
        "cp-1": Standing.MAINTENANCE,
        "worker-1": Standing.SILENT,
    }
    with pytest.raises(BootstrapError, match=r"worker-1 \(192.0.2.21\): it does not answer.*What to do\."):
        survey_until(asked, [CP, WORKER], Deadline(0.05), lambda line: None, lambda _node: True, "What to do.")


def test_a_node_that_goes_while_its_configuration_is_read_counts_as_silent() -> None:
    going = {"version": [VERSION], "get machineconfig": [Failure.CUT]}
    assert nodes(Scripted(script=state(CP, going))).found(CP).standing is Standing.SILENT


def test_the_schematic_is_what_the_factory_has_noted_as_an_extension() -> None:
    told = b"".join(
        dump({"spec": {"metadata": {"name": name, "version": version}}}) + b"---\n"
        for name, version in (("qemu-guest-agent", "10.0"), ("schematic", "376567"))
    )
    assert nodes(Scripted(script=state(CP, {"get extensions": [told]}))).schematic(CP) == "376567"
    assert nodes(Scripted(script=state(CP, {"get extensions": [b""]}))).schematic(CP) == ""
    assert nodes(Scripted(script=state(CP, {"get extensions": [Failure.NOT_HERE]}))).schematic(CP) is None


def test_a_node_that_answers_late_is_examined_like_the_others_before_anything_is_done_to_it() -> None:
    late = {**MAINTENANCE, "version": [Failure.UNREACHABLE, Failure.UNREACHABLE, Failure.UNTRUSTED]}
    seen: list[str] = []

    def permit(found: Mapping[Node, Found]) -> None:
        seen.extend(node.name for node, each in found.items() if each.standing is not Standing.SILENT)
        if "worker-1" in seen:
            raise BootstrapError("not that one")

    talosctl = Scripted(script=state(CP, OURS) | state(WORKER, late))
    asked = nodes(talosctl)
    with pytest.raises(BootstrapError, match="not that one"):
        configure(
            asked,
            {CP: CONFIG, WORKER: CONFIG},
            survey(asked, [CP, WORKER]),
            Deadline(5),
            lambda line: None,
            permit=permit,
            wait_for_workers=True,
            check=False,
        )
    assert seen == ["cp-1", "worker-1"]
    assert talosctl.changes() == []


def test_a_foreign_node_is_an_error_and_nothing_is_applied() -> None:
    talosctl = Scripted(script=state(CP, FOREIGN) | state(WORKER, MAINTENANCE))
    with pytest.raises(BootstrapError, match="is configured with other secrets"):
        asked = nodes(talosctl)
        configure(
            asked,
            {CP: CONFIG},
            survey(asked, [CP]),
            Deadline(5),
            lambda line: None,
            permit=lambda _found: None,
            wait_for_workers=True,
            check=False,
        )
    assert talosctl.changes() == []


def test_secrets_wait_until_every_node_is_known_to_be_new() -> None:
    slow = {INSECURE: [Failure.UNREACHABLE, Failure.UNREACHABLE, b"{}"]}
    wait_for_maintenance(
        nodes(Scripted(script=state(CP, slow) | state(WORKER, slow)), False),
        [CP, WORKER],
        Deadline(5),
        lambda line: None,
    )
    with pytest.raises(BootstrapError, match="while its secrets are gone"):
        wait_for_maintenance(
            nodes(Scripted(script=state(CP, slow) | state(WORKER, FOREIGN)), False),
            [CP, WORKER],
            Deadline(5),
            lambda line: None,
        )


def services(etcd: str) -> bytes:
    return f"NODE  SERVICE  STATE  HEALTH\nx  apid  Running  OK\nx  etcd  {etcd}  ?\n".encode()


NEW: dict[str, list[Any]] = {
    "version": [VERSION],
    "etcd members": [Failure.UNKNOWN],
    "services": [services("Preparing")],
}


@dataclass
class MemoryNote:
    """The note of a birth, kept here."""

    birth: Birth = Birth.BEGUN

    def read(self) -> Birth:
        return self.birth

    def write(self, birth: Birth) -> None:
        self.birth = birth


def bootstrapped(
    script: dict[tuple[str, str], list[Answer]],
    control_planes: tuple[Node, ...] = (CP,),
    seconds: float = 5,
    note: MemoryNote | None = None,
) -> tuple[Scripted, bool]:
    talosctl = Scripted(script=script)
    note = note or MemoryNote()
    done = bootstrap(nodes(talosctl), control_planes, note, Deadline(seconds), lambda line: None)  # type: ignore[arg-type]
    assert note.birth is Birth.NONE, "etcd has members, so the birth is over"
    return talosctl, done


def test_etcd_is_bootstrapped_when_no_control_plane_knows_a_member() -> None:
    born = {**NEW, "etcd members": [Failure.UNKNOWN, Failure.UNKNOWN, MEMBERS], "bootstrap": [b""]}
    talosctl, done = bootstrapped(state(CP, born) | state(CP2, NEW), (CP, CP2))
    assert done
    assert talosctl.changes() == [(CP.address, "bootstrap")]


def test_etcd_is_never_bootstrapped_twice() -> None:
    talosctl, done = bootstrapped(state(CP, {**NEW, "etcd members": [MEMBERS]}))
    assert not done
    assert talosctl.changes() == []


def test_a_new_first_control_plane_joins_the_etcd_of_the_others() -> None:
    talosctl, done = bootstrapped(state(CP, NEW) | state(CP2, {**NEW, "etcd members": [MEMBERS]}), (CP, CP2))
    assert not done
    assert talosctl.changes() == []


def test_an_etcd_without_quorum_is_not_given_a_second_one() -> None:
    stuck = {**NEW, "services": [services("Running")]}
    talosctl = Scripted(script=state(CP, NEW) | state(CP2, stuck))
    with pytest.raises(BootstrapError, match=r"cp-2.*etcd runs and tells no members"):
        bootstrap(nodes(talosctl), (CP, CP2), MemoryNote(), Deadline(0.1), lambda line: None)  # type: ignore[arg-type]
    assert talosctl.changes() == []


def test_without_a_birth_etcd_is_waited_for_and_never_made() -> None:
    note = MemoryNote(Birth.NONE)
    late = {**NEW, "etcd members": [Failure.UNKNOWN, Failure.UNKNOWN, MEMBERS]}
    talosctl, done = bootstrapped(state(CP, late), note=note)
    assert (talosctl.changes(), done) == ([], False)
    talosctl = Scripted(script=state(CP, NEW))
    with pytest.raises(
        BootstrapError, match=r"cp-1.*its etcd tells no members yet.*may not make a new etcd.*tazlab_etcd_lost"
    ):
        bootstrap(nodes(talosctl), (CP,), note, Deadline(0.1), lambda line: None)  # type: ignore[arg-type]
    assert talosctl.changes() == []


def test_that_etcd_was_asked_is_noted_before_it_is() -> None:
    note = MemoryNote()
    talosctl = Scripted(script=state(CP, {**NEW, "bootstrap": [Failure.DENIED]}))
    with pytest.raises(TalosctlError):
        bootstrap(nodes(talosctl), (CP,), note, Deadline(5), lambda line: None)  # type: ignore[arg-type]
    assert note.birth is Birth.ASKED


def test_a_silent_control_plane_keeps_etcd_from_being_bootstrapped() -> None:
    talosctl = Scripted(script=state(CP, NEW))
    with pytest.raises(BootstrapError, match="cp-2"):
        bootstrap(nodes(talosctl), (CP, CP2), MemoryNote(), Deadline(0.1), lambda line: None)  # type: ignore[arg-type]
    assert talosctl.changes() == []


@pytest.mark.parametrize("blip", [Failure.NOT_YET, Failure.UNREACHABLE, Failure.CUT])
def test_a_blip_is_no_failure(blip: Failure) -> None:
    born = {**NEW, "etcd members": [Failure.UNREACHABLE] * 3 + [MEMBERS], "bootstrap": [blip, b""]}
    talosctl, done = bootstrapped(state(CP, born))
    assert done
    assert talosctl.changes() == [(CP.address, "bootstrap")] * 2


def test_already_exists_is_success_only_when_etcd_has_members() -> None:
    exists = {**NEW, "bootstrap": [Failure.EXISTS]}
    _, done = bootstrapped(state(CP, {**exists, "etcd members": [Failure.UNKNOWN, MEMBERS]}))
    assert not done
    with pytest.raises(BootstrapError, match="etcd's data is there already, and it tells no members"):
        bootstrapped(state(CP, exists), seconds=0.1)


def test_what_no_waiting_mends_is_an_error_at_once() -> None:
    with pytest.raises(TalosctlError) as caught:
        bootstrapped(state(CP, {**NEW, "bootstrap": [Failure.DENIED]}), seconds=60)
    assert caught.value.failure is Failure.DENIED


def test_waiting_is_told_now_and_then_and_not_all_the_time() -> None:
    told: list[str] = []
    tell: Callable[[str], None] = told.append
    talosctl = Scripted(
        script=state(CP, {**NEW, "version": [Failure.UNREACHABLE] * 20 + [VERSION], "etcd members": [MEMBERS]})
    )
    bootstrap(nodes(talosctl), (CP,), MemoryNote(), Deadline(5), tell)  # type: ignore[arg-type]
    assert ["waiting for nodes to come up" in line for line in told] == [True, False]
