# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How lists and tables are printed: here and nowhere else. Private: other collections must not import it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 80  # columns of the terminal that everything is made for


def table(rows: Iterable[Sequence[str]], indent: str = "", *, header: bool = False) -> list[str]:
    """Rows with their columns aligned, two blanks between them; the first one underlined where it is the header.

    The rows may be of different length.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [
        max(len(row[column]) for row in cells if column < len(row)) for column in range(max(map(len, cells), default=0))
    ]
    if header:
        cells.insert(1, ["-" * width for width in widths])
    return [
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in cells
    ]


def wrapped(line: str) -> list[str]:
    """The line, and what does not fit into it below, further in. No word is broken: it may be a path or an address."""
    inner = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(line, WIDTH, subsequent_indent=inner, break_long_words=False, break_on_hyphens=False) or [""]


def beside(text: str, note: str, width: int, indent: str = "") -> list[str]:
    """A text in a column of its own, and a note beside its first line."""
    first, *rest = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"{indent}{first.ljust(width)}  {note}", *(indent + line for line in rest)]


def numbered(lines: Iterable[str]) -> str:
    """A list below a sentence: each line with its number, on a line of its own."""
    return "".join(f"\n  {number}. {line}" for number, line in enumerate(lines, 1))


def counted(number: int, thing: str) -> str:
    """How many there are of a thing: C(1 problem), C(2 problems)."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def duration(seconds: float) -> str:
    """About how long, in the largest unit of which there are two."""
    amount = max(0, int(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if amount >= 2 * length:
            return f"{amount // length} {unit}"
    return f"{amount} s"


def few(names: Sequence[str], most: int = 6) -> str:
    """The first of many names, for a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
