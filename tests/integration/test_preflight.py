# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong is told before anything is made: all of it together, of the chosen phases only, with the next step."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.anchor import picture
from lab.bundle import bundle, write_anchor
from lab.playbook import Run, run_playbook
from lab.tls import Authority

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "playbooks" / "inventory" / "example.yml"
FIELDS = tuple(bundle(""))
NOBODY = "https://127.0.0.1:1"  # refuses every connection


class World:
    """An inventory that is fine, an anchor that is complete, and nobody who answers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.anchor = directory / "secrets"
        self.state = directory / "state"
        write_anchor(self.anchor, bundle(Authority(directory / "tls").ca_pem))
        self.inventory: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
        self.variables: dict[str, Any] = self.inventory["all"]["vars"]
        self.variables |= {
            "tazlab_vault_url": NOBODY,
            "tazlab_anchor": str(self.anchor),
            "tazlab_state_dir": str(self.state),
        }
        self.variables["tazlab_proxmox"] |= {"url": NOBODY, "ca_cert": ""}
        self.variables["tazlab_flux"]["url"] = f"{NOBODY}/you/cluster"

    def written(self) -> Path:
        """The inventory as it is now, as a file."""
        path = self.directory / "inventory.yml"
        path.write_text(yaml.safe_dump(self.inventory))
        return path

    def run(self, *arguments: str, playbook: str = "playbooks/site.yml", **environment: str) -> Run:
        """The playbook with the inventory as it is now. Whatever it finds, anchor and state stay as they are."""
        before = picture(self.anchor) if self.anchor.exists() else {}
        run = run_playbook(
            ROOT / playbook if "/" in playbook else Path(playbook),
            home=self.directory / "home",
            inventory=self.written(),
            arguments=arguments,
            environment={"VAULT_TOKEN": "s.nobody", **environment},
            timeout=120,
        )
        assert (picture(self.anchor) if self.anchor.exists() else {}) == before
        assert not self.state.exists()
        assert "Traceback" not in run.output
        return run


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def problems(run: Run) -> list[str]:
    """The numbered lines of the preflight's message, without their numbers."""
    lines = [line.strip() for line in run.output.splitlines()]
    found = [line.partition(". ")[2] for line in lines if line.partition(". ")[0].isdecimal()]
    assert found, run.output
    assert run.returncode != 0
    assert "FAILED in the preflight. Nothing was changed." in run.stdout
    return list(dict.fromkeys(found))


def named(run: Run) -> list[str]:
    return [problem.partition(":")[0] for problem in problems(run)]


def test_whoever_does_not_answer_is_named_with_everything_else_that_is_wrong(world: World) -> None:
    (world.anchor / "proxmox-token-id").write_text("root@pam\n")
    (world.anchor / "talos-secretbox-key").write_text(base64.b64encode(b"short").decode())
    (world.anchor / "eso-reader-token").unlink()
    world.variables["tazlab_talos"]["schematic"] = "latest"
    del world.variables["tazlab_proxmox"]["storage"]
    run = world.run()
    text = "\n".join(problems(run))
    assert "PROXMOX_TOKEN_ID: the value from file proxmox-token-id does not have the form user@realm!tokenid" in text
    assert "TALOS_SECRETBOX_KEY: the value from file talos-secretbox-key decodes to 5 bytes, not to 32" in text
    assert "ESO_READER_TOKEN: no source has a value. Tried: environment ESO_READER_TOKEN (not set); file eso" in text
    assert "tazlab_proxmox.storage: is not set." in text
    assert "tazlab_talos.schematic: 'latest' does not fit." in text
    assert f"Git repository {NOBODY}/you/cluster: the host does not answer." in text
    assert len(named(run)) == len(set(named(run))), "nothing is told twice"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tags", "fluxx"], "--tags fluxx: no phase has such a tag. If flux was meant, correct it. The phases are"),
        (["--skip-tags", "secrets"], "--skip-tags secrets: vms and talos and seed and flux cannot do without"),
    ],
)
def test_a_choice_with_which_nothing_can_be_done_is_told_alone(world: World, arguments: list[str], said: str) -> None:
    (only,) = problems(world.run(*arguments))
    assert only.startswith(said)


