# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One outcome for a whole run of ansible-playbook: asks the run's broker, starts it, or goes without it. Private.

Each task on each host is a process of its own. They meet at a socket in the directory that Ansible makes for each run,
readable by its user alone; the outcome itself lies in the memory of the broker (broker.py) and nowhere else.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import subprocess
import sys
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing.wire import (
    GRACE,
    HELLO,
    LEAD,
    LENGTH,
    LIMIT,
    peer_uid,
)

SOCKET: t.Final = "tazlab.socket"
LOCK: t.Final = "tazlab.lock"
# The longest path that fits into an AF_UNIX address everywhere.
_LONGEST: t.Final = 100
_BACKLOG: t.Final = 4096
# The broker is found through the directory that holds ansible_collections, without Ansible's own import machinery.
_BROKER: t.Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing.broker import main; main()"
)


class NoBroker(Exception):
    """The outcome cannot be shared here; the caller fetches for itself."""


def shared(key: bytes, bound: float, fetch: Callable[[], bytes], directory: Path, root: int) -> bytes:
    """The run's outcome for this key: fetched by the first caller, within C(bound) seconds, and given to every other.

    C(directory) is private to the run, C(root) is the process that the run ends with.
    """
    for _attempt in range(2):
        try:
            with _connect(directory, root) as connection:
                connection.settimeout(3 * (bound + GRACE) + 30)
                connection.sendall(HELLO.pack(key, bound))
                if _receive(connection, 1) != LEAD:
                    return _outcome(connection)
                return _lead(connection, fetch)
        except OSError:
            continue  # the broker is gone: start another one
    raise NoBroker


def _lead(connection: socket.socket, fetch: Callable[[], bytes]) -> bytes:
    outcome = fetch()
    with contextlib.suppress(OSError):  # who leads too long has been answered already, and left
        connection.sendall(LENGTH.pack(len(outcome)) + outcome)
    try:
        _receive(connection, 1)
        return _outcome(connection)  # another leader's, if this one came too late
    except OSError:
        return outcome


def _outcome(connection: socket.socket) -> bytes:
    (length,) = LENGTH.unpack(_receive(connection, LENGTH.size))
    if length > LIMIT:
        raise ConnectionError
    return _receive(connection, length)


def _receive(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        chunk = connection.recv(length - len(data))
        if not chunk:
            raise ConnectionError
        data += chunk
    return data


def _connect(directory: Path, root: int) -> socket.socket:
    """A connection to the run's broker, which is started when there is none."""
    with _address(directory) as (path, folder):
        try:
            return _dial(path)
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        except OSError:
            raise NoBroker from None
        lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return _dial(path)
            except (FileNotFoundError, ConnectionRefusedError):
                _start(path, folder, root)
            return _dial(path)
        except OSError:
            raise NoBroker from None
        finally:
            os.close(lock)


def _dial(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    if peer_uid(connection) != os.getuid():
        connection.close()
        raise NoBroker
    return connection


def _start(path: str, folder: int, root: int) -> None:
    """Listen, and hand the listening socket to a new process: callers can connect before it has even begun."""
    if not sys.executable:
        raise NoBroker
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET, dir_fd=folder)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(_BACKLOG)
        broker = subprocess.Popen(  # pylint: disable=ansible-bad-function  # no module: it runs on the controller
            [sys.executable, "-IBS", "-c", _BROKER, str(Path(__file__).parents[6]), str(root)],
            env={},
            cwd="/",
            stdin=listener.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    if root not in (os.getpid(), os.getppid()):  # the run has ended meanwhile, and its number may be somebody else's
        broker.kill()
        broker.wait()
        raise NoBroker
    broker.returncode = 0  # nobody waits for it: it outlives this process, and ends with the run


@contextlib.contextmanager
def _address(directory: Path) -> Iterator[tuple[str, int]]:
    """The socket's path, short enough for an address, and its directory, which must be this user's alone."""
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        raise NoBroker from None
    try:
        status = os.fstat(folder)
        if status.st_uid != os.getuid() or status.st_mode & 0o077:
            raise NoBroker
        path = str(directory / SOCKET)
        if len(os.fsencode(path)) <= _LONGEST:
            yield path, folder
        elif sys.platform == "linux":
            yield f"/proc/self/fd/{folder}/{SOCKET}", folder
        else:
            with contextlib.chdir(directory):
                yield SOCKET, folder
    finally:
        os.close(folder)
