# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster's state in a real OpenBao: nothing is lost, nothing taken for absent, and one run at a time works on it."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hvac.exceptions import Forbidden, InvalidPath

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.state import state_health
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state import keeper, vault_lock
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import (
    Birth,
    Facts,
    Rebirth,
    change_facts,
    read_facts,
    serialised,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.run_record import RunRecord, this_run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import BIRTH, SECRETS, Directory, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_home import VaultHome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_lock import VaultLock, lock_settings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Birth as BirthNote
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Note
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings, vault_settings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded
from lab.process import wait_until
from tests.integration.test_vault_side import Site, ok

PATH = "tazlab-k8s/state/home"
IN_VAULT = {"backend": "vault"}
CONTENT = b"cluster:\n    id: canary-state-4715\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("state")) as made:
        run = ok(made.run("publish.yml", "--tags", "access", tazlab_state=IN_VAULT))
        assert "state-token.txt" in run.output, "how its owner keeps a copy in the anchor"
        yield made


@pytest.fixture(autouse=True)
def _running(site: Site) -> Iterator[None]:
    yield
    site.vault.start()


@pytest.fixture
def settings(site: Site, request: pytest.FixtureRequest) -> VaultSettings:
    """Each test has a path of its own, which a policy of the same form opens."""
    name = f"state-{abs(hash(request.node.name)) % 10**8}"
    path = f"tazlab-k8s/state/{name}"
    rules = site.vault.client.sys.read_acl_policy("tazlab-state-home")["data"]["policy"].replace(PATH, path)
    site.vault.client.sys.create_or_update_acl_policy(name, rules)
    token = site.vault.scoped_token(policies=(name,))
    options = {"url": site.vault.url, "token": token, "ca_cert": str(site.vault.ca_file), "path": path}
    found = vault_settings(options, environ={}, home=site.home)
    assert isinstance(found, VaultSettings)
    return found


def home(settings: VaultSettings, tmp_path: Path, **more: object) -> VaultHome:
    anchor = tmp_path / "anchor"
    anchor.mkdir(exist_ok=True)
    providers = declared_providers([{"type": "file"}], fields=(), anchor=str(anchor), environ={}, home=tmp_path)
    waiting, seen = Directory(tmp_path / "unstored"), Directory(tmp_path / "seen")
    made = VaultHome("home", settings, partial(bounded, settings, 5.0), waiting, seen, providers)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_the_token_of_the_state_opens_the_state_and_its_lock_alone(site: Site) -> None:
    token = (site.home / ".config/tazlab/state-token-home").read_text().strip()
    client = site.client(token)
    facts = client.auth.token.lookup_self()["data"]
    assert (facts["policies"], facts["orphan"], facts["period"]) == (["tazlab-state-home"], True, 2764800)
    for path in (f"secret/data/{PATH}", f"secret/data/{PATH}/lock"):
        assert client.read(path) is None
    for path in ("secret/data/tazlab-k8s/bootstrap", f"secret/data/{PATH}2", f"secret/data/{PATH}/other", "sys/mounts"):
        with pytest.raises(Forbidden):
            client.read(path)
    with pytest.raises(Forbidden):
        client.delete(f"secret/metadata/{PATH}")
    ok(site.run("publish.yml", "--tags", "access", tazlab_state=IN_VAULT), changed=0)


def test_what_is_kept_is_read_back_by_another_machine(settings: VaultSettings, tmp_path: Path, site: Site) -> None:
    first = home(settings, tmp_path / "..")
    assert first.read(SECRETS) is None
    assert first.create(SECRETS, CONTENT)
    first.replace(BIRTH, b"begun\n")
    second = home(settings, tmp_path)
    assert not second.create(SECRETS, b"other"), "an identity is made once"
    assert (second.read(SECRETS), second.read(BIRTH)) == (CONTENT, b"begun\n")
    second.remove(BIRTH)
    assert home(settings, tmp_path).read(BIRTH) is None
    assert home(settings, tmp_path).read(SECRETS) == CONTENT
    assert not (tmp_path / "unstored").exists()


def test_two_who_write_at_once_lose_nothing(settings: VaultSettings, tmp_path: Path) -> None:
    one, other = home(settings, tmp_path), home(settings, tmp_path)
    assert (one.read(SECRETS), other.read(SECRETS)) == (None, None)
    assert one.create(SECRETS, CONTENT)
    assert not other.create(SECRETS, b"other")
    other.replace(BIRTH, b"asked\n")
    assert home(settings, tmp_path).read(SECRETS) == CONTENT


def test_a_deleted_version_is_not_taken_for_a_cluster_still_to_be_born(
    settings: VaultSettings, tmp_path: Path, site: Site
) -> None:
    home(settings, tmp_path).create(SECRETS, CONTENT)
    kv = site.vault.client.secrets.kv.v2
    kv.delete_latest_version_of_secret(settings.path, mount_point="secret")
    gone = State(tmp_path, home(settings, tmp_path))
    with pytest.raises(BootstrapError, match=r"is deleted\. It holds the cluster's identity") as raised:
        gone.read(SECRETS)
    problem = gone.problem()
    assert problem is not None
    assert "is deleted" in problem.text
    command = re.search(r"\n    (\(.*\))", str(raised.value))
    assert command is not None
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "VAULT_TOKEN": site.vault.root_token}
    subprocess.run(["sh", "-c", command[1]], env=environment, check=True)
    assert home(settings, tmp_path).read(SECRETS) == CONTENT
    kv.destroy_secret_versions(settings.path, [1], mount_point="secret")
    with pytest.raises(BootstrapError, match="is destroyed"):
        home(settings, tmp_path).read(SECRETS)


