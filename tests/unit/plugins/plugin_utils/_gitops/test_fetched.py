# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a repository Flux fetches what it is not told to ignore; test_gitops.py compares the two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.fetched import Fetched
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree, Unreadable
from lab.gitopscorpus import Case

Fetch = Callable[..., Fetched]


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    def fetch(*paths: str, ignore: str = "", **own: str) -> Fetched:
        files = dict.fromkeys(paths, "a: 1\n")
        files |= {f"{folder}/.sourceignore".removeprefix("root/"): text for folder, text in own.items()}
        return Fetched(Tree(Case(files).write(tmp_path)), ignore)

    return fetch


DEFAULTS = ("a.png", ".github/ci.yml", "deep/.sops.yaml", "deep/.gitignore")


def test_defaults_hold_until_anything_is_told(fetch: Fetch) -> None:
    assert fetch(*DEFAULTS, "a.yaml").files("") == ["a.yaml"]
    assert fetch(ignore="# only a comment").files("") == ["a.yaml"]
    assert fetch(ignore="nothing").files("") == ["a.png", "a.yaml", ".github/ci.yml", "deep/.sops.yaml"]
    there = fetch(elsewhere="nothing").files("")
    assert there == ["a.png", "a.yaml", ".github/ci.yml", "deep/.sops.yaml", "elsewhere/.sourceignore"]


def test_patterns_of_a_folder_are_for_what_is_below_it(fetch: Fetch) -> None:
    tree = fetch("a", "deep/a", "deep/er/a", "deep/b", "other/deep/a", deep="/a\n/er/a")
    assert tree.files("") == ["a", "deep/.sourceignore", "deep/b", "other/deep/a"]


def test_the_source_overrules_the_nearest_folder_and_that_the_others(fetch: Fetch) -> None:
    paths = ("deep/a", "deep/b", "deep/c")
    tree = fetch(*paths, ignore="!c", root="b\nc\n!a", deep="!b\na\nc")
    assert [path for path in paths if tree.is_file(path)] == ["deep/b", "deep/c"]


def test_a_folder_is_there_when_something_of_it_is(fetch: Fetch) -> None:
    tree = fetch("a/b/c", "a/d", "e/f", ignore="/a/\n!c\n/e")
    assert [path for path in ("", "a", "a/b", "e", "g") if tree.is_folder(path)] == ["", "a", "a/b"]


def test_why_a_file_is_not_there_is_said(fetch: Fetch) -> None:
    tree = fetch("a.yaml", "b.yaml", ignore="a.yaml")
    (tree.root / "link.yaml").symlink_to("b.yaml")
    with pytest.raises(Unreadable, match=r"a\.yaml of the repository: Flux does not fetch it: \.sourceignore"):
        tree.documents("a.yaml")
    with pytest.raises(Unreadable, match="it is a link, and Flux fetches none"):
        tree.documents("link.yaml")
    with pytest.raises(Unreadable, match="it is not there"):
        tree.documents("c.yaml")
    assert tree.files("") == ["b.yaml"]
    assert not tree.is_file("link.yaml")


def test_what_would_be_written_is_looked_at_as_what_lies_there(fetch: Fetch) -> None:
    there = fetch("a.yaml")
    tree = Fetched(there.with_files({"b.yaml": b"", "deep/.sourceignore": b"c.yaml", "deep/c.yaml": b""}))
    assert tree.files("") == ["a.yaml", "b.yaml", "deep/.sourceignore"]
