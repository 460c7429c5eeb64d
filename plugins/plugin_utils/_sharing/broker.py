# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that holds one run's outcomes in its memory, started by client.py. Private.

It needs nothing but Python's own library. Who asks for a key first is told to lead, and fetches; everybody else waits
for what the leader delivers. It ends with the run that it belongs to, however that ends.

"""

from __future__ import annotations

import math
import os
import resource
import selectors
import signal
import socket
import sys
import time

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.lifeline import watch
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing.wire import (
    GRACE,
    HELLO,
    LEAD,
    LENGTH,
    LIMIT,
    OUTCOME,
    peer_uid,
)

LONGEST = 3600.0  # seconds of one wait; the system knows none of any length


class Caller:
    """One connection: what it has sent so far, what it asked for, and until when it may lead."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.received = b""
        self.key: bytes | None = None
        self.bound = 0.0
        self.leads_until: float | None = None


class Broker:
    """All callers of one run, and the outcomes that were delivered."""

    def __init__(self, listener: socket.socket, root: int) -> None:
        self.listener = listener
        self.outcomes: dict[bytes, bytes] = {}
        self.callers: list[Caller] = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ, self._accept)
        self.root = root
        try:
            self.watch = watch(root)
        except ProcessLookupError:
            raise SystemExit from None
        if self.watch is not None:
            self.selector.register(self.watch, selectors.EVENT_READ, self._end)

    def serve(self) -> None:
        while self.watch is not None or _is_alive(self.root):
            for key, _events in self.selector.select(self._patience()):
                if key.data(key.fileobj):
                    return
            self._replace_late_leaders()

    def _patience(self) -> float | None:
        """Seconds until something must be looked at although nobody sends anything."""
        moments = [caller.leads_until for caller in self.callers if caller.leads_until is not None]
        patience = min(max(0.0, min(moments) - time.monotonic()), LONGEST) if moments else None
        if self.watch is None:
            return 1.0 if patience is None else min(1.0, patience)
        return patience

    def _end(self, _watch: object) -> bool:
        return True

    def _accept(self, listener: socket.socket) -> bool:
        connection, _address = listener.accept()
        if peer_uid(connection) != os.getuid():
            connection.close()
            return False
        connection.setblocking(False)
        caller = Caller(connection)
        self.callers.append(caller)
        self.selector.register(connection, selectors.EVENT_READ, lambda _connection: self._read(caller))
        return False

    def _read(self, caller: Caller) -> bool:
        try:
            data = caller.connection.recv(1 << 20)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        caller.received += data
        if not data or len(caller.received) > LIMIT:
            self._drop(caller)
        elif caller.key is None:
            self._greet(caller)
        else:
            self._deliver(caller)
        return False

    def _greet(self, caller: Caller) -> None:
        if len(caller.received) < HELLO.size:
            return
        caller.key, caller.bound = HELLO.unpack_from(caller.received)
        caller.received = caller.received[HELLO.size :]
        if math.isnan(caller.bound):  # it is neither before nor after any moment
            self._drop(caller)
        elif caller.key in self.outcomes:
            self._answer(caller)
        elif not any(other.leads_until is not None and other.key == caller.key for other in self.callers):
            self._lead(caller)

    def _deliver(self, caller: Caller) -> None:
        if len(caller.received) < LENGTH.size or caller.key is None:
            return
        (length,) = LENGTH.unpack_from(caller.received)
        if length > LIMIT:
            self._drop(caller)
            return
        if len(caller.received) < LENGTH.size + length:
            return
        self.outcomes.setdefault(caller.key, caller.received[LENGTH.size : LENGTH.size + length])
        for other in [other for other in self.callers if other.key == caller.key]:
            self._answer(other)

    def _lead(self, caller: Caller) -> None:
        caller.leads_until = time.monotonic() + caller.bound + GRACE
        self._send(caller, LEAD)

    def _answer(self, caller: Caller) -> None:
        outcome = self.outcomes[caller.key or b""]
        self._send(caller, OUTCOME + LENGTH.pack(len(outcome)) + outcome)
        self._drop(caller)

    def _send(self, caller: Caller, data: bytes) -> None:
        """Send at once: an outcome is small, and a caller that does not read loses it after a second."""
        try:
            caller.connection.settimeout(1.0)
            caller.connection.sendall(data)
            caller.connection.setblocking(False)
        except OSError:
            self._drop(caller)

    def _drop(self, caller: Caller) -> None:
        """Forget a caller that is served or gone; if it led, the next one in line does."""
        if caller not in self.callers:
            return
        self.callers.remove(caller)
        self.selector.unregister(caller.connection)
        caller.connection.close()
        if caller.leads_until is not None:
            self._promote(caller.key)

    def _replace_late_leaders(self) -> None:
        now = time.monotonic()
        for caller in list(self.callers):
            if caller.leads_until is not None and caller.leads_until < now:
                caller.leads_until = None
                self._promote(caller.key, after=caller)

    def _promote(self, key: bytes | None, after: Caller | None = None) -> None:
        if key is None or key in self.outcomes:
            return
        for other in list(self.callers):
            if other.key == key and other is not after and other.leads_until is None:
                self._lead(other)
                return


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _keep_memory_private() -> None:
    """No core dump; on Linux no debugger of the same user either."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        try:
            import ctypes

            ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
        except (ImportError, OSError, AttributeError):
            pass


def main() -> None:
    """Serve on the listening socket that is our standard input, for the process whose number is our last argument."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    broker = Broker(socket.socket(fileno=0), int(sys.argv[-1]))
    _keep_memory_private()
    broker.serve()