def test_while_vault_is_away_the_copy_is_read_and_what_is_written_waits(
    settings: VaultSettings, tmp_path: Path, site: Site
) -> None:
    before = State(tmp_path, home(settings, tmp_path))
    before.create(SECRETS, CONTENT)
    change_facts(before, lambda facts: replace(facts, contract="v1.8").with_birth(Birth(1.0, {"vms": 1.0})))
    copy = tmp_path / "anchor" / "talos-secrets.yaml"
    copy.write_bytes(CONTENT)
    copy.chmod(0o600)
    site.vault.stop()
    away = home(settings, tmp_path)
    assert away.read(SECRETS) == CONTENT
    state = State(tmp_path, away)
    assert state.problem() is None
    away.replace(BIRTH, b"begun\n")
    assert [birth.begun for birth in read_facts(state).births] == [1.0], "as Vault had them last"
    change_facts(state, lambda facts: facts.with_birth(Birth(2.0, {"vms": 2.0})))
    assert away.catch_up() == []
    assert home(settings, tmp_path).read(BIRTH) == b"begun\n", "another task of the run reads it"
    away.remove(BIRTH)
    assert home(settings, tmp_path).read(BIRTH) is None
    site.vault.start()
    back = home(settings, tmp_path)
    both = [birth.begun for birth in read_facts(State(tmp_path, back)).births]
    assert both == [1.0, 2.0], "before they are stored, too"
    assert back.catch_up() == [BIRTH, "facts.json"]
    assert back.catch_up() == []
    (tmp_path / "other").mkdir()
    stored = State(tmp_path, home(settings, tmp_path / "other"))
    facts = read_facts(stored)
    assert (facts.contract, [birth.begun for birth in facts.births]) == ("v1.8", [1.0, 2.0])
    assert (stored.read(SECRETS), stored.read(BIRTH)) == (CONTENT, None)


