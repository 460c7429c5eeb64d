# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not happen to a Talos cluster that lives: a second etcd, and versions that jump with a configuration."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.machines import ALL, SCHEMATIC, VERSION, TalosWorld
from lab.tls import Authority
from lab.web import Request, Response, WebServer, json_response

OTHER = "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515"


def refused(world: TalosWorld, *words: str, **variables: Any) -> None:
    """Preflight, check mode and the run itself refuse with these words, and nothing is changed."""
    before = lives(world)
    told = world.problems(**variables)
    checked = world.run(*ALL, arguments=["--check"], **variables)
    run = world.run(*ALL, **variables)
    assert checked.returncode != 0
    assert run.returncode != 0
    for word in words:
        assert any(word in problem for problem in told), told
        assert word in checked.output
        assert word in run.output
    assert lives(world) == before


def lives(world: TalosWorld) -> tuple[Any, ...]:
    """All that a run may harm. The talosconfig is made anew from the secrets whenever the nodes' addresses change."""
    files = {name: content for name, content in world.files().items() if name != "talosconfig"}
    return dict(world.machines.disks), list(world.machines.bootstraps), files


# ------------------------------------------------------------------------------------------------- a second etcd


def test_no_new_etcd_is_made_beside_a_worker_that_an_older_one_knows(world: TalosWorld) -> None:
    world.born()
    world.machines.lose(1)
    refused(world, "cp-1", "worker-1", "A new etcd would be another, empty cluster", "-e tazlab_etcd_lost=home")
    world.options["etcd_lost"] = "another"
    refused(world, "A new etcd would be another, empty cluster")
    world.options["etcd_lost"] = "home"
    assert world.problems() == []
    found = world.results(*ALL)
    assert found["talos_bootstrap"]["bootstrapped"] is True
    assert "birth" not in world.files()


def test_a_worker_that_waits_for_its_lost_control_plane_is_not_taken_for_a_birth(world: TalosWorld) -> None:
    world.born()
    world.machines.order("halt", 2)
    world.machines.lose(1)
    world.machines.order("boot", 2, config=world.machines.disks[world.machines.address(2)], version=VERSION)
    world.options["timeout"] = 5
    disks, bootstraps = dict(world.machines.disks), list(world.machines.bootstraps)
    run = world.run(*ALL)
    assert run.returncode != 0
    assert f"worker-1 ({world.machines.address(2)})" in run.output
    assert "no new etcd is made beside it" in run.output
    assert "-e tazlab_etcd_lost=home" in run.output
    assert (world.machines.disks, world.machines.bootstraps) == (disks, bootstraps)
    assert "birth" not in world.files()
    world.options["etcd_lost"] = "home"
    assert world.results(*ALL)["talos_bootstrap"]["bootstrapped"] is True


def test_a_machine_that_has_still_to_be_made_is_known_before_it_is_made(world: TalosWorld) -> None:
    world.born()
    world.machines.order("halt", 1)
    assert world.problems() == [], "a machine that is switched off comes back with its disk"
    world.options["etcd_lost"] = ""
    problems = world.problems(unmade=["cp-1"])
    assert ["A new etcd would be another, empty cluster" in problem for problem in problems] == [True]


def test_a_cluster_all_of_whose_machines_are_gone_is_born_again_with_no_hand_on_it(world: TalosWorld) -> None:
    world.born()
    secrets = world.files()["secrets.yaml"]
    for number in (1, 2):
        world.machines.lose(number)
    assert world.problems() == []
    found = world.results(*ALL)
    assert found["talos_bootstrap"]["bootstrapped"] is True
    assert world.files()["secrets.yaml"] == secrets
    assert not any(each["changed"] for each in world.results(*ALL).values())


@pytest.mark.sweep
@pytest.mark.parametrize("came_to", ["begun", "asked"])
def test_a_killed_birth_goes_on_although_its_machines_are_configured(world: TalosWorld, came_to: str) -> None:
    world.results("talos_secrets", "talos_config")
    assert world.files()["birth"] == b"begun\n"
    (world.state / "birth").write_text(f"{came_to}\n")
    assert world.problems() == []
    found = world.results(*ALL)
    assert found["talos_bootstrap"]["bootstrapped"] is True
    assert "birth" not in world.files()


def test_a_birth_that_came_to_an_etcd_is_over_when_the_control_plane_is_another(world: TalosWorld) -> None:
    world.born()
    (world.state / "birth").write_text("asked\n")  # a run that was killed before it saw etcd's first member
    world.machines.lose(1)
    refused(world, "worker-1", "A new etcd would be another, empty cluster")


def test_an_etcd_whose_data_is_not_served_yet_gets_no_second_one_beside_it(world: TalosWorld) -> None:
    world.born()
    world.machines.members(1)  # its machine restarts: etcd has not come up again
    world.machines.boot(3)
    world.nodes = [world.node("cp-0", 3), *world.nodes]
    world.options |= {"endpoint": f"https://{world.machines.address(1)}:6443", "timeout": 5}
    run = world.run(*ALL)
    assert run.returncode != 0
    assert "its etcd tells no members yet" in run.output
    assert "This run may not make a new etcd" in run.output
    checked = world.run("talos_bootstrap", arguments=["--check"])
    assert "would bootstrap etcd" not in checked.output
    assert world.machines.bootstraps == [world.machines.address(1)]


class KubernetesApi(WebServer):
    """STAND-IN for an API server of which only that it answers is seen."""

    def answer(self, request: Request) -> Response:
        return json_response(401, {"kind": "Status", "code": 401})


def test_no_new_etcd_is_made_while_the_cluster_s_api_answers_elsewhere(world: TalosWorld, tmp_path: Path) -> None:
    world.born()
    for number in (1, 2):
        world.machines.lose(number)
    authority = Authority(tmp_path / "ca")
    with KubernetesApi(authority, "api") as api:
        kubeconfig = yaml.safe_load((world.state / "kubeconfig").read_text())
        kubeconfig["clusters"][0]["cluster"] = {
            "server": api.url,
            "certificate-authority-data": base64.b64encode(authority.ca_file.read_bytes()).decode(),
        }
        (world.state / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        refused(world, f"its Kubernetes API answers at {api.url}")
    assert world.problems() == []  # a kubeconfig alone is no sign


# ------------------------------------------------------------------------------------ versions of a living cluster


def test_what_a_living_cluster_runs_is_not_changed_by_a_configuration(world: TalosWorld) -> None:
    """What is said of every step from one version to another, tests/unit/.../test_talos_versions.py has."""
    world.born()
    world.machines.boot(3)
    world.nodes.append(world.node("worker-3", 3))  # a new node moves the others as little
    for setting, value, words in (
        ("cluster", "office", "cp-1, worker-1: configured as cluster home, and this is office"),
        ("version", "v1.12.7", "tazlab.bootstrap.upgrade --check"),
        ("schematic", OTHER, f"cp-1, worker-1 run {SCHEMATIC[:12]}"),
        ("kubernetes_version", "1.35.9", "cp-1, worker-1 run v1.35.4"),
    ):
        world.options = {setting: value}
        refused(world, words)
