# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(tazlab.bootstrap.problems): of registered results, what is wrong, for a report of all of it together."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem


def _problems(results: Iterable[t.Any]) -> list[t.Any]:
    return [problem for result in results for problem in _of(result)]


def _of(result: t.Any) -> Iterator[t.Any]:
    if not isinstance(result, Mapping):
        return  # the task had no part in this run
    if "problems" in result:
        yield from result["problems"]
    elif result.get("msg"):  # without a problem it failed before the module was called, as over an option's template
        code = str((result.get("problem") or {}).get("code", "failed"))
        yield Problem(code, "", str(result["msg"])).as_dict()


class FilterModule:
    """Filters for the roles of this collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"problems": _problems}
