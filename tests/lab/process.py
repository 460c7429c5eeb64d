# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the lab's programs, each in a session of its own, waits for them with a bound, and lets none outlive it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

# Below the range from which systems take the ports of outgoing connections: a stopped server's port stays free.
PORTS = range(20_000, 30_000)
_given: set[int] = set()


class LabError(Exception):
    """Something of the lab did not start or does not do what it should. The message says what and where its log is."""


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port on which nothing listens, and which this process has not handed out before."""
    for port in random.sample(PORTS, 200):
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise LabError(f"no free port on {host} from {PORTS.start} to {PORTS.stop}")


def wait_until(ready: Callable[[], object], what: str, timeout: float, interval: float = 0.05) -> None:
    """Ask C(ready) until it gives something true. What it raises counts as not yet, and is told when the time is up."""
    deadline = time.monotonic() + timeout
    while True:
        last: Exception | None = None
        try:
            if ready():
                return
        except Exception as error:  # noqa: BLE001 - any failure of a probe means: not ready yet
            last = error
        if time.monotonic() >= deadline:
            raise LabError(f"{what}: not within {timeout:g} s" + (f" (last: {last})" if last else ""))
        time.sleep(interval)


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something listens there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


class _Guard:
    """The one helper of this process that kills its children's process groups when this process has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def tell(self, sign: str, group: int) -> None:
        with self._lock:
            if self._process is None or self._pid != os.getpid() or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py"))],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                self._pid = os.getpid()
            assert self._process.stdin is not None
            self._process.stdin.write(f"{sign}{group}\n".encode())
            self._process.stdin.flush()


_guard = _Guard()


@contextlib.contextmanager
def guarded(argv: Sequence[str], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """A program that prints for its caller to read, in a session of its own. It never outlives this block."""
    with subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True, **how
    ) as process:
        _guard.tell("+", process.pid)
        try:
            yield process
            process.wait()
        finally:
            if process.poll() is None:
                _signal_group(process.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
            _signal_group(process.pid, signal.SIGKILL)
            _guard.tell("-", process.pid)


class Process:
    """A program in a process group of its own. Use it as a context manager, or call C(start) and C(stop).

    C(ready) is asked until it gives something true. What the program prints goes into the log; with C(piped) standard
    input and output are pipes instead.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        name: str = "",
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], object] | None = None,
        timeout: float = 30,
        grace: float = 5,
        piped: bool = False,
    ) -> None:
        self.argv = [str(word) for word in argv]
        self.name = name or Path(self.argv[0]).name
        self.log = log
        self._environment = environment
        self._cwd = cwd
        self._ready = ready
        self._timeout = timeout
        self._grace = grace
        self._piped = piped
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def streams(self) -> tuple[IO[bytes], IO[bytes]]:
        """Standard input and output of a program that was started with C(piped)."""
        assert self._process is not None, f"{self.name} was not started"
        assert self._process.stdin is not None, f"{self.name} has no pipes"
        assert self._process.stdout is not None, f"{self.name} has no pipes"
        return self._process.stdin, self._process.stdout

    def start(self) -> Self:
        """Start it and wait until it is ready. What did not get ready is stopped, and its log's end told."""
        if self.running:
            raise LabError(f"{self.name} runs already")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE if self._piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._piped else log,
                stderr=log,
                env=None if self._environment is None else dict(self._environment),
                cwd=self._cwd,
                start_new_session=True,
            )
        _guard.tell("+", self._process.pid)
        if self._ready is not None:
            try:
                wait_until(self._ready_or_dead, f"{self.name} is ready", self._timeout)
            except BaseException as error:
                status = self._process.poll()
                self.stop()
                if not isinstance(error, LabError):
                    raise
                ended = "" if status is None else f"; it ended with status {status}"
                raise LabError(f"{error}{ended}. The end of its log, {self.log}:\n{self.tail()}") from None
            if not self.running:
                status = self._process.poll()
                self.stop()
                raise LabError(
                    f"{self.name} ended with status {status} before it was ready. The end of its log, {self.log}:\n"
                    f"{self.tail()}"
                )
        return self

    def _ready_or_dead(self) -> object:
        assert self._ready is not None
        return not self.running or self._ready()

    def stop(self) -> None:
        """TERM, and after the grace KILL, for its whole process group. Nothing of it is left afterwards."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._grace)
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        _guard.tell("-", process.pid)

    def kill(self) -> None:
        """End it at once, as a crash or a power cut does."""
        if self._process is not None:
            _signal_group(self._process.pid, signal.SIGKILL)
            self.stop()

    def tail(self, lines: int = 20) -> str:
        """The last lines of its log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return "(no log)"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
