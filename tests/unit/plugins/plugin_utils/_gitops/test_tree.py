# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing outside of a repository is read, and no file of it without a bound."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import MOST_BYTES, Tree, Unreadable


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "secret.yaml").write_text("canary: 1\n")
    root = tmp_path / "tree"
    (root / "apps").mkdir(parents=True)
    (root / "apps" / "a.yaml").write_text("a: 1\n---\n# nothing\n---\nb: 2\n")
    return Tree(root)


def test_paths_are_of_the_repository(tree: Tree) -> None:
    assert tree.normal("./apps/", "") == "apps"
    assert tree.normal("../", "apps") == ""
    for path, base in (("../..", "apps"), ("/etc/passwd", "apps"), ("..", "")):
        with pytest.raises(Unreadable, match="leads out of the repository"):
            tree.normal(path, base)


@pytest.mark.parametrize("target", ["../../secret.yaml", "/etc/hostname"])
def test_a_link_that_leads_out_is_refused(tree: Tree, target: str) -> None:
    (tree.root / "apps" / "out.yaml").symlink_to(target)
    with pytest.raises(Unreadable, match="a link that leads out"):
        tree.documents("apps/out.yaml")


def test_documents_that_are_empty_do_not_count(tree: Tree) -> None:
    assert [(each.value, each.line) for each in tree.documents("apps/a.yaml")] == [({"a": 1}, 1), ({"b": 2}, 5)]


def test_a_file_is_bounded(tree: Tree) -> None:
    (tree.root / "large.yaml").write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(Unreadable, match="larger than 4 MiB"):
        tree.read("large.yaml")
    with pytest.raises(Unreadable, match="it is not there"):
        tree.read("none.yaml")
    (tree.root / "broken.yaml").write_text("a: [canary\n")
    with pytest.raises(Unreadable, match=r"it is not YAML that is read here \(line 2\)") as raised:
        tree.documents("broken.yaml")
    assert "canary" not in str(raised.value)


def test_a_file_that_repeats_itself_is_refused(tree: Tree) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 10)]
    (tree.root / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(Unreadable, match="larger or deeper than manifests are"):
        tree.documents("bomb.yaml")
    text = "x" * 100_000
    (tree.root / "long.yaml").write_text(f"a: &a {text}\nb: [{', '.join(['*a'] * 20_000)}]\n")
    with pytest.raises(Unreadable, match="larger or deeper than manifests are"):
        tree.documents("long.yaml")


@pytest.mark.parametrize("text", ["&a {a: *a}", "[" * 600 + "]" * 600, "[" * 90 + "x" + "]" * 90 + "\n" + "{" * 200])
def test_what_is_nested_too_deep_is_refused(tree: Tree, text: str) -> None:
    (tree.root / "deep.yaml").write_text(text)
    with pytest.raises(Unreadable, match="it is not YAML that is read here"):
        tree.documents("deep.yaml")


def test_links_to_folders_are_not_followed(tree: Tree) -> None:
    (tree.root / "link").symlink_to("apps")
    for path in ("link", "link/a.yaml"):
        with pytest.raises(Unreadable, match="link to a folder"):
            tree.place(path)
    (tree.root / "same.yaml").symlink_to("apps/a.yaml")
    assert tree.documents("same.yaml") == tree.documents("apps/a.yaml")


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "apps/a.yaml/b"])
def test_what_is_no_path_is_refused(tree: Tree, path: str) -> None:
    with pytest.raises(Unreadable):
        tree.read(path)


def test_every_file_is_listed_but_gits_own(tree: Tree) -> None:
    (tree.root / ".git").mkdir()
    (tree.root / ".git" / "config").touch()
    (tree.root / "b.yaml").touch()
    assert tree.files("") == ["b.yaml", "apps/a.yaml"]
    assert tree.files("apps") == ["apps/a.yaml"]