def test_without_vault_and_without_a_copy_nothing_is_made_unless_told(
    settings: VaultSettings, tmp_path: Path, site: Site
) -> None:
    home(settings, tmp_path).create(SECRETS, CONTENT)
    site.vault.stop()
    lost = home(settings, tmp_path)
    problem = State(tmp_path, lost).problem()
    assert problem is not None
    assert problem.code == "state_unknown"
    assert "-e tazlab_new_secrets=home" in problem.text
    assert "talos-secrets.yaml" in problem.text
    assert "jwt_validation_pubkeys" in problem.text
    with pytest.raises(BootstrapError, match="tazlab_new_secrets=home"):
        lost.create(SECRETS, b"new")
    told = home(settings, tmp_path, new_allowed=True)
    assert State(tmp_path, told).problem() is None
    assert told.create(SECRETS, b"new")
    assert home(settings, tmp_path).read(SECRETS) == b"new"
    # Vault is back, and has the secrets from before: nobody decides which of them the machines have.
    site.vault.start()
    back = home(settings, tmp_path)
    problem = State(tmp_path, back).problem()
    assert problem is not None
    assert problem.code == "two_states"
    with pytest.raises(BootstrapError, match="are different secrets"):
        back.catch_up()
    (tmp_path / "unstored" / SECRETS).unlink()
    assert home(settings, tmp_path).read(SECRETS) == CONTENT


def test_what_vault_had_last_is_known_while_it_is_away(settings: VaultSettings, tmp_path: Path, site: Site) -> None:
    state = State(tmp_path / "mine", home(settings, tmp_path))
    change_facts(state, lambda facts: replace(facts, contract="v1.8", rebirth=Rebirth(7.0, "a run", gone=8.0)))
    Note(state).write(BirthNote.BEGUN)
    (tmp_path / "other").mkdir()
    site.vault.stop()
    knows = State(tmp_path / "mine", home(settings, tmp_path))
    facts = read_facts(knows)
    assert (facts.contract, facts.rebirth) == ("v1.8", Rebirth(7.0, "a run", gone=8.0))
    assert Note(knows).read() is BirthNote.BEGUN
    change_facts(knows, lambda facts: facts.with_key("cp-1", 9.0))
    # Who has never seen them, does not take them for gone: neither now, nor when Vault is back.
    stranger = State(tmp_path / "other", home(settings, tmp_path / "other"))
    Note(stranger).write(BirthNote.NONE)
    change_facts(stranger, lambda facts: facts.with_key("cp-2", 10.0))
    site.vault.start()
    for directory in ("other", ""):
        home(settings, tmp_path / directory).catch_up()
    back = State(tmp_path / "third", home(settings, tmp_path / "other"))
    assert read_facts(back).rebirth == Rebirth(7.0, "a run", gone=8.0)
    assert sorted(read_facts(back).joined) == ["cp-1", "cp-2"]
    assert Note(back).read() is BirthNote.BEGUN


def test_what_waited_too_long_does_not_come_back(settings: VaultSettings, tmp_path: Path, site: Site) -> None:
    """Another machine has ended meanwhile what was begun here while Vault was away."""
    home(settings, tmp_path).catch_up()
    site.vault.stop()
    here = State(tmp_path / "mine", home(settings, tmp_path))
    Note(here).write(BirthNote.BEGUN)
    change_facts(here, lambda facts: replace(facts, rebirth=Rebirth(7.0, "a run")))
    site.vault.start()
    (tmp_path / "other").mkdir()
    there = State(tmp_path / "there", home(settings, tmp_path / "other"))
    Note(there).write(BirthNote.ASKED)
    change_facts(there, lambda facts: facts.with_birth(Birth(20.0, {"vms": 1.0})))
    Note(there).write(BirthNote.NONE)
    home(settings, tmp_path).catch_up()
    back = State(tmp_path / "third", home(settings, tmp_path / "other"))
    assert Note(back).read() is BirthNote.NONE
    assert read_facts(back).rebirth is None
    assert [birth.begun for birth in read_facts(back).births] == [20.0]


