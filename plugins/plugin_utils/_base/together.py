# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on several things side by side, with a limit, and everything that came of it. Private."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError

AT_ONCE: t.Final = 8  # things that are worked on at a time, where nobody says otherwise

_Item = t.TypeVar("_Item")
_Result = t.TypeVar("_Result")


def together(work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    """What the work gives for each item, in their order. The first error is raised when all have ended."""
    results: list[_Result] = []
    for result in attempted(work, items):
        if isinstance(result, BootstrapError):
            raise result
        results.append(result)
    return results


def attempted(
    work: Callable[[_Item], _Result], items: Sequence[_Item], at_once: int = AT_ONCE
) -> list[_Result | BootstrapError]:
    """The same, with the error of an item in its place: the others are finished all the same."""

    def tried(item: _Item) -> _Result | BootstrapError:
        try:
            return work(item)
        except BootstrapError as error:
            return error

    if len(items) < 2:
        return [tried(item) for item in items]
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        return list(pool.map(tried, items))
