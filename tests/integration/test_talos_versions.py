# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oldest and the newest Talos that are supported, each with its talosctl and machines that read its own form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import cluster_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import Generator
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Nodes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Private, Talosctl
from lab.binaries import version
from lab.machines import ALL, SCHEMATIC, Machines, TalosWorld
from lab.process import wait_until

OLDEST, NEWEST = version("talosctl"), version("talosctl-1.14")
TAKES_PODS = {"apiVersion": "v1alpha1", "kind": "KubeNodeConfig", "taints": {"$patch": "delete"}}


def _world(directory: Path, talos: str, client: str = "") -> Iterator[TalosWorld]:
    with Machines(directory, talos) as machines:
        world = TalosWorld(directory, machines, client)
        for number in (1, 2):
            machines.boot(number)
        yield world


@pytest.fixture(params=[OLDEST, NEWEST])
def either(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TalosWorld]:
    yield from _world(tmp_path, request.param)


@pytest.fixture
def newest(tmp_path: Path) -> Iterator[TalosWorld]:
    yield from _world(tmp_path, NEWEST)


@pytest.fixture
def newer_client(tmp_path: Path) -> Iterator[TalosWorld]:
    yield from _world(tmp_path, OLDEST, "talosctl-1.14")


def by_kind(world: TalosWorld, number: int) -> dict[str, dict[str, Any]]:
    """The documents of a machine's configuration."""
    return {str(document.get("kind")): document for document in world.machines.config(number)}


def contract(world: TalosWorld) -> str:
    return str(json.loads((world.state / "facts.json").read_text())["contract"])


def test_a_cluster_is_born_and_a_second_run_changes_nothing(either: TalosWorld) -> None:
    assert either.problems() == []
    either.born()
    talos = either.machines.version
    assert contract(either) == talos.rpartition(".")[0]
    found = by_kind(either, 1)
    assert found["HostnameConfig"]["hostname"] == "cp-1"
    if talos == NEWEST:
        assert found["KubeCoreDNSConfig"]["enabled"] is False
        assert "KubeCoreDNSConfig" not in by_kind(either, 2), "it is a control plane's"
        assert found["UnattendedInstallConfig"]["installer"]["image"].endswith(f"{SCHEMATIC}:{talos}")
        assert either.key in json.dumps(found["KubeEtcdEncryptionConfig"])
    again = either.results(*ALL)
    assert not any(each["changed"] for each in again.values())
    assert [node["configuration"] for node in again["talos_config"]["nodes"]] == ["unchanged", "unchanged"]
    assert either.problems() == []


def test_a_newer_talosctl_serves_older_machines(newer_client: TalosWorld) -> None:
    newer_client.nodes[0]["patches"] = [TAKES_PODS]
    (told,) = newer_client.problems()
    assert f"patch 1 has KubeNodeConfig, which Talos {OLDEST} does not know yet" in told
    newer_client.nodes[0]["patches"] = []
    lacking = [{**node, "install_disk": ""} for node in newer_client.nodes]
    refused = newer_client.run("talos_disks", nodes=lacking)
    assert refused.returncode != 0
    assert "Set install_disk for each host" in refused.output
    newer_client.born()
    assert contract(newer_client) == "v1.12"
    assert newer_client.machines.config(1)[0]["cluster"]["coreDNS"] == {"disabled": True}
    assert not any(each["changed"] for each in newer_client.results(*ALL).values())


def test_a_change_of_version_is_refused_in_both_forms(either: TalosWorld) -> None:
    either.born()
    either.options["kubernetes_version"] = "1.34.6"
    (problem,) = either.problems()
    assert "Kubernetes v1.34.6 is wanted, and cp-1, worker-1 run v1.35.4" in problem


def test_a_patch_of_the_older_form_is_told_with_its_documents(newest: TalosWorld) -> None:
    old = {"cluster": {"allowSchedulingOnControlPlanes": True, "apiServer": {"env": {"A": newest.canary}}}}
    newest.nodes = [newest.node("cp-1", 1, old)]
    (told,) = newest.problems()
    assert "cluster.allowSchedulingOnControlPlanes is now in KubeNodeConfig" in told
    assert "cluster.apiServer is now in KubeAPIServerConfig" in told
    assert "{apiVersion: v1alpha1, kind: KubeNodeConfig, taints: {$patch: delete}}" in told
    assert newest.canary not in told
    newest.nodes = [newest.node("cp-1", 1, TAKES_PODS)]
    assert newest.problems() == []
    newest.born()
    assert "taints" not in by_kind(newest, 1)["KubeNodeConfig"]


