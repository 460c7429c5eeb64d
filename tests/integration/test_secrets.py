# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The secret core on a real OpenBao, through role, modules and lookup: when Vault answers, and when it does not."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab.anchor import picture
from lab.bundle import bundle, write_anchor
from lab.playbook import Run
from lab.tls import Authority
from lab.vault import VaultServer

ROOT = Path(__file__).resolve().parents[2]
READ = "secret/data/tazlab-k8s/bootstrap"
LOOKUP = "auth/token/lookup-self"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[VaultServer]:
    with VaultServer(tmp_path_factory.mktemp("vault"), authority) as server:
        yield server


@dataclass
class World:
    """One test's HOME, with a token and an anchor whose values differ from Vault's."""

    server: VaultServer
    home: Path
    run: Callable[..., Run]
    vault: dict[str, str]
    anchor: dict[str, str]
    variables: dict[str, Any] = field(default_factory=dict)
    asked: int = 0

    @property
    def secrets(self) -> Path:
        return self.home / "secrets"

    def play(self, *tasks: dict[str, Any], **options: Any) -> tuple[Run, dict[str, Any]]:
        """Run the role and then these tasks; give what the role exported, and whatever tasks put into C(out)."""
        exported = ["values", "sources", "vault", "missing", "problems", "drift"]
        content = ", ".join(f"'{name}': bootstrap_secrets_{name} | default(none)" for name in exported)
        role = {"ansible.builtin.import_role": {"name": "tazlab.bootstrap.bootstrap_secrets"}}
        result = self.home / "result.json"
        keep = {
            "ansible.builtin.copy": {
                "content": "{{ {" + content + ", 'out': out | default({})} | to_json }}",
                "dest": str(result),
                "mode": "0600",
            },
            "no_log": True,
        }
        self.asked = len(list(self.server.audited()))
        before = picture(self.secrets) if self.secrets.exists() else None
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [role, *tasks, keep]}
        variables = {"tazlab_vault_url": self.server.url, **self.variables}
        run = self.run([play], variables=variables, **options)
        assert before == (picture(self.secrets) if self.secrets.exists() else None)
        return run, json.loads(result.read_text()) if result.exists() else {}

    def requests(self) -> list[str]:
        return [request.path for request in list(self.server.audited())[self.asked :]]


@pytest.fixture
def world(server: VaultServer, authority: Authority, tmp_path: Path, ansible_playbook: Callable[..., Run]) -> World:
    vault, anchor = bundle(authority.ca_pem), bundle(authority.ca_pem)
    server.write_bundle(vault)
    world = World(server, tmp_path / "home", ansible_playbook, vault, anchor)
    write_anchor(world.secrets, anchor)
    (world.secrets / "bootstrap-token.txt").write_text(f' "{server.scoped_token()}"\r\n')
    return world


def lookups(*names: str, **options: Any) -> dict[str, Any]:
    """A task that puts what the lookup gives for these fields into C(out)."""
    extra = "".join(f", {name}={value!r}" for name, value in options.items())
    return {
        "ansible.builtin.set_fact": {
            "out": {
                name: "{{ lookup('tazlab.bootstrap.vault_bundle', '" + name + "'" + extra + ") }}" for name in names
            }
        },
        "no_log": True,
    }


def anchored(world: World) -> dict[str, str]:
    """The anchor's values as they come out: tokens cleaned, the certificate byte for byte as its file has it."""
    return {
        name: (world.secrets / name.lower().replace("_", "-")).read_text() if name == "VAULT_CA_CRT" else value
        for name, value in world.anchor.items()
    }


def test_vault_answers(world: World) -> None:
    run, result = world.play(lookups("GITHUB_TOKEN", "VAULT_CA_CRT"))
    assert run.returncode == 0, run.output
    assert result["values"] == world.vault
    version = result["vault"]["version"]
    assert {source["label"] for source in result["sources"].values()} == {f"vault v{version}"}
    assert result["out"] == {name: world.vault[name] for name in ("GITHUB_TOKEN", "VAULT_CA_CRT")}
    assert (result["vault"]["reachable"], result["vault"]["reason"]) == (True, "ok")
    token = result["vault"]["token"]
    assert (token["known"], token["renewable"], token["policies"]) == (True, True, ["tazlab-bootstrap"])
    assert token["source"].endswith("secrets/bootstrap-token.txt")
    assert token["expires_at"]
    assert world.requests() == [READ, LOOKUP]
    stale = {entry["field"] for entry in result["drift"]}
    assert stale == set(world.vault) - {"VAULT_CA_CRT", "PROXMOX_TOKEN_ID"}
    assert run.stats()["changed"] == 1  # the result file


