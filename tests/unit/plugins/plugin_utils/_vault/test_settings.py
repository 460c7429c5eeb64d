# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which token, which CA and which address: the order of the places, and what is malformed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import (
    NoVault,
    VaultSettings,
    vault_settings,
)
from lab.tls import Authority

URL = "https://vault.example.net:8200"


def settings(home: Path, environ: dict[str, str] | None = None, **options: Any) -> VaultSettings:
    found = vault_settings({"url": URL, "token": "t", **options}, environ=environ or {}, home=home)
    assert isinstance(found, VaultSettings)
    return found


PLACES = ["option", "token_file", "VAULT_TOKEN", "BAO_TOKEN", "rotated", "anchor"]


@pytest.mark.parametrize("first", range(len(PLACES)))
def test_the_first_place_that_has_a_token_wins(tmp_path: Path, first: int) -> None:
    present = PLACES[first:]
    (tmp_path / ".config" / "tazlab").mkdir(parents=True)
    (tmp_path / "secrets").mkdir()
    files = {
        "token_file": tmp_path / "mine",
        "rotated": tmp_path / ".config" / "tazlab" / "bootstrap-token",
        "anchor": tmp_path / "secrets" / "bootstrap-token.txt",
    }
    for name in present:
        if name in files:
            files[name].write_text(f" '{name}'\r\n")
    environ = {name: f'"{name}"\n' if name in present else " \n" for name in ("VAULT_TOKEN", "BAO_TOKEN")}
    found = settings(
        tmp_path,
        environ,
        token="option" if "option" in present else " '' ",
        token_file="~/mine" if "token_file" in present else None,
    )
    assert found.token == PLACES[first]
    assert PLACES[first].lower().rpartition("_")[0] in found.token_source.lower() or found.token_source.startswith(
        "file"
    )
    assert found.token not in repr(replace(found, token_source="", warnings=()))
    assert ["differ" in each for each in found.warnings].count(True) == (first == PLACES.index("VAULT_TOKEN"))


def test_no_token_and_no_address_are_told_apart(tmp_path: Path) -> None:
    found = vault_settings({"url": URL}, environ={}, home=tmp_path)
    assert isinstance(found, NoVault)
    assert (found.reason, "VAULT_TOKEN" in found.message) == ("no_token", True)
    found = vault_settings({"url": URL, "token_file": "~/nowhere"}, environ={"VAULT_TOKEN": "x"}, home=tmp_path)
    assert isinstance(found, NoVault)
    assert "nowhere does not exist" in found.message
    found = vault_settings({"token": "x"}, environ={}, home=tmp_path)
    assert isinstance(found, NoVault)
    assert found.reason == "no_url"


@pytest.mark.parametrize("family", ["VAULT", "BAO"])
def test_the_variables_of_either_client_serve(tmp_path: Path, family: str) -> None:
    authority = Authority(tmp_path / "tls")
    certificate, key = authority.certificate("me", client=True)
    (tmp_path / "cas").mkdir()
    (tmp_path / "cas" / "b.pem").write_text(authority.ca_pem)
    (tmp_path / "cas" / "README").write_text("no certificate")
    environ = {
        f"{family}_ADDR": URL,
        f"{family}_NAMESPACE": "home",
        f"{family}_CAPATH": str(tmp_path / "cas"),
        f"{family}_CLIENT_CERT": str(certificate),
        f"{family}_CLIENT_KEY": str(key),
        f"{family}_TLS_SERVER_NAME": "vault.internal",
        f"{family}_HTTP_PROXY": "http://second.example.net:3128",
        f"{family}_PROXY_ADDR": "http://me:canary@proxy.example.net:3128",
    }
    found = settings(tmp_path, environ, url=None)
    assert (found.url, found.namespace, found.tls_server_name) == (URL, "home", "vault.internal")
    assert found.proxy == environ[f"{family}_PROXY_ADDR"]
    assert "canary" not in repr(found)
    assert found.client_certificate == (str(certificate), str(key))
    assert (found.ca_pem, found.ca_source) == (authority.ca_pem, f"{family}_CAPATH {tmp_path / 'cas'}")
    assert found.warnings == ()
    assert found.key() != settings(tmp_path, {f"{family}_ADDR": URL}, url=None).key()
    own = authority.ca_file
    assert settings(tmp_path, {**environ, f"{family}_CACERT": str(own)}, url=None).ca_source.startswith(
        f"{family}_CACERT"
    )
    skip = settings(tmp_path, {f"{family}_SKIP_VERIFY": "1"})
    assert not skip.validate_certs
    assert f"{family}_SKIP_VERIFY is set" in skip.warnings[0]


