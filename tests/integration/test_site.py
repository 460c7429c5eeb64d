# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of site.yml on the lab: a cluster is born, born again, broken off in each phase, and shows no secret."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.anchor import picture
from lab.bundle import PROXMOX_TOKEN_ID, PUBLIC
from lab.leaks import Canaries, Watch
from lab.playbook import Run, kill_tree, private_environment, run_playbook
from lab.process import wait_until
from lab.supervisor import Lab

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "playbooks" / "site.yml"
DESTROY = ROOT / "playbooks" / "destroy.yml"
REMOVE = ROOT / "playbooks" / "remove.yml"
FINE = "Every phase holds: secrets, vms, talos, seed, flux."
# Phase -> what it says in its midst, when it has begun to change something and has not ended.
MIDST = {
    "secrets": "phase 1 of 5",
    "vms": "created in",
    "talos": "worker-1: configured",
    "seed": "Secret tailscale/tailscale-operator-oauth made",
    "flux": "Deployment flux-system/source-controller made",
}


def play(
    lab: Lab, home: Path, *arguments: str, playbook: Path = SITE, inventory: Path | None = None, **environment: str
) -> Run:
    return run_playbook(
        playbook,
        home=home,
        inventory=inventory or lab.inventory,
        arguments=arguments,
        environment={"PATH": lab.environment()["PATH"], **environment},
        timeout=600,
    )


def canaries(lab: Lab) -> Canaries:
    values = {name: value for name, value in lab.values.items() if name not in PUBLIC and value != PROXMOX_TOKEN_ID}
    login = base64.b64encode(f"git:{lab.values['GITHUB_TOKEN']}".encode()).decode()
    return Canaries({**values, "bootstrap token": lab.token_file.read_text().strip(), "git login": login})


@dataclass
class Story:
    """What happened to one lab, from nothing to the second run."""

    lab: Lab
    anchor: dict[str, tuple[object, ...]]
    check: Run
    made_by_check: list[Any]
    birth: Run
    asked: Counter[str]
    leaks: set[tuple[str, str]]
    programs: set[str]
    second: Run


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    home = tmp_path_factory.mktemp("home")
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        anchor = picture(lab.anchor)
        check = play(lab, home, "--check", "--diff")
        made_by_check = [*lab.proxmox.vms(), *lab.state.glob("*")]
        before = lab.vault.requests()
        everything = {
            "ANSIBLE_LOG_PATH": str(home / "ansible.log"),
            "ANSIBLE_REMOTE_TMP": str(home / "remote"),
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit,ansible.builtin.tree",
            "ANSIBLE_CALLBACK_TREE_DIR": str(home / "tree"),
            "JUNIT_OUTPUT_DIR": str(home / "junit"),
        }
        with Watch(canaries(lab), (home, ROOT / "playbooks", ROOT / "roles")) as watch:
            plan = ("-e", f"tazlab_plan_json={lab.directory}/plan.json")
            birth = play(lab, home, "-vvvvv", "--diff", *plan, **everything)
            asked = lab.vault.requests() - before
            second = play(lab, home, "-vvvvv", "--diff", ANSIBLE_STDOUT_CALLBACK="ansible.posix.json", **everything)
        yield Story(lab, anchor, check, made_by_check, birth, asked, watch.leaks, watch.programs, second)


@pytest.mark.kube
def test_check_mode_on_an_empty_lab_ends_without_error_and_makes_nothing(story: Story) -> None:
    assert story.check.returncode == 0, story.check.output
    assert "Check mode: nothing was changed." in story.check.stdout
    would = story.check.stdout.partition("What would be done")[2]
    assert "  create  VM cp-1\n  create  VM worker-1\n" in would
    assert re.search(r"\n  \d\d+ to create, 2 to change, 0 to remove\n-+\nCheck mode: ", would), would
    assert would.partition("\nNext\n")[2].startswith("  the same command without --check\n")
    assert story.made_by_check == []


