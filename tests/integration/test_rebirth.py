# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Birth in one HOME and rebirth from an empty one, the state in Vault; permitted by everybody, broken off, told."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import gitops
from lab.kubeclient import MERGE, KubeError
from lab.playbook import Run, kill_tree, private_environment, run_playbook, started_playbook
from lab.process import wait_until
from lab.supervisor import Lab

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = ROOT / "playbooks"
STATE = {"backend": "vault", "path": "tazlab-k8s/state/lab"}
CONFIRMED = {"tazlab_destroy": "lab"}
# What a run says when it is somewhere in the middle: of the checks, the removal, and the birth.
POINTS = {
    "checks": "phases secrets, vms, talos, seed, flux: every input is there",
    "removal": "on node pve1: stopped in",
    "vms": "on node pve1: created in",
    "talos": "cp-1: configured",
    "flux": "Deployment flux-system/source-controller made",
}


@dataclass
class World:
    """A lab whose cluster keeps its state in Vault, and what its owner has: an inventory and two tokens."""

    lab: Lab
    directory: Path
    token: str
    inventory: dict[str, Any]

    def home(self, name: str) -> Path:
        """A machine with nothing on it."""
        home = self.directory / name
        home.mkdir(exist_ok=True)
        return home

    def environment(self) -> dict[str, str]:
        return {"PATH": self.lab.environment()["PATH"], "TAZLAB_STATE_TOKEN": self.token}

    def at(self, home: Path) -> Path:
        path = home / "inventory.yml"
        self.inventory["all"]["vars"]["tazlab_state_dir"] = str(home / "state")
        path.write_text(yaml.safe_dump(self.inventory))
        return path

    def play(self, home: Path, playbook: str, *arguments: str, **variables: Any) -> Run:
        return run_playbook(
            PLAYBOOKS / playbook,
            home=home,
            inventory=self.at(home),
            variables=variables,
            arguments=arguments,
            environment=self.environment(),
            timeout=600,
        )

    def stored(self) -> Mapping[str, str]:
        found = self.lab.vault.client.read(f"secret/data/{STATE['path']}")
        assert found is not None
        data: Mapping[str, str] = found["data"]["data"]
        return data

    def born(self) -> dict[str, float]:
        """When each machine was switched on."""
        return {vm.name: vm.started_at for vm in self.lab.proxmox.vms()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        directory = tmp_path_factory.mktemp("homes")
        inventory = lab.variables()
        inventory["all"]["vars"]["tazlab_state"] = STATE
        made = World(lab, directory, "", inventory)
        operator = made.home("operator")
        run = run_playbook(
            PLAYBOOKS / "publish.yml",
            home=operator,
            inventory=made.at(operator),
            arguments=["--tags", "access"],
            environment={**made.environment(), "VAULT_TOKEN": lab.vault.operator_token()},
        )
        assert run.returncode == 0, run.output
        made.token = (operator / ".config/tazlab/state-token-lab").read_text().strip()
        first = made.play(made.home("first"), "site.yml")
        assert first.returncode == 0, first.output[-8000:]
        assert re.search(r"Born in \d+ s; longest: \w+\.", " ".join(first.stdout.split()))
        (command,) = [line.strip() for line in first.stdout.splitlines() if "-field=secrets.yaml" in line]
        unhealthy = made.play(made.home("first"), "health.yml")
        assert unhealthy.returncode != 0
        assert "no copy of secrets.yaml, which is read while Vault is away" in unhealthy.output
        private = {**private_environment(operator), **made.environment(), "VAULT_TOKEN": made.token}
        subprocess.run(["sh", "-c", command], env=private, check=True)
        assert (lab.anchor / "talos-secrets.yaml").read_text() == made.stored()["secrets.yaml"]
        healthy = made.play(made.home("first"), "health.yml", tazlab_renew=True)
        assert healthy.returncode == 0, healthy.output
        assert "state token (environment TAZLAB_STATE_TOKEN): renewed; periodic" in healthy.output
        yield made


@pytest.mark.kube
def test_the_state_lives_in_vault_and_another_machine_goes_on_with_it(world: World) -> None:
    first, other = world.home("first"), world.home("other")
    names = {path.name for path in (first / "state").iterdir()}
    assert names == {"talosconfig", "kubeconfig", "run.lock", "seen"}, "what can be made anew, and nothing else"
    assert {path.name for path in (first / "state" / "seen").iterdir()} == {"facts.json", "birth", "version"}
    stored = world.stored()
    assert set(stored) == {"secrets.yaml", "facts.json"}
    assert yaml.safe_load(stored["secrets.yaml"])["certs"]["os"]["key"]
    facts = json.loads(stored["facts.json"])
    assert facts["contract"] == "v1.12"
    assert [set(birth["seconds"]) for birth in facts["births"]] == [{"secrets", "vms", "talos", "seed", "flux"}]
    second = world.play(other, "site.yml", "-vvv")
    assert second.returncode == 0, second.output[-8000:]
    assert "created" not in second.stdout.partition("What was done")[2].partition("created, ")[0]
    assert second.stats()["changed"] == 2, "its talosconfig and its kubeconfig"
    assert world.stored() == stored
    assert world.token not in second.output
    lock = world.lab.vault.client.read(f"secret/data/{STATE['path']}/lock")
    assert lock is not None
    assert lock["data"]["data"] == {}, "nobody holds it any more"


@pytest.mark.kube
def test_nothing_is_destroyed_before_everybody_has_said_yes(world: World, tmp_path: Path) -> None:
    home, before = world.home("first"), world.born()
    # Without a confirmation there is the plan, and it ends there.
    plan = world.play(home, "rebirth.yml")
    assert plan.returncode != 0
    assert "confirm it with the cluster's name:\n-e tazlab_destroy=lab" in plan.output
    assert "cp-1 (vmid 1011) on node pve1, running" in plan.output
    # A gate that says no, one that is not there, and one that hangs; all are told together.
    waits = tmp_path / "waits"
    waits.write_text("#!/bin/sh\nsleep 600\n")
    waits.chmod(0o700)
    gates = [["true"], ["sh", "-c", "echo backup is 3 days old; exit 4"], ["no-such-program"], [str(waits)]]
    refused = world.play(home, "rebirth.yml", **CONFIRMED, tazlab_rebirth_gates=gates, tazlab_rebirth_gate_seconds=1)
    assert refused.returncode != 0
    assert "The rebirth is not permitted, and nothing was changed." in refused.output
    assert "backup is 3 days old" in refused.output
    for words in (
        "sh -c 'echo backup is 3 days old; exit 4': NO, it ended with status 4",
        "no-such-program: NO, no-such-program is not installed",
        f"{waits}: NO, it has not ended within 1 s",
    ):
        assert words in refused.output
    # What is printed overrides them, each by its name; without a confirmation it is the plan again.
    overridden = world.play(
        home, "rebirth.yml", *override(refused), tazlab_rebirth_gates=gates, tazlab_rebirth_gate_seconds=1
    )
    assert overridden.returncode != 0
    assert f"{waits}: NO, it has not ended within 1 s; overridden by its name" in overridden.output
    assert "confirm it with the cluster's name:\n-e tazlab_destroy=lab" in overridden.output
    # What the birth needs is not there: the repository, the image's storage. Who overrides the health report with the
    # names of what said NO is still kept from destroying what could not be born.
    world.lab.git.stop()
    try:
        unwell = world.play(home, "rebirth.yml", **CONFIRMED)
        despite = {"tazlab_rebirth_despite": "vault,anchor", "tazlab_proxmox": without_images(world)}
        lacking = world.play(home, "rebirth.yml", **CONFIRMED, **despite)
    finally:
        world.lab.git.start()
    assert unwell.returncode != 0
    assert "\n  vault: NO, GITHUB_TOKEN did not serve" in unwell.output
    assert override(unwell) == ["-e", '{"tazlab_rebirth_despite": ["vault", "anchor"]}']
    assert lacking.returncode != 0
    assert re.search(r"vault: NO, .*GITHUB_TOKEN did not serve; overridden by its name", lacking.output)
    assert "Preflight found" in lacking.output
    assert "its content does not include import" in lacking.output
    assert "Git" in lacking.output or "git" in lacking.output
    assert world.born() == before
    assert json.loads(world.stored()["facts.json"])["rebirth"] is None


def override(refused: Run) -> list[str]:
    """The arguments that a refusal prints for whoever knows better."""
    printed = re.search(r"name it: (-e '.*')$", refused.output, re.MULTILINE)
    assert printed is not None, refused.output
    return shlex.split(printed[1])


def without_images(world: World) -> dict[str, Any]:
    settings: dict[str, Any] = world.inventory["all"]["vars"]["tazlab_proxmox"]
    return {**settings, "image_storage": "local-lvm"}


@pytest.mark.kube
def test_the_plan_tells_the_whole_rebirth(world: World) -> None:
    before = world.born()
    plan = world.play(world.home("planner"), "rebirth.yml", "--check", tazlab_rebirth_gates=[["check-backup", "-x"]])
    assert plan.returncode == 0, plan.output[-8000:]
    assert "gate check-backup -x: would be asked" in plan.output
    assert "With their disks are removed:\n  cp-1 (vmid 1011)" in plan.output.replace("\\n", "\n")
    would = plan.stdout.partition("What would be done")[2]
    assert "  create  VM cp-1\n  create  VM worker-1\n" in would
    assert "  remove  VM cp-1\n  remove  VM worker-1\n" in would
    assert "Check mode: nothing was changed." in would
    assert world.born() == before
    assert not (world.home("planner") / "state" / "kubeconfig").exists()


@pytest.mark.kube
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.sweep
def test_a_rebirth_that_is_killed_goes_on(world: World, point: str) -> None:
    """From an empty HOME, and continued in another one that is empty, too."""
    before, stored = world.born(), world.stored()
    home = world.home(f"killed-{point}")
    log = home / "said"
    with started_playbook(
        PLAYBOOKS / "rebirth.yml",
        home=home,
        inventory=world.at(home),
        variables=CONFIRMED,
        environment=world.environment(),
    ) as run:
        wait_until(lambda: POINTS[point] in log.read_text(errors="replace"), f"it is at {point}", 120)
        kill_tree(run.pid)
    again = world.play(world.home(f"follows-{point}"), "rebirth.yml", **CONFIRMED)
    assert again.returncode == 0, again.output[-8000:]
    told = " ".join(again.stdout.split())
    if point == "checks":
        assert re.search(r"Reborn in .*; longest: \w+\.", told)
    else:
        assert "Reborn, after it had been broken off; its time is not compared." in told
        assert "the rebirth that began on" in again.output
    # Only what was not removed yet was removed, and the cluster is the same one.
    after = world.born()
    assert set(after) == set(before)
    assert all(after[name] > before[name] for name in before)
    if point in ("talos", "flux"):
        assert "deleted in" not in again.output, "what was born is not destroyed again"
    assert world.stored()["secrets.yaml"] == stored["secrets.yaml"]
    facts = json.loads(world.stored()["facts.json"])
    assert facts["rebirth"] is None
    wait_until(lambda: delivered(world), "Flux has delivered", 60)


def delivered(world: World) -> bool:
    (cluster,) = world.lab.nodes.clusters()
    return cluster.client().find("v1", "ConfigMap", "cluster-info", "apps") is not None


# STAND-INs for the kinds of the External Secrets Operator, with as much of them as its store needs here.
def definition(kind: str, plural: str, scope: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.external-secrets.io"},
        "spec": {
            "group": "external-secrets.io",
            "names": {"kind": kind, "plural": plural},
            "scope": scope,
            "versions": [version],
        },
    }


STORE = {
    "apiVersion": "external-secrets.io/v1beta1",
    "kind": "ClusterSecretStore",
    "metadata": {"name": "tazlab-secrets-vault"},
    "spec": {"provider": {"vault": {"path": "secret", "version": "v2"}}},
}
SECRET = {
    "apiVersion": "external-secrets.io/v1beta1",
    "kind": "ExternalSecret",
    "metadata": {"name": "dex", "namespace": "apps"},
    "spec": {"secretStoreRef": {"name": "tazlab-secrets-vault", "kind": "ClusterSecretStore"}},
}


class Operator(threading.Thread):
    """STAND-IN for the External Secrets Operator: says of its objects whether Vault answers, as the real one does."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(daemon=True)
        self.lab, self.ended = lab, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.3):
            with contextlib.suppress(OSError, KubeError, ValueError, KeyError):
                (cluster,) = self.lab.nodes.clusters()
                client = cluster.client()
                up = self.lab.vault.running
                for thing, reason in ((STORE, "InvalidProviderConfig"), (SECRET, "SecretSyncedError")):
                    said = {"type": "Ready", "status": str(up), "reason": "Valid" if up else reason}
                    metadata = thing["metadata"]
                    path = client.path(thing["apiVersion"], thing["kind"], metadata.get("namespace"), metadata["name"])
                    client.request("PATCH", f"{path}/status", {"status": {"conditions": [said]}}, content_type=MERGE)


@pytest.fixture
def with_a_store(world: World) -> Iterator[None]:
    """The repository has a store, and its root waits for everything in it."""
    git = world.lab.git
    files = gitops.repository(git.url)
    root = f"{gitops.PATH}/flux-system/gotk-sync.yaml"
    sync = list(yaml.safe_load_all(files[root]))
    sync[1]["spec"] |= {"wait": True, "timeout": "5m"}
    stores = [
        definition("ClusterSecretStore", "clustersecretstores", "Cluster"),
        definition("ExternalSecret", "externalsecrets", "Namespaced"),
    ]
    files |= {
        root: yaml.safe_dump_all(sync),
        f"{gitops.PATH}/kinds.yaml": yaml.safe_dump_all(stores),
        "configs/store.yaml": yaml.safe_dump_all([STORE]),
        "apps/secret.yaml": yaml.safe_dump_all([SECRET]),
    }
    git.commit(files, "A store")
    operator = Operator(world.lab)
    operator.start()
    yield
    operator.ended.set()
    operator.join(timeout=20)


@pytest.mark.sweep("a whole birth")
@pytest.mark.kube
@pytest.mark.usefixtures("with_a_store")
def test_a_rebirth_while_vault_is_down_ends_with_what_waits_for_it_and_is_finished_later(world: World) -> None:
    lab, home = world.lab, world.home("vault-down")
    older = lab.anchor / "eso-reader-token"
    current = older.read_text()
    older.write_text("an-older-token")
    stored = world.stored()
    lab.vault.stop()
    try:
        refused = world.play(home, "rebirth.yml", **CONFIRMED)
        run = world.play(home, "rebirth.yml", *override(refused), **CONFIRMED)
    finally:
        lab.vault.start()
    assert refused.returncode == 2
    assert run.returncode == 4, run.stdout[-6000:]
    assert "the lock on cluster lab holds on this machine alone" in run.output
    told = run.stdout.partition("\nWaiting for Vault\n")[2]
    assert re.search(r"  ClusterSecretStore +tazlab-secrets-vault +InvalidProviderConfig\n", told), run.output[-5000:]
    assert "\nFrom the anchor: all but " in told
    last = told.partition("\nNext\n")[2]
    assert "(when Vault is back, which finishes the birth)" in last
    (command,) = re.findall(r"ansible-playbook .*site\.yml", last)
    assert "failed=0" in run.stdout
    assert yaml.safe_load(world.stored()["secrets.yaml"]) == yaml.safe_load(stored["secrets.yaml"])
    # One command finishes it.
    done = world.play(home, Path(command.split()[-1]).name)
    assert done.returncode == 0, done.output[-8000:]
    assert "stored in Vault, which was away before: birth, facts.json" in done.output
    assert "  changed  Secret external-secrets/vault-eso-token" in done.stdout
    assert "ESO_READER_TOKEN" in done.stdout.partition("What waits for you")[2], "what the anchor has too old"
    births = json.loads(world.stored()["facts.json"])["births"]
    assert set(births[-1]["seconds"]) == {"destroy", "secrets", "vms", "talos", "seed", "flux"}
    assert len(births) > len(json.loads(stored["facts.json"])["births"]), "those from before are kept"
    older.write_text(current)
    wait_until(lambda: delivered(world), "Flux has delivered", 60)


def test_the_environment_of_a_gate_has_no_secret(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.write_text('#!/bin/sh\nenv | grep canary > "$HOME/seen"\n')
    gate.chmod(0o700)
    home = tmp_path / "home"
    home.mkdir()
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [{"tazlab.bootstrap.rebirth_gates": {"gates": [[str(gate)]]}}],
        }
    ]
    secrets = dict.fromkeys(("VAULT_TOKEN", "GITHUB_TOKEN", "TAZLAB_STATE_TOKEN"), "canary")
    run = run_playbook(play, home=home, environment={**secrets, "BACKUPS": "canary, which is none of them"})
    assert run.returncode == 0, run.output
    assert (home / "seen").read_text() == "BACKUPS=canary, which is none of them\n"
