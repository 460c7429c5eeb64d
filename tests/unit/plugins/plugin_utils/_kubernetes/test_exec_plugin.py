# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs by which a kubeconfig's user logs in: what they give, and how each failure is told."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes import exec_plugin
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.exec_plugin import logged_in


def kubeconfig(directory: Path, script: str | None, **more: Any) -> Path:
    """A kubeconfig whose user logs in by a shell script beside it; None: the program is not there."""
    if script is not None:
        program = directory / "login"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login", "args": ["a b"], **more}}
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1", "certificate-authority": "ca.crt"}}],
        "users": [{"name": "other", "user": {}}, {"name": "u", "user": user}],
    }
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def credential(**status: str) -> str:
    return f"echo '{json.dumps({'kind': 'ExecCredential', 'status': status})}'"


def test_its_token_takes_its_place_and_paths_stay_what_they_were(tmp_path: Path) -> None:
    script = '[ "$1" = "a b" ] && [ "$MINE" = 1 ] && [ -n "$KUBERNETES_EXEC_INFO" ] && ' + credential(token="canary")
    path = kubeconfig(tmp_path, script, env=[{"name": "MINE", "value": "1"}])
    before = path.read_bytes()
    config = logged_in(path)
    assert config is not None
    assert config["users"][1]["user"] == {"token": "canary"}
    assert config["clusters"][0]["cluster"]["certificate-authority"] == str(tmp_path / "ca.crt")
    assert path.read_bytes() == before


def test_its_certificate_serves_as_well(tmp_path: Path) -> None:
    config = logged_in(kubeconfig(tmp_path, credential(clientCertificateData="cert", clientKeyData="key")))
    assert config is not None
    user = config["users"][1]["user"]
    assert base64.b64decode(user["client-certificate-data"]) == b"cert"
    assert base64.b64decode(user["client-key-data"]) == b"key"


def test_our_own_token_is_not_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "canary")
    config = logged_in(kubeconfig(tmp_path, '[ -z "$VAULT_TOKEN" ] && ' + credential(token="x")))
    assert config is not None


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "cannot be started: is it installed? get it from there."),
        ("echo canary >&2; exit 3", "ended with status 3."),
        ("sleep 600", "gave no answer within 1 s."),
        ("echo canary", "printed no ExecCredential"),
        (credential(), "printed no ExecCredential"),
    ],
)
def test_each_failure_names_the_program_and_quotes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    monkeypatch.setattr(exec_plugin, "SECONDS", 1.0)
    path = kubeconfig(tmp_path, script, installHint="get it from there")
    begun = time.monotonic()
    with pytest.raises(BootstrapError) as caught:
        logged_in(path)
    assert time.monotonic() - begun < 20
    assert f"kubeconfig {path}: its user logs in by the program ./login, which {said}" in str(caught.value)
    assert f"kubectl --kubeconfig {path} version" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{[", "a: b", "current-context: x"])
def test_what_is_wrong_with_the_kubeconfig_itself_is_for_others_to_tell(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    assert logged_in(path) is None
