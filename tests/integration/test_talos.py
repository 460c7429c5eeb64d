# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Talos layer with the real talosctl, against the stand-in for Talos' node API (tests/lab/go/talosctl/nodes)."""

from __future__ import annotations

import base64
import json
import os
import secrets
from typing import Any

import pytest
import yaml

from lab.leaks import Canaries, Watch
from lab.machines import ALL, SCHEMATIC, VERSION, TalosWorld
from lab.playbook import run_playbook


def test_a_cluster_is_born_and_a_second_run_changes_nothing(world: TalosWorld) -> None:
    assert world.problems() == []
    world.born()
    files = world.files()
    assert sorted(files) == ["facts.json", "kubeconfig", "secrets.yaml", "talosconfig"]
    assert world.state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in world.state.iterdir()} == {0o600}
    config, hostname = world.machines.config(1)
    assert config["cluster"]["secretboxEncryptionSecret"] == world.key
    assert config["cluster"]["coreDNS"] == {"disabled": True}
    assert config["machine"]["install"]["image"] == f"factory.talos.dev/nocloud-installer/{SCHEMATIC}:{VERSION}"
    assert config["machine"]["install"]["disk"] == "/dev/sda"
    assert config["cluster"]["controlPlane"]["endpoint"] == f"https://{world.machines.address(1)}:6443"
    assert hostname == {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "auto": "off", "hostname": "cp-1"}
    assert world.machines.bootstraps == [world.machines.address(1)]

    again = world.results(*ALL)
    assert not any(found["changed"] for found in again.values())
    assert [node["configuration"] for node in again["talos_config"]["nodes"]] == ["unchanged", "unchanged"]
    assert world.files() == files
    assert world.machines.bootstraps == [world.machines.address(1)]
    assert world.problems() == []


def test_what_new_secrets_replace_elsewhere_is_listed(world: TalosWorld) -> None:
    """Vault is away, there is no copy, and somebody has said that no machine of the cluster is left."""
    home = {"backend": "vault", "cluster": "home", "token": world.canary}
    away = {"tazlab_vault_url": "http://127.0.0.1:9", "pending": True}
    world.options["state_home"] = home
    refused = world.run("talos_secrets", **away)
    assert refused.returncode != 0
    assert "-e tazlab_new_secrets=home" in refused.output
    world.options["state_home"] = {**home, "new_secrets": "home"}
    waiting = world.results("talos_secrets", **away)["talos_secrets"]["waiting"]
    assert any("jwt_validation_pubkeys" in each for each in waiting)
    assert sorted(path.name for path in (world.state / "unstored").iterdir()) == ["facts.json", "secrets.yaml"]


def test_secrets_are_made_before_the_machines_and_never_for_one_that_is_configured(world: TalosWorld) -> None:
    world.machines.order("halt", 1)
    world.machines.order("halt", 2)
    world.options["ahead"] = True
    found = world.results("talos_secrets", arguments=["--check"])["talos_secrets"]
    assert (found["created"], world.files()) == (True, {})
    assert world.results("talos_secrets")["talos_secrets"]["created"] is True
    made = world.files()["secrets.yaml"]
    assert world.results("talos_secrets")["talos_secrets"]["changed"] is False
    del world.options["ahead"]
    for number in (1, 2):
        world.machines.boot(number)
    world.results("talos_config", "talos_bootstrap")
    assert world.files()["secrets.yaml"] == made

    world.state.rename(world.directory / "elsewhere")
    world.options["ahead"] = True
    run = world.run("talos_secrets")
    assert run.returncode != 0
    assert "is configured while its secrets are gone" in run.output
    assert not world.state.exists()


def test_a_node_without_a_disk_gets_the_only_one_and_keeps_it_once_it_is_installed(world: TalosWorld) -> None:
    given = [{**node, "install_disk": ""} for node in world.nodes]
    found = world.results("talos_disks", nodes=given)["talos_disks"]
    assert [node["install_disk"] for node in found["nodes"]] == ["/dev/sda", "/dev/sda"]
    assert found["changed"] is False
    world.nodes = [{**node, "install_disk": "/dev/nvme0n1"} for node in world.nodes]
    world.born()
    found = world.results("talos_disks", nodes=given)["talos_disks"]
    assert [node["install_disk"] for node in found["nodes"]] == ["/dev/nvme0n1"] * 2
    assert [node["patches"] for node in found["nodes"]] == [[], []]


def test_a_node_that_is_off_gets_no_disk_and_is_named(world: TalosWorld) -> None:
    world.machines.order("halt", 2)
    world.options["timeout"] = 3
    given = [{**node, "install_disk": ""} for node in world.nodes]
    run = world.run("talos_disks", nodes=given)
    assert run.returncode != 0
    assert "Waited 3 s for nodes to answer. worker-1" in run.output
    assert "unless install_disk is set for it" in run.output
    check = world.results("talos_disks", nodes=given, arguments=["--check"])["talos_disks"]
    assert [node["install_disk"] for node in check["nodes"]] == ["/dev/sda", ""]
    assert world.problems(nodes=given) == []