def test_where_both_families_are_set_vaults_wins_and_a_difference_is_told(tmp_path: Path) -> None:
    same = {f"{family}_NAMESPACE": "home" for family in ("VAULT", "BAO")}
    assert settings(tmp_path, same).warnings == ()
    found = settings(tmp_path, {**same, "BAO_NAMESPACE": "other"})
    assert found.namespace == "home"
    assert found.warnings == ("VAULT_NAMESPACE and BAO_NAMESPACE are both set, and differ: VAULT_NAMESPACE is taken.",)
    secret = settings(tmp_path, {"VAULT_TOKEN": "canary-1", "BAO_TOKEN": "canary-2"}, token=None)
    assert secret.warnings == ("VAULT_TOKEN and BAO_TOKEN are both set, and differ: VAULT_TOKEN is taken.",)
    assert settings(tmp_path, {"VAULT_ADDR": "https://a", "BAO_ADDR": "https://b"}).warnings == (), "url was given"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"BAO_CLIENT_CERT": "/x"}, "BAO_CLIENT_CERT is set, and BAO_CLIENT_KEY is not"),
        ({"VAULT_CLIENT_KEY": "/x"}, "VAULT_CLIENT_KEY is set, and VAULT_CLIENT_CERT is not"),
        (
            {"VAULT_CLIENT_CERT": "/nowhere", "VAULT_CLIENT_KEY": "/nowhere"},
            "VAULT_CLIENT_CERT /nowhere does not exist",
        ),
        ({"VAULT_PROXY_ADDR": "proxy:3128"}, "VAULT_PROXY_ADDR: is not the address of a proxy"),
        ({"BAO_CAPATH": "/nowhere"}, "BAO_CAPATH: /nowhere holds no file with a certificate"),
    ],
)
def test_variables_that_do_not_serve_are_named(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    with pytest.raises(BootstrapError, match=message):
        settings(tmp_path, environ)


@pytest.mark.parametrize("environ", [{"VAULT_ADDR": URL, "BAO_ADDR": "https://no"}, {"BAO_ADDR": f"{URL}/"}])
def test_the_address_comes_from_the_environment_last(tmp_path: Path, environ: dict[str, str]) -> None:
    assert settings(tmp_path, environ, url=None).url == URL
    assert settings(tmp_path, environ, url="https://other").url == "https://other"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token": "one two"}, "Vault's token from option token holds a blank inside"),
        ({"token": "one\ntwo"}, "more than one line"),
        ({"url": "vault:8200"}, "is not an address"),
        ({"url": "https://"}, "is not an address"),
        ({"url": "https://h:99999"}, "is not an address"),
        ({"url": "https://user:hunter2@host"}, "holds a user or password"),
        ({"url": "https://host/v1"}, "ends in /v1"),
        ({"path": "a/../b"}, "path: is not a path"),
        ({"mount_point": "a?b"}, "mount_point: is not a path"),
        ({"version": "new"}, "version: must be the number"),
        ({"version": 0}, "version: must be the number"),
        ({"namespace": "a b"}, "namespace: is not a valid name"),
        ({"ca_cert": "~/nowhere"}, "ca_cert: .* does not exist"),
    ],
)
def test_what_is_malformed_fails_always(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(BootstrapError, match=message) as caught:
        settings(tmp_path, **options)
    assert "hunter2" not in str(caught.value)


def test_the_ca_is_the_first_that_is_named_then_the_anchors_copy(tmp_path: Path) -> None:
    pems = {name: Authority(tmp_path / name).ca_pem for name in ("option", "variable", "anchor")}
    (tmp_path / "secrets").mkdir()
    assert settings(tmp_path).ca_pem is None
    (tmp_path / "secrets" / "vault-ca.crt").write_text(pems["anchor"])
    assert settings(tmp_path).ca_pem == pems["anchor"]
    environ = {"VAULT_CACERT": str(tmp_path / "variable" / "ca.crt")}
    assert settings(tmp_path, environ).ca_pem == pems["variable"]
    assert settings(tmp_path, environ, ca_cert=str(tmp_path / "option" / "ca.crt")).ca_pem == pems["option"]


KEY = "qK3/9xAb7dEfGhIjKlMnOpQrStUvWxYz0123456789A="  # base64 has slashes
# A sequence, as a certificate is one, that is none.
NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMAMCAQU=\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("nothing", "holds no PEM block"),
        (NO_CERTIFICATE.replace("CERTIFICATE", "PUBLIC KEY"), "holds no certificate"),
        (NO_CERTIFICATE, "holds a certificate that the TLS library cannot read"),
    ],
)
def test_a_damaged_copy_in_the_anchor_is_a_warning(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "vault-ca.crt").write_text(content)
    found = settings(tmp_path)
    assert found.ca_source == "the system's store"
    assert "The anchor's copy of Vault's CA is not used" in found.warnings[0]
    assert problem in found.warnings[0]
    with pytest.raises(BootstrapError, match=problem):
        settings(tmp_path, ca_cert=str(tmp_path / "secrets" / "vault-ca.crt"))