@pytest.fixture
def away(request: pytest.FixtureRequest, world: World) -> Iterator[str]:
    """Vault is away, in a way that the test's parameter names."""
    how = request.param
    if how == "refused":
        world.server.stop()
    elif how == "timeout":
        world.server.pause()
    elif how == "sealed":
        world.server.seal()
    yield how
    if how == "refused":
        world.server.start()
    elif how == "timeout":
        world.server.resume()
    elif how == "sealed":
        world.server.unseal()


@pytest.mark.sweep
@pytest.mark.parametrize("away", ["refused", "timeout", "sealed"], indirect=True)
def test_vault_is_away_and_the_anchor_answers_loudly(world: World, away: str) -> None:
    world.variables["tazlab_vault_timeout"] = 20
    begin = time.monotonic()
    run, result = world.play(lookups(*world.vault))
    duration = time.monotonic() - begin
    assert run.returncode == 0, run.output
    assert result["values"] == anchored(world)
    assert result["out"] == anchored(world)
    assert {source["source"] for source in result["sources"].values()} == {"file"}
    assert result["sources"]["PROXMOX_TOKEN_ID"]["label"] == "file proxmox-token-id"
    assert result["vault"]["reason"] == away
    assert result["vault"]["message"] in run.output.replace("\n", " ")
    assert "THE RECOVERY ANCHOR ANSWERS INSTEAD OF VAULT" in run.stdout
    assert result["drift"] == []
    assert duration < 2 * 20, "eight lookups and two modules wait for a hanging Vault once"


@pytest.mark.sweep
@pytest.mark.parametrize("away", ["refused", "timeout", "sealed"], indirect=True)
def test_vault_is_away_and_that_is_an_error_when_asked_for(world: World, away: str) -> None:
    world.variables.update(bootstrap_secrets_on_unavailable="fail", tazlab_vault_timeout=1)
    run, result = world.play()
    assert run.returncode == 2
    assert result == {}
    assert world.server.url.removeprefix("https://") in run.output


def test_an_expired_token_is_told_from_a_wrong_path(world: World) -> None:
    token = world.server.scoped_token(period=None, ttl="1h")
    world.server.client.auth.token.revoke(token)  # what happens to a token when its TTL ends
    (world.secrets / "bootstrap-token.txt").write_text(token)
    run, result = world.play()
    assert run.returncode == 0, run.output
    assert result["vault"]["reason"] == "forbidden_token"
    assert "wrong, expired or revoked" in result["vault"]["message"]
    assert "bootstrap-token.txt" in result["vault"]["message"]
    assert result["values"] == anchored(world)
    assert world.requests() == [READ], "the answer proves it"


def test_a_token_that_expires_by_itself(world: World) -> None:
    token = world.server.scoped_token(period=None, ttl="1s")
    (world.secrets / "bootstrap-token.txt").write_text(token)
    deadline = time.monotonic() + 20
    while _alive(world.server, token) and time.monotonic() < deadline:
        time.sleep(0.2)
    _run, result = world.play()
    assert result["vault"]["reason"] == "forbidden_token"


def _alive(server: VaultServer, token: str) -> bool:
    client = server.client
    client.token = token
    return bool(client.is_authenticated())


@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_one_field_that_vault_lacks_comes_from_the_anchor_and_nothing_else_does(
    world: World, content: str | None
) -> None:
    vault = {name: value for name, value in world.vault.items() if name != "ESO_READER_TOKEN"}
    world.server.write_bundle(vault if content is None else {**vault, "ESO_READER_TOKEN": content})
    run, result = world.play(lookups("ESO_READER_TOKEN", "GITHUB_TOKEN"))
    assert run.returncode == 0, run.output
    assert result["values"] == {**vault, "ESO_READER_TOKEN": world.anchor["ESO_READER_TOKEN"]}
    assert result["sources"]["ESO_READER_TOKEN"]["label"] == "file eso-reader-token"
    assert result["sources"]["GITHUB_TOKEN"]["source"] == "vault"
    assert result["out"]["ESO_READER_TOKEN"] == world.anchor["ESO_READER_TOKEN"]
    assert "THE RECOVERY ANCHOR ANSWERS" not in run.stdout


