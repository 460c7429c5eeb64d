# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The session under hvac: proxies are the environment's alone, and trust is what was given, never others instead."""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import requests.utils

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import bounded_session, tls_context
from lab.tls import Authority

PROXY = "http://proxy.example.net:3128"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY, "NO_PROXY": "other.example.net"}, PROXY),
        ({"https_proxy": PROXY, "NO_PROXY": "100.64.0.0/10"}, None),
        ({"https_proxy": PROXY, "no_proxy": "100.64.0.7"}, None),
        ({"https_proxy": PROXY, "no_proxy": "*"}, None),
        ({"NO_PROXY": "other.example.net"}, None),
    ],
)
def test_the_environment_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], proxy: str | None
) -> None:
    def crash(*_arguments: Any) -> Any:
        raise AssertionError("asks the system's settings")

    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(requests.utils, "getproxies", crash)
    if not environ:
        monkeypatch.setattr(requests.utils, "proxy_bypass", crash)
    session = bounded_session("https://100.64.0.7:8200", time.monotonic() + 1, ssl.create_default_context())
    assert session.proxies.get("https") == proxy
    assert session.trust_env is False


def test_a_proxy_for_vault_alone_counts_more_than_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "*")
    own = "http://vault-proxy.example.net:3128"
    context = ssl.create_default_context()
    session = bounded_session("https://100.64.0.7:8200", time.monotonic() + 1, context, proxy=own)
    assert session.proxies == {"http": own, "https": own}


def test_comments_in_any_language_may_stand_around_certificates(tmp_path: Path) -> None:
    one, other = Authority(tmp_path / "a").ca_pem, Authority(tmp_path / "b").ca_pem
    context = tls_context(f"\ufeff{one}# für zuhause\r\n{one}\n# é\n{other}", validate=True)
    assert context.cert_store_stats()["x509_ca"] == 2


@pytest.mark.parametrize(
    "text", ["", "kein Zertifikat: é", "-----BEGIN CERTIFICATE-----\né\n-----END CERTIFICATE-----"]
)
def test_what_holds_no_certificate_never_means_the_systems_store(text: str) -> None:
    with pytest.raises(ssl.SSLError):
        tls_context(text, validate=True)