def test_a_password_store_is_asked_for_the_copy_once(settings: VaultSettings, tmp_path: Path, site: Site) -> None:
    asked = tmp_path / "asked"
    store = [{"type": "command", "argv": ["sh", "-c", f"echo {{file}} >> {asked}; exit 1"]}]
    providers = declared_providers(store, fields=(), anchor=str(tmp_path), environ=dict(os.environ), home=tmp_path)
    site.vault.stop()
    problem = State(tmp_path, home(settings, tmp_path, anchor=providers)).problem()
    assert problem is not None
    assert asked.read_text() == "talos-secrets\n"


def test_a_lock_is_not_kept_by_a_run_that_may_not_go_on(site: Site) -> None:
    """Secrets that were made while Vault was away, and others in Vault: found when the lock is taken."""
    path = "tazlab-k8s/state/home"
    site.vault.client.secrets.kv.v2.create_or_update_secret(path, {SECRETS: "others"}, mount_point="secret")
    directory = site.home / "conflicting"
    (directory / "unstored").mkdir(parents=True)
    for each in (directory, directory / "unstored"):
        each.chmod(0o700)
    (directory / "unstored" / SECRETS).write_bytes(CONTENT)
    options = {"cluster": "home", "state_dir": str(directory), "state_home": {"backend": "vault", "cluster": "home"}}
    run = site.task("cluster_lock", **options)
    assert run.returncode != 0
    assert "are different secrets" in run.output
    lock = site.vault.client.read(f"secret/data/{path}/lock")
    assert lock is not None
    assert lock["data"]["data"] == {}, "nobody holds it"
    site.vault.client.secrets.kv.v2.delete_metadata_and_all_versions(path, mount_point="secret")


def test_a_rebirth_that_was_planned_before_another_one_removes_nothing(site: Site) -> None:
    """Both have looked while none was under way; the lock is then given to one after the other."""
    options = {"state_dir": str(site.home / "planned"), "stage": "destroying", "expected": "0.0 0.0 0.0"}
    (site.home / "planned").mkdir(mode=0o700)
    ok(site.task("cluster_birth", **options))
    second = site.task("cluster_birth", **options)
    assert second.returncode != 0
    assert "Another run has destroyed or borne this cluster since this one looked at it" in second.output


def test_a_rebirth_that_would_not_bear_all_of_it_destroys_nothing(site: Site) -> None:
    run = site.run("rebirth.yml", "--skip-tags", "vms", tazlab_destroy="home", tazlab_state=IN_VAULT)
    assert run.returncode != 0
    assert "a rebirth makes anew all that it destroys. Nothing was removed." in " ".join(run.output.split())
    assert run.stats()["ok"] == 0, "nothing came before it"


def test_who_may_write_and_not_read_is_told_before_anything_is_written(
    settings: VaultSettings, tmp_path: Path, site: Site
) -> None:
    name = settings.path.rpartition("/")[2]
    rules = f'path "secret/data/{settings.path}" {{ capabilities = ["create", "update"] }}'
    site.vault.client.sys.create_or_update_acl_policy(name, rules)
    blind = home(settings, tmp_path)
    with pytest.raises(BootstrapError, match="HTTP 403") as raised:
        blind.create(SECRETS, CONTENT)
    assert "read" in str(raised.value)
    with pytest.raises(InvalidPath):
        site.vault.client.secrets.kv.v2.read_secret_version(
            settings.path, mount_point="secret", raise_on_deleted_version=True
        )
    problem = State(tmp_path, home(settings, tmp_path)).problem()
    assert problem is not None
    assert "HTTP 403" in problem.text


def test_a_state_that_was_left_in_the_directory_is_not_born_anew(settings: VaultSettings, tmp_path: Path) -> None:
    (tmp_path / SECRETS).write_bytes(CONTENT)
    problem = State(tmp_path, home(settings, tmp_path)).problem()
    assert problem is not None
    assert problem.code == "not_moved"
    assert "tazlab.bootstrap.move_state" in problem.text


