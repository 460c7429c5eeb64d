# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs at a time for one cluster: the second says who runs since when, and changes nothing."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.anchor import picture
from lab.playbook import Run, children, is_gone, kill_tree, run_playbook, started_playbook
from lab.process import wait_until
from lab.pve import TalosPve, serving
from lab.tls import Authority
from lab.vms import SECRET, WRITES, Layer, inventory_of, layer_of, play

ROOT = Path(__file__).parents[2]
SITE, DESTROY, ROTATE = (ROOT / "playbooks" / f"{name}.yml" for name in ("site", "destroy", "rotate"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


def lock(home: Path, **options: Any) -> dict[str, Any]:
    state = home / ".config" / "tazlab" / "home"
    return {"tazlab.bootstrap.cluster_lock": {"cluster": "home", "state_dir": str(state), **options}}


@contextmanager
def at_work(home: Path) -> Iterator[int]:
    """A run that holds the cluster while the block does, told from the runs beside it by its own directory."""
    other = home / "other"
    other.mkdir(exist_ok=True)
    waits = {"ansible.builtin.wait_for": {"path": str(other / "never"), "timeout": 600}}
    with started_playbook(play(lock(home), waits), home=other) as run:
        path = home / ".config" / "tazlab" / "home" / "run.lock"
        wait_until(lambda: f'"pid": {run.pid},' in path.read_text(), "the other run holds the cluster", 60)
        yield run.pid


def test_a_second_run_is_refused_until_the_first_is_gone_however_it_went(home: Path) -> None:
    changes = {"ansible.builtin.copy": {"content": "x", "dest": str(home / "changed"), "mode": "0600"}}
    with at_work(home) as pid:
        refused = run_playbook(play(lock(home), changes), home=home)
        assert refused.returncode != 0
        assert "cluster home: another run is at work on it: ansible-playbook " in refused.output
        assert (
            f"playbook.yml of user {os.environ.get('USER', 'root')} on {os.uname().nodename} (pid {pid}), since 20"
            in (refused.output)
        )
        assert not (home / "changed").exists()
        workers = children(pid)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_gone(pid), "it is gone, though nobody has waited for it", 10)
        for worker in workers:  # one of Ansible's own modules, which no guard of ours ends
            kill_tree(worker)
        followed = run_playbook(play(lock(home), changes, lock(home), lock(home, state="free")), home=home)
    assert workers
    assert followed.returncode == 0, followed.output
    assert followed.output.count("a run that has ended without saying so is followed: ansible-playbook") == 1
    again = run_playbook(play(lock(home)), home=home)
    assert again.returncode == 0, again.output
    assert again.stats()["changed"] == 0
    assert "followed" not in again.output


def test_check_mode_warns_and_notes_nothing(home: Path) -> None:
    with at_work(home):
        checked = run_playbook(play(lock(home)), home=home, arguments=["--check"])
    assert checked.returncode == 0, checked.output
    assert "[WARNING]: cluster home: another run is at work on it" in " ".join(checked.output.split())
    state = home / ".config" / "tazlab" / "home"
    (state / "run.lock").unlink()
    state.rmdir()
    free = run_playbook(play(lock(home)), home=home, arguments=["--check"])
    assert free.returncode == 0, free.output
    assert "WARNING" not in free.output
    assert not state.exists()


def test_arguments_that_may_hold_secrets_are_not_noted(home: Path) -> None:
    run = run_playbook(play(lock(home)), home=home, arguments=["-e", "token=canary-in-argv"])
    assert run.returncode == 0, run.output
    assert "canary" not in (home / ".config" / "tazlab" / "home" / "run.lock").read_text()


# ---------------------------------------------------------------------------------------------------- the playbooks


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def pve(authority: Authority) -> Iterator[TalosPve]:
    with serving(TalosPve(SECRET), authority.certificate("pve")) as running:
        yield running


@pytest.fixture
def layer(pve: TalosPve, authority: Authority, home: Path) -> Layer:
    return layer_of(pve, authority, home)


@pytest.fixture
def runs(layer: Layer, tmp_path: Path, home: Path) -> Callable[..., Run]:
    inventory = inventory_of(layer, tmp_path)
    return lambda playbook, *arguments: run_playbook(playbook, home=home, inventory=inventory, arguments=arguments)


def test_site_and_destroy_leave_a_cluster_alone_on_which_another_run_works(
    runs: Callable[..., Run], pve: TalosPve, home: Path, tmp_path: Path
) -> None:
    anchor = picture(tmp_path / "anchor")
    with at_work(home):
        for refused in (
            runs(SITE, "--tags", "vms"),
            runs(SITE, "--tags", "vms", "--skip-tags", "flux"),
            runs(SITE, "--skip-tags", "talos,seed,flux"),
            runs(DESTROY, "-e", "tazlab_destroy=home"),
        ):
            assert refused.returncode != 0
            assert "cluster home: another run is at work on it: " in refused.output
        assert pve.asked(WRITES) == []
        checked = runs(SITE, "--tags", "vms", "--check")
        assert checked.returncode == 0, checked.output
        assert "another run is at work on it" in checked.output
        alone = runs(SITE, "--tags", "secrets")
        assert alone.returncode == 0, alone.output
        assert "another run" not in alone.output
        assert pve.asked(WRITES) == []
    assert picture(tmp_path / "anchor") == anchor


@pytest.mark.parametrize("playbook", [SITE, DESTROY])
def test_without_a_cluster_one_failure_says_so(layer: Layer, tmp_path: Path, home: Path, playbook: Path) -> None:
    inventory = inventory_of(layer, tmp_path)
    run = run_playbook(playbook, home=home, inventory=inventory, arguments=["-e", "tazlab_cluster="])
    assert run.returncode != 0
    failures = re.findall(r"\[ERROR\]: Task failed: Action failed: (.*)", run.output)
    assert len(failures) == 1 + (playbook == SITE), run.output
    assert failures[1:] in ([], ["The summary below ends with what was wrong."])
    assert not (home / ".config").exists()


def test_one_after_the_other_they_do_their_work_and_free_the_cluster(
    runs: Callable[..., Run], pve: TalosPve, home: Path
) -> None:
    record = home / ".config" / "tazlab" / "home" / "run.lock"
    born = runs(SITE, "--tags", "vms")
    assert born.returncode == 0, born.output
    assert {vm.vmid: vm.status for vm in pve.vms} == {1001: "running", 1002: "running"}
    assert record.read_text() == ""
    assert runs(SITE, "--tags", "vms").stats()["changed"] == 0
    unconfirmed = runs(DESTROY)
    assert unconfirmed.returncode != 0
    assert record.read_text() == ""
    pve.backup_jobs = {"nightly": {"vmid": "1001,1002", "storage": "local"}}
    gone = runs(DESTROY, "-e", "tazlab_destroy=home", "-e", "tazlab_destroy_purge=true")
    assert gone.returncode == 0, gone.output
    assert pve.vms == []
    assert "backup job nightly is removed with it" in gone.output
    assert pve.backup_jobs == {}
    assert "followed" not in gone.output


@pytest.mark.sweep("a whole birth")
def test_a_site_that_is_killed_is_followed_and_converges(
    layer: Layer, runs: Callable[..., Run], pve: TalosPve, home: Path, tmp_path: Path
) -> None:
    pve.time_scale, pve.task_secs, pve.import_secs = 1.0, 2.0, 15.0  # longer than a run needs to come to it
    arguments = ["--tags", "vms"]
    with started_playbook(SITE, home=home, inventory=tmp_path / "inventory.yml", arguments=arguments) as run:
        wait_until(lambda: any(task["type"] == "qmcreate" for task in pve.tasklog), "a VM is being made", 90)
        os.kill(run.pid, signal.SIGKILL)
    again = runs(SITE, *arguments)
    assert again.returncode == 0, again.output
    assert "a run that has ended without saying so is followed: ansible-playbook" in again.output
    assert "waiting for qmcreate, which runs already on node pve1" in again.output
    assert {vm.vmid: vm.status for vm in pve.vms} == {1001: "running", 1002: "running"}


def test_a_rotation_that_reseeds_the_cluster_is_refused_before_vault_is_changed(
    runs: Callable[..., Run], home: Path
) -> None:
    (home / "new").write_text("a-new-value")
    wanted = ["-e", "tazlab_rotate=PROXMOX_TOKEN_SECRET", "-e", f"tazlab_rotate_file={home / 'new'}"]
    with at_work(home):
        refused = runs(ROTATE, *wanted, "-e", "tazlab_reseed=true")
        assert "another run is at work on it" in refused.output
        free = runs(ROTATE, *wanted)
        assert "another run" not in free.output


def test_a_rotation_that_fails_frees_the_cluster(runs: Callable[..., Run], home: Path) -> None:
    (home / "new").write_text("a-new-value")
    wanted = ["-e", "tazlab_rotate=PROXMOX_TOKEN_SECRET", "-e", f"tazlab_rotate_file={home / 'new'}"]
    failed = runs(ROTATE, *wanted, "-e", "tazlab_reseed=true")
    assert failed.returncode != 0  # there is no Vault
    assert (home / ".config" / "tazlab" / "home" / "run.lock").read_text() == ""
