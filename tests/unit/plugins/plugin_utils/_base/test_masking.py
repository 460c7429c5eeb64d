# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-core's own masking is told, where it exists; a stand-in of its API is all that this version has."""

from __future__ import annotations

import base64
import sys
import types
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.secrets import ask_vault
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import EnvironmentProvider
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Provenance, accept, resolve

KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqG\nSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []

    def register_secret(value: str, /) -> str:
        told.append(value)
        return value

    module = types.ModuleType("ansible.module_utils.secrets")
    module.register_secret = register_secret  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ansible.module_utils.secrets", module)
    return told


def test_every_form_is_told(told: list[str]) -> None:
    register([KEY, "a-long-token"])
    assert {KEY, "MIGHAgEAMBMGByqG", "SM49AgEGCCqGSM49", "a-long-token"} <= set(told)
    assert base64.b64encode(KEY.encode()).decode() in told
    assert base64.b64encode(KEY.rstrip("\n").encode()).decode() in told
    assert base64.b64encode(b"a-long-token\n").decode() in told
    assert not any(form.startswith("-----END") for form in told)


def test_nothing_short_or_public_is_told(told: list[str]) -> None:
    register(["short", KEY.replace("PRIVATE KEY", "CERTIFICATE")])
    assert told == []


def test_the_bootstrap_token_is_told_before_vault_is_asked(told: list[str], tmp_path: Path) -> None:
    options = {"url": "https://127.0.0.1:1", "token": "s.SecretBootstrapToken", "timeout": 1, "cache": False}
    outcome = ask_vault({**options, "anchor": str(tmp_path)}, [], renew="never")
    assert outcome.reason == "refused"
    assert "s.SecretBootstrapToken" in told


def test_values_are_told_before_they_are_refused(told: list[str]) -> None:
    origin = Provenance("vault", "secret/x", "vault v1")
    accept([Field("A")], {"A": "one two-three", "B": 7}, {"A": origin})
    held = EnvironmentProvider({"A": "four five-six"}, Path("/nowhere"))
    resolve([Field("A")], {}, [held])
    assert {"one two-three", "four five-six"} <= set(told)


def test_the_real_thing_masks_what_it_is_told() -> None:
    secrets = pytest.importorskip("ansible.module_utils.secrets", reason="ansible-core is older than 2.22")
    register([KEY, "a-long-token"])
    encoded = base64.b64encode(b"a-long-token\n").decode()
    masked = secrets.mask_secrets(f"{KEY} a-long-token {encoded} SM49AgEGCCqGSM49")
    assert not any(secret in masked for secret in ("a-long-token", encoded, "SM49AgEGCCqGSM49", "MIGHAgEAMBMGByqG"))


def test_older_versions_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ansible.module_utils.secrets", None)
    register([KEY])
