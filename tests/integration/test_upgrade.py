# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talos of a living cluster moves, node by node, by the real talosctl; Kubernetes and etcd's database are real."""

from __future__ import annotations

import os
import re
import signal

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.snapshots import snapshot_line
from lab.binaries import version
from lab.kubeclient import MERGE
from lab.living import LivingWorld
from lab.machines import SCHEMATIC
from lab.process import wait_until

OLD, NEW = version("talosctl"), version("talosctl-1.14")
BETWEEN = "v1.13.8"


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(3, 1), (5, 0)], indirect=True)
def test_talos_moves_through_each_minor_version(made: LivingWorld) -> None:
    """And a node that its owner had cordoned stays so."""
    made.options["version"] = NEW
    made.client().request("PATCH", "/api/v1/nodes/cp-2", {"spec": {"unschedulable": True}}, content_type=MERGE)
    before = made.held()
    check = made.play("--check", "-vvvvv", "--diff")
    assert not (made.directory / "backups").exists()
    assert check.returncode == 0, check.output
    names = [node["name"] for node in made.nodes]
    order = [*((name, OLD, BETWEEN) for name in names), *((name, BETWEEN, NEW) for name in names)]
    assert re.findall(r"(\S+): Talos (\S+) -> (\S+), ", check.output) == order
    assert made.key not in check.output
    assert set(made.runs().values()) == {(OLD, SCHEMATIC)}
    assert made.held() == before

    run = made.play()
    assert run.returncode == 0, run.output
    assert re.findall(r"(\S+): runs Talos (\S+) and is Ready", run.output) == [(name, to) for name, _, to in order]
    assert set(made.runs().values()) == {(NEW, SCHEMATIC)}
    assert made.held() == before
    (snapshot,) = (made.directory / "backups").iterdir()
    assert snapshot.stat().st_size > 100_000
    assert (snapshot.stat().st_mode & 0o777, snapshot.parent.stat().st_mode & 0o777) == (0o600, 0o700)

    again = made.play()
    assert again.returncode == 0, again.output
    assert "Every node runs the Talos and the Kubernetes of the inventory." in again.output
    assert "changed=0" in again.output


@pytest.mark.kube
@pytest.mark.parametrize("made", [(1, 2)], indirect=True)
def test_pods_leave_by_eviction_and_a_budget_that_blocks_is_named(made: LivingWorld) -> None:
    made.options["version"] = BETWEEN
    made.deploy("many", 2, 1)
    told = made.results("talos_upgrade", arguments=["--check"])["talos_upgrade"]["plan"]
    evicted = {each["node"]: [name.rpartition("-")[0].partition("-")[0] for name in each["evicts"]] for each in told}
    assert sorted(evicted["worker-1"] + evicted["worker-2"]) == ["default/many"] * 2
    assert evicted["cp-1"] == []

    # There is one of it, and none may be away: nothing is done to its node.
    made.deploy("single", 1, 1)
    made.rolling = {"drain_seconds": 3}
    said = made.refused("pods did not leave within 3 s", "default/single-", "The disruption budget single needs 1")
    (name,) = re.findall(r"(worker-\d): 1 of its pods did not leave", said)
    assert made.runs()[name] == (OLD, SCHEMATIC)
    assert set(made.held().values()) == {(None, None)}

    # A pod of two budgets cannot be evicted at all, which keeps no other one.
    made.budget("also", "single", 0)
    said = made.refused("default/single-", "more than one PodDisruptionBudget", "(500)")
    assert "1 of its pods did not leave" in said
    made.rolling = {"drain": False}
    assert made.results("talos_upgrade")["talos_upgrade"]["changed"]
    assert set(made.runs().values()) == {(BETWEEN, SCHEMATIC)}
    assert set(made.held().values()) == {(None, None)}


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1)], indirect=True)
def test_what_cannot_be_is_refused_before_anything_is_changed(made: LivingWorld) -> None:
    before = made.held()
    for setting, value, words in (
        ("schematic", "ce4c" * 16, "There is no image"),
        ("version", "v1.13.1", "There is no image"),
        ("version", "v1.12.0", "does not go back to an older version"),
        ("cluster", "office", "configured as cluster home, and this is office"),
        ("kubernetes_version", "1.36.0", "1.36.0 does not run on Talos v1.12.6"),
    ):
        made.options = {**made.options, setting: value}
        made.refused(words)
        made.options = {"factory_url": made.factory.url}
    made.metal.power(2, on=False)
    made.options["version"] = BETWEEN
    made.rolling = {"timeout": 5}
    made.refused("Waited 5 s for nodes to answer", "worker-1")
    assert set(made.runs().values()) == {(OLD, SCHEMATIC)}
    assert made.held() == before


