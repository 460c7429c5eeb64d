# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of a repository Flux fetches what it is not told to ignore; test_gitops.py compares the two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops import tree as trees
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


@pytest.mark.parametrize("target", ["/etc/hostname", "../../x"])
def test_a_link_that_flux_does_not_fetch_is_no_file_wherever_it_leads(fetch: Fetch, target: str) -> None:
    tree = fetch("a/b/a.yaml", "x/b.yaml")
    (tree.root / "a/b/kustomization.yaml").symlink_to(target)
    assert not tree.is_file("a/b/kustomization.yaml")
    with pytest.raises(Unreadable, match="it is a link, and Flux fetches none"):
        tree.read("a/b/kustomization.yaml")


def test_patterns_are_read_through_a_link_inside_the_repository(fetch: Fetch) -> None:
    tree = fetch("a/a.yaml", "a/b.yaml", "x/b.yaml", shared="b.yaml")
    (tree.root / "a/.sourceignore").symlink_to("../shared/.sourceignore")
    (tree.root / "x/.sourceignore").symlink_to("../a")
    assert tree.files("") == ["a/a.yaml", "shared/.sourceignore", "x/b.yaml"]
    (tree.root / "a/.sourceignore").unlink()
    (tree.root / "a/.sourceignore").symlink_to("/etc/hostname")
    with pytest.raises(Unreadable, match="leads out of the repository"):
        Fetched(Tree(tree.root)).files("")


def test_what_is_left_out_does_not_count_as_a_file_of_it(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MOST_FILES", 2)
    left_out = [f"node_modules/{number}" for number in range(5)]
    tree = fetch("a.yaml", *left_out, ignore="node_modules/\n!node_modules/3")
    assert tree.files("") == ["a.yaml", "node_modules/3"]
    with pytest.raises(Unreadable, match="it has more than 2 files"):
        fetch("a.yaml", *left_out).files("")


def test_what_lies_there_is_looked_at_within_a_bound(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MOST_LOOKED_AT", 3)
    paths = ("a/a.png", "x/1", "x/2", "x/3")
    with pytest.raises(Unreadable, match="more than 3 files lie there, with those that Git or Flux leaves out"):
        fetch(*paths, ignore="x/").files("")
    with pytest.raises(Unreadable, match="more than 3 files lie there"):
        fetch(*paths).is_file("a/a.png")  # which asks for patterns anywhere
