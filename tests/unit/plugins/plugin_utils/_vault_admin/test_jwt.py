# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to stand at a JWT mount, compared with what does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.keys import fingerprint
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.access import ensure
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.jwt import (
    JwtConfig,
    JwtMount,
    JwtRole,
    Role,
    logins_of,
    subject,
    trusted,
)
from lab.jwt import Issuer

OURS, OTHER = Issuer().public_pem.strip(), Issuer().public_pem
ISSUER = "https://192.0.2.11:6443"


def given(**changes: Any) -> dict[str, Any]:
    role = {"name": "eso", "accounts": ["a/b"], "policies": ["reader"], "proof": None}
    return {"mount": "jwt-home", "issuer": ISSUER, "audiences": ["vault"], "roles": [role], "ttl": 600, **changes}


def test_an_account_is_what_kubernetes_calls_it() -> None:
    assert subject("external-secrets/external-secrets") == "system:serviceaccount:external-secrets:external-secrets"
    assert logins_of(given(mount="/auth/team/jwt/")).mount == "team/jwt"


@pytest.mark.parametrize(
    ("change", "subject_"),
    [
        ({"mount": ""}, "mount"),
        ({"mount": "a/../b"}, "mount"),
        ({"issuer": ""}, "issuer"),
        ({"issuer": "https://user@host"}, "issuer"),
        ({"audiences": []}, "audiences"),
        ({"audiences": [""]}, "audiences"),
        ({"ttl": 0}, "ttl"),
        ({"ttl": 86401}, "ttl"),
        ({"roles": []}, "roles"),
        ({"roles": [{"name": "x", "accounts": ["a/b"], "policies": [], "proof": None}]}, "roles: x"),
        ({"roles": [{"name": "x", "accounts": ["a/*"], "policies": ["p"], "proof": None}]}, "roles: x"),
        ({"roles": [{"name": "x", "accounts": [], "policies": ["p"], "proof": None}]}, "roles: x"),
        ({"roles": [{"name": "x/y", "accounts": ["a/b"], "policies": ["p"], "proof": None}]}, "roles: x/y"),
        ({"roles": [{"name": "x", "accounts": ["a/b"], "policies": ["p"], "proof": None}] * 2}, "roles: x"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], subject_: str) -> None:
    with pytest.raises(BootstrapError) as raised:
        logins_of(given(**change))
    assert raised.value.subject == subject_


def test_a_mount_of_another_type_is_refused() -> None:
    assert JwtMount("jwt-home").judge({"type": "jwt"}).state == "equal"
    with pytest.raises(BootstrapError, match="is of type oidc, not jwt"):
        JwtMount("jwt-home").judge({"type": "oidc"})


@pytest.mark.parametrize(
    ("keys", "changes", "options", "state", "note"),
    [
        ([OURS], {}, {}, "equal", ""),
        ([f"{OURS}\n"], {}, {"only_key": True}, "equal", ""),
        ([OTHER], {}, {}, "changed", "it lacks the cluster's key"),
        ([OTHER, OURS], {}, {}, "equal", "it also trusts the key OTHER"),
        ([OTHER, OURS], {}, {"only_key": True}, "changed", "it no longer trusts the key OTHER"),
        ([OURS], {"bound_issuer": ""}, {}, "drift", "bound_issuer is ''"),
        ([OURS], {"bound_issuer": "https://x"}, {"update": True}, "changed", "bound_issuer is 'https://x'"),
        ([OTHER], {"bound_issuer": "https://x"}, {"only_key": True}, "drift", "it lacks"),
        ([OTHER], {"bound_issuer": "https://x"}, {}, "drift", "it also trusts the key OTHER"),
        ([OTHER], {"bound_issuer": "https://x"}, {"update": True}, "changed", "it no longer trusts the key OTHER"),
        ([], {"jwks_url": "https://x"}, {}, "drift", "it has its keys from jwks_url"),
        ([], {"jwks_pairs": [{"jwks_url": "https://x"}]}, {}, "drift", "it has its keys from jwks_pairs"),
        ([], {"oidc_discovery_url": "https://x"}, {}, "drift", "it has its keys from oidc_discovery_url"),
    ],
)
def test_a_configuration_is_compared_by_its_keys(
    keys: list[str], changes: dict[str, Any], options: dict[str, Any], state: str, note: str
) -> None:
    config = JwtConfig("jwt-home", OURS, ISSUER, **options)
    found = {"jwt_validation_pubkeys": keys, "bound_issuer": ISSUER, "jwks_url": "", **changes}
    finding = config.judge(found)
    assert finding.state == state
    assert note in finding.note.replace(fingerprint(OTHER), "OTHER")
    assert ("key: sha256:" in finding.after) is (state != "equal")


def test_a_new_key_is_added_to_the_others_and_what_is_not_ours_is_kept() -> None:
    found = {
        "jwt_validation_pubkeys": [OTHER, f"{OURS}\n"],
        "bound_issuer": ISSUER,
        "default_role": "theirs",
        "jwt_supported_algs": [],
        "jwks_url": "https://x",
    }
    both = {"jwt_validation_pubkeys": [OTHER, OURS], "bound_issuer": ISSUER, "default_role": "theirs"}
    assert JwtConfig("m", OURS, ISSUER).body(found) == both
    assert JwtConfig("m", OURS, ISSUER, only_key=True).body(found)["jwt_validation_pubkeys"] == [OURS]
    assert JwtConfig("m", OURS, ISSUER).body(None) == {"jwt_validation_pubkeys": [OURS], "bound_issuer": ISSUER}


@pytest.mark.parametrize("issuer", ["https://x", "", None])
def test_who_signed_for_another_issuer_is_not_trusted_with_ours(issuer: str | None) -> None:
    found = {"jwt_validation_pubkeys": [OTHER], "bound_issuer": issuer}
    config = JwtConfig("m", OURS, ISSUER, update=True)
    assert config.body(found)["jwt_validation_pubkeys"] == [OURS]
    assert f"The key {fingerprint(OTHER)} is trusted no longer" in config.judge(found).warning
    assert not config.judge({**found, "bound_issuer": ISSUER}).warning


def test_a_mount_knows_the_cluster_by_a_key_of_its_issuer_alone() -> None:
    found = {"jwt_validation_pubkeys": [OTHER], "bound_issuer": ISSUER}
    assert trusted(found, ISSUER) == [fingerprint(OTHER)]
    assert trusted({**found, "jwt_validation_pubkeys": None}, ISSUER) == []
    assert trusted(found, "https://x") == []
    assert trusted(None, ISSUER) == []


class Stored:
    """What stands in a Vault in which everything is allowed, and what was written to it."""

    def __init__(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        self.found = found
        self.written: list[str] = []
        self.settings = SimpleNamespace(token_source="an operator")

    def capabilities(self, paths: Iterable[str]) -> dict[str, frozenset[str]]:
        return {path: frozenset({"root"}) for path in paths}

    def read(self, path: str, doing: str) -> Mapping[str, Any] | None:
        return self.found.get(path)

    def write(self, path: str, body: Mapping[str, Any], doing: str) -> None:
        self.written.append(path)


@pytest.mark.parametrize(
    ("changes", "options", "written"),
    [
        ({"bound_issuer": "https://x"}, {}, []),
        ({"jwks_url": "https://x"}, {}, []),
        ({}, {}, ["auth/jwt-home/config", "auth/jwt-home/role/eso"]),
        ({"bound_issuer": "https://x"}, {"update": True}, ["auth/jwt-home/config", "auth/jwt-home/role/eso"]),
    ],
)
def test_no_role_is_written_where_the_mount_trusts_somebody_else(
    changes: dict[str, Any], options: dict[str, Any], written: list[str]
) -> None:
    config = {"jwt_validation_pubkeys": [OTHER], "bound_issuer": ISSUER, **changes}
    vault = Stored({"sys/auth/jwt-home": {"type": "jwt"}, "auth/jwt-home/config": config})
    parts = logins_of(given()).parts(OURS, 600, **options)
    *_rest, role = ensure(cast(VaultAdmin, vault), parts, [], check_mode=False)
    assert vault.written == written
    assert (role.state, "the JWT configuration is somebody else's" in role.note) == (
        ("new", False) if written else ("drift", True)
    )


def test_a_role_that_lets_others_in_is_drift_and_the_order_means_nothing() -> None:
    role = JwtRole("jwt-home", Role("r", ("a/b", "c/d"), ("p", "q")), ("vault", "x"), 600)
    found = {**role.settings, "bound_audiences": ["x", "vault"], "token_bound_cidrs": None, "oidc_scopes": None}
    del found["clock_skew_leeway"], found["groups_claim"]  # as of a Vault that does not know them
    found["bound_claims"] = {"sub": ["system:serviceaccount:c:d", "system:serviceaccount:a:b"]}
    assert role.judge(found).state == "equal"
    for change in (
        {"bound_claims": {"sub": [*found["bound_claims"]["sub"], "system:serviceaccount:evil:x"]}},
        {"bound_claims": {**found["bound_claims"], "other": "x"}},
        {"bound_claims": {}},
        {"bound_claims_type": "glob"},
        {"bound_audiences": ["x", "vault", "y"]},
        {"token_policies": ["p", "q", "admin"]},
        {"token_no_default_policy": False},
        {"token_max_ttl": 0},
        {"token_period": 3600},
        {"user_claim": "email"},
        {"groups_claim": "groups"},
        {"clock_skew_leeway": 86400},
        {"expiration_leeway": 86400},
        {"not_before_leeway": 86400},
    ):
        assert role.judge({**found, **change}).state == "drift", change
