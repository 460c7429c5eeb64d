# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where no token lies: AppRole and JWT on a real OpenBao, through role, module and lookup."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.bundle import bundle, write_anchor
from lab.jwt import Issuer
from lab.playbook import Run
from lab.tls import Authority
from lab.vault import POLICY, VaultServer
from tests.integration.test_secrets import LOOKUP, READ, World, lookups

REVOKE = "auth/token/revoke-self"


@dataclass
class Door:
    """A server with both methods mounted, and what opens it."""

    server: VaultServer
    authority: Authority
    issuer: Issuer
    role_id: str

    def secret_id(self) -> str:
        return str(self.server.client.auth.approle.generate_secret_id("ci")["data"]["secret_id"])

    def jwt(self, **changes: Any) -> str:
        return self.issuer.sign(**{"sub": "project:home", "aud": "vault", "project": "home", **changes})

    def options(self, method: str) -> dict[str, str]:
        if method == "approle":
            return {"auth_method": "approle", "role_id": self.role_id, "secret_id": self.secret_id()}
        return {"auth_method": "jwt", "auth_mount_point": "ci/home", "role_id": "ci", "jwt": self.jwt()}

    def accessors(self) -> set[str]:
        return set(self.server.client.auth.token.list_accessors()["data"]["keys"])


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    authority, issuer = Authority(tmp_path_factory.mktemp("tls")), Issuer()
    with VaultServer(tmp_path_factory.mktemp("vault"), authority) as server:
        client = server.client
        client.sys.enable_auth_method("approle")
        role = {"token_policies": [POLICY], "token_no_default_policy": True, "secret_id_num_uses": 1}
        client.write_data("auth/approle/role/ci", data=role)
        client.sys.enable_auth_method("jwt", path="ci/home")
        client.write_data("auth/ci/home/config", data={"jwt_validation_pubkeys": [issuer.public_pem]})
        claims = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"]}
        claims |= {"bound_claims": {"project": "home"}, "token_policies": [POLICY], "token_no_default_policy": True}
        client.write_data("auth/ci/home/role/ci", data=claims)
        role_id = client.auth.approle.read_role_id("ci")["data"]["role_id"]
        yield Door(server, authority, issuer, role_id)


@pytest.fixture
def world(door: Door, tmp_path: Path, ansible_playbook: Callable[..., Run]) -> World:
    vault, anchor = bundle(door.authority.ca_pem), bundle(door.authority.ca_pem)
    door.server.write_bundle(vault)
    world = World(door.server, tmp_path / "home", ansible_playbook, vault, anchor)
    write_anchor(world.secrets, anchor)
    return world


def variables(options: dict[str, str]) -> dict[str, str]:
    return {f"tazlab_vault_{name}": value for name, value in options.items()}


@pytest.mark.parametrize("method", ["approle", "jwt"])
def test_one_login_serves_the_whole_run_and_leaves_no_token(door: Door, world: World, method: str) -> None:
    options = door.options(method)
    world.variables |= variables(options)
    before = door.accessors()
    run, result = world.play(lookups("GITHUB_TOKEN"), arguments=["-vvvvv"])
    assert run.returncode == 0, run.output
    assert result["values"] == world.vault
    assert result["out"] == {"GITHUB_TOKEN": world.vault["GITHUB_TOKEN"]}
    path = "auth/ci/home/login" if method == "jwt" else "auth/approle/login"
    assert world.requests() == [path, READ, REVOKE]
    assert door.accessors() == before
    assert "It dies by itself" not in run.output, "nothing is left that somebody would have to care for"
    token = result["vault"]["token"]
    assert (token["source"], token["policies"]) == (f"login {method} at {path.removesuffix('login')}", [POLICY])
    for secret in (options.get("secret_id"), options.get("jwt"), *world.vault.values()):
        if secret and secret not in (world.vault["VAULT_CA_CRT"], world.vault["PROXMOX_TOKEN_ID"]):
            assert secret not in run.output


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("wrong", "role_id or secret_id is wrong, has expired, or was used as often as it may be"),
        ("used", "role_id or secret_id is wrong, has expired, or was used as often as it may be"),
        ("absent", "the role demands a secret_id"),
        ("elsewhere", "Vault answers so, too, where nothing is mounted"),
        ("audience", "the JWT is for another audience (its claim aud) than the role demands"),
        ("expired", "the JWT has expired"),
        ("claim", "a claim of the JWT is not what the role demands (bound_claims)"),
        ("no-role", "there is no such role"),
        ("stranger", "no key that the mount trusts has signed the JWT"),
    ],
)
def test_a_refused_login_says_why_and_the_anchor_answers(door: Door, world: World, case: str, said: str) -> None:
    approle, jwt = door.options("approle"), door.options("jwt")
    cases = {
        "wrong": {**approle, "secret_id": "canary-secret-id"},
        "used": approle,
        "absent": {name: value for name, value in approle.items() if name != "secret_id"},
        "elsewhere": {**approle, "auth_mount_point": "nowhere"},
        "audience": {**jwt, "jwt": door.jwt(aud="elsewhere")},
        "expired": {**jwt, "jwt": door.jwt(lives=-600)},
        "claim": {**jwt, "jwt": door.jwt(project="other")},
        "no-role": {**jwt, "role_id": "nobody"},
        "stranger": {**jwt, "jwt": Issuer().sign(sub="x", aud="vault", project="home")},
    }
    if case == "used":
        door.server.client.auth.approle.login(approle["role_id"], approle["secret_id"], use_token=False)
    world.variables |= variables(cases[case])
    run, result = world.play()
    assert run.returncode == 0, run.output
    assert result["vault"]["reason"] == "login_refused"
    assert said in result["vault"]["message"]
    assert {source["source"] for source in result["sources"].values()} == {"file"}
    for secret in ("canary", cases[case].get("secret_id", "canary"), cases[case].get("jwt", "canary")):
        assert secret not in run.output


