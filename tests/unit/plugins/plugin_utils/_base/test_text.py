# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How lists and tables are printed."""

from __future__ import annotations

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted, few, numbered, table


def test_columns_are_aligned_and_no_line_ends_in_blanks() -> None:
    assert table([["a", "bbb", "c"], ["dd", "e"]], "  ") == ["  a   bbb  c", "  dd  e"]
    assert table([["name", "x"], ["a", ""]], header=True) == ["name  x", "----  -", "a"]
    assert table([]) == []


def test_a_list_says_how_many_there_are() -> None:
    assert [counted(number, "problem") for number in (0, 1, 2)] == ["0 problems", "1 problem", "2 problems"]
    assert numbered(["a", "b"]) == "\n  1. a\n  2. b"
    assert few(list("abc"), 2) == "a, b and 1 more"
    assert few(list("ab"), 2) == "a, b"