def test_a_run_that_ended_after_the_configuration_is_completed_by_the_next(world: TalosWorld) -> None:
    world.results("talos_secrets", "talos_config")
    # The worker's API waits for a control plane, and here none is up: the worker may not hold up what brings it up.
    world.machines.order("halt", 2)
    found = world.results("talos_config", "talos_bootstrap")
    assert found["talos_config"]["deferred"] == ["worker-1"]
    assert found["talos_bootstrap"]["bootstrapped"] is True
    world.machines.boot(2)
    late = world.results("late")["late"]
    assert late["changed"] is False
    assert late["deferred"] == []


def test_a_node_that_is_configured_while_its_secrets_are_gone_is_refused(world: TalosWorld) -> None:
    world.born()
    world.state.rename(world.directory / "elsewhere")
    disks = dict(world.machines.disks)
    problems = world.problems()
    assert len(problems) == 2
    assert all("is configured while its secrets are gone" in problem for problem in problems)
    for mode in ([], ["--check"]):
        run = world.run("talos_secrets", arguments=mode)
        assert run.returncode != 0
        assert "is configured while its secrets are gone" in run.output
    assert not world.state.exists()
    assert world.machines.disks == disks


def test_a_node_of_other_secrets_is_refused(world: TalosWorld) -> None:
    world.born()
    world.state.rename(world.directory / "elsewhere")
    world.nodes = [world.node("cp-1", 3), world.node("worker-1", 4)]
    for number in (3, 4):
        world.machines.boot(number)
    world.results("talos_secrets")
    world.nodes = [world.node("cp-1", 3), world.node("worker-1", 2)]
    assert ["with other secrets than those" in problem for problem in world.problems()] == [True]
    run = world.run("talos_config")
    assert run.returncode != 0
    assert "worker-1" in run.output
    assert "with other secrets than those in the state directory" in run.output


def test_another_secretbox_key_is_refused(world: TalosWorld) -> None:
    world.born()
    files = world.files()
    other = base64.b64encode(secrets.token_bytes(32)).decode()
    assert ["is not the one in" in problem for problem in world.problems(key=other)] == [True]
    run = world.run("talos_secrets", key=other)
    assert run.returncode != 0
    assert "another key on a running cluster destroys it" in run.output
    assert other not in run.output
    assert world.files() == files


def test_a_changed_patch_is_applied_without_a_reboot_and_shown_without_secrets(world: TalosWorld) -> None:
    world.born()
    mirror = {"ghcr.io": {"endpoints": [f"https://us:{world.canary}@mirror.example.net"]}}
    patch = {"machine": {"sysctls": {"kernel.domainname": "home"}, "registries": {"mirrors": mirror}}}
    world.nodes[1]["patches"] = [patch]
    before = dict(world.machines.disks)
    would = world.run("talos_config", arguments=["--check", "--diff", "-vvvvv"])
    assert "worker-1: + machine.sysctls.kernel.domainname: home" in would.output
    assert "worker-1: + machine.registries.mirrors.ghcr.io.endpoints" in would.output
    assert world.canary not in would.output
    assert world.machines.disks == before
    found = world.results("talos_config")["talos_config"]
    paths = ["+ machine.sysctls.kernel.domainname", "+ machine.registries.mirrors.ghcr.io.endpoints"]
    assert found["nodes"][0]["configuration"] == "unchanged"
    assert (found["nodes"][1]["configuration"], sorted(found["nodes"][1]["differences"])) == ("updated", sorted(paths))
    assert world.machines.config(2)[0]["machine"]["sysctls"] == {"kernel.domainname": "home"}
    assert world.results("talos_config")["talos_config"]["changed"] is False


def test_etcd_is_not_bootstrapped_again_where_another_control_plane_has_it(world: TalosWorld) -> None:
    world.born()
    world.machines.boot(3)
    world.nodes = [world.node("cp-0", 3), *world.nodes]  # a new machine, first in the inventory
    world.options["endpoint"] = f"https://{world.machines.address(1)}:6443"
    found = world.results(*ALL)
    assert found["talos_config"]["changed"] is True
    assert found["talos_bootstrap"]["bootstrapped"] is False
    assert world.machines.bootstraps == [world.machines.address(1)]


def test_check_mode_before_anything_exists_contacts_nothing(world: TalosWorld) -> None:
    for number in (1, 2):
        world.machines.order("halt", number)
    found = world.results(*ALL, arguments=["--check", "--diff"], pending=True)
    assert all(result["changed"] for result in found.values())
    assert [node["configuration"] for node in found["talos_config"]["nodes"]] == ["configured", "configured"]
    assert world.files() == {}