@pytest.mark.kube
@pytest.mark.parametrize("made", [(3, 1)], indirect=True)
def test_a_control_plane_is_not_touched_while_etcd_cannot_spare_it(made: LivingWorld) -> None:
    made.options["version"] = BETWEEN
    made.rolling = {"timeout": 5}
    (first,) = [machine for machine in made.talos.machines() if machine.hostname == "cp-1"]
    members = [{"name": node["name"], "address": node["address"]} for node in made.nodes[:3]]
    ghost = {"name": "cp-9", "address": made.metal.address(99)}
    for wrong, words in (
        ([*members, ghost], "etcd has 4 members, and the inventory 3 control planes, among them cp-9"),
        ([members[0], ghost, {**ghost, "address": made.metal.address(98)}], "etcd reports etcdserver: no leader"),
    ):
        made.talos.tell_members(first, wrong)
        made.refused("Waited 5 s for nodes to be well before cp-1 is changed", words, "cp-1 was not touched")
    made.talos.tell_members(first, members)
    made.talos.hold_server(first, down=True)
    made.refused("Waited 5 s for nodes to be well before cp-1 is changed", "its kube-apiserver is not ready")
    assert set(made.runs().values()) == {(OLD, SCHEMATIC)}
    assert set(made.held().values()) == {(None, None)}


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1)], indirect=True)
def test_a_node_that_does_not_come_back_is_waited_for_with_a_bound_and_the_next_run_goes_on(made: LivingWorld) -> None:
    made.options["version"] = BETWEEN
    made.rolling = {"timeout": 25}
    worker = made.talos.machine("machine-2")

    def gone() -> bool:
        return worker.version == BETWEEN

    play = made.started("talos_upgrade")
    with play as process:
        wait_until(gone, "the worker has installed it", 120)
        made.metal.power(2, on=False)
        assert process.wait(timeout=120) != 0
    said = (made.home / "said").read_text()
    assert "Waited 25 s for nodes to come back with Talos v1.13.8" in said
    assert "worker-1" in said
    assert made.held()["worker-1"][0] is True, "it takes no pods while nobody knows what it is"
    made.metal.power(2, on=True)
    made.results("talos_upgrade")
    assert set(made.runs().values()) == {(BETWEEN, SCHEMATIC)}
    assert set(made.held().values()) == {(None, None)}


# Moments of an upgrade: of the control plane, then of the worker.
MOMENTS = {
    "noted": lambda made: made.held()["cp-1"][1] is not None,
    "asked": lambda made: "cp-1: installs" in (made.home / "said").read_text(),
    "installed": lambda made: made.talos.machine("machine-1").version == made.options["version"],
    "booting": lambda made: made.talos.machine("machine-1").runs == made.options["version"],
    "given back": lambda made: "cp-1: runs Talos" in (made.home / "said").read_text(),
    "the worker is empty": lambda made: "worker-1: installs" in (made.home / "said").read_text(),
    "the worker installed": lambda made: made.talos.machine("machine-2").version == made.options["version"],
    "the worker boots": lambda made: made.talos.machine("machine-2").runs == made.options["version"],
    "the worker answers": lambda made: (
        made.talos.machine("machine-2").stage == "configured"
        and made.talos.machine("machine-2").runs == made.options["version"]
    ),
    "the worker is given back": lambda made: "worker-1: runs Talos" in (made.home / "said").read_text(),
}