@pytest.mark.kube
def test_a_cluster_is_born_from_one_token(story: Story) -> None:
    assert story.birth.returncode == 0, story.birth.output[-20000:]
    assert FINE in story.birth.stdout
    done = story.birth.stdout.partition("What was done")[2]
    assert re.search(r"\n  \d\d+ created, 2 changed, 0 removed\n-+\nEvery phase holds", done), done
    plan = json.loads((story.lab.directory / "plan.json").read_text())
    assert {"VM cp-1", "VM worker-1", "Namespace tailscale"} <= set(plan["create"])
    assert (plan["complete"], plan["check_mode"], plan["remove"]) == (True, False, [])
    assert {vm.name: vm.running for vm in story.lab.proxmox.vms()} == {"cp-1": True, "worker-1": True}
    (cluster,) = story.lab.nodes.clusters()
    info = cluster.client().get("v1", "ConfigMap", "cluster-info", "apps")
    assert "example" in str(info["data"]), "what Flux substituted from cluster-vars"
    assert oct((story.lab.state / "kubeconfig").stat().st_mode & 0o777) == "0o600"


@pytest.mark.kube
def test_the_health_report_says_yes_right_after_the_birth(story: Story, tmp_path: Path) -> None:
    health = play(story.lab, tmp_path, playbook=SITE.with_name("health.yml"))
    assert health.returncode == 0, health.output
    assert "From Vault: yes\n" in health.output
    assert "From the anchor: yes\n" in health.output
    assert "drift" not in health.output


