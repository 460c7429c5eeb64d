# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program that prints one secret: bounded in time and size, without a shell, its output in memory only.

Private: other collections must not import it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

LIMIT = 256 * 1024


@dataclass(frozen=True)
class CommandOutput:
    """What the program printed (None: no value), what is wrong with that, and how it ended."""

    text: str | None = field(default=None, repr=False)
    problem: str | None = None
    note: str = ""


def run_command(argv: Sequence[str], environ: Mapping[str, str], timeout: float) -> CommandOutput:
    """Run a program with this environment. Its standard input is empty, and what it says on standard error is dropped.

    A status other than 0 means that the program has no value: a password store ends so for a name it does not know.
    """
    with _ended_with_us() as started:
        try:
            child = subprocess.Popen(  # pylint: disable=ansible-bad-function  # no module: it runs on the controller
                list(argv),
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        except FileNotFoundError:
            return CommandOutput(note="is not installed")
        except OSError as error:
            return CommandOutput(note=f"cannot be started, errno {error.errno}")
        started.append(child)
        return _answer(child, timeout)


def _answer(child: subprocess.Popen[bytes], timeout: float) -> CommandOutput:
    with child:
        data = _output(child, time.monotonic() + timeout)
        if data is None:
            _kill(child)
            return CommandOutput(note=f"gave no answer within {timeout:g} s")
        if len(data) > LIMIT:
            _kill(child)
            return CommandOutput(problem=f"printed more than {LIMIT // 1024} KiB, which no secret is")
    if child.returncode:
        return CommandOutput(note=f"ended with status {child.returncode}")
    try:
        return CommandOutput(text=data.decode("utf-8"))
    except UnicodeDecodeError:
        return CommandOutput(problem="printed something that is not UTF-8 text")


def _output(child: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    """What the child prints until it ends, or None when it has not ended at the deadline."""
    if child.stdout is None:
        return b""
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while len(data) <= LIMIT:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not selector.select(remaining):
                return None
            chunk = os.read(child.stdout.fileno(), LIMIT)
            if not chunk:
                break
            data += chunk
        else:
            return data
    try:
        child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return data


@contextlib.contextmanager
def _ended_with_us() -> Iterator[list[subprocess.Popen[bytes]]]:
    """End the started child when we are interrupted, also where Ansible ends a task's process in its signal handler."""
    previous: dict[int, t.Any] = {}
    started: list[subprocess.Popen[bytes]] = []

    def end(number: int, frame: t.Any) -> None:
        for child in started:
            _kill(child)
        signal.signal(number, previous[number])
        os.kill(os.getpid(), number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            previous[number] = signal.getsignal(number)
            if previous[number] not in (signal.SIG_IGN, None):
                signal.signal(number, end)
    try:
        yield started
    except BaseException:
        for child in started:
            _kill(child)
        raise
    finally:
        for kind, handler in previous.items():
            if handler is not None:
                signal.signal(kind, handler)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child with everything it started: it leads a process group of its own."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        child.kill()
