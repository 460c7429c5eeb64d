# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of .sourceignore and of a GitRepository's ignore, as source-controller reads them. Pure.

That is not as Git reads .gitignore: a later pattern keeps a file of a folder that is left out, what follows C(**) has
to fit at the first place that does, and [!a] is no negation.
Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Sequence
from dataclasses import dataclass

FILE: t.Final = ".sourceignore"

_NEVER: t.Final = re.compile(r"(?!)")
_END: t.Final = r"(?:/|\Z)"  # of a part of a path


@dataclass(frozen=True)
class Pattern:
    """One line: which paths it fits, whether it keeps those, and whether it means a folder, and what is below."""

    fits: re.Pattern[str]
    keeps: bool = False
    folders: bool = False

    def is_of(self, path: str, is_folder: bool) -> bool:
        found = self.fits.match(path)
        return found is not None and (is_folder or not self.folders or found.end() < len(path))


def patterns(text: str) -> list[Pattern]:
    """The patterns of a text; a line that fits nothing is one, too."""
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return [_pattern(line) for line in lines if line.strip() and not line.startswith("#")]


def leaves_out(given: Sequence[Pattern], path: str, *, is_folder: bool) -> bool | None:
    """What the last of these patterns that fits a path says of it; None where none fits. It is relative to theirs."""
    return next((not each.keeps for each in reversed(given) if each.is_of(path, is_folder)), None)


def _pattern(line: str) -> Pattern:
    keeps = line.startswith("!")
    text = line[1:] if keeps else line
    text = text if text.endswith("\\ ") else text.rstrip(" ")
    folders = text.endswith("/")
    text = text.removesuffix("/")
    try:
        return Pattern(re.compile(_path(text) if "/" in text else _step(text, anywhere=True)), keeps, folders)
    except ValueError:
        return Pattern(_NEVER, keeps, folders)


def _path(text: str) -> str:
    """The expression of a pattern that names folders."""
    parts = text.split("/")
    if parts[-1] == "**":  # whatever is below, and what is named itself
        parts.pop()
    steps = []
    anywhere = False
    for part in parts:
        if part in ("", "**"):
            anywhere = part == "**"
        elif "**" in part:
            raise ValueError("stars beside something else")
        else:
            steps.append(_step(part, anywhere=anywhere))
            anywhere = False
    if not steps:
        raise ValueError("nothing is named")
    return "".join(steps)


def _step(part: str, *, anywhere: bool) -> str:
    """The expression of one part of a path, at this place or at the first one that fits."""
    step = f"(?!\\Z){_glob(part)}{_END}"
    return f"(?>(?:[^/]+/)*?{step})" if anywhere else step


def _glob(text: str) -> str:
    """The expression of a name with wildcards. What stands between two stars is taken where it comes first."""
    pieces = [""]
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "*":
            pieces.append("")
            at += 1
        elif sign == "?":
            pieces[-1] += "[^/]"
            at += 1
        elif sign == "[":
            piece, at = _class(text, at + 1)
            pieces[-1] += piece
        else:
            literal, at = _sign(text, at, "")
            pieces[-1] += re.escape(literal)
    first, *others = pieces
    if not others:
        return first
    middle = "".join(f"(?>[^/]*?{piece})" for piece in others[:-1] if piece)
    return f"{first}{middle}[^/]*{others[-1]}"


def _class(text: str, at: int) -> tuple[str, int]:
    """The expression of some letters, which begin here, and where what follows begins."""
    isnt = text.startswith("^", at)
    at += isnt
    begin = at
    ranges = []
    while at == begin or not text.startswith("]", at):
        low, at = _sign(text, at, "-]")
        high, at = _sign(text, at + 1, "-]") if text.startswith("-", at) else (low, at)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    some = f"[{'^' if isnt else ''}{''.join(ranges)}]" if ranges else ("[^/]" if isnt else "(?!)")
    return f"(?!/){some}", at + 1


def _sign(text: str, at: int, not_plain: str) -> tuple[str, int]:
    """A letter, which may be escaped, and where the next one begins."""
    if text[at : at + 1] == "\\":
        at += 1
    elif text[at : at + 1] in not_plain:  # as nothing is, too
        raise ValueError("no letter is there")
    if at >= len(text):
        raise ValueError("no letter is left")
    return text[at], at + 1
