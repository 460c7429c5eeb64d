# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault of the table in lab/faults.py, on the real server wherever it can be brought about there."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.bundle import fetch
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.causes import MESSAGES
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.login import Login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import BoundedAdapter
from lab.bundle import bundle
from lab.faults import PAGE, VAULT_FAULTS, VaultFault, page
from lab.process import free_port
from lab.tls import Authority
from lab.vault import VaultServer

TIMEOUT = 2.0


@dataclass
class World:
    authority: Authority
    server: VaultServer
    directory: Path
    patch: pytest.MonkeyPatch
    seen: list[bytes]

    def settings(self, **changes: Any) -> VaultSettings:
        token = changes.pop("token", None) or self.server.scoped_token()
        known = VaultSettings(
            self.server.url, token, "file ~/secrets/bootstrap-token.txt", self.authority.ca_pem, "ca_cert"
        )
        return replace(known, **changes)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[VaultServer]:
    with VaultServer(tmp_path_factory.mktemp("vault"), authority) as server:
        server.write_bundle(bundle(authority.ca_pem))
        yield server


Setup = Callable[[World], contextlib.AbstractContextManager[VaultSettings]]
SETUPS: dict[str, Setup] = {}


def fault(name: str) -> Callable[[Callable[[World], Iterator[VaultSettings]]], None]:
    """Register how the fault of that name is brought about."""

    def register(setup: Callable[[World], Iterator[VaultSettings]]) -> None:
        SETUPS[name] = contextmanager(setup)

    return register


def _unresolved(number: int, url: str) -> Callable[[World], Iterator[VaultSettings]]:
    def setup(world: World) -> Iterator[VaultSettings]:
        def resolve(*_arguments: Any, **_options: Any) -> Any:
            raise socket.gaierror(number, "the resolver's own words")

        settings = world.settings(url=url)
        world.patch.setattr(socket, "getaddrinfo", resolve)
        yield settings

    return setup


fault("unresolved")(_unresolved(socket.EAI_NONAME, "https://vault.example.net:8200"))
fault("unresolved-now")(_unresolved(socket.EAI_AGAIN, "https://vault.example.net:8200"))
fault("tailnet")(_unresolved(socket.EAI_NONAME, "https://vault.example.ts.net:8200"))


