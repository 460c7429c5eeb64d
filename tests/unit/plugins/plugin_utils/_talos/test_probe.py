# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that asks for a certificate is told from one that does not, whatever else may be listening there."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.probe import asks_for_certificate
from lab.tls import Authority

ADDRESS = "127.0.0.1"
TIMEOUT = 1.0
Talk = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@contextlib.contextmanager
def listening(talk: Talk) -> Iterator[int]:
    """A port behind which every connection is talked to."""
    with socket.create_server((ADDRESS, 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def tls(authority: Authority, version: ssl.TLSVersion, *, certificate: bool, greeting: bytes = b"") -> Talk:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate("node"))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    if certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.ca_pem)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.sendall(greeting)
            wrapped.recv(1)

    return talk


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_asks_for_a_certificate_is_heard_each_time(authority: Authority, version: ssl.TLSVersion) -> None:
    with listening(tls(authority, version, certificate=True)) as port:
        assert all(asks_for_certificate(ADDRESS, TIMEOUT, port) for _number in range(50))


def test_who_greets_everybody_asks_for_none(authority: Authority) -> None:
    with listening(tls(authority, ssl.TLSVersion.TLSv1_3, certificate=False, greeting=b"settings")) as port:
        assert not asks_for_certificate(ADDRESS, TIMEOUT, port)


@pytest.mark.parametrize(
    "talk",
    [
        lambda connection: connection.close(),
        lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda connection: connection.recv(1 << 16) and connection.recv(1),
    ],
    ids=["hangs up", "speaks plain text", "says nothing"],
)
def test_what_is_no_node_asks_for_none_and_is_not_waited_for(talk: Talk) -> None:
    begin = time.monotonic()
    with listening(talk) as port:
        assert not asks_for_certificate(ADDRESS, TIMEOUT, port)
    assert time.monotonic() - begin < 10 * TIMEOUT


def test_nobody_asks_for_none() -> None:
    with socket.create_server((ADDRESS, 0)) as listener:
        port = listener.getsockname()[1]
    assert not asks_for_certificate(ADDRESS, TIMEOUT, port)
