# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Vault is a real one: sealed it answers as sealed, and the scoped token may read one path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import hvac
import pytest
import requests
from hvac.exceptions import Forbidden, VaultDown

from lab.bundle import bundle, write_anchor
from lab.process import accepts
from lab.tls import Authority
from lab.vault import VaultServer


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultServer]:
    directory = tmp_path_factory.mktemp("vault")
    with VaultServer(directory / "vault", Authority(directory / "tls")) as server:
        yield server


def scoped(vault: VaultServer, token: str) -> hvac.Client:
    return hvac.Client(url=vault.url, token=token, verify=str(vault.ca_file))


def read(client: hvac.Client) -> dict[str, str]:
    answer = client.read("secret/data/tazlab-k8s/bootstrap")
    assert answer is not None
    data: dict[str, str] = answer["data"]["data"]
    return data


def test_the_scoped_token_reads_the_bundle_and_nothing_else(vault: VaultServer) -> None:
    values = bundle(vault.ca_file.read_text())
    vault.write_bundle(values)
    vault.write_bundle({"other": "x"}, path="tazlab-k8s/other")
    client = scoped(vault, vault.scoped_token())
    before = vault.requests()
    assert read(client) == values
    for forbidden in (
        "secret/data/tazlab-k8s/other",
        "secret/metadata/tazlab-k8s/bootstrap",
        "sys/mounts",
    ):
        with pytest.raises(Forbidden):
            client.read(forbidden)
    with pytest.raises(Forbidden):
        client.write_data("secret/data/tazlab-k8s/bootstrap", data={"data": {}})
    asked = vault.requests() - before
    assert asked["secret/data/tazlab-k8s/bootstrap"] == 2
    assert asked["sys/mounts"] == 1
    assert values["GITHUB_TOKEN"] not in vault.audit_log.read_text()


def test_a_periodic_token_looks_itself_up_and_renews_itself(vault: VaultServer) -> None:
    client = scoped(vault, vault.scoped_token(period="1h"))
    looked_up = client.auth.token.lookup_self()["data"]
    assert looked_up["period"] == 3600
    assert looked_up["policies"] == ["tazlab-bootstrap"]
    assert client.auth.token.renew_self()["auth"]["lease_duration"] == 3600


def test_sealed_stopped_and_back_again(vault: VaultServer) -> None:
    vault.write_bundle({"GITHUB_TOKEN": "kept"})
    client = scoped(vault, vault.scoped_token())
    vault.seal()
    with pytest.raises(VaultDown):
        read(client)
    vault.unseal()
    assert read(client) == {"GITHUB_TOKEN": "kept"}
    vault.stop()
    assert not accepts(vault.port)
    vault.start()
    assert read(client) == {"GITHUB_TOKEN": "kept"}


def test_a_hanging_server_takes_connections_and_never_answers(vault: VaultServer) -> None:
    vault.pause()
    try:
        assert accepts(vault.port)
        with pytest.raises(requests.Timeout):
            requests.get(f"{vault.url}/v1/sys/seal-status", verify=str(vault.ca_file), timeout=0.5)
    finally:
        vault.resume()
    assert requests.get(f"{vault.url}/v1/sys/seal-status", verify=str(vault.ca_file), timeout=5).ok


def test_a_certificate_of_ones_own_choice(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    wrong = authority.certificate("wrong", ["other.example"])
    with VaultServer(tmp_path / "vault", authority, certificate=wrong) as server:
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{server.url}/v1/sys/seal-status", verify=str(server.ca_file), timeout=5)
        assert server.write_bundle({"a": "b"}) == 1


def test_the_anchor_holds_the_same_values_in_private_files(tmp_path: Path) -> None:
    values = bundle(Authority(tmp_path / "tls").ca_pem)
    anchor = write_anchor(tmp_path / "anchor", values)
    found = {path.name.upper().replace("-", "_"): path.read_text().strip() for path in anchor.iterdir()}
    assert found == {name: value.strip() for name, value in values.items()}
    assert {path.stat().st_mode & 0o777 for path in anchor.iterdir()} == {0o600}