@pytest.mark.parametrize("away", ["refused"], indirect=True)
@pytest.mark.parametrize("content", [None, " \n"])
def test_an_incomplete_anchor_is_one_error_that_names_every_place(world: World, away: str, content: str | None) -> None:
    for name in ("eso-reader-token", "github-token"):
        (world.secrets / name).unlink()
        if content is not None:
            (world.secrets / name).write_text(content)
    run, _result = world.play()
    assert run.returncode == 2
    output = " ".join(run.output.split())
    for name in ("ESO_READER_TOKEN", "GITHUB_TOKEN"):
        file = name.lower().replace("_", "-")
        state = "no such file" if content is None else "empty"
        assert (
            f"{name}: no source has a value. Tried: environment {name} (not set); file {file} ({state}); "
            f"file {file}.txt (no such file)."
        ) in output

    world.variables["bootstrap_secrets_on_missing"] = "report"
    run, result = world.play()
    assert run.returncode == 0, run.output
    assert result["missing"] == ["GITHUB_TOKEN", "ESO_READER_TOKEN"]
    assert [problem["subject"] for problem in result["problems"]] == result["missing"]


@pytest.mark.parametrize("away", ["refused"], indirect=True)
def test_no_anchor_at_all(world: World, away: str) -> None:
    token = (world.secrets / "bootstrap-token.txt").read_text()
    shutil.rmtree(world.secrets)
    run, _result = world.play(environment={"VAULT_TOKEN": token})
    assert run.returncode == 2
    assert f"The recovery anchor: {world.secrets} is not there. No source has a value for any of the" in run.output


def test_a_value_that_is_wrong_is_an_error_that_names_its_source(world: World) -> None:
    version = world.server.write_bundle({**world.vault, "PROXMOX_TOKEN_ID": "tazlab@pve", "GITHUB_TOKEN": "one two"})
    run, _result = world.play()
    assert run.returncode == 2
    output = " ".join(run.output.split())
    assert f"PROXMOX_TOKEN_ID: the value from vault v{version} does not have the form user@realm!tokenid" in output
    assert f"GITHUB_TOKEN: the value from vault v{version} holds a blank inside" in output
    assert "one two" not in output


def test_check_mode_reads_for_real_and_renews_nothing(world: World) -> None:
    world.variables["tazlab_vault_renew"] = "always"
    run, _result = world.play(arguments=["--check"])
    assert run.returncode == 0, run.output
    assert world.requests() == [READ, LOOKUP]
    assert run.stats()["changed"] == 1  # the result file, which check mode would write


def test_values_of_fields_that_nobody_declared_are_not_lost_without_a_word(world: World) -> None:
    lost = {"tazlab.bootstrap.secret_fallback": {"values": {"GITHUB_TOKEN": "x", "GITHUB_TOKNE": "a-secret"}}}
    run, _result = world.play(lost)
    assert run.returncode == 2
    assert "values: no field is named GITHUB_TOKNE. Declared are PROXMOX_TOKEN_ID, " in " ".join(run.output.split())
    assert "a-secret" not in run.output


@pytest.mark.parametrize("way", ["named", "copied"])
def test_the_two_part_name_is_the_same_lookup_in_a_playbook_elsewhere(world: World, way: str) -> None:
    """With our folder in the lookup plugin path, as the README says, or our one file beside the playbook."""
    outside = world.home / "elsewhere" / "playbooks"
    outside.mkdir(parents=True)
    ours = ROOT / "playbooks" / "lookup_plugins"
    environment = {"ANSIBLE_LOOKUP_PLUGINS": str(ours)} if way == "named" else {}
    if way == "copied":
        shutil.copytree(ours, outside / "lookup_plugins", ignore=shutil.ignore_patterns("__pycache__"))
    result = world.home / "out.json"
    text = "".join(
        f"    {name}: \"{{{{ lookup('{plugin}', 'GITHUB_TOKEN') }}}}\"\n"
        for name, plugin in (("two", "tazlab.vault_bundle"), ("three", "tazlab.bootstrap.vault_bundle"))
    )
    playbook = outside / "mine.yml"
    playbook.write_text(
        "- hosts: localhost\n  gather_facts: false\n  vars:\n" + text + "  tasks:\n"
        f"    - ansible.builtin.copy: {{content: '{{{{ [two, three] | to_json }}}}', dest: {result}, mode: '0600'}}\n"
        "      no_log: true\n"
    )
    run = world.run(playbook, variables={"tazlab_vault_url": world.server.url}, environment=environment)
    assert run.returncode == 0, run.output
    assert json.loads(result.read_text()) == [world.vault["GITHUB_TOKEN"]] * 2
