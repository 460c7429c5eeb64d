# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The run's broker: who leads, who waits, and what happens when a leader fails, hangs or is killed."""

from __future__ import annotations

import hashlib
import math
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing import client as _sharing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing.broker import Broker
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing.client import NoBroker, shared
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing.wire import GRACE, HELLO, LEAD
from lab.process import wait_until

KEY = hashlib.sha256(b"asked").digest()
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    """The private directory of a run that lasts as long as the test: its broker ends with a process of its own."""
    directory = tmp_path / "ansible-local"
    directory.mkdir(mode=0o700)
    yield directory
    _end(directory)


def _end(directory: Path) -> None:
    """End the broker of the directory, which would otherwise last as long as the tests."""
    for process in Path("/proc").iterdir():
        try:
            argv = (process / "cmdline").read_bytes().split(b"\0") if process.name.isdecimal() else []
        except OSError:
            continue
        if len(argv) > 4 and b".broker import" in argv[-4] and argv[-2] == b"%d" % os.getpid():
            os.kill(int(process.name), signal.SIGKILL)


def ask(directory: Path, value: bytes, *, bound: float = 5, delay: float = 0) -> bytes:
    def fetch() -> bytes:
        time.sleep(delay)
        return value

    return shared(KEY, bound, fetch, directory, os.getpid())


def test_the_first_outcome_serves_all(run: Path) -> None:
    assert ask(run, b"first") == b"first"
    assert ask(run, b"second") == b"first"
    assert shared(hashlib.sha256(b"other").digest(), 5, lambda: b"third", run, os.getpid()) == b"third"


def test_a_large_outcome_arrives_whole(run: Path) -> None:
    value = os.urandom(3 * 1024 * 1024)
    assert ask(run, value) == value
    assert ask(run, b"") == value


def test_those_who_come_meanwhile_wait_for_the_leader(run: Path) -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda number=number: found.append(ask(run, b"%d" % number, delay=1)))
        for number in range(20)
    ]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 20
    assert len(set(found)) == 1
    assert time.monotonic() - begin < 15, "one after the other, they would take 20 s"


def test_a_leader_that_fails_is_replaced_by_the_next(run: Path) -> None:
    leading = threading.Event()

    def fail() -> bytes:
        leading.set()
        time.sleep(0.3)
        raise ValueError("broken")

    def lead() -> None:
        with pytest.raises(ValueError, match="broken"):
            shared(KEY, 5, fail, run, os.getpid())

    leader = threading.Thread(target=lead)
    leader.start()
    assert leading.wait(10)
    assert ask(run, b"next") == b"next"
    leader.join(10)


def test_a_leader_that_is_killed_is_replaced_by_the_next(run: Path) -> None:
    assert shared(hashlib.sha256(b"x").digest(), 5, lambda: b"started", run, os.getpid()) == b"started"
    root = os.getpid()
    started = FORK.Event()

    def hang() -> bytes:
        started.set()
        time.sleep(60)
        return b"never"

    leader = FORK.Process(target=lambda: shared(KEY, 60, hang, run, root))
    leader.start()
    assert started.wait(20)
    timer = threading.Timer(0.3, leader.kill)
    timer.start()
    begin = time.monotonic()
    assert ask(run, b"next") == b"next"
    assert time.monotonic() - begin < 30, "it leads for a minute, and its bound is as long"
    leader.join(10)


def test_a_leader_beyond_its_bound_is_replaced_and_takes_the_outcome_that_counts(run: Path) -> None:
    found: list[bytes] = []
    leading, answered = threading.Event(), threading.Event()

    def lead() -> bytes:
        leading.set()
        answered.wait(60)
        return b"late"

    late = threading.Thread(target=lambda: found.append(shared(KEY, 1 - GRACE, lead, run, os.getpid())))
    late.start()
    assert leading.wait(20)
    assert ask(run, b"in time") == b"in time"
    answered.set()
    late.join(20)
    assert found == [b"in time"]


def test_a_leader_within_its_grace_is_waited_for(run: Path) -> None:
    """It may have to load hvac on a busy machine before its own clock even starts."""
    leading = threading.Event()

    def lead() -> bytes:
        leading.set()
        time.sleep(4)
        return b"first"

    leader = threading.Thread(target=lambda: shared(KEY, 0.1, lead, run, os.getpid()))
    leader.start()
    assert leading.wait(20)
    assert ask(run, b"second") == b"first"
    leader.join(20)


def test_a_broker_that_was_killed_is_started_again(run: Path) -> None:
    assert ask(run, b"first") == b"first"
    _end(run)
    wait_until(lambda: ask(run, b"second") == b"second", "a new broker serves", 10)


def test_no_directory_or_one_that_others_may_enter_means_no_broker(tmp_path: Path) -> None:
    with pytest.raises(NoBroker):
        ask(tmp_path / "nowhere", b"x")
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(NoBroker):
        ask(tmp_path / "open", b"x")
    assert list((tmp_path / "open").iterdir()) == []


def test_a_long_path_serves_as_well(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir(mode=0o700)
    try:
        assert ask(directory, b"far") == b"far"
        assert ask(directory, b"again") == b"far"
    finally:
        _end(directory)


def test_a_long_path_on_a_system_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / ("d" * 120)
    directory.mkdir(mode=0o700)
    monkeypatch.setattr(_sharing.sys, "platform", "freebsd")
    here = Path.cwd()
    try:
        assert ask(directory, b"far") == b"far"
    finally:
        _end(directory)
    assert Path.cwd() == here


def test_the_socket_is_private_and_holds_nothing(run: Path) -> None:
    ask(run, b"a secret value")
    names = sorted(path.name for path in run.iterdir())
    assert names == [_sharing.LOCK, _sharing.SOCKET]
    assert (run / _sharing.LOCK).read_bytes() == b""


def test_a_run_that_is_over_has_no_broker(run: Path) -> None:
    """The root is neither this process nor its parent: the broker is ended again at once."""
    with pytest.raises(NoBroker):
        shared(KEY, 5, lambda: b"x", run, 1 if os.getppid() != 1 else 2)


def test_nonsense_on_the_socket_disturbs_nobody(run: Path) -> None:
    assert ask(run, b"first") == b"first"
    with _sharing._address(run) as (address, _folder):
        for data in (b"", b"x", b"x" * HELLO.size + b"\xff" * 8, HELLO.pack(b"k" * 32, 1.0)):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(address)
                connection.sendall(data)
    assert ask(run, b"second") == b"first"


@pytest.mark.parametrize("bound", [1e272, float("inf"), float("nan"), -1.0])
def test_a_bound_that_nobody_can_wait_for_disturbs_nobody(run: Path, bound: float) -> None:
    """Its caller stays: one that leaves at once is forgotten before anybody waits."""
    assert ask(run, b"first") == b"first"
    with _sharing._address(run) as (address, _folder), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(address)
        connection.sendall(HELLO.pack(b"k" * 32, bound))
        assert connection.recv(1) == (b"" if math.isnan(bound) else LEAD)
        assert ask(run, b"second") == b"first"


def test_the_broker_ends_where_there_is_no_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    child = FORK.Process(target=time.sleep, args=(0.5,))
    child.start()
    monkeypatch.setattr(f"{Broker.__module__}.sys.platform", "freebsd")
    threading.Thread(target=child.join).start()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0tazlab-{os.getpid()}")
        listener.listen()
        broker = threading.Thread(target=Broker(listener, child.pid or 0).serve, daemon=True)
        broker.start()
        broker.join(10)
        assert not broker.is_alive()