def test_comments_around_the_certificate_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    content = f"\ufeffAussteller: Zürich\n{Authority(tmp_path / 'ca').ca_pem}"
    (tmp_path / "secrets" / "vault-ca.crt").write_text(content)
    found = settings(tmp_path)
    assert (found.ca_pem, found.warnings) == (content, ())


@pytest.mark.parametrize("place", ["mine", ".config/tazlab/bootstrap-token", "secrets/bootstrap-token.txt"])
def test_a_token_that_everybody_can_read_is_a_warning(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("t")
    path.chmod(0o644)
    options = {"token": None, "token_file": str(path) if place == "mine" else None}
    assert settings(tmp_path, **options).warnings == (f"{path} can be read by everybody (mode 0644): chmod 600 {path}",)
    path.chmod(0o600)
    assert settings(tmp_path, **options).warnings == ()


@pytest.mark.parametrize(
    "value", ["hvs.CAESIJ-a_secret", "s." + "x" * 300, "ghp_two\nlines", "a\0b", KEY, f"/{KEY[1:]}"]
)
@pytest.mark.parametrize("option", ["token_file", "ca_cert"])
def test_a_secret_in_the_place_of_a_path_is_not_quoted(tmp_path: Path, option: str, value: str) -> None:
    try:
        found = vault_settings(
            {"url": URL, "token": "t", option: value, **({"token": None} if option[0] == "t" else {})},
            environ={},
            home=tmp_path,
        )
    except BootstrapError as error:
        message = str(error)
    else:
        assert isinstance(found, NoVault)
        message = found.message
    assert value[:8] not in message
    assert option in message
    assert "holds no path" in message


def test_the_home_of_nobody_is_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match=r"ca_cert: ~nosuchuser/ca\.crt does not exist"):
        settings(tmp_path, ca_cert="~nosuchuser/ca.crt")


@pytest.mark.parametrize(
    ("options", "environ", "validated", "warned"),
    [
        ({}, {}, True, False),
        ({}, {"VAULT_SKIP_VERIFY": "false"}, True, False),
        ({}, {"VAULT_SKIP_VERIFY": "1"}, False, True),
        ({"validate_certs": True}, {"VAULT_SKIP_VERIFY": "1"}, True, False),
        ({"validate_certs": False}, {}, False, True),
        ({"url": "http://host"}, {}, True, True),
        ({"url": "http://127.0.0.1:1"}, {}, True, False),
    ],
)
def test_skipping_verification_is_a_choice_that_is_named(
    tmp_path: Path, options: dict[str, Any], environ: dict[str, str], validated: bool, warned: bool
) -> None:
    found = settings(tmp_path, environ, **options)
    assert (found.validate_certs, bool(found.warnings)) == (validated, warned)


def test_the_outcome_is_keyed_by_what_is_asked(tmp_path: Path) -> None:
    base = settings(tmp_path).key()
    assert settings(tmp_path, renew="never", timeout=3, fields={"A": {}}).key() == base
    changes: list[dict[str, Any]] = [
        {"url": "https://other"},
        {"token": "other"},
        {"validate_certs": False},
        {"namespace": "n"},
        {"mount_point": "m"},
        {"path": "p"},
        {"version": 2},
    ]
    keys = {settings(tmp_path, **change).key() for change in changes}
    assert len({base, *keys}) == len(changes) + 1
