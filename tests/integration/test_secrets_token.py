# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The token's health on the real server: when it is renewed, when it cannot be, and what else it may do."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.bundle import fetch
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import Outcome, TokenReport
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from lab.bundle import bundle
from lab.tls import Authority
from lab.vault import POLICY, VaultServer

READ = "secret/data/tazlab-k8s/bootstrap"
LOOKUP = "auth/token/lookup-self"
RENEW = "auth/token/renew-self"
CAPABILITIES = "sys/capabilities-self"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[VaultServer]:
    with VaultServer(tmp_path_factory.mktemp("vault"), authority) as server:
        server.write_bundle(bundle(authority.ca_pem))
        yield server


def ask(
    server: VaultServer, authority: Authority, token: str, renew: str = "auto", check_token: bool = False
) -> tuple[Outcome, TokenReport, list[str]]:
    asked = len(list(server.audited()))
    outcome = fetch(
        VaultSettings(server.url, token, "option token", authority.ca_pem),
        timeout=10,
        renew=renew,
        check_token=check_token,
    )
    assert outcome.reason == "ok", outcome.message
    assert outcome.token is not None
    assert token not in repr(outcome)
    requests = list(server.audited())[asked:]
    assert len({request.remote_port for request in requests}) <= 1, "one connection"
    return outcome, outcome.token, [request.path for request in requests]


def test_a_fresh_token_is_not_renewed(server: VaultServer, authority: Authority) -> None:
    _outcome, token, requests = ask(server, authority, server.scoped_token(period="1h"))
    assert requests == [READ, LOOKUP]
    assert (token.known, token.renewed, token.period, token.policies) == (True, False, 3600, (POLICY,))


def test_a_token_that_is_half_gone_is_renewed(server: VaultServer, authority: Authority) -> None:
    made = server.scoped_token(period="20s")
    client = server.client
    client.token = made
    deadline = time.monotonic() + 20
    while client.auth.token.lookup_self()["data"]["ttl"] >= 10 and time.monotonic() < deadline:
        time.sleep(0.5)
    _outcome, token, requests = ask(server, authority, made, renew="look")
    assert (requests, token.renewed) == ([READ, LOOKUP], False)
    _outcome, token, requests = ask(server, authority, made)
    assert (requests, token.renewed, token.ttl) == ([READ, LOOKUP, RENEW], True, 20)


@pytest.mark.parametrize(
    ("renew", "renewable", "requests"),
    [
        ("always", True, [READ, LOOKUP, RENEW]),
        ("always", False, [READ, LOOKUP]),
        ("never", True, [READ]),
        ("look", True, [READ, LOOKUP]),
    ],
)
def test_what_is_asked_for_each_way_of_renewing(
    server: VaultServer, authority: Authority, renew: str, renewable: bool, requests: list[str]
) -> None:
    made = server.scoped_token(period=None, ttl="2h", renewable=renewable)
    _outcome, token, asked = ask(server, authority, made, renew)
    assert asked == requests
    assert token.known is (renew != "never")


def test_a_token_that_may_not_look_itself_up_still_reads(server: VaultServer, authority: Authority) -> None:
    server.client.sys.create_or_update_policy("blind", f'path "{READ}" {{ capabilities = ["read"] }}')
    _outcome, token, requests = ask(server, authority, server.scoped_token(policies=("blind",)))
    assert requests == [READ, LOOKUP]
    assert token.known is False
    assert "may not look itself up" in token.warnings[0]


def test_a_renewal_that_is_refused_is_a_warning(server: VaultServer, authority: Authority) -> None:
    rules = "".join(f'path "{path}" {{ capabilities = ["read"] }}\n' for path in (READ, LOOKUP))
    server.client.sys.create_or_update_policy("no-renewal", rules)
    _outcome, token, requests = ask(server, authority, server.scoped_token(policies=("no-renewal",)), "always")
    assert requests == [READ, LOOKUP, RENEW]
    assert "Vault's token could not be renewed." in token.warnings


def test_a_renewal_that_is_cut_short_proves_the_end(server: VaultServer, authority: Authority) -> None:
    made = server.client.auth.token.create_orphan(
        policies=[POLICY], no_default_policy=True, ttl="3600s", explicit_max_ttl="3601s"
    )
    time.sleep(3)
    _outcome, token, requests = ask(server, authority, made["auth"]["client_token"], "always")
    assert requests == [READ, LOOKUP, RENEW]
    assert token.ttl is not None
    assert token.ttl < 3600
    assert token.dies_at == token.expires_at
    assert "renewed or not: Vault did not renew it for its whole TTL" in token.warnings[0]


def test_a_token_near_its_end_is_warned_about(server: VaultServer, authority: Authority) -> None:
    made = server.scoped_token(period=None, ttl="2h", renewable=False)
    _outcome, token, _requests = ask(server, authority, made)
    assert "renewed or not: it cannot be renewed" in token.warnings[0]
    assert token.dies_at == token.expires_at


def test_a_token_that_may_do_more_is_named_when_asked(server: VaultServer, authority: Authority) -> None:
    _outcome, token, requests = ask(server, authority, server.root_token, check_token=True)
    assert any("may do more than read the bundle: root on" in warning for warning in token.warnings)
    server.client.sys.create_or_update_policy(
        "wide",
        f'path "{READ}" {{ capabilities = ["read", "update"] }}\npath "sys/mounts" {{ capabilities = ["read"] }}',
    )
    made = server.client.auth.token.create_orphan(policies=["wide"], period="24h")["auth"]["client_token"]
    _outcome, token, requests = ask(server, authority, made, check_token=True)
    assert requests == [READ, LOOKUP, CAPABILITIES]
    assert _more(token) == [f"update on {READ}.", "read on sys/mounts."]


def _more(token: TokenReport) -> list[str]:
    begin = "Vault's token may do more than read the bundle: "
    return [warning.removeprefix(begin) for warning in token.warnings if warning.startswith(begin)]


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ("secret/data/tazlab-k8s/*", f"read on {READ}-other."),
        (f"{READ}*", f"read on {READ}-other."),
        ("secret/metadata/*", "read on secret/metadata/tazlab-k8s/bootstrap."),
        ("secret/destroy/tazlab-k8s/+", "read on secret/destroy/tazlab-k8s/bootstrap."),
    ],
)
def test_a_policy_that_is_a_little_too_wide_is_named(
    server: VaultServer, authority: Authority, rule: str, more: str
) -> None:
    server.client.sys.create_or_update_policy("wider", f'path "{rule}" {{ capabilities = ["read"] }}')
    server.client.sys.create_or_update_policy("ask", f'path "{CAPABILITIES}" {{ capabilities = ["update"] }}')
    made = server.scoped_token(policies=(POLICY, "wider", "ask"))
    _outcome, token, _requests = ask(server, authority, made, check_token=True)
    assert _more(token) == [more]
