# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client, the waiter and the VMs' layer against a fake Proxmox VE and against what only pretends to be one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import (
    Connection,
    ProxmoxClient,
    ProxmoxError,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import UNFINISHED, Machine, Source
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.image_store import ImageStore
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.tasks import TaskFailed, Tasks
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.vms import VmLayer
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import Image
from lab.pve import TOKEN_ID, TalosPve, serving
from lab.tls import Authority

SECRET = "5b0c9a3e-canary-4c55-9d1d-2f0b7a6f1e77"
SCHEMATIC = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def pve(authority: Authority) -> Iterator[TalosPve]:
    with serving(TalosPve(SECRET), authority.certificate("pve")) as running:
        yield running


def connect(url: str, authority: Authority, **other: Any) -> ProxmoxClient:
    options = {
        "url": url,
        "token_id": TOKEN_ID,
        "token_secret": SECRET,
        "ca_cert": str(authority.ca_file),
        "validate_certs": True,
        "timeout": 5,
    }
    return ProxmoxClient(Connection.from_params({**options, **other}))


class Bench:
    """A layer whose pauses are recorded instead of slept."""

    def __init__(self, client: ProxmoxClient, timeout: float = 60, real_sleep: bool = False) -> None:
        self.pauses: list[float] = []
        self.said: list[str] = []
        sleep = time.sleep if real_sleep else self.pauses.append
        self.client = client
        self.tasks = Tasks(client, timeout=timeout, progress=self.said.append, sleep=sleep)
        source = Source("home", "local-lvm", "local:import/talos.qcow2", "", False)
        self.layer = VmLayer(client, self.tasks, source, self.said.append)

    def make(self, *machines: Machine) -> None:
        plans, _cluster = self.layer.present(machines, check_mode=False)
        self.layer.carry_out(plans)


@pytest.fixture
def bench(pve: TalosPve, authority: Authority) -> Bench:
    pve.store_file("local", "talos.qcow2", 1024, "import")
    return Bench(connect(pve.url, authority))


def machine(number: int = 1) -> Machine:
    return Machine(
        f"node-{number}", 1000 + number, "pve1", 2, 4096, 32, f"192.0.2.{number}", 24, "", (), "vmbr0", "", "worker"
    )


# ---------------------------------------------------------------------------------------------------- the connection


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that does one thing with each connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _address = server.accept()
            except OSError:
                return
            with connection:
                answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


def speaks_http(connection: socket.socket) -> None:
    connection.recv(1024)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def tls(authority: Authority, response: bytes, name: str = "pretender") -> Callable[[socket.socket], None]:
    context = authority.server_context(name)

    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(4096)
            secure.sendall(response)

    return answer


def asked(port: int, authority: Authority, **other: Any) -> str:
    """What the user reads when a server on this port does not answer as it should."""
    with pytest.raises(ProxmoxError) as caught:
        connect(f"https://127.0.0.1:{port}", authority, **other).get("version")
    message = str(caught.value)
    assert f"Proxmox at 127.0.0.1:{port}: " in message
    assert "GET /version" in message
    assert SECRET not in message
    return message


def test_a_port_that_speaks_no_tls(authority: Authority) -> None:
    with listening(speaks_http) as port:
        assert "what answers there speaks no TLS" in asked(port, authority)


def test_a_server_that_never_answers_is_waited_for_until_the_time_out(authority: Authority) -> None:
    released = threading.Event()
    with listening(lambda _connection: released.wait(20) and None) as port:
        begun = time.monotonic()
        assert "no answer came within the time-out" in asked(port, authority, timeout=1)
        assert time.monotonic() - begun < 15
        released.set()


def test_a_connection_that_is_closed_without_an_answer(authority: Authority) -> None:
    with listening(tls(authority, b"")) as port:
        assert "the connection was closed without an answer" in asked(port, authority)


def test_a_server_that_is_not_proxmox(authority: Authority) -> None:
    body = b"<html>hello</html>"
    response = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with listening(tls(authority, response)) as port:
        assert "what answers there is not the API of Proxmox VE" in asked(port, authority)