def test_a_login_without_its_secret_is_no_login(world: World) -> None:
    world.variables |= variables({"auth_method": "jwt", "jwt": "{{ lookup('env', 'NO_SUCH_VARIABLE') }}"})
    run, result = world.play()
    assert run.returncode == 0, run.output
    assert result["vault"]["reason"] == "no_token"
    assert "auth_method is jwt, and jwt is not set, or empty" in result["vault"]["message"]
    assert world.requests() == []


def test_what_belongs_to_another_method_is_refused(door: Door, world: World) -> None:
    world.variables |= variables({**door.options("approle"), "token": "s.canary"})
    run, _result = world.play()
    assert run.returncode == 2
    assert "auth_method is approle, and token is of another method" in run.output
    assert "canary" not in run.output
    assert world.requests() == []


def test_a_token_that_may_not_revoke_itself_is_named_by_its_accessor(door: Door, world: World) -> None:
    client = door.server.client
    client.sys.create_or_update_acl_policy("only-read", f'path "{READ}" {{ capabilities = ["read"] }}')
    client.write_data("auth/ci/home/role/reader", data={
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": ["only-read"],
        "token_no_default_policy": True, "token_ttl": "10m",
    })  # fmt: skip
    world.variables |= variables({**door.options("jwt"), "role_id": "reader"})
    before = door.accessors()
    run, result = world.play()
    assert result["values"] == world.vault
    (left,) = door.accessors() - before
    assert f"It dies by itself within 600 s; its accessor is {left}." in run.output


def wrapping_token(door: Door) -> str:
    answer = door.server.client.auth.token.create_orphan(
        policies=[POLICY], no_default_policy=True, period="1h", wrap_ttl="5m"
    )
    return str(answer["wrap_info"]["token"])


@pytest.mark.parametrize("given", ["environment", "token"])
def test_a_wrapping_token_is_recognised_and_not_used_up(door: Door, world: World, given: str) -> None:
    token = wrapping_token(door)
    world.variables |= {"tazlab_vault_token": token} if given == "token" else {}
    run, result = world.play(environment={"VAULT_TOKEN": token} if given == "environment" else {})
    assert run.returncode == 0, run.output
    assert result["vault"]["reason"] == "wrapped"
    assert "stands for what auth/token/create-orphan made" in result["vault"]["message"]
    assert token not in run.output
    assert world.requests() == ["sys/wrapping/lookup"]
    unwrapped = door.server.client.sys.unwrap(token)
    assert unwrapped["auth"]["policies"] == [POLICY]


def test_a_wrapping_token_is_unwrapped_when_asked(door: Door, world: World) -> None:
    world.variables |= {"tazlab_vault_unwrap": True}
    run, result = world.play(lookups("GITHUB_TOKEN"), environment={"VAULT_TOKEN": wrapping_token(door)})
    assert run.returncode == 0, run.output
    assert result["values"] == world.vault
    assert result["out"] == {"GITHUB_TOKEN": world.vault["GITHUB_TOKEN"]}
    assert world.requests() == ["sys/wrapping/lookup", "sys/wrapping/unwrap", READ, LOOKUP]


def test_what_was_wrapped_and_is_no_token_is_told(door: Door, world: World) -> None:
    world.variables |= {"tazlab_vault_unwrap": True}
    answer = door.server.client.write_data("sys/wrapping/wrap", wrap_ttl="60s", data={"mine": "canary"})
    run, result = world.play(environment={"VAULT_TOKEN": answer["wrap_info"]["token"]})
    assert result["vault"]["reason"] == "unwrapped"
    assert "canary" not in run.output


def test_a_login_in_a_server_that_hangs_ends_with_the_timeout(door: Door, world: World) -> None:
    world.variables |= {**variables(door.options("approle")), "tazlab_vault_timeout": 2}
    door.server.pause()
    try:
        run, result = world.play()
    finally:
        door.server.resume()
    assert run.returncode == 0, run.output
    assert result["vault"]["reason"] == "timeout"


def test_the_health_report_tries_the_login(door: Door, world: World) -> None:
    health = {
        "tazlab.bootstrap.bootstrap_health": {"timeout": 5, "state_dir": "~/.config/tazlab/lab"},
        "register": "health",
        "ignore_errors": True,
    }
    play = {"hosts": "localhost", "gather_facts": False, "tasks": [health]}
    given = {"tazlab_vault_url": door.server.url, **variables(door.options("approle"))}
    run = world.run([play], variables=given)
    assert "bootstrap login approle at auth/approle/: it opens the bundle" in run.output
    wrong = {**given, "tazlab_vault_secret_id": "canary"}
    run = world.run([play], variables=wrong)
    assert "bootstrap login approle at auth/approle/: unknown: Vault at" in run.output
    assert "canary" not in run.output