@pytest.mark.kube
@pytest.mark.sweep
@pytest.mark.parametrize(
    ("made", "moment"),
    # By turns in the older way of an upgrade and in the newer one.
    [((1, 1, (OLD, BETWEEN)[number % 2]), moment) for number, moment in enumerate(MOMENTS)],
    indirect=["made"],
    ids=MOMENTS,
)
def test_an_upgrade_that_is_killed_goes_on(made: LivingWorld, moment: str) -> None:
    made.options["version"] = BETWEEN if made.metal.version == OLD else NEW
    made.deploy("app", 1, 0)
    with made.started("talos_upgrade") as process:
        wait_until(lambda: MOMENTS[moment](made), moment, 120)
        os.killpg(process.pid, signal.SIGKILL)
    made.results("talos_upgrade")
    assert set(made.runs().values()) == {(made.options["version"], SCHEMATIC)}
    assert made.ready()
    assert set(made.held().values()) == {(None, None)}
    assert not made.results("talos_upgrade")["talos_upgrade"]["changed"]


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1, BETWEEN)], indirect=True)
def test_what_was_installed_and_not_booted_is_no_upgrade_yet(made: LivingWorld) -> None:
    made.talosctl(2, "upgrade", "--image", made.factory.installer(SCHEMATIC, NEW), "--no-reboot")
    wait_until(lambda: made.talos.machine("machine-2").version == NEW, "it is installed", 10)
    assert made.talos.machine("machine-2").runs == BETWEEN
    made.options["version"] = NEW
    told = made.results("talos_upgrade", arguments=["--check"])["talos_upgrade"]["plan"]
    assert [each["node"] for each in told] == ["cp-1", "worker-1"]
    made.results("talos_upgrade")
    assert set(made.runs().values()) == {(NEW, SCHEMATIC)}
    # Another set of extensions is an upgrade of the same kind.
    made.options["schematic"] = made.factory.register({"customization": {"extraKernelArgs": ["quiet"]}})
    assert made.results("talos_upgrade")["talos_upgrade"]["changed"]
    assert set(made.runs().values()) == {(NEW, made.options["schematic"])}
    # A node that cannot pull what the factory has runs as before, and takes pods again.
    made.options["schematic"] = SCHEMATIC
    made.factory.closed_to = "Go-http-client"
    made.refused("it cannot pull the image", "cp-1 runs as before")
    assert set(made.held().values()) == {(None, None)}
    # In check mode nothing is waited for, and nothing is said of waiting.
    lost = made.directory / "kubeconfig"
    lost.write_text(re.sub(r"https://[^\s]+", "https://127.0.0.1:1", (made.state / "kubeconfig").read_text()))
    made.rolling["kubeconfig"] = str(lost)
    said = made.refused("Does a control plane run", arguments=["--check"])
    assert "waited for" not in said


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 0, BETWEEN)], indirect=True)
def test_a_snapshot_of_etcd_is_private_and_whole_or_not_there(made: LivingWorld) -> None:
    backups = made.directory / "backups"
    backups.mkdir(mode=0o755)
    (backups / ".etcd-home-20260101T000000Z.snapshot.unchecked.part").write_text("of a run that was killed")
    check = made.play("--check", playbook="backup.yml")
    assert check.returncode == 0, check.output
    assert "none is there" in check.output
    run = made.play(playbook="backup.yml")
    assert run.returncode == 0, run.output
    (snapshot,) = backups.iterdir()
    assert re.fullmatch(r"etcd-home-\d{8}T\d{6}Z\.snapshot", snapshot.name)
    assert snapshot.stat().st_mode & 0o777 == 0o600
    assert re.search(r"the newest is .*, [\d.]+ MiB, .* old", snapshot_line(backups, "home"))
    assert snapshot_line(backups, "office") == f"snapshots of etcd: none in {backups}"
    made.cluster = "office"  # whose machines were configured as home
    assert f"snapshots of etcd: the newest is {snapshot}" in made.play(playbook="health.yml").output
    made.cluster = "home"

    (machine,) = made.talos.machines()
    made.talos.tell_members(machine, [{"name": "a", "address": "127.0.0.2"}, {"name": "b", "address": "127.0.0.3"}])
    failed = made.play(playbook="backup.yml")
    assert failed.returncode != 0
    assert "No control plane gave a snapshot of etcd" in failed.output
    assert list(backups.iterdir()) == [snapshot]


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(2, 0)], indirect=True)
def test_two_control_planes_move_and_an_upgrade_that_was_given_up_is_ended(made: LivingWorld) -> None:
    """Talos 1.12 itself spares no member of two."""
    made.options["version"] = BETWEEN
    with made.started("talos_upgrade") as process:
        wait_until(lambda: made.held()["cp-1"][1] is not None, "it has begun", 60)
        os.killpg(process.pid, signal.SIGKILL)
    made.options["version"] = OLD
    told = made.results("talos_upgrade", arguments=["--check"])["talos_upgrade"]
    assert told["changed"]
    ended = made.results("talos_upgrade")["talos_upgrade"]
    assert (ended["changed"], ended["text"]) == (True, "cp-1: takes pods again, its upgrade had been broken off")
    assert set(made.held().values()) == {(None, None)}
    assert set(made.runs().values()) == {(OLD, SCHEMATIC)}

    made.options["version"] = BETWEEN
    made.results("talos_upgrade")
    assert set(made.runs().values()) == {(BETWEEN, SCHEMATIC)}


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 0, BETWEEN)], indirect=True)
def test_the_installer_is_the_one_of_the_inventorys_patches(made: LivingWorld) -> None:
    host = made.factory.url.partition("://")[2]
    patch = {"machine": {"install": {"image": f"{host}/nocloud-installer/{'ab' * 32}:v1.0.0"}}}
    made.nodes[0]["patches"] = [patch]
    made.options["version"] = NEW
    made.refused("There is no image", f"{'ab' * 32}:{NEW}")
