# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bound over everything that an operation does. Private: other collections must not import it."""

from __future__ import annotations

import threading
import time
import typing as t
from collections.abc import Callable

_Result = t.TypeVar("_Result")


class Deadline:
    """The moment at which an operation ends, counted from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._start

    @property
    def left(self) -> float:
        return max(0.0, self.seconds - self.elapsed)


class Aside(t.Generic[_Result]):
    """Work that may never end, a name server's answer for one, done in a thread that is left behind when time is over.

    C(results) has what it returned, C(errors) what it raised: both are empty while it has not ended.
    """

    def __init__(self, work: Callable[[], _Result]) -> None:
        self.results: list[_Result] = []
        self.errors: list[BaseException] = []
        self._work = work
        self._thread = threading.Thread(target=self._run, name="tazlab-aside", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self.results.append(self._work())
        except BaseException as error:  # noqa: BLE001  # handed to whoever waits, in another thread
            self.errors.append(error)