def test_health_tells_of_the_copy_and_the_command_that_makes_it(
    settings: VaultSettings, tmp_path: Path, site: Site
) -> None:
    assert [each.state for each in state_health(State(tmp_path, home(settings, tmp_path)))] == ["unborn"]
    home(settings, tmp_path).create(SECRETS, CONTENT)
    kept, copy = state_health(State(tmp_path, home(settings, tmp_path)))
    assert (kept.state, copy.state, copy.failing) == ("kept", "no_copy", True)
    command = copy.text.partition("It is never written here. ")[2].splitlines()[0]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "VAULT_TOKEN": settings.token}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "anchor" / "talos-secrets.yaml").read_bytes() == CONTENT
    states = [each.state for each in state_health(State(tmp_path, home(settings, tmp_path)))]
    assert states == ["kept", "kept"]
    (tmp_path / "anchor" / "talos-secrets.yaml").write_text("older\n")
    states = [each.state for each in state_health(State(tmp_path, home(settings, tmp_path)))]
    assert states == ["kept", "other_copy"]
    site.vault.stop()
    assert [each.state for each in state_health(State(tmp_path, home(settings, tmp_path)))] == ["unread"]


def test_facts_that_somebody_has_edited_are_told(settings: VaultSettings, tmp_path: Path) -> None:
    state = State(tmp_path, home(settings, tmp_path))
    for number in range(12):
        change_facts(state, lambda facts, number=number: facts.with_birth(Birth(number, {"vms": 1.5, "talos": 4})))
    births = read_facts(State(tmp_path, home(settings, tmp_path))).births
    assert [birth.begun for birth in births] == list(range(2, 12))
    assert births[0].all_seconds == 5.5
    state.replace("facts.json", b"{}")
    with pytest.raises(BootstrapError, match="does not hold what a run writes there"):
        read_facts(State(tmp_path, home(settings, tmp_path)))


# ------------------------------------------------------------------------------------------------ the lock


def elsewhere(command: str = "ansible-playbook site.yml") -> RunRecord:
    """A run on another machine."""
    return replace(this_run(os.getpid(), command), host="other", machine="m" * 16, boot="another boot", pid=1)


def lock(settings: VaultSettings, work: object, taken: str = "") -> object:
    return bounded(lock_settings(settings), 5.0, lambda vault: work(VaultLock("home", vault, taken)))  # type: ignore[operator]


def test_one_run_at_a_time_on_all_machines(settings: VaultSettings, site: Site) -> None:
    here = this_run(os.getpid(), "ansible-playbook site.yml")
    assert lock(settings, lambda it: it.take(here)) is None
    assert lock(settings, lambda it: it.take(here)) is None, "it is ours already"
    with pytest.raises(
        BootstrapError, match=r"another run is at work on it: ansible-playbook site\.yml of user"
    ) as raised:
        lock(settings, lambda it: it.take(elsewhere()), "home")
    assert "sign of life came 0 s ago. Wait until it has ended. Nothing was changed." in str(raised.value)
    lock(settings, lambda it: it.free(elsewhere()))
    assert lock(settings, lambda it: it.look(elsewhere())) is not None, "what another run holds is left alone"
    lock(settings, lambda it: it.free(here))
    assert lock(settings, lambda it: it.take(elsewhere())) is None
    metadata = site.vault.client.secrets.kv.v2.read_secret_metadata(f"{settings.path}/lock", mount_point="secret")
    assert (metadata["data"]["max_versions"], metadata["data"]["cas_required"]) == (1, True)
    assert len(metadata["data"]["versions"]) == 1


