# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns fit what they fit for source-controller; test_gitops.py compares the two over many more."""

from __future__ import annotations

import time

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.ignore import leaves_out, patterns


@pytest.mark.parametrize(
    ("text", "left", "kept"),
    [
        ("a", ["a", "b/a", "a/b"], ["ab", "b"]),
        ("/a", ["a", "a/b"], ["b/a"]),
        ("a/", ["a/b", "b/a/c"], ["a", "b/a"]),
        ("b/a", ["b/a", "b/a/c"], ["c/b/a"]),
        ("**/a/b", ["a/b", "c/d/a/b"], ["a/x/a/b", "a/c"]),
        ("a/**", ["a", "a/b/c"], ["b/a"]),
        ("a/**/c", ["a/c", "a/b/c", "a/b/b/c/d"], ["c", "a/b"]),
        ("*.yaml", ["b.yaml", "a/.yaml/c"], ["a.yml"]),
        ("/*/", ["a/b"], ["a"]),
        ("[!a]", ["!", "a"], ["b"]),
        ("[^a-c]?", ["dx"], ["ax", "d"]),
        ("[+-9]", ["0"], ["a/b"]),
        ("\\#a", ["#a"], ["a"]),
        (" a", [" a"], ["a"]),
        ("a  \r", ["a"], []),
        ("a\\ ", ["a "], ["a"]),
        ("/*\n!/a", ["b", "b/a"], ["a", "a/b"]),
        ("!a\na", ["a"], []),
        ("[a\na[]\n\\", [], ["a", "[a", "[", "\\"]),
        ("a**/b\n/\n**/**", [], ["a/b", "ab/b", "a"]),
    ],
)
def test_patterns(text: str, left: list[str], kept: list[str]) -> None:
    given = patterns(text)
    assert [path for path in left if not leaves_out(given, path, is_folder=False)] == []
    assert [path for path in kept if leaves_out(given, path, is_folder=False)] == []


def test_a_folder_is_told_from_a_file() -> None:
    assert leaves_out(patterns("a/"), "b/a", is_folder=True)
    assert not leaves_out(patterns("a/"), "b/a", is_folder=False)


def test_what_no_pattern_fits_is_not_said_to_be_kept() -> None:
    assert leaves_out(patterns("a\n!b"), "c", is_folder=False) is None
    assert leaves_out(patterns("a\n!b"), "b", is_folder=False) is False


def test_comments_and_empty_lines_are_none_and_what_fits_nothing_is_one() -> None:
    assert patterns("# a\n\n  \t\n") == []
    assert len(patterns("/\n[\n #")) == 3


def test_a_pattern_with_many_stars_takes_no_time() -> None:
    begin = time.monotonic()
    given = patterns("*a" * 200 + "b\n" + "**/a/" * 50 + "b")
    assert not leaves_out(given, "/".join(["a" * 200] * 20), is_folder=False)
    assert time.monotonic() - begin < 5
