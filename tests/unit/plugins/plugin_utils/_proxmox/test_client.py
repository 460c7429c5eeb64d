# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection's options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import Connection

SECRET = "canary-7a1b2c3d"


def options(**other: Any) -> dict[str, Any]:
    return {
        "url": "https://pve.example.net:8006",
        "token_id": "root@pam!bootstrap",
        "token_secret": SECRET,
        "ca_cert": None,
        "validate_certs": True,
        "timeout": 30,
        **other,
    }


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://pve.example.net:8006", "pve.example.net:8006"),
        ("https://pve.example.net", "pve.example.net:8006"),
        (" https://192.0.2.1:443/ ", "192.0.2.1:443"),
        ("https://[2001:db8::1]:8006", "[2001:db8::1]:8006"),
    ],
)
def test_an_address_is_read(url: str, place: str) -> None:
    assert Connection.from_params(options(url=url)).place == place


@pytest.mark.parametrize(
    "url",
    ["", "pve.example.net", "http://pve:8006", "https://", "https://u:p@pve:8006", "https://pve/x", "https://pve:x"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BootstrapError, match="this is not the address of a Proxmox VE API"):
        Connection.from_params(options(url=url))


def test_a_token_is_cleaned_and_never_shown() -> None:
    connection = Connection.from_params(options(token_id="'root@pam!bootstrap'\r\n", token_secret=f'\t"{SECRET}"\n'))
    assert (connection.token_id, connection.token_secret) == ("root@pam!bootstrap", SECRET)
    assert SECRET not in repr(connection)
    assert "bootstrap" not in repr(connection)


@pytest.mark.parametrize(
    "token_id", ["root@pam", "root!bootstrap", "root@pam!", f"root@pam!a={SECRET}", "a b@pam!c", "", None]
)
def test_a_token_id_must_be_whole(token_id: Any) -> None:
    with pytest.raises(BootstrapError) as caught:
        Connection.from_params(options(token_id=token_id))
    assert str(caught.value).startswith("token_id: ")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("secret", ["", None, f"{SECRET}\n{SECRET}", f"{SECRET} {SECRET}", f"{SECRET}\x00{SECRET}"])
def test_a_secret_that_cannot_be_one_is_refused_without_showing_it(secret: Any) -> None:
    with pytest.raises(BootstrapError) as caught:
        Connection.from_params(options(token_secret=secret))
    assert str(caught.value).startswith("token_secret: ")
    assert "canary" not in str(caught.value)


def test_a_ca_must_be_there_and_be_one(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="is not there or cannot be read"):
        Connection.from_params(options(ca_cert=str(tmp_path / "missing.pem")))
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(BootstrapError, match="holds no certificate in PEM form"):
        Connection.from_params(options(ca_cert=str(tmp_path / "empty.pem")))


def test_turning_verification_off_is_named() -> None:
    connection = Connection.from_params(options(validate_certs=False))
    assert connection.verify is False
    assert "is not verified" in connection.warnings[0]
    assert Connection.from_params(options()).warnings == []