@fault("no-route")
def _no_route(world: World) -> Iterator[VaultSettings]:
    import urllib3.util.connection

    def connect(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(errno.EHOSTUNREACH, "the kernel's own words")

    settings = world.settings()
    world.patch.setattr(urllib3.util.connection, "create_connection", connect)
    yield settings


@fault("refused")
def _refused(world: World) -> Iterator[VaultSettings]:
    yield world.settings(url=f"https://127.0.0.1:{free_port()}")


@fault("hangs")
def _hangs(world: World) -> Iterator[VaultSettings]:
    settings = world.settings()
    world.server.pause()
    try:
        yield settings
    finally:
        world.server.resume()


def _talker(
    answer: bytes | Callable[[socket.socket], None], *, tls: bool = True
) -> Callable[[World], Iterator[VaultSettings]]:
    """A server that answers every request so, and remembers what it was sent."""

    def setup(world: World) -> Iterator[VaultSettings]:
        context = world.authority.server_context("talker") if tls else None
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                with contextlib.suppress(OSError, ssl.SSLError):
                    connection, _address = listener.accept()
                    with context.wrap_socket(connection, server_side=True) if context else connection as talk:
                        talk.settimeout(10)
                        world.seen.append(talk.recv(65536))
                        if callable(answer):
                            answer(talk)
                        else:
                            talk.sendall(answer.replace(b"PORT", str(port).encode()))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield world.settings(url=f"https://127.0.0.1:{port}")
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(15)

    return setup


def _http(
    status: str, body: bytes, kind: str = "application/json", extra: str = "", length: int | None = None
) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{extra}\r\n".encode() + body


def _drip(talk: socket.socket) -> None:
    talk.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    for _second in range(6):
        talk.sendall(b"{")
        time.sleep(1)


fault("drips")(_talker(_drip))
fault("closes")(_talker(lambda talk: talk.close()))
fault("plain-http")(_talker(_http("400 Bad Request", b"no"), tls=False))
fault("standby")(_talker(_http("307 Temporary Redirect", b"", extra="Location: https://127.0.0.1:PORT/v1/x\r\n")))
fault("redirect")(_talker(_http("302 Found", b"", extra="Location: https://localhost:PORT/login\r\n")))
fault("broken")(_talker(_http("500 Internal Server Error", json.dumps({"errors": ["x"]}).encode())))
fault("secondary")(_talker(_http("472 Secondary", b'{"initialized":true,"sealed":false}')))
fault("html-429")(_talker(_http("429 Too Many Requests", b"<html>Slower</html>", extra="Retry-After: 0\r\n")))
fault("html")(_talker(_http("200 OK", b"<html>Welcome</html>", "text/html")))
fault("html-403")(_talker(_http("403 Forbidden", b"<html>Blocked</html>", "text/html")))
fault("truncated")(_talker(_http("200 OK", b'{"data": {"data": {"GITHUB_TO')))
fault("huge")(_talker(_http("200 OK", b'{"data": "' + b"x" * (10 * 1024 * 1024) + b'"}')))


@fault("echo")
def _echoes(world: World) -> Iterator[VaultSettings]:
    def echo(talk: socket.socket) -> None:
        body = json.dumps({"request": world.seen[-1].decode()}).encode()
        talk.sendall(_http("200 OK", body))

    with contextmanager(_talker(echo))(world) as settings:
        yield settings


@fault("needs-tls")
def _needs_tls(world: World) -> Iterator[VaultSettings]:
    yield world.settings(url=world.server.url.replace("https", "http"))


@fault("unknown-ca")
def _unknown_ca(world: World) -> Iterator[VaultSettings]:
    yield world.settings(ca_pem=Authority(world.directory / "other").ca_pem)


@contextmanager
def _booted(world: World, certificate: tuple[Path, Path], client_ca: Path | None = None) -> Iterator[VaultServer]:
    """A second server, of which nothing but its start is asked."""
    other = VaultServer(
        world.directory / "second", world.authority, certificate=certificate, client_ca=client_ca
    ).boot()
    try:
        yield other
    finally:
        other.stop()


@fault("wrong-name")
def _wrong_name(world: World) -> Iterator[VaultSettings]:
    with _booted(world, world.authority.certificate("wrong", ["vault.example.net"])) as other:
        yield world.settings(url=other.url)


@fault("expired")
def _expired(world: World) -> Iterator[VaultSettings]:
    with _booted(world, world.authority.certificate("expired", expired=True)) as other:
        yield world.settings(url=other.url)


@fault("client-certificate")
def _client_certificate(world: World) -> Iterator[VaultSettings]:
    with _booted(world, world.authority.certificate("second"), world.authority.ca_file) as other:
        yield world.settings(url=other.url)


@fault("not-initialised")
def _not_initialised(world: World) -> Iterator[VaultSettings]:
    with _booted(world, world.authority.certificate("new")) as other:
        yield world.settings(url=other.url)


@fault("sealed")
def _sealed(world: World) -> Iterator[VaultSettings]:
    settings = world.settings()
    world.server.seal()
    try:
        yield settings
    finally:
        world.server.unseal()


@fault("quota")
def _quota(world: World) -> Iterator[VaultSettings]:
    settings = world.settings()
    client = world.server.client
    client.write_data("sys/quotas/rate-limit/all", data={"rate": 0.001, "interval": "60s", "path": "secret/"})
    client.adapter.get(f"/v1/{settings.secret_path}", raise_exception=False)
    try:
        yield settings
    finally:
        client.delete("sys/quotas/rate-limit/all")


@fault("bad-token")
def _bad_token(world: World) -> Iterator[VaultSettings]:
    yield world.settings(token="s.NobodyKnowsThisToken12345")


@fault("no-policy")
def _no_policy(world: World) -> Iterator[VaultSettings]:
    yield world.settings(path="tazlab-k8s/other")


@fault("forbidden")
def _forbidden(world: World) -> Iterator[VaultSettings]:
    yield world.settings(path="tazlab-k8s/other")


@fault("blind")
def _blind(world: World) -> Iterator[VaultSettings]:
    rules = 'path "secret/data/tazlab-k8s/bootstrap" { capabilities = ["read"] }'
    world.server.client.sys.create_or_update_policy("blind", rules)
    yield world.settings(token=world.server.scoped_token(policies=("blind",)), path="tazlab-k8s/other")


def _denied(*errors: str) -> bytes:
    text = f"{len(errors)} error{'s' * (len(errors) > 1)} occurred:\n" + "".join(f"\t* {error}\n" for error in errors)
    return _http("403 Forbidden", json.dumps({"errors": [f"{text}\n"]}).encode())


fault("old-bad-token")(_talker(_denied("permission denied")))
fault("new-bad-token")(_talker(_denied("permission denied", "invalid token")))


@fault("data-prefix")
def _data_prefix(world: World) -> Iterator[VaultSettings]:
    yield world.settings(path="data/tazlab-k8s/bootstrap")


@fault("absent")
def _absent(world: World) -> Iterator[VaultSettings]:
    yield world.settings(token=world.server.root_token, path="nothing/here")


def _kv1(path: str) -> Callable[[World], Iterator[VaultSettings]]:
    def setup(world: World) -> Iterator[VaultSettings]:
        client = world.server.client
        client.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
        client.secrets.kv.v1.create_or_update_secret(path, {"GITHUB_TOKEN": "x"}, mount_point="old")
        try:
            yield world.settings(token=world.server.root_token, mount_point="old")
        finally:
            client.sys.disable_secrets_engine("old")

    return setup


fault("kv1")(_kv1("tazlab-k8s/bootstrap"))
fault("kv1-shape")(_kv1("data/tazlab-k8s/bootstrap"))


@fault("wrapped")
def _wrapped(world: World) -> Iterator[VaultSettings]:
    answer = world.server.client.auth.token.create_orphan(policies=["default"], wrap_ttl="60s")
    yield world.settings(token=answer["wrap_info"]["token"], asks_if_wrapped=True)


@fault("unwrapped")
def _unwrapped(world: World) -> Iterator[VaultSettings]:
    answer = world.server.client.write_data("sys/wrapping/wrap", wrap_ttl="60s", data={"mine": "x"})
    yield world.settings(token=answer["wrap_info"]["token"], asks_if_wrapped=True, unwrap=True)


@fault("login")
def _login(world: World) -> Iterator[VaultSettings]:
    yield world.settings(login=Login("approle", "approle", "nobody", "canary-secret-id"))


@fault("no-mount")
def _no_mount(world: World) -> Iterator[VaultSettings]:
    yield world.settings(token=world.server.root_token, mount_point="nowhere")


def _gone(how: str) -> Callable[[World], Iterator[VaultSettings]]:
    def setup(world: World) -> Iterator[VaultSettings]:
        kv = world.server.client.secrets.kv.v2
        version = world.server.write_bundle({"GITHUB_TOKEN": "x"}, path="gone")
        if how == "deleted":
            kv.delete_latest_version_of_secret("gone")
        else:
            kv.destroy_secret_versions("gone", [version])
        yield world.settings(token=world.server.root_token, path="gone")

    return setup


fault("deleted")(_gone("deleted"))
fault("destroyed")(_gone("destroyed"))


@fault("no-namespace")
def _no_namespace(world: World) -> Iterator[VaultSettings]:
    yield world.settings(namespace="nowhere")


@pytest.fixture
def planted(authority: Authority, server: VaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(authority, server, tmp_path, monkeypatch, [])


def test_a_client_certificate_opens_a_listener_that_demands_one(planted: World) -> None:
    """A new server answers, through TLS, that it is not initialised."""
    authority = planted.authority
    mine = tuple(map(str, authority.certificate("me", client=True)))
    other = tuple(map(str, Authority(planted.directory / "other-ca").certificate("me", client=True)))
    with _booted(planted, authority.certificate("second"), authority.ca_file) as second:
        known = planted.settings(url=second.url, client_certificate=mine)
        assert fetch(known, timeout=5).reason == "not_initialised"
        assert fetch(replace(known, client_certificate=other), timeout=5).reason == "tls_client"
        with pytest.raises(BootstrapError, match="the TLS library cannot use them together"):
            fetch(replace(known, client_certificate=(mine[0], other[1])), timeout=5)


@contextmanager
def _first_words_lost(url: str) -> Iterator[str]:
    """A way to a server whose first connection is reset as soon as the client believes that the handshake is over.

    It is what TLS 1.3 looks like on a busy machine: the server judges the certificate while the request is on its way.
    """
    parts = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))

    def relay(client: socket.socket, lossy: bool) -> None:
        said = 0
        with (
            contextlib.suppress(ConnectionError),
            client,
            socket.create_connection((parts.hostname, parts.port)) as upstream,
        ):
            while True:
                for side in select.select([client, upstream], [], [])[0]:
                    data = side.recv(65536)
                    said += side is client
                    if lossy and said > 1:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        return
                    if not data:
                        return
                    (upstream if side is client else client).sendall(data)

    def serve() -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            for number in itertools.count():
                client, _peer = listener.accept()
                threading.Thread(target=relay, args=(client, number == 0), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("accepted", [False, True])
def test_a_refused_client_certificate_is_told_when_the_alert_was_lost(planted: World, accepted: bool) -> None:
    authority = planted.authority
    signer = authority if accepted else Authority(planted.directory / "other-ca")
    pair = tuple(map(str, signer.certificate("me", client=True)))
    with _booted(planted, authority.certificate("second"), authority.ca_file) as second:
        with _first_words_lost(second.url) as url:
            failure = fetch(planted.settings(url=url, client_certificate=pair), timeout=5)
        assert failure.reason == ("closed" if accepted else "tls_client")


@pytest.mark.parametrize("path", ["tazlab-k8s/bootstrap", "nothing/here"])
def test_a_namespace_that_does_not_count_is_told(planted: World, path: str) -> None:
    """Stands in for Vault's community edition: the header is lost on the way, and sys/health tells the edition."""
    send, asked = BoundedAdapter.send, []

    def community(self: Any, request: Any, **options: Any) -> Any:
        asked.append(request.path_url)
        request.headers.pop("X-Vault-Namespace", None)
        answer = send(self, request, **options)
        if request.path_url.startswith("/v1/sys/health"):
            answer._content = json.dumps({**answer.json(), "enterprise": False}).encode()
        return answer

    known = planted.settings(path=path)
    assert fetch(replace(known, namespace="home"), timeout=5).reason == "no_mount"
    assert not fetch(known, timeout=5).warnings
    planted.patch.setattr(BoundedAdapter, "send", community)
    (warning,) = fetch(replace(known, namespace="home"), timeout=5).warnings
    assert "is the community edition, which has no namespaces: home was ignored" in warning
    asked.clear()
    assert not fetch(known, timeout=5).warnings
    assert not [each for each in asked if "health" in each]


def test_a_certificate_may_have_the_name_that_was_given_instead_of_the_hosts(planted: World) -> None:
    with _booted(planted, planted.authority.certificate("named", ["vault.internal"])) as other:
        known = planted.settings(url=other.url)
        assert fetch(known, timeout=5).reason == "tls_wrong_name"
        assert fetch(replace(known, tls_server_name="vault.internal"), timeout=5).reason == "not_initialised"
        assert fetch(replace(known, tls_server_name="vault.other"), timeout=5).reason == "tls_wrong_name"


@pytest.mark.parametrize("case", VAULT_FAULTS, ids=lambda case: case.name)
def test_fault_of_vault(
    case: VaultFault, server: VaultServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(authority, server, tmp_path, monkeypatch, [])
    renew = "never" if case.name == "forbidden" else "auto"
    with SETUPS[case.name](world) as settings:
        begin = time.monotonic()
        outcome = fetch(settings, timeout=TIMEOUT, renew=renew)
        duration = time.monotonic() - begin
    assert outcome.reason == case.reason, outcome.message
    assert outcome.data is None
    assert duration < 5 * TIMEOUT, "each socket read would have its own time-out, or a drip would hold it for ever"
    assert settings.token not in repr(outcome)
    if outcome.reason == "timeout":
        assert f"gave no answer within {TIMEOUT:g} s" in outcome.message
    assert " 0 s" not in outcome.message
    assert "own words" not in outcome.message
    assert settings.host in outcome.message or settings.secret_path in outcome.message
    if settings.host.endswith(".ts.net"):
        assert "on the tailnet" in outcome.message
    if case.name in ("standby", "redirect"):
        assert len(world.seen) == 1, "a redirect is not followed"


def test_every_fault_is_brought_about_and_every_message_is_met() -> None:
    assert {case.name for case in VAULT_FAULTS} == set(SETUPS)
    assert set(MESSAGES) - {case.reason for case in VAULT_FAULTS} == {"proxy", "rejected", "tls", "unknown"}


def test_the_documentation_is_this_table() -> None:
    assert PAGE.read_text() == page(MESSAGES), "write it anew: ./dev run python -m lab.faults"


def test_retry_after_is_honoured_within_the_deadline(server: VaultServer, authority: Authority, tmp_path: Path) -> None:
    world = World(authority, server, tmp_path, pytest.MonkeyPatch(), [])
    good = json.dumps({"data": {"data": {"A": "b"}, "metadata": {"version": 4}}}).encode()
    answers = [_http("429 Too Many Requests", b'{"errors":[]}', extra="Retry-After: 1\r\nConnection: close\r\n")] * 2
    answers.append(_http("200 OK", good, extra="Connection: close\r\n"))

    def talk(connection: socket.socket) -> None:
        connection.sendall(answers[min(len(world.seen), 3) - 1])

    with contextmanager(_talker(talk))(world) as settings:
        begin = time.monotonic()
        outcome = fetch(settings, timeout=6, renew="never")
        duration = time.monotonic() - begin
    assert (outcome.reason, outcome.version) == ("ok", 4)
    assert duration >= 2
    assert len(world.seen) == 3


def test_a_server_that_asks_for_no_wait_is_asked_a_few_times(
    server: VaultServer, authority: Authority, tmp_path: Path
) -> None:
    world = World(authority, server, tmp_path, pytest.MonkeyPatch(), [])
    with contextmanager(
        _talker(_http("429 Too Many Requests", b'{"errors":[]}', extra="Retry-After: 0\r\nConnection: close\r\n"))
    )(world) as settings:
        outcome = fetch(settings, timeout=3, renew="never")
    assert outcome.reason == "quota"
    assert 1 < len(world.seen) < 7, "each fifth of a second would be 15 times"


def test_a_follow_up_that_gets_no_answer_does_not_hide_the_cause(
    server: VaultServer, authority: Authority, tmp_path: Path
) -> None:
    world = World(authority, server, tmp_path, pytest.MonkeyPatch(), [])
    first = {"unavailable": _http("503 Service Unavailable", b'{"errors":[]}'), "forbidden": _denied("no")}
    for reason, answer in first.items():
        world.seen.clear()

        def talk(connection: socket.socket, answer: bytes = answer) -> None:
            if len(world.seen) == 1:
                connection.sendall(answer)
            else:
                time.sleep(2 * TIMEOUT)

        with contextmanager(_talker(talk))(world) as settings:
            outcome = fetch(settings, timeout=TIMEOUT)
        assert outcome.reason == reason


def test_what_is_wrong_with_the_health_of_a_token_never_costs_the_bundle(
    server: VaultServer, authority: Authority, tmp_path: Path
) -> None:
    world = World(authority, server, tmp_path, pytest.MonkeyPatch(), [])
    good = json.dumps({"data": {"data": {"A": "b"}, "metadata": {"version": 4}}})
    healths: dict[str, tuple[bytes, str]] = {
        "huge": (_http("200 OK", b'{"data": {"ttl": 1e300, "creation_ttl": 10, "creation_time": 1e99}}'), ""),
        "none": (_http("200 OK", b'{"data": {}}'), ""),
        "quota": (_http("429 Too Many Requests", b'{"errors":[]}'), "did not tell about its token (quota)"),
        "broken": (_http("500 Internal Server Error", b'{"errors":[]}'), "did not tell about its token (unavailable)"),
        "used up": (_http("403 Forbidden", b'{"errors":["permission denied"]}'), "does not accept its token any more"),
        "blind": (_denied("permission denied"), "may not look itself up"),
    }
    for name, (answer, warning) in healths.items():
        world.seen.clear()

        def talk(connection: socket.socket, answer: bytes = answer) -> None:
            connection.sendall(_http("200 OK", good.encode()) if len(world.seen) == 1 else answer)

        with contextmanager(_talker(talk))(world) as settings:
            outcome = fetch(settings, timeout=5)
        assert (outcome.reason, outcome.data) == ("ok", {"A": "b"}), name
        assert outcome.token is not None
        assert [warning in text for text in outcome.token.warnings] == ([True] if warning else []), name


def test_an_error_after_the_bundle_is_a_warning(
    server: VaultServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_arguments: Any) -> Any:
        raise OverflowError("quotes a secret")

    monkeypatch.setattr("ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.bundle.token_health", explode)
    world = World(authority, server, tmp_path, monkeypatch, [])
    outcome = fetch(world.settings(), timeout=10)
    assert outcome.reason == "ok"
    assert "Unexpected OverflowError" in outcome.warnings[0]
    assert "quotes" not in repr(outcome)
