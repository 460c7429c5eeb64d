# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends this process, with the children that it started, as soon as the run that it belongs to has ended. Private.

Each task on each host is a process that ansible-playbook forks, with a session of its own. When ansible-playbook is
killed, nobody ends it: it would go on changing things for minutes. So a thread waits for that. Linux' PR_SET_PDEATHSIG
does not serve: other systems lack it, it follows a thread of the parent's instead of the parent, and children would
need it set between fork and exec, where a process that has threads must run no Python.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import selectors
import signal
import subprocess
import sys
import threading
import time
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

POLL_SECONDS: t.Final = 0.2
_SIGNALS: t.Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


# --------------------------------------------------------------------------------------------- another process' end


def watch(process: int) -> t.Any:
    """What becomes readable when the process ends, for a selector; None where this system has no such thing.

    Raises ProcessLookupError when it has ended already.
    """
    try:
        if sys.platform == "linux":
            return os.pidfd_open(process)
        if sys.platform == "darwin":
            queue = select.kqueue()
            end = select.kevent(process, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            queue.control([end], 0)
            return queue
    except ProcessLookupError:
        raise
    except (AttributeError, OSError):  # a Python or a kernel without it, or too many files
        pass
    return None


# --------------------------------------------------------------------------------------------- our own end

_guarded = 0  # the process that the thread guards: a fork inherits the variable, and not the thread


def end_with_run() -> None:
    """From now on this process ends when its run does. Nothing happens where it is not a run's child."""
    global _guarded
    run = multiprocessing.parent_process()
    if run is None or run.pid is None or _guarded == os.getpid():
        return
    _guarded = os.getpid()
    try:
        end = watch(run.pid)
    except ProcessLookupError:
        _end()
    if os.getppid() != run.pid:  # it had ended, and its number may be somebody else's by now
        _end()
    threading.Thread(target=_await, args=(run.pid, end), name="tazlab-lifeline", daemon=True).start()


def _await(run: int, end: t.Any) -> None:
    try:
        with selectors.DefaultSelector() as selector:
            if end is not None:
                selector.register(end, selectors.EVENT_READ)
                selector.select()
    except OSError:  # too many files
        pass
    while os.getppid() == run:
        time.sleep(POLL_SECONDS)
    _end()


def _end() -> t.NoReturn:
    """End at once: nothing that this process still has to do is wanted by anybody."""
    _children.kill()
    os._exit(1)


# --------------------------------------------------------------------------------------------- our children


class _Children:
    """The children that run now. Each leads a process group, so that what it started ends with it."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        # Between its start and its entry here a child is nobody's: neither the thread nor a signal may come in between.
        self._entrance = threading.RLock()
        self._starting = False
        self._postponed: int | None = None

    def start(self, argv: Sequence[str], options: Mapping[str, t.Any]) -> subprocess.Popen[bytes]:
        with self._entrance:
            self._starting = True
            try:
                child = subprocess.Popen(  # pylint: disable=ansible-bad-function  # no module: it runs on the controller
                    list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0, **options
                )
                self._running.add(child)
            finally:
                self._starting = False
                postponed, self._postponed = self._postponed, None
                if postponed is not None:
                    os.kill(os.getpid(), postponed)
        return child

    def forget(self, child: subprocess.Popen[bytes]) -> None:
        self._running.discard(child)

    def kill(self) -> None:
        entered = self._entrance.acquire(timeout=1.0)
        for child in list(self._running):
            kill(child)
        if entered:
            self._entrance.release()

    def postpones(self, number: int) -> bool:
        """Whether a signal has to come again, since a child is just being started."""
        if self._starting:
            self._postponed = number
        return self._starting


_children = _Children()


@contextlib.contextmanager
def running(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    stderr: int = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """A child that lasts no longer than the block, this process, and the run: however each of them ends."""
    end_with_run()
    with signals_reach_children():
        child = _children.start(argv, {"env": dict(env), "cwd": cwd, "stderr": stderr, "pass_fds": tuple(pass_fds)})
        try:
            with child:
                try:
                    yield child
                except BaseException:
                    kill(child)
                    raise
        finally:
            _children.forget(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    """End a child with everything that it started."""
    if child.returncode is not None:
        return
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        child.kill()


@contextlib.contextmanager
def signals_reach_children() -> Iterator[None]:
    """Have a signal end the children, too: Ansible's processes end within their signal handler, cleaning up nothing."""
    previous: dict[int, t.Any] = {}

    def end(number: int, _frame: t.Any) -> None:
        if _children.postpones(number):
            return
        _children.kill()
        signal.signal(number, previous[number])
        os.kill(os.getpid(), number)

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            before = signal.getsignal(number)
            if before not in (signal.SIG_IGN, None):
                previous[number] = before
                signal.signal(number, end)
    try:
        yield
    finally:
        for kind, handler in previous.items():
            signal.signal(kind, handler)