def test_a_redirect_is_not_followed(authority: Authority) -> None:
    response = b"HTTP/1.1 302 Found\r\nLocation: https://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"
    with listening(tls(authority, response)) as port:
        assert "it redirects elsewhere, which is not followed with a token" in asked(port, authority)


def test_an_answer_that_repeats_the_token_is_withheld(authority: Authority) -> None:
    response = b"HTTP/1.1 500 bad header PVEAPIToken=%s\r\nContent-Length: 2\r\n\r\n{}" % SECRET.encode()
    with listening(tls(authority, response)) as port:
        assert "(its words are withheld, since they repeat the token)" in asked(port, authority)


def test_certificates_are_verified(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    cases = (
        (authority.certificate("expired", expired=True), authority, "its certificate has expired"),
        (authority.certificate("named", ["pve.example.net"]), authority, "its certificate is for another name"),
        (authority.certificate("right"), other, "its certificate is not signed by a CA that is trusted here"),
    )
    for certificate, trusted, message in cases:
        with serving(TalosPve(SECRET), certificate) as running:
            assert message in asked(running.port, trusted)
            with pytest.warns(Warning, match="Unverified HTTPS request"):
                assert connect(running.url, trusted, validate_certs=False).get("version")["version"]


def test_a_name_that_does_not_resolve(authority: Authority) -> None:
    with pytest.raises(ProxmoxError, match="its name does not resolve"):
        connect("https://pve.invalid:8006", authority).get("version")


def test_a_port_that_refuses(authority: Authority) -> None:
    with pytest.raises(ProxmoxError, match="the connection was refused"):
        connect("https://127.0.0.1:1", authority).get("version")


def test_a_token_is_cleaned_before_it_becomes_a_header(pve: TalosPve, authority: Authority) -> None:
    client = connect(pve.url, authority, token_id=f' "{TOKEN_ID}"\r\n', token_secret=f"\t'{SECRET}'\n")
    assert client.get("version")["version"]


def test_a_missing_privilege_is_named(pve: TalosPve, authority: Authority) -> None:
    pve.add_vm(1001, "node-1")
    pve.grant("bootstrap@pve", "/", "VM.Audit")
    with pytest.raises(ProxmoxError, match=r"the API token lacks VM\.PowerMgmt on /vms/1001"):
        connect(pve.url, authority).post("nodes/pve1/qemu/1001/status/start")


def test_a_refused_parameter_is_named_with_the_reason(pve: TalosPve, authority: Authority) -> None:
    with pytest.raises(ProxmoxError, match=r"status 400: Parameter verification failed: net0: .*") as caught:
        connect(pve.url, authority).post("nodes/pve1/qemu", vmid=100, net0="bogus")
    assert caught.value.status == 400


def test_a_dropped_connection_is_opened_again_for_reading_only(pve: TalosPve, authority: Authority) -> None:
    client = connect(pve.url, authority)
    client.get("version")
    pve.flaky_network(drop_rate=1.0)
    before = len(pve.requests)
    with pytest.raises(ProxmoxError, match="the connection was closed without an answer"):
        client.post("nodes/pve1/qemu", vmid=100)
    pve.flaky_network()
    assert client.get("version")["version"]
    assert [method for method, _path, _body in pve.requests[before:] if method == "POST"] == []


# ---------------------------------------------------------------------------------------------------- tasks


def test_a_lock_that_somebody_holds_is_waited_out(pve: TalosPve, bench: Bench) -> None:
    pve.fail(
        "POST", "/nodes/pve1/qemu", 500, "can't lock file '/var/lock/pve-manager/pve-storage' - got timeout", times=2
    )
    bench.make(machine())
    assert pve.vm(1001).status == "running"
    assert bench.pauses[:2] == [1.0, 2.0]
    assert "a lock is held by somebody else" in bench.said[0]


def test_a_task_that_fails_for_a_lock_is_repeated_and_the_waiting_is_bounded(pve: TalosPve, bench: Bench) -> None:
    bench.make(machine())
    pve.vm(1001).status = "stopped"
    pve.vm(1001).start_error = "can't lock file '/var/lock/qemu-server/lock-1001.conf' - got timeout"
    with pytest.raises(TaskFailed, match="can't lock file"):
        bench.make(machine())
    assert bench.pauses == [1.0, 2.0, 4.0, 8.0, 15.0]
    assert len(pve.asked("POST .*/start$")) == 7


@pytest.mark.parametrize("reason", ["VM quit/powerdown failed - got timeout", "no space left on device"])
def test_any_other_error_is_raised_at_once(pve: TalosPve, bench: Bench, reason: str) -> None:
    pve.fail("POST", "/nodes/pve1/qemu", 500, reason)
    with pytest.raises(ProxmoxError, match=reason):
        bench.make(machine())
    assert bench.pauses == []
    assert len(pve.asked("POST nodes/pve1/qemu$")) == 1


def test_a_task_that_takes_too_long_is_named_with_what_it_last_said(pve: TalosPve, authority: Authority) -> None:
    pve.add_vm(1001, "node-1", config={"tags": "tazlab-home", "onboot": 1, "scsi0": "local-lvm:vm-1001-disk-0"})
    pve.time_scale = 1.0
    pve.vm(1001).start_secs = 60
    bench = Bench(connect(pve.url, authority), timeout=0.5, real_sleep=True)
    with pytest.raises(BootstrapError, match="the task qmstart 1001 on node pve1 still runs after") as caught:
        bench.make(machine())
    assert "UPID" not in str(caught.value)


def test_an_image_that_another_run_fetches_is_waited_for(pve: TalosPve, authority: Authority) -> None:
    pve.time_scale = 0.1  # a download takes half a second
    bench = Bench(connect(pve.url, authority), real_sleep=True)
    image = Image.read(SCHEMATIC, "1.12.6", "https://factory.talos.dev/")
    bench.client.post("nodes/pve1/storage/local/download-url", content="import", filename=image.filename, url=image.url)
    placed = ImageStore(bench.client, bench.tasks, image, "local", bench.said.append).ensure(["pve1"], check_mode=False)
    assert [one.volid for one in placed] == [f"local:import/{image.filename}"]
    assert len(pve.asked("download-url")) == 1
    again = ImageStore(bench.client, bench.tasks, image, "local", bench.said.append).ensure(["pve1"], check_mode=False)
    assert [one.changed for one in again] == [False]


def test_a_download_that_fails_is_reported_with_its_log(pve: TalosPve, authority: Authority) -> None:
    pve.storages["local"]["avail"] = 1
    bench = Bench(connect(pve.url, authority))
    image = Image.read(SCHEMATIC, "v1.12.6", "https://factory.talos.dev")
    with pytest.raises(TaskFailed, match="No space left on device") as caught:
        ImageStore(bench.client, bench.tasks, image, "local", bench.said.append).ensure(["pve1"], check_mode=False)
    assert "downloading https://factory.talos.dev/image/" in str(caught.value)


def test_a_vm_that_somebody_makes_of_ours_meanwhile_is_taken_over(
    pve: TalosPve, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans, _cluster = bench.layer.present([machine()], check_mode=False)
    config = {"tags": "tazlab-home", "scsi0": "local-lvm:vm-1001-disk-0,size=4G", "description": f"x{UNFINISHED}"}
    pve.add_vm(1001, "node-1", config=config)
    bench.layer.carry_out(plans)
    assert pve.vm(1001).status == "running"
    assert "size=32G" in pve.vm(1001).config["scsi0"]


def test_a_vmid_that_the_token_may_not_see_is_found_before_anything_is_made(pve: TalosPve, bench: Bench) -> None:
    pve.add_vm(1002, "hidden")
    pve.grant("bootstrap@pve", "/vms/1001", "VM.Audit", "VM.Allocate")
    pve.grant("bootstrap@pve", "/storage", "Datastore.Audit", "Datastore.AllocateSpace")
    with pytest.raises(
        BootstrapError, match=r"node-2 \(vmid 1002\): the vmid belongs to a guest that the token may not"
    ):
        bench.make(machine(1), machine(2))
    assert pve.asked("^POST") == []