@pytest.mark.parametrize(("name", "said"), [("plan.json", "is inside the recovery anchor"), ("", "is a directory.")])
def test_a_plan_that_cannot_be_written_is_refused_at_once(world: World, name: str, said: str) -> None:
    world.variables["tazlab_plan_json"] = str(world.anchor / name if name else world.directory)
    assert any(one.startswith("tazlab_plan_json: ") and said in one for one in problems(world.run()))


@pytest.mark.sweep
@pytest.mark.parametrize(
    "arguments",
    [
        ["--start-at-task", "Begin phase flux"],
        ["--start-at-task", "Take the lock on the cluster"],
        ["--start-at-task", "Show the summary"],
    ],
)
def test_a_run_that_begins_in_the_middle_says_so_last(world: World, arguments: list[str]) -> None:
    run = world.run(*arguments)
    assert run.returncode == 2
    assert "changed=0" in run.output
    assert "Unexpected" not in run.output
    told = run.output.rpartition("This run did not begin with the first task of the playbook")[2]
    assert "--tags seed, --tags flux" in told
    assert "TASK [" not in told.replace("TASK [Release the lock", "")


def test_no_phase_runs_without_what_stands_before_every_phase(world: World) -> None:
    run = world.run("--skip-tags", "always", "--tags", "flux")
    assert run.returncode == 2
    assert "flux cannot begin: the secrets were not resolved before it. Leave out --skip-tags always" in run.output
    assert "changed=0" in run.output


def test_that_no_inventory_was_given_is_told_alone(world: World) -> None:
    environment = {"ANSIBLE_INVENTORY": str(world.directory / "nowhere")}
    run = run_playbook(ROOT / "playbooks" / "site.yml", home=world.directory / "home", environment=environment)
    (only,) = problems(run)
    assert only.startswith("inventory: none was given. Copy playbooks/inventory/example.yml of this collection")
    assert run.output.count("none was given") <= 3, "on the terminal, in the result, and in the summary"


@pytest.mark.sweep
@pytest.mark.parametrize("state", ["is empty", "is not there", "is a file, not a directory", "has no file of any"])
def test_an_anchor_that_holds_nothing_is_one_problem(world: World, state: str) -> None:
    shutil.rmtree(world.anchor)
    if state == "is a file, not a directory":
        world.anchor.write_text("ghp_token")
    elif state != "is not there":
        world.anchor.mkdir(mode=0o700)
        if state != "is empty":
            (world.anchor / "notes.md").write_text("where I keep what")
    found = problems(world.run())
    assert found[0].startswith(f"The recovery anchor: {world.anchor} {state}")
    assert "(site.yml: tazlab_anchor)" in found[0]
    assert not [each for each in found[1:] if each.partition(":")[0] in FIELDS]


def test_names_that_are_nearly_ours_are_told_with_what_was_meant(world: World) -> None:
    world.variables["tazlab_talos_patch"] = {"all": []}
    world.variables["coffee"] = "black"
    children = world.inventory["all"]["children"]
    machine = children["talos_workers"]["vars"]
    machine["memroy"] = machine.pop("memory")
    children["talos_workers"]["hosts"]["worker-1"].pop("memory")
    children["workers"] = {"hosts": {"worker-2": {}}}
    children["docker"] = {"hosts": {"other": {"memroy": 1}}}
    text = "\n".join(problems(world.run()))
    assert "tazlab_talos_patch: there is no such variable. Correct the name: tazlab_talos_patches was meant?" in text
    assert "worker-1: memroy is not known, and memory is not set. If memory was meant, correct the name." in text
    assert "coffee" not in text
    assert "other" not in text.split()
    assert "the group workers" not in text  # ours has a host
    children["workers"] = children.pop("talos_workers")
    text = "\n".join(problems(world.run()))
    assert "inventory: the group workers is not known, and talos_workers has no host." in text


def test_an_even_number_of_control_planes_is_no_problem(world: World) -> None:
    hosts = world.inventory["all"]["children"]["talos_control_plane"]["hosts"]
    hosts["cp-2"] = {"ansible_host": "192.0.2.12", "vmid": 1012}
    run = world.run("--check")
    assert "2 control planes" not in "\n".join(problems(run)), "it is allowed"


