# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talos of a living cluster moves, node by node, by the real talosctl; Kubernetes and etcd's database are real."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.snapshots import snapshot_line
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import MARK
from lab.binaries import version
from lab.factory import ImageFactory
from lab.kubeclient import MERGE, Client, KubeError
from lab.machines import SCHEMATIC, Metal, TalosWorld
from lab.nodes import Nodes
from lab.playbook import Run, run_playbook
from lab.process import wait_until
from lab.tls import Authority

OLD, NEW = version("talosctl"), version("talosctl-1.14")
BETWEEN = "v1.13.8"
ROOT = Path(__file__).resolve().parents[2]
NAMES = ("cp-1", "cp-2", "cp-3", "worker-1")


class World(TalosWorld):
    """A living cluster of Talos 1.12 on machines that nobody here makes."""

    def __init__(self, directory: Path, metal: Metal, nodes: Nodes, factory: ImageFactory) -> None:
        super().__init__(directory, metal)
        self.metal = metal
        self.talos = nodes
        self.cluster = "home"  # as the inventory calls it
        self.factory = factory
        self.environment = {"SSL_CERT_FILE": str(factory.ca_file)}
        self.options = {"factory_url": factory.url, "timeout": 90}

    def client(self) -> Client:
        (cluster,) = self.talos.clusters()
        return cluster.client()

    def node_object(self, name: str) -> dict[str, Any]:
        found = self.client().find("v1", "Node", name)
        assert found is not None
        return found

    def ready(self) -> bool:
        """Whether every Node of the inventory is Ready."""

        def is_ready(name: str) -> bool:
            conditions = self.node_object(name).get("status", {}).get("conditions", [])
            return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

        try:
            return all(is_ready(node["name"]) for node in self.nodes)
        except (OSError, KubeError, AssertionError, ValueError):
            return False

    def runs(self) -> dict[str, tuple[str, str]]:
        """What each machine was booted with."""
        return {machine.hostname: (machine.runs, machine.schematic) for machine in self.talos.machines()}

    def living(self) -> None:
        self.born()
        wait_until(self.ready, "every node is Ready", 60)

    def inventory(self) -> Path:
        """An inventory of the cluster as a user writes one."""
        hosts = {node["name"]: {"ansible_host": node["address"], "install_disk": "/dev/sda"} for node in self.nodes}
        groups = {
            "talos_control_plane": [node["name"] for node in self.nodes if node["role"] == "control_plane"],
            "talos_workers": [node["name"] for node in self.nodes if node["role"] == "worker"],
        }
        variables = {
            "tazlab_cluster": self.cluster,
            "tazlab_provider": "existing",
            "tazlab_talos": {
                "cluster_name": "home",
                "version": self.options.get("version", self.metal.version),
                "kubernetes_version": "1.35.4",
                "schematic": self.options.get("schematic", SCHEMATIC),
                "factory_url": self.factory.url,
                "platform": "nocloud",
            },
            "tazlab_flux": {"url": "https://example.net/cluster", "branch": "main", "path": "./clusters/home"},
            "tazlab_state": {"path": str(self.state)},
            "tazlab_backup": {"directory": str(self.directory / "backups")},
            "tazlab_vault_url": "https://127.0.0.1:1",
            "tazlab_anchor": str(self.directory / "anchor"),
            "tazlab_fields": {"TALOS_SECRETBOX_KEY": {"kind": "base64key", "bytes": 32}},
        }
        children = {group: {"hosts": {name: hosts[name] for name in names}} for group, names in groups.items()}
        path = self.directory / "inventory.yml"
        path.write_text(yaml.safe_dump({"all": {"vars": variables, "children": children}}))
        return path

    def play(self, *arguments: str, playbook: str = "upgrade.yml") -> Run:
        """A playbook with that inventory."""
        return run_playbook(
            ROOT / "playbooks" / playbook,
            home=self.home,
            inventory=self.inventory(),
            arguments=arguments,
            environment={"PATH": self.path, **self.environment},
            timeout=300,
        )

    def held(self) -> dict[str, Any]:
        """What stands on the Nodes that an upgrade has left there: cordons and notes."""
        return {
            name: (node["spec"].get("unschedulable"), node["metadata"].get("annotations", {}).get(MARK))
            for name in (each["name"] for each in self.nodes)
            if (node := self.node_object(name))
        }

    def refused(self, *words: str, **variables: Any) -> str:
        """The message of an upgrade that fails."""
        run = self.run("talos_upgrade", **variables)
        assert run.returncode != 0, run.output
        for word in words:
            assert word in run.output, (word, run.output)
        return run.output

    def deploy(self, name: str, replicas: int, budget: int) -> None:
        """An application with a disruption budget, running."""
        labels = {"app": name}
        self.client().create(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [{"name": "main", "image": "example.net/app:1"}]},
                    },
                },
            }
        )
        self.budget(name, name, budget, replicas)

    def budget(self, name: str, app: str, available: int, replicas: int = 1) -> None:
        """A disruption budget of an application, which knows its pods."""
        self.client().create(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"minAvailable": available, "selector": {"matchLabels": {"app": app}}},
            }
        )

        def settled() -> bool:
            found = self.client().find("policy/v1", "PodDisruptionBudget", name, "default")
            return bool(found) and found["status"].get("currentHealthy") == replicas

        wait_until(settled, f"{app} runs and its budget knows it", 60)


