# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trial login tells of the login alone: by Vault's clock, and not of a state that cannot be read."""

from __future__ import annotations

import base64
import json
import time
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.keys import SigningKey
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.logins import login_health
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.vault import VaultTokens
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings, vault_settings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.jwt import Logins, Role, try_login
from lab.jwt import Issuer
from lab.tls import Authority
from lab.web import Request, Response, WebServer, json_response

ROLE = Role("eso", ("a/b",), ("reader",))
LOGINS = Logins("jwt-home", "https://192.0.2.11:6443", ("vault",), (ROLE,))
AHEAD = 3600


class Opened(WebServer):
    """A server that lets in whoever logs in."""

    def answer(self, request: Request) -> Response:
        if request.path == "/v1/auth/jwt-home/login":
            return json_response(200, {"auth": {"client_token": "s.x", "policies": ["reader"], "lease_duration": 600}})
        return json_response(200, {"sealed": False})


def test_the_token_of_a_trial_is_signed_at_vaults_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lab.web._Handler.date_time_string", lambda *_unused: formatdate(time.time() + AHEAD, usegmt=True)
    )
    with Opened(Authority(tmp_path / "tls"), "vault") as server:
        options = {"url": server.url, "token": "s.operator", "ca_cert": str(server.ca_file)}
        settings = vault_settings(options, environ={}, home=tmp_path)
        assert isinstance(settings, VaultSettings)
        key = SigningKey(Issuer().private_pem)
        assert "logs in for 600 s" in bounded(settings, 10, lambda vault: try_login(vault, LOGINS, ROLE, key))
        (login,) = [json.loads(each.body) for each in server.requests if each.path == "/v1/auth/jwt-home/login"]
    claims = login["jwt"].split(".")[1]
    issued = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["iat"]
    assert abs(issued - time.time() - AHEAD) < 60


@pytest.mark.parametrize("status", [400, 403, 404, None])
def test_a_state_that_cannot_be_read_is_no_refused_login(status: int | None) -> None:
    def read(_name: str) -> bytes:
        raise BootstrapError("Reading the cluster's state: Vault refused.", status=status)

    def ask(_work: Any) -> str:
        raise AssertionError("nobody logs in without a key")

    state, vault = SimpleNamespace(read=read), SimpleNamespace(ask=ask)
    (told,) = login_health(cast(VaultTokens, vault), LOGINS, cast(State, state))
    assert (told.state, told.failing) == ("unknown", False)
    assert "Reading the cluster's state" in told.text