def test_a_birth_on_new_machines_has_the_form_of_its_version(newest: TalosWorld) -> None:
    """As rebirths upgrade a cluster: the state is of an older Talos."""
    newest.born()
    facts = newest.state / "facts.json"
    facts.write_text(facts.read_text().replace('"v1.14"', '"v1.12"'))
    for number in (1, 2):
        newest.machines.lose(number)
    newest.nodes[0]["patches"] = [{"apiVersion": "v1alpha1", "kind": "KubeFlannelCNIConfig", "$patch": "delete"}]
    assert newest.problems() == [], "it is written for what is to be"
    assert newest.results("talos_config", pending=True, arguments=["--check"])["talos_config"]["changed"]
    newest.results(*ALL)
    assert contract(newest) == "v1.14"
    assert "KubeCoreDNSConfig" in by_kind(newest, 1)


def test_a_living_cluster_keeps_its_form_also_where_the_state_does_not_know_it(newest: TalosWorld) -> None:
    newest.born()
    for node in newest.nodes:  # written for that form; with contract v1.14 no configuration can be made of it
        node["patches"] = [{"machine": {"nodeLabels": {"room": "cellar"}}}]
    older = _of_contract(newest, "v1.12")
    facts = newest.state / "facts.json"
    facts.write_text(facts.read_text().replace('"v1.14"', '""'))
    newest.options["timeout"] = 60
    assert newest.problems() == []
    found = newest.results("talos_config")["talos_config"]
    assert [node["configuration"] for node in found["nodes"]] == ["unchanged", "unchanged"]
    assert contract(newest) == "v1.12"
    assert set(by_kind(newest, 1)) == older


def test_a_living_cluster_is_brought_to_a_newer_form_when_that_is_said(newest: TalosWorld) -> None:
    newest.born()
    facts = newest.state / "facts.json"
    _of_contract(newest, "v1.12")
    facts.write_text(facts.read_text().replace('"v1.14"', '"v1.12"'))
    assert newest.problems() == []
    for wrong, words in (("v1.15", "is of a newer Talos than v1.14.1"), ("v1.11", "is older than v1.12"), ("x", "fit")):
        newest.options["raise_contract"] = wrong
        (problem,) = newest.problems()
        assert words in problem
        assert words in newest.run("talos_config").output
    del newest.options["raise_contract"]
    assert not newest.results("talos_config")["talos_config"]["changed"]  # what they have is known as given here
    newest.options["raise_contract"] = "v1.14"
    assert newest.problems() == []
    told = newest.results("talos_config", arguments=["--check"])["talos_config"]["nodes"]
    assert "- cluster.clusterName" in told[0]["differences"]
    assert "KubeClusterConfig" not in by_kind(newest, 1)
    assert contract(newest) == "v1.12"
    found = newest.results("talos_config")["talos_config"]
    assert contract(newest) == "v1.14"
    # A part of the newer form takes effect at a boot: test_configure.py goes on from here.
    assert [node["configuration"] for node in found["nodes"]] == ["the change needs a reboot"] * 2
    assert "KubeClusterConfig" not in by_kind(newest, 1)


def _of_contract(world: TalosWorld, form: str) -> set[str]:
    """Give the machines configurations of another contract by hand. Returns the kinds of the control plane's."""
    path = world.path
    params = {
        "cluster": "home",
        "endpoint": None,
        "version": NEWEST,
        "kubernetes_version": "1.35.4",
        "coredns": False,
        "schematic": SCHEMATIC,
        "factory_url": "https://factory.talos.dev",
        "platform": "nocloud",
        "nodes": [
            {name: node[name] for name in ("name", "address", "role", "install_disk", "patches")}
            for node in world.nodes
        ],
    }
    cluster = replace(cluster_of(params), contract=form)
    generator = Generator(Talosctl({"PATH": path}), cluster, (world.state / "secrets.yaml").read_bytes())
    nodes = Nodes(generator.talosctl, world.state / "talosconfig")
    for number, node in enumerate(cluster.nodes, 1):
        config = generator.machine_config(node)
        nodes.call(node, "apply-config", "--file", Private(config), "--mode", "no-reboot")
        wait_until(lambda number=number: "KubeClusterConfig" not in by_kind(world, number), f"{node.name} has it", 20)
    return set(by_kind(world, 1))
