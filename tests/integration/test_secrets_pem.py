# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PEM comes out byte for byte, from Vault and from files, through modules, lookup and role."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.secrets import bundle_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.bundle import fetch
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import Outcome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from lab.pems import pem_texts
from lab.playbook import Run
from lab.tls import Authority
from lab.vault import VaultServer

EXPORTED = {
    "role": "bootstrap_secrets_values",
    "module": "r.bundle",
    "fallback": "s.secrets",
    "lookup": "lookup('tazlab.bootstrap.vault_bundle')",
    "one": "dict(names | zip(names | map('extract', lookup('tazlab.bootstrap.vault_bundle'))))",
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[VaultServer]:
    with VaultServer(tmp_path_factory.mktemp("vault"), authority) as server:
        yield server


def variants(authority: Authority) -> dict[str, str]:
    """Certificates, chains and keys, with LF or CRLF, with and without a last newline, with text before and between."""
    certificate, key = (file.read_text() for file in authority.certificate("pem"))
    contents = {
        "CERTIFICATE": certificate,
        "CHAIN": certificate + authority.ca_pem,
        "COMMENTED": f"subject=/CN=first\n{certificate}\n# the issuer\n{authority.ca_pem}",
        "KEY": key,
        "BOTH": key + certificate,
        "UNICODE": f"Aussteller: Zürich \u2013 \u201cCA\u201d\n{certificate}",
        "TRAILING": f"{certificate}\n\n  \n",
    }
    found = {}
    for name, content in contents.items():
        found[f"{name}_LF"] = content
        found[f"{name}_BARE"] = content.rstrip("\n")
        found[f"{name}_CRLF"] = content.replace("\n", "\r\n")
    return found


@pytest.mark.parametrize("source", ["vault", "file"])
def test_pem_is_not_changed(
    source: str, server: VaultServer, authority: Authority, tmp_path: Path, ansible_playbook: Callable[..., Run]
) -> None:
    stored = variants(authority)
    home = tmp_path / "home"
    (home / "secrets").mkdir(parents=True, mode=0o700)
    (home / "secrets" / "bootstrap-token.txt").write_text(server.scoped_token())
    if source == "vault":
        server.write_bundle(stored)
    else:
        server.write_bundle({"NOTHING": "here"})
        for name, content in stored.items():
            (home / "secrets" / name.lower().replace("_", "-")).write_bytes(content.encode())
    result = home / "result.json"
    content = ", ".join(f"'{name}': {expression}" for name, expression in EXPORTED.items())
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.import_role": {"name": "tazlab.bootstrap.bootstrap_secrets"}},
        {"tazlab.bootstrap.vault_bootstrap_bundle": {}, "register": "r"},
        {
            "tazlab.bootstrap.secret_fallback": {"values": "{{ r.bundle }}", "sources": "{{ r.sources }}"},
            "register": "s",
        },
        {
            "ansible.builtin.copy": {
                "content": "{{ {" + content + "} | to_json }}",
                "dest": str(result),
                "mode": "0600",
            },
            "no_log": True,
        },
    ]
    variables = {
        "tazlab_vault_url": server.url,
        "tazlab_vault_ca_cert": str(server.ca_file),
        "tazlab_fields": {name: {"kind": "pem"} for name in stored},
        "names": list(stored),
    }
    run = ansible_playbook([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}], variables=variables)
    assert run.returncode == 0, run.output
    found = json.loads(result.read_text())
    assert found.pop("module") == (stored if source == "vault" else {})
    for way, values in found.items():
        assert values == stored, way


@pytest.fixture(scope="module")
def blocks(authority: Authority) -> list[str]:
    return [authority.ca_pem, *(file.read_text() for file in authority.certificate("generated"))]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_pem_comes_out_of_vault_as_it_was_stored(
    server: VaultServer, authority: Authority, blocks: list[str], data: st.DataObject
) -> None:
    stored = {f"PEM_{number}": data.draw(pem_texts(blocks))[0] for number in range(5)}
    server.write_bundle(stored, path="generated")
    outcome = fetch(
        VaultSettings(server.url, server.root_token, "option token", authority.ca_pem, path="generated"),
        timeout=20,
        renew="never",
    )
    found = bundle_of(
        Outcome.from_bytes(outcome.to_bytes()), [Field(name, "pem") for name in stored], "generated"
    ).found
    assert {name: value.value for name, value in found.items()} == stored