def test_a_stale_lock_is_taken_only_by_whoever_says_so(
    settings: VaultSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = this_run(os.getpid(), "ansible-playbook rebirth.yml")
    lock(settings, lambda it: it.take(elsewhere()))
    monkeypatch.setattr(vault_lock, "STALE", 0.0)
    with pytest.raises(BootstrapError, match=r"it is probably dead.*-e tazlab_take_lock=home"):
        lock(settings, lambda it: it.take(here))
    with pytest.raises(BootstrapError, match="it is probably dead"):
        lock(settings, lambda it: it.take(here), "other")
    taken = lock(settings, lambda it: it.take(here), "home")
    assert isinstance(taken, RunRecord)
    assert taken.host == "other"


def test_a_run_of_this_machine_that_is_gone_is_followed(settings: VaultSettings) -> None:
    gone = replace(this_run(os.getpid(), "ansible-playbook site.yml"), started="1")
    lock(settings, lambda it: it.take(gone))
    followed = lock(settings, lambda it: it.take(this_run(os.getpid(), "ansible-playbook site.yml")))
    assert followed == gone


def test_a_clone_of_this_machine_does_not_pass_for_it_after_a_reboot(
    settings: VaultSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = this_run(os.getpid(), "ansible-playbook site.yml")
    clone = replace(here, machine="m" * 16, boot=f"another {here.boot}")
    lock(settings, lambda it: it.take(clone))
    with pytest.raises(BootstrapError, match="Wait until it has ended"):
        lock(settings, lambda it: it.take(replace(here, machine="m" * 16)))
    monkeypatch.setattr(vault_lock, "STALE", 0.0)
    assert lock(settings, lambda it: it.take(replace(here, machine="m" * 16))) == clone, "it was a reboot"


def test_the_keeper_shows_that_the_run_lives_and_ends_with_it(
    settings: VaultSettings, site: Site, tmp_path: Path
) -> None:
    """The keeper is started as the lock starts it, but looks more often."""
    script = tmp_path / "run.py"
    root = Path(keeper.__file__).parents[6]
    script.write_text(
        f"import sys, os, pickle, time\nsys.path.insert(0, {str(root)!r})\n"
        "from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state import keeper, run_record, vault_lock\n"
        "from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded\n"
        "settings = pickle.load(sys.stdin.buffer)\n"
        "keeper._KEEPER = keeper._KEEPER.replace('import main', 'import main; "
        "import ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.keeper as k; k.BEAT = 0.2')\n"
        "here = run_record.this_run(os.getpid(), 'ansible-playbook site.yml')\n"
        "bounded(settings, 5, lambda vault: vault_lock.VaultLock('home', vault).take(here))\n"
        "keeper.start('home', settings, here)\n"
        "time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE)
    assert run.stdin is not None
    with run.stdin:
        run.stdin.write(pickle.dumps(lock_settings(settings)))

    def version() -> int:
        found = site.vault.client.read(f"secret/data/{settings.path}/lock")
        return int(found["data"]["metadata"]["version"]) if found else 0

    try:
        wait_until(lambda: version() >= 4, "the keeper has written", 30)
        arguments = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        assert settings.token not in arguments
        assert any("_state.keeper" in line for line in arguments.splitlines())
    finally:
        run.kill()
        run.wait()

    def keepers() -> list[str]:
        listed = subprocess.run(["ps", "-ww", "-eo", "stat,args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if "_state.keeper" in line and not line.startswith("Z")]

    wait_until(lambda: not keepers(), "the keeper has ended with the run", 10)
    followed = lock(settings, lambda it: it.take(this_run(os.getpid(), "ansible-playbook site.yml")))
    assert isinstance(followed, RunRecord)


# ------------------------------------------------------------------------------------------- from outside


def test_the_state_is_moved_and_no_copy_is_removed(site: Site) -> None:
    directory = site.home / "moved"
    directory.mkdir(mode=0o700)
    content = whole()
    (directory / SECRETS).write_bytes(content)
    (directory / SECRETS).chmod(0o600)
    arguments = {"tazlab_state": IN_VAULT, "tazlab_state_dir": str(directory)}
    nowhere = {"tazlab_state_from": {"path": str(site.home / "none")}}
    refused = site.run("move_state.yml", **arguments, **nowhere)
    assert refused.returncode != 0
    assert "There is no state in" in refused.output
    checked = ok(site.run("move_state.yml", "--check", **arguments))
    assert "secrets.yaml: would be copied" in checked.output
    run = ok(site.run("move_state.yml", **arguments), changed=1)
    assert content.decode() not in run.output
    assert (directory / SECRETS).read_bytes() == content
    found = site.vault.client.read(f"secret/data/{PATH}")
    assert found is not None
    assert found["data"]["data"][SECRETS] == content.decode()
    ok(site.run("move_state.yml", **arguments), changed=0)
    # Runs have noted something since, and an older copy does not undo it.
    (directory / "facts.json").write_bytes(serialised(Facts(contract="v1.8")))
    (directory / "facts.json").chmod(0o600)
    site.vault.client.secrets.kv.v2.patch(
        PATH, {"facts.json": serialised(Facts("v1.12")).decode()}, mount_point="secret"
    )
    again = ok(site.run("move_state.yml", **arguments), changed=0)
    assert "facts.json: facts.json in secret/tazlab-k8s/state/home at Vault" in again.output
    assert "has another one, which stays" in again.output
    back = ok(site.run("move_state.yml", tazlab_state_dir=str(site.home / "back")), changed=1)
    assert "stays; remove it yourself" in back.output
    assert (site.home / "back" / SECRETS).read_bytes() == content
    assert (site.home / "back" / SECRETS).stat().st_mode & 0o777 == 0o600
    (site.home / "back" / SECRETS).write_bytes(content.replace(b"cluster:", b"cluster: "))
    other = site.run("move_state.yml", tazlab_state_dir=str(site.home / "back"))
    assert other.returncode != 0
    assert "are different secrets. Nothing was copied." in other.output
    # Its token may come as a field of the bundle, here from the anchor.
    token = site.home / ".config/tazlab/state-token-home"
    (site.anchor / "state-token").write_text(token.read_text())
    aside = token.rename(token.with_name("aside"))
    none = site.run("move_state.yml", **arguments)
    arguments |= {"tazlab_state": {**IN_VAULT, "token_field": "STATE_TOKEN"}, "tazlab_fields": {"STATE_TOKEN": {}}}
    run = site.run("move_state.yml", **arguments)
    aside.rename(token)
    assert none.returncode != 0
    assert "No token for the cluster's state in Vault. Tried the field" in none.output
    ok(run, changed=0)


def whole() -> bytes:
    """What is taken for a whole secrets.yaml."""
    return (
        b"cluster:\n    id: abc=\n    secret: c2VjcmV0\nsecrets:\n    secretboxencryptionsecret: Z2VuZXJhdGVk\n"
        b"certs:\n    os:\n        crt: Y3J0\n    k8s:\n        key: a2V5\n"
    )


def test_a_lock_in_vault_keeps_a_run_of_another_machine_out(site: Site) -> None:
    settings = vault_settings(
        {
            "url": site.vault.url,
            "token": (site.home / ".config/tazlab/state-token-home").read_text(),
            "ca_cert": str(site.vault.ca_file),
            "path": PATH,
        },
        environ={},
        home=site.home,
    )
    assert isinstance(settings, VaultSettings)
    lock(settings, lambda it: it.take(elsewhere()))
    task = partial(
        site.task,
        "cluster_lock",
        cluster="home",
        state_dir=str(site.home / "lock"),
        state_home={**IN_VAULT, "cluster": "home"},
    )
    begun = time.monotonic()
    refused = task()
    assert refused.returncode != 0
    assert "cluster home: another run is at work on it: ansible-playbook site.yml of user" in refused.output
    assert time.monotonic() - begun < 30
    assert not (site.home / "lock" / "run.lock").read_text(), "the local one was given back"
    lock(settings, lambda it: it.free(elsewhere()))
    ok(task())
    site.vault.stop()
    alone = ok(task())
    assert "Vault is away: the lock on cluster home holds on this machine alone." in alone.output