def test_nodes_that_never_answer_are_named_when_the_time_is_up(world: TalosWorld) -> None:
    world.machines.order("halt", 2)
    world.nodes[1]["address"] = world.machines.address(99)
    play = world.tasks("talos_secrets")
    play[0]["tazlab.bootstrap.talos_secrets"]["timeout"] = 2
    run = run_playbook(
        [{"hosts": "localhost", "gather_facts": False, "tasks": play}],
        home=world.home,
        variables={"nodes": world.nodes, "key": world.key},
        environment={"PATH": world.path},
    )
    assert run.returncode != 0
    assert f"worker-1 ({world.machines.address(99)}): it does not answer" in run.output
    assert "Waited 2 s for nodes to answer" in run.output
    assert world.files() == {}


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ("machine:\n  nonsense: CANARY\n", "Talos does not know machine.nonsense."),
        ("machine:\n  sysctls: CANARY\n", "a value has the wrong type"),
        ("machine: [CANARY\n", "is not YAML (line 2)"),
        ("@CANARY", "begins with @"),
        ([{"op": "add", "path": "/machine/type", "value": "CANARY"}], "is a JSON patch"),
        ("CANARY", "is not part of a machine configuration"),
        ({"machine": {"network": {"hostname": "CANARY"}}}, "it sets machine.network.hostname"),
        ({"cluster": {"network": {"cni": {"name": "CANARY"}}}}, "must be flannel, custom or none"),
        ({"apiVersion": "v1alpha1", "kind": "CANARY"}, "kind or apiVersion is unknown"),
    ],
)
def test_a_bad_patch_is_named_and_never_quoted(world: TalosWorld, patch: Any, said: str) -> None:
    text = json.dumps(patch).replace("CANARY", world.canary)
    good = {"machine": {"sysctls": {"vm.max_map_count": "262144"}}}
    for node in world.nodes:
        node["patches"] = [good, json.loads(text)]
    problems = world.problems()
    assert len(problems) == 1
    assert "cp-1" in problems[0]
    assert "patch 2" in problems[0]
    assert said in problems[0]
    assert world.canary not in problems[0]
    run = world.run("talos_secrets", "talos_config", arguments=["-vvvvv"])
    assert run.returncode != 0
    assert said in run.output
    assert world.canary not in run.output
    assert world.machines.disks == {}


def test_a_cluster_on_which_nothing_could_run_is_a_problem(world: TalosWorld) -> None:
    world.nodes = [world.node("cp-1", 1)]
    assert ["The cluster has no worker" in problem for problem in world.problems()] == [True]
    world.nodes = [world.node("cp-1", 1, {"cluster": {"allowSchedulingOnControlPlanes": True}})]
    assert world.problems() == []


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("schematic", "abc", "the Image Factory's id"),
        ("version", "1.12", "Talos' version"),
        ("version", "v1.11.5", "is too old"),
        ("version", "v1.13.0", "An older client does not know"),
        ("kubernetes_version", "latest", "Kubernetes' version"),
        ("kubernetes_version", "1.36.0", "which runs Kubernetes 1.30 to 1.35"),
        ("endpoint", "192.0.2.1", "with its port"),
    ],
)
def test_bad_input_changes_nothing(world: TalosWorld, option: str, value: str, said: str) -> None:
    world.options[option] = value
    run = world.run("talos_secrets")
    assert run.returncode != 0
    assert said in run.output
    assert world.files() == {}


def test_a_secretbox_key_must_be_32_bytes(world: TalosWorld) -> None:
    short = base64.b64encode(secrets.token_bytes(16)).decode()
    assert ["decodes to 16 bytes" in problem for problem in world.problems(key=short)] == [True]
    run = world.run("talos_secrets", key=short)
    assert run.returncode != 0
    assert "exactly 32 bytes" in run.output
    assert short not in run.output


def test_the_state_directory_must_not_be_the_anchor(world: TalosWorld) -> None:
    world.state = world.directory / "anchor" / "state"
    assert ["which is only ever read" in problem for problem in world.problems()] == [True]
    run = world.run("talos_secrets")
    assert run.returncode != 0
    assert "which is only ever read" in run.output
    assert not (world.directory / "anchor").exists()


def test_talosctl_must_be_there(world: TalosWorld) -> None:
    world.path = os.environ["PATH"]
    problems = world.problems()
    assert ["talosctl is not on PATH" in problem for problem in problems] == [True]


def test_no_secret_leaves_the_state_directory(world: TalosWorld) -> None:
    world.nodes[1]["patches"] = [{"machine": {"sysctls": {"kernel.domainname": world.canary}}}]
    canaries = Canaries({"key": world.key, "patch": world.canary})
    temporary = world.home / "tmp"
    temporary.mkdir(parents=True)
    with Watch(canaries, (temporary, world.directory / "tools")) as watch:
        run = world.run(*ALL, arguments=["-vvvvv", "--diff"])
    # The last task writes what the tasks returned: paths and states, and no value of a patch or key.
    assert run.returncode == 0, run.output
    assert watch.leaks == set()
    assert any("talosctl" in program for program in watch.programs)
    assert canaries.names_in(run.output.encode()) == set()
    generated = yaml.safe_load((world.state / "secrets.yaml").read_text())
    more = Canaries({"token": generated["trustdinfo"]["token"], "ca": generated["certs"]["os"]["key"]})
    assert more.names_in(run.output.encode() + (world.directory / "result.json").read_bytes()) == set()
