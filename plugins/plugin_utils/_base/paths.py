# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where two trees of mappings differ, by paths and without any value. Private: other collections must not import it."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping


def leaves(value: t.Any, path: str = "", *, keys_only: bool = False) -> Iterator[tuple[str, t.Any]]:
    """Every value in a tree of mappings with its path. A list is one value: its items have no stable path."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key), keys_only=keys_only)
    elif path:
        yield path, None if keys_only else value


def differing(old: Mapping[str, t.Any], new: Mapping[str, t.Any]) -> list[str]:
    """The paths at which flat trees differ, marked as added (+), removed (-) or changed (~)."""
    marks = {path: "+" if path not in old else "-" if path not in new else "~" for path in {**old, **new}}
    return [f"{mark} {path}" for path, mark in marks.items() if mark != "~" or _different(old[path], new[path])]


def _different(one: t.Any, other: t.Any) -> bool:
    return type(one) is not type(other) or one != other
