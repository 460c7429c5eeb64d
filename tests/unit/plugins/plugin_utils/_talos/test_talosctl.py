# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of how talosctl is run, with programs in its place that print what it would."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import (
    Failure,
    Private,
    Talosctl,
    TalosctlError,
)

# As grpc and talosctl 1.12.6 print them.
UNAVAILABLE = "rpc error: code = Unavailable desc = "
HANDSHAKE = f'{UNAVAILABLE}connection error: desc = "transport: authentication handshake failed: tls: '
DIAL = f'{UNAVAILABLE}connection error: desc = "transport: Error while dialing: dial tcp 192.0.2.1:50000: '
TEXTS = {
    Failure.CONFIGURED: f'{UNAVAILABLE}desc = "error reading server preface: remote error: tls: certificate required"',
    Failure.UNTRUSTED: f'{HANDSHAKE}failed to verify certificate: x509: certificate signed by unknown authority"',
    Failure.UNREACHABLE: f'{DIAL}connect: connection refused"',
    Failure.CUT: f"{UNAVAILABLE}write tcp 192.0.2.9:1->192.0.2.1:50000: write: broken pipe",
    Failure.NOT_TALOS: f'{HANDSHAKE}first record does not look like a TLS handshake"',
    Failure.EXISTS: "error executing bootstrap: code = AlreadyExists desc = etcd data directory is not empty",
    Failure.NOT_YET: "rpc error: code = FailedPrecondition desc = bootstrap is not available yet",
    Failure.REBOOT: "rpc error: code = InvalidArgument desc = this config change can't be applied in immediate mode",
    Failure.REFUSED: "rpc error: code = InvalidArgument desc = configuration validation failed: canary",
    Failure.DENIED: "rpc error: code = PermissionDenied desc = not authorized",
    Failure.UNKNOWN: "something new: canary",
}


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Talosctl]:
    """Makes a talosctl out of a shell script."""

    def make(script: str) -> Talosctl:
        path = tmp_path / "talosctl"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        environ = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "HOME": "/h", "TALOSCONFIG": "/t", "KEY": "x"}
        return Talosctl(environ)

    return make


def test_the_client_tells_its_version(program: Callable[[str], Talosctl]) -> None:
    assert program("printf 'Client:\\nTalos v1.12.6\\n'").version() == "v1.12.6"


def test_its_environment_is_its_own(program: Callable[[str], Talosctl]) -> None:
    lines = program("env").run("x").decode().splitlines()
    names = {line.partition("=")[0] for line in lines} - {"PWD", "SHLVL", "_", "OLDPWD"}
    assert names == {"PATH", "HOME", "LC_ALL", "NO_COLOR"}


def test_secrets_are_read_from_memory_and_are_in_no_argument(program: Callable[[str], Talosctl]) -> None:
    content = b"canary" * 100_000  # more than a pipe holds
    client = program('for a in "$@"; do echo "$a"; done; cat "${2#@}" "$3" | wc -c')
    lines = client.run("apply", Private(content, "@"), Private(b"more")).decode().split()
    assert int(lines[-1]) == len(content) + 4
    assert lines[1].startswith("@/dev/fd/")
    assert "canary" not in str(lines)


def test_no_descriptor_is_left_open(program: Callable[[str], Talosctl]) -> None:
    client = program("exit 1")
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(TalosctlError):
            client.run("x", Private(b"y"))
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_call_that_never_ends_is_ended_with_its_children(program: Callable[[str], Talosctl], tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(TalosctlError) as caught:
        program(f"sleep 60 & echo $! > {tmp_path}/child; wait").run("version", timeout=0.5, target="cp-1")
    assert caught.value.failure is Failure.UNREACHABLE
    assert time.monotonic() - begin < 10
    child = int((tmp_path / "child").read_text())
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(child, 0)
            time.sleep(0.05)


@pytest.mark.parametrize("failure", TEXTS)
def test_what_went_wrong_is_told_in_our_words(program: Callable[[str], Talosctl], failure: Failure) -> None:
    client = program(f"cat >&2 <<'EOF'\n{TEXTS[failure]}\nEOF\nexit 1")
    with pytest.raises(TalosctlError) as caught:
        client.run("etcd", "members", "--nodes", "192.0.2.1", target="cp-1 (192.0.2.1)")
    assert caught.value.failure is failure
    assert str(caught.value).startswith("cp-1 (192.0.2.1): talosctl etcd members: ")
    assert "canary" not in str(caught.value)


def test_a_missing_client_is_told_with_the_next_step() -> None:
    with pytest.raises(TalosctlError, match="Install Talos' client") as caught:
        Talosctl({"PATH": "/nonexistent"}).version()
    assert caught.value.failure is Failure.MISSING


def test_something_else_of_that_name_is_told(program: Callable[[str], Talosctl]) -> None:
    with pytest.raises(TalosctlError, match="does not tell a version"):
        program("echo hello").version()