def test_what_a_user_confirms_reaches_the_roles(tmp_path: Path) -> None:
    confirmed = {
        "tazlab_cluster": "home",
        "tazlab_etcd_lost": "home",
        "tazlab_flux_move": "main,./clusters/new",
        "tazlab_seed_exact": "apps/y",
        "proxmox_vms_absent": ["cp-1"],
    }
    names = ("talos_cluster_etcd_lost", "flux_bootstrap_move", "talos_cluster_unmade", "cluster_seed_exact")
    tasks = [{"ansible.builtin.debug": {"msg": [f"{name}={{{{ {name} }}}}" for name in names]}}]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROOT / "playbooks" / "vars" / "connect.yml")],
        "tasks": tasks,
    }
    said = run_playbook([play], home=tmp_path, variables=confirmed)
    assert said.returncode == 0, said.output
    assert "talos_cluster_etcd_lost=home" in said.output
    assert "flux_bootstrap_move=main,./clusters/new" in said.output
    assert "talos_cluster_unmade=['cp-1']" in said.output
    assert "cluster_seed_exact=apps/y" in said.output


def test_only_what_the_chosen_phases_need_counts(world: World) -> None:
    (world.anchor / "proxmox-token-id").write_text("root@pam\n")
    run = world.run("--tags", "flux")
    assert "PROXMOX_TOKEN_ID" not in "\n".join(problems(run))
    assert named(run)[0] == "kubeconfig"


def test_secrets_alone_hold_only_when_every_field_is_known(world: World) -> None:
    for name in ("github-token", "proxmox-token-id"):
        (world.anchor / name).unlink()
    assert named(world.run("--tags", "secrets")) == ["PROXMOX_TOKEN_ID", "GITHUB_TOKEN"]


def test_a_tag_that_names_no_phase_is_told(world: World) -> None:
    run = world.run("--tags", "apps")  # of another play, perhaps
    assert run.returncode == 0, run.output
    assert "--tags apps: no phase of the bootstrap has this tag. There are secrets, vms," in " ".join(
        run.output.split()
    )


def test_a_cluster_without_a_name_is_one_of_the_problems(world: World) -> None:
    del world.variables["tazlab_cluster"]
    run = world.run()
    assert "tazlab_cluster: is not set." in "\n".join(problems(run))
    assert "undefined" not in run.output


def test_a_field_that_is_used_and_not_declared_is_told_so(world: World) -> None:
    world.variables["tazlab_flux"]["password_field"] = "GITLAB_TOKEN"
    (world.anchor / "gitlab-token").write_text("glpat-x\n")
    assert "GITLAB_TOKEN: phase flux uses this field, and tazlab_fields does not declare it." in "\n".join(
        problems(world.run("--tags", "flux"))
    )


def test_a_field_that_need_not_be_there_is_missed_by_the_phase_that_needs_it(world: World) -> None:
    world.variables["tazlab_fields"] = {name: {"required": name == "VAULT_CA_CRT"} for name in FIELDS}
    for name in ("eso-reader-token", "github-token"):
        (world.anchor / name).unlink()
    run = world.run()
    assert "ESO_READER_TOKEN: phase seed needs this field, and no source has a value." in "\n".join(problems(run))
    assert "GITHUB_TOKEN" not in named(run), "a public repository is read without"


def test_in_check_mode_a_phase_without_its_cluster_says_what_it_would_do(world: World) -> None:
    run = world.run("--check", "--tags", "seed")
    assert run.returncode == 0, run.output
    assert "Secret tailscale/tailscale-operator-oauth would be made" in run.output
    assert "Check mode: nothing was changed." in run.stdout


def test_destroying_without_a_token_names_every_place_that_was_tried(world: World) -> None:
    (world.anchor / "proxmox-token-secret").unlink()
    (world.anchor / "vault-ca-crt").write_text("no certificate\n")
    run = world.run("--extra-vars", "tazlab_destroy=home", playbook="tazlab.bootstrap.destroy")
    assert run.returncode != 0
    assert "Nothing was changed. PROXMOX_TOKEN_SECRET: no source has a value." in run.output
    assert "VAULT_CA_CRT:" not in run.output


def test_the_example_inventory_lacks_nothing_but_systems_that_answer(world: World) -> None:
    text = "\n".join(problems(world.run()))
    assert "tazlab_" not in text.replace("tazlab_flux", "")
    assert "cp-1" not in text
    assert "worker-1" not in text