@pytest.mark.kube
def test_the_commands_that_come_next_work_as_they_are_printed(story: Story, tmp_path: Path) -> None:
    told = story.birth.stdout.partition("\nNext\n")[2].partition("\nok: ")[0]
    commands = [line.strip() for line in told.splitlines()]
    assert [command.split()[0] for command in commands] == ["kubectl", "ansible-playbook", "(with"], commands
    path = f"{Path(sys.executable).parent}:{story.lab.environment()['PATH']}"
    for command, shown in zip(commands[:2], ("apps", "From Vault: yes"), strict=True):
        done = subprocess.run(
            ["sh", "-c", command],
            env=private_environment(tmp_path, {"PATH": path}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert shown in done.stdout + done.stderr


@pytest.mark.kube
def test_the_summary_has_80_columns_and_colours_where_there_is_a_terminal(story: Story, tmp_path: Path) -> None:
    summary = story.birth.stdout.partition("\nCluster lab\n")[2].partition("\nNext\n")[0]
    assert summary
    assert [line for line in summary.splitlines() if len(line) > 80] == []
    coloured = play(story.lab, tmp_path, "--tags", "secrets", ANSIBLE_FORCE_COLOR="1")
    assert "\x1b[0;32mEvery phase holds: secrets.\x1b[0m" in coloured.stdout
    assert "\x1b" not in play(story.lab, tmp_path, "--tags", "secrets").stdout


@pytest.mark.kube
def test_what_was_wrong_stands_last_and_the_run_fails(story: Story, tmp_path: Path) -> None:
    settings = story.lab.variables()
    settings["all"]["vars"]["tazlab_flux"]["branch"] = "no-such-branch"
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump(settings))
    run = play(story.lab, tmp_path, inventory=inventory)
    assert run.returncode == 2, run.output
    end = run.stdout.partition("FAILED in the preflight. Nothing was changed.\n")[2]
    assert re.match(r"-+\nWhat was wrong\n  [^\n]*(\n  [^\n]*)*no-such-branch", end), end
    assert "Next\n" not in end
    assert run.stats()["failed"] == 1


@pytest.mark.sweep
@pytest.mark.kube
@pytest.mark.parametrize(
    "task",
    [
        "VMs run",
        "tazlab.bootstrap.talos_cluster : Nodes are configured",
        "tazlab.bootstrap.cluster_seed : Namespaces exist, with the labels that they lacked",
        "tazlab.bootstrap.flux_bootstrap : The repository is read",
    ],
)
def test_a_run_that_begins_in_the_middle_changes_no_cluster(story: Story, tmp_path: Path, task: str) -> None:
    run = play(story.lab, tmp_path, "--start-at-task", task)
    assert run.returncode == 2, run.output
    assert "changed=0" in run.output
    assert "This run did not begin with the first task of the playbook" in run.output


@pytest.mark.kube
def test_vault_is_asked_twice_and_the_anchor_is_not_touched(story: Story) -> None:
    assert story.asked == {"auth/token/lookup-self": 1, "secret/data/tazlab-k8s/bootstrap": 1}
    assert picture(story.lab.anchor) == story.anchor


@pytest.mark.kube
def test_no_secret_is_shown_or_written_at_the_highest_verbosity(story: Story) -> None:
    shown = canaries(story.lab).names_in(story.birth.output.encode())
    assert shown == set()
    # Git has the login in its environment: it needs it.
    elsewhere = {
        (name, place)
        for name, place in story.leaks
        if name != "git login" or not re.match("environ of b'[^ ]*git", place)
    }
    assert elsewhere == set()
    assert any("talosctl" in program for program in story.programs), "the watch saw the children"


@pytest.mark.kube
def test_the_second_run_changes_nothing_and_says_so(story: Story) -> None:
    assert story.second.returncode == 0, story.second.output[-20000:]
    assert canaries(story.lab).names_in(story.second.output.encode()) == set()
    assert '"changed": 0' in story.second.stdout
    assert '"failures": 0' in story.second.stdout


def break_off(lab: Lab, home: Path, mark: str) -> str:
    """Run site.yml and kill it with everything it started as soon as it says C(mark)."""
    with subprocess.Popen(
        [sys.executable, "-m", "ansible", "playbook", str(SITE), "--inventory", str(lab.inventory)],
        env=private_environment(home, {"PATH": lab.environment()["PATH"], "PYTHONUNBUFFERED": "1"}),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as running:
        assert running.stdout is not None
        said = ""
        for line in running.stdout:
            said += line
            if mark in line:
                kill_tree(running.pid)
                break
    return said


@pytest.mark.kube
def test_a_node_that_is_named_leaves_and_its_vm_goes(story: Story, tmp_path: Path) -> None:
    """The last one of this cluster: nobody makes the worker anew."""
    for arguments, names in ((["--check"], {"cp-1", "worker-1"}), ([], {"cp-1"})):
        run = play(story.lab, tmp_path, "--extra-vars", "tazlab_remove=worker-1", *arguments, playbook=REMOVE)
        assert run.returncode == 0, run.output
        assert "worker-1: wiped, out of Kubernetes" in run.output
        assert {vm.name for vm in story.lab.proxmox.vms()} == names
    (cluster,) = story.lab.nodes.clusters()
    assert cluster.client().find("v1", "Node", "worker-1") is None
    again = play(story.lab, tmp_path, "--extra-vars", "tazlab_remove=worker-1", playbook=REMOVE)
    assert again.stats()["changed"] == 0, again.output


@pytest.mark.sweep("a whole birth")
@pytest.mark.kube
def test_a_run_killed_in_each_phase_and_repeated_converges_and_destroying_asks_first(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        for phase, mark in MIDST.items():
            said = break_off(lab, tmp_path, mark)
            assert mark in said, f"phase {phase}: {said}"
        run = play(lab, tmp_path)
        assert run.returncode == 0, run.output
        assert FINE in run.stdout
        assert play(lab, tmp_path).stats()["changed"] == 0

        grown = lab.variables()
        workers = grown["all"]["children"]["talos_workers"]["hosts"]
        workers["worker-2"] = {**workers["worker-1"], "ansible_host": lab.address(22), "vmid": 1022}
        inventory = tmp_path / "grown.yml"
        inventory.write_text(yaml.safe_dump(grown))
        foreseen = play(lab, tmp_path, "--check", inventory=inventory)
        assert foreseen.returncode == 0, foreseen.output
        assert "worker-2: not answering yet" in foreseen.output
        assert "worker-1: unchanged" in foreseen.output
        assert "would be made" not in foreseen.output.replace("worker-2", ""), "of a cluster that is there"

        control_plane = next(vm for vm in lab.proxmox.pve.vms if vm.name == "cp-1")
        lab.proxmox.pve.vms.remove(control_plane)  # somebody deletes it, and the worker lives
        wait_until(lambda: len(lab.nodes.machines()) == 1, "its machine is gone", 20)
        for mode in ([], ["--check"]):
            lost = play(lab, tmp_path, *mode)
            assert lost.returncode != 0
            assert "A new etcd would be another, empty cluster" in lost.output
            assert lost.stats()["changed"] == 0, lost.output
        assert len(lab.proxmox.vms()) == 1

        refused = play(lab, tmp_path, playbook=DESTROY)
        assert refused.returncode != 0
        assert len(lab.proxmox.vms()) == 1
        gone = play(lab, tmp_path, "--extra-vars", "tazlab_destroy=lab", playbook=DESTROY)
        assert gone.returncode == 0, gone.output
        assert lab.proxmox.vms() == []
