# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a difference although the task's result is hidden, because its arguments hold a token and no diff does.

Private: other collections must not import it.
"""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Iterator, Mapping, Sequence

from ansible import constants as C
from ansible.utils.display import Display

_COLOURS: t.Final = {"+": "COLOR_DIFF_ADD", "-": "COLOR_DIFF_REMOVE", "@": "COLOR_DIFF_LINES"}


def difference(what: str, before: t.Any, after: t.Any) -> dict[str, t.Any]:
    """A difference as a task's result gives it."""
    return {"before_header": f"{what} now", "after_header": f"{what} then", "before": before, "after": after}


def show_diff(diffs: Sequence[Mapping[str, t.Any]]) -> None:
    """Print differences, given as a task's result gives them, in the colours in which Ansible does."""
    display = Display()
    for line in diff_lines(diffs):
        colour = _COLOURS.get(line[:1])
        display.display(line, color=getattr(C, colour) if colour else None)


def diff_lines(diffs: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    """The differences as unified diffs, line by line."""
    for diff in diffs:
        before, after = diff["before"].splitlines(), diff["after"].splitlines()
        yield from difflib.unified_diff(
            before, after, f"before: {diff['before_header']}", f"after: {diff['after_header']}", lineterm=""
        )
