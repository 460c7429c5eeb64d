# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's processes leave nothing behind, and its certificates are what they claim."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab.process import LabError, Process, free_port, wait_until
from lab.tls import Authority

STUBBORN = (
    "import signal, time, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_stubborn_program_is_killed_after_its_grace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = Process(
        [sys.executable, "-c", STUBBORN], log=log, ready=lambda: "up" in log.read_text(), grace=0.2, timeout=20
    )
    with process:
        pid = process.pid
        assert process.running
    assert gone(pid)
    assert not process.running


def test_a_program_that_ends_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no such disk')"]
    with pytest.raises(LabError, match="no such disk"):
        Process(argv, log=tmp_path / "log", ready=lambda: False, timeout=20).start()


def test_a_program_that_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]
    log = tmp_path / "log"
    with pytest.raises(LabError, match="not within"):
        Process(argv, log=log, ready=lambda: False, timeout=0.5).start()
    assert all(gone(int(line)) for line in log.read_text().split())


def test_children_and_grandchildren_die_with_a_parent_killed_by_force(tmp_path: Path) -> None:
    child = (
        "import subprocess, sys, time, os\n"
        "inner = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(os.getpid(), inner.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    log = tmp_path / "log"
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from lab.process import Process\n"
        f"log = Path({str(log)!r})\n"
        f"Process([sys.executable, '-c', {child!r}], log=log, ready=lambda: log.read_text().strip()).start()\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    pids = [int(word) for word in log.read_text().split()]
    wait_until(lambda: all(gone(pid) for pid in pids), "the children are gone", 10)
    assert len(pids) == 2


def handshake(authority: Authority, certificate: tuple[Path, Path], host: str) -> None:
    """Connect to C(host) on loopback and verify what it shows, as a client of the lab does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except (ssl.SSLError, OSError):
                    return  # the client did not like it, which is what some tests want

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        client = ssl.create_default_context(cafile=str(authority.ca_file))
        try:
            with socket.create_connection(listener.getsockname()) as plain:
                client.wrap_socket(plain, server_hostname=host).close()
        finally:
            server.join(10)


def test_certificates_are_what_was_asked_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    handshake(authority, authority.certificate("good"), "127.0.0.1")
    handshake(authority, authority.certificate("named", ["vault.lab.example"]), "vault.lab.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(authority, authority.certificate("old", expired=True), "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        handshake(authority, authority.certificate("wrong", ["other.example"]), "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self-signed"):
        handshake(authority, Authority(tmp_path / "foreign", "another CA").certificate("foreign"), "127.0.0.1")
    assert (tmp_path / "tls" / "good.key").stat().st_mode & 0o777 == 0o600


def test_ports_are_never_handed_out_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == len(ports)
