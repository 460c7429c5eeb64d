# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-core's own masking is told, where it exists; a stand-in of its API is all that this version has."""

from __future__ import annotations

import base64
import sys
import types

import pytest

from ansible_collections.tazlab.bootstrap.plugins.module_utils._masking import register

KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqG\nSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    module = types.ModuleType("ansible.module_utils.secrets")
    module.register_secret = told.append  # type: ignore[attr-defined]
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


def test_older_versions_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ansible.module_utils.secrets", None)
    register([KEY])
