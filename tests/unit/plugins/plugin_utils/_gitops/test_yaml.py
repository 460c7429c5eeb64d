# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plain word means, as test_gitops.py compares it with Flux' own programs."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.yaml import dump, lined, manifests, replaced


@pytest.mark.parametrize(
    ("word", "read", "after"),
    [
        ("yes", "yes", True),
        ("true", True, True),
        ("22:22", "22:22", "22:22"),
        ("1.0", 1, 1),
        ("1e3", 1000, 1000),
        ("0755", 493, 493),
        ("08", 8, 8),
        ("2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("=", "=", "="),
        ("'yes'", "yes", "yes"),
    ],
)
def test_words(word: str, read: Any, after: Any) -> None:
    assert manifests(f"a: {word}\n".encode()) == [{"a": read}]
    assert replaced(f"a: {word}\n") == {"a": after}


def test_what_is_written_is_read_again() -> None:
    value = {"a": ["yes", "y", "1.0", "22:22", "", "null", "=", "a: b", "two\nlines\n"], "b": True, "c": None, "d": 1}
    assert replaced(dump(value)) == value
    assert manifests(dump(value).encode()) == [value]


def test_an_anchor_may_be_there_again() -> None:
    assert manifests(b"- &a x\n- *a\n- &a y\n- *a\n") == [["x", "x", "y", "y"]]


@pytest.mark.parametrize("text", ["a: [canary", "a: .nan", "a: !!python/object:os.system {}", "a: *canary", "\t- a"])
def test_what_is_not_yaml_is_not_quoted(text: str) -> None:
    with pytest.raises(NotYaml) as raised:
        manifests(text.encode())
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a: 1\n---\n\n# why\nb: 1\n", [(1, ()), (5, ())]),
        ("--- # why\n# more\na: 1\n--- {b: 1}\n", [(3, ()), (4, ())]),
        ("kind: List\nitems:\n  - a: 1\n  # why\n  -\n    b: 1\n  - {c: 1}\n", [(1, (3, 6, 7))]),
        ("items: &a [x]\n---\nx: &a 1\ny: &a 2\n", [(1, (1,)), (3, ())]),
        ("x: &a {items: [1,\n 2]}\n<<: *a\n", [(1, (1, 2))]),
        ("items: {a: b}\n", [(1, ())]),
        ("# nothing\n", []),
    ],
)
def test_documents_and_what_they_list_know_their_lines(text: str, lines: Any) -> None:
    assert [(each.line, each.items) for each in lined(text.encode())] == lines