@pytest.fixture
def made(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """A cluster that lives: C(param) is the number of its control planes and of its workers, and maybe its Talos."""
    control_planes, workers, *talos = request.param
    metal = Metal(control_planes + workers, *(talos or [OLD]))
    with (
        ImageFactory(Authority(tmp_path / "ca")) as factory,
        Nodes(tmp_path / "nodes", metal, "talos-nodes-1.14") as nodes,
    ):
        world = World(tmp_path, metal, nodes, factory)
        names = [f"cp-{number + 1}" for number in range(control_planes)]
        names += [f"worker-{number + 1}" for number in range(workers)]
        world.nodes = [world.node(name, number) for number, name in enumerate(names, 1)]
        for number in range(1, len(names) + 1):
            nodes.wait(f"machine-{number}", "maintenance")
        world.living()
        yield world
        assert nodes.problems == []


@pytest.mark.kube
@pytest.mark.parametrize("made", [(3, 1)], indirect=True)
def test_talos_moves_through_each_minor_version(made: World) -> None:
    """And a node that its owner had cordoned stays so."""
    made.options["version"] = NEW
    made.client().request("PATCH", "/api/v1/nodes/cp-2", {"spec": {"unschedulable": True}}, content_type=MERGE)
    before = made.held()
    check = made.play("--check", "-vvvvv", "--diff")
    assert not (made.directory / "backups").exists()
    assert check.returncode == 0, check.output
    order = [*((name, OLD, BETWEEN) for name in NAMES), *((name, BETWEEN, NEW) for name in NAMES)]
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
    assert "Every node runs the Talos of the inventory." in again.output
    assert "changed=0" in again.output


@pytest.mark.kube
@pytest.mark.parametrize("made", [(1, 2)], indirect=True)
def test_pods_leave_by_eviction_and_a_budget_that_blocks_is_named(made: World) -> None:
    made.options["version"] = BETWEEN
    made.deploy("many", 2, 1)
    told = made.results("talos_upgrade", arguments=["--check"])["talos_upgrade"]["plan"]
    evicted = {each["node"]: [name.rpartition("-")[0].partition("-")[0] for name in each["evicts"]] for each in told}
    assert sorted(evicted["worker-1"] + evicted["worker-2"]) == ["default/many"] * 2
    assert evicted["cp-1"] == []

    # There is one of it, and none may be away: nothing is done to its node.
    made.deploy("single", 1, 1)
    made.upgrade = {"drain_seconds": 3}
    said = made.refused("pods did not leave within 3 s", "default/single-", "The disruption budget single needs 1")
    (name,) = re.findall(r"(worker-\d): 1 of its pods did not leave", said)
    assert made.runs()[name] == (OLD, SCHEMATIC)
    assert set(made.held().values()) == {(None, None)}

    # A pod of two budgets cannot be evicted at all, which keeps no other one.
    made.budget("also", "single", 0)
    said = made.refused("default/single-", "more than one PodDisruptionBudget", "(500)")
    assert "1 of its pods did not leave" in said
    made.upgrade = {"drain": False}
    assert made.results("talos_upgrade")["talos_upgrade"]["changed"]
    assert set(made.runs().values()) == {(BETWEEN, SCHEMATIC)}
    assert set(made.held().values()) == {(None, None)}


@pytest.mark.kube
@pytest.mark.parametrize("made", [(1, 1)], indirect=True)
def test_what_cannot_be_is_refused_before_anything_is_changed(made: World) -> None:
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
    made.upgrade = {"timeout": 5}
    made.refused("Waited 5 s for nodes to answer", "worker-1")
    assert set(made.runs().values()) == {(OLD, SCHEMATIC)}
    assert made.held() == before


@pytest.mark.kube
@pytest.mark.parametrize("made", [(3, 1)], indirect=True)
def test_a_control_plane_is_not_touched_while_etcd_cannot_spare_it(made: World) -> None:
    made.options["version"] = BETWEEN
    made.upgrade = {"timeout": 5}
    (first,) = [machine for machine in made.talos.machines() if machine.hostname == "cp-1"]
    members = [{"name": node["name"], "address": node["address"]} for node in made.nodes[:3]]
    ghost = {"name": "cp-9", "address": made.metal.address(99)}
    for wrong, words in (
        ([*members, ghost], "etcd has 4 members, and the inventory 3 control planes, among them cp-9"),
        ([members[0], ghost, {**ghost, "address": made.metal.address(98)}], "etcd reports etcdserver: no leader"),
    ):
        made.talos.tell_members(first, wrong)
        made.refused("Waited 5 s for nodes to be well before cp-1 is upgraded", words, "cp-1 was not touched")
    made.talos.tell_members(first, members)
    made.talos.hold_server(first, down=True)
    made.refused("Waited 5 s for nodes to be well before cp-1 is upgraded", "its kube-apiserver is not ready")
    assert set(made.runs().values()) == {(OLD, SCHEMATIC)}
    assert set(made.held().values()) == {(None, None)}


@pytest.mark.kube
@pytest.mark.parametrize("made", [(1, 1)], indirect=True)
def test_a_node_that_does_not_come_back_is_waited_for_with_a_bound_and_the_next_run_goes_on(made: World) -> None:
    made.options["version"] = BETWEEN
    made.upgrade = {"timeout": 25}
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
def test_an_upgrade_that_is_killed_goes_on(made: World, moment: str) -> None:
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
@pytest.mark.parametrize("made", [(1, 1, BETWEEN)], indirect=True)
def test_what_was_installed_and_not_booted_is_no_upgrade_yet(made: World) -> None:
    worker = made.nodes[1]["address"]
    image = made.factory.installer(SCHEMATIC, NEW)
    words = ("--talosconfig", str(made.state / "talosconfig"), "--endpoints", worker, "--nodes", worker)
    subprocess.run(
        ["talosctl", "upgrade", *words, "--image", image, "--no-reboot"],
        env={"PATH": made.path, **made.environment},
        check=True,
        capture_output=True,
        timeout=60,
    )
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
    made.upgrade["kubeconfig"] = str(lost)
    said = made.refused("Does a control plane run", arguments=["--check"])
    assert "waited for" not in said


@pytest.mark.kube
@pytest.mark.parametrize("made", [(1, 0, BETWEEN)], indirect=True)
def test_a_snapshot_of_etcd_is_private_and_whole_or_not_there(made: World) -> None:
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
@pytest.mark.parametrize("made", [(2, 0)], indirect=True)
def test_two_control_planes_move_and_an_upgrade_that_was_given_up_is_ended(made: World) -> None:
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
@pytest.mark.parametrize("made", [(1, 0, BETWEEN)], indirect=True)
def test_the_installer_is_the_one_of_the_inventorys_patches(made: World) -> None:
    host = made.factory.url.partition("://")[2]
    patch = {"machine": {"install": {"image": f"{host}/nocloud-installer/{'ab' * 32}:v1.0.0"}}}
    made.nodes[0]["patches"] = [patch]
    made.options["version"] = NEW
    made.refused("There is no image", f"{'ab' * 32}:{NEW}")


@pytest.mark.kube
@pytest.mark.parametrize("made", [(1, 1, NEW)], indirect=True)
def test_what_only_kubernetes_had_comes_back_from_a_snapshot(made: World) -> None:
    """By Talos' own command: that the snapshots are good for it."""
    note = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "note", "namespace": "default"},
        "stringData": {"text": "kept"},
    }
    made.client().create(note)
    assert made.play(playbook="backup.yml").returncode == 0
    (snapshot,) = (made.directory / "backups").iterdir()
    made.metal.replace(1)
    made.talos.wait("machine-1", "maintenance")
    made.options["etcd_lost"] = "home"
    made.results("talos_secrets", "talos_config")
    made.talos.wait("machine-1", "configured")
    first = made.nodes[0]["address"]
    words = ("--talosconfig", str(made.state / "talosconfig"), "--endpoints", first, "--nodes", first)

    def recovered() -> bool:
        done = subprocess.run(
            ["talosctl", "bootstrap", *words, "--recover-from", str(snapshot)],
            env={"PATH": made.path},
            check=False,
            capture_output=True,
            timeout=60,
        )
        return done.returncode == 0

    wait_until(recovered, "etcd is bootstrapped from the snapshot", 60, 1)
    made.results("talos_bootstrap")
    wait_until(made.ready, "every node is Ready", 60)
    found = made.client().find("v1", "Secret", "note", "default")
    assert found is not None
    assert found["data"] == {"text": "a2VwdA=="}
