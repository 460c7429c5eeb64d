# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's checkout: whole files, commits of these alone, and pushes that are overtaken."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.checkout import WorkTree


@pytest.fixture(autouse=True)
def who(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
        monkeypatch.setenv(variable, "A User")
    for variable in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(variable, "user@example.net")


def git(where: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=where, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    clone(tmp_path, "first")
    commit(tmp_path / "first", "a.yaml", "a: 1\n")
    git(tmp_path / "first", "push", "--quiet", "origin", "HEAD:main")
    return tmp_path / "origin.git"


def clone(tmp_path: Path, name: str) -> Path:
    git(tmp_path, "clone", "--quiet", "origin.git", name)
    git(tmp_path / name, "symbolic-ref", "HEAD", "refs/heads/main")
    return tmp_path / name


def commit(where: Path, name: str, content: str) -> None:
    (where / name).write_text(content)
    git(where, "add", "--all")
    git(where, "commit", "--quiet", "--message=x")


def work(where: Path) -> WorkTree:
    return WorkTree(str(where), Deadline(60))


def test_a_file_is_written_whole_with_the_mode_that_it_had(origin: Path, tmp_path: Path) -> None:
    mine = clone(tmp_path, "mine")
    (mine / "a.yaml").chmod(0o600)
    left = mine / ".a.yaml.tazlab-0a1b2c3d"
    left.write_text("half")
    work(mine).write({"a.yaml": b"a: 2\n", "new/folder/b.yaml": b"b: 1\n"})
    assert (mine / "a.yaml").read_text() == "a: 2\n"
    assert (mine / "a.yaml").stat().st_mode & 0o777 == 0o600
    assert (mine / "new/folder/b.yaml").read_text() == "b: 1\n"
    assert not left.exists(), "which a run left that was killed"


def test_what_somebody_has_changed_is_told_and_what_a_killed_run_has_left_is_not(origin: Path, tmp_path: Path) -> None:
    mine = clone(tmp_path, "mine")
    for name in ("a.yaml", "b.yaml", "other.yaml", "left.yaml", "added.yaml", "both.yaml"):
        (mine / name).write_text("mine")
    git(mine, "add", "added.yaml", "both.yaml")
    (mine / "both.yaml").write_text("ours")
    ours = dict.fromkeys(("a.yaml", "b.yaml", "c.yaml", "both.yaml"), b"ours")
    ours |= dict.fromkeys(("left.yaml", "added.yaml"), b"mine")
    assert work(mine).uncommitted(ours) == ["a.yaml", "both.yaml", "b.yaml"]


def test_the_last_commit_is_known_whatever_lies_in_the_files(origin: Path, tmp_path: Path) -> None:
    mine = clone(tmp_path, "mine")
    for name in ("changed", "gone", "mode", "same"):
        commit(mine, f"{name}.yaml", f"{name}: 1\n")
    (mine / "changed.yaml").write_text("mine")
    (mine / "gone.yaml").unlink()
    (mine / "mode.yaml").write_text("mine")
    git(mine, "add", "mode.yaml")
    (mine / "mode.yaml").write_text("mine again")
    (mine / "new").mkdir()
    (mine / "new" / "é b.yaml").write_text("mine")
    (mine / "added.yaml").write_text("mine")
    git(mine, "add", "added.yaml")
    tree = work(mine)
    last = tree.last_commit()
    assert last == {
        "added.yaml": None,
        "changed.yaml": b"changed: 1\n",
        "gone.yaml": b"gone: 1\n",
        "mode.yaml": b"mode: 1\n",
        "new/é b.yaml": None,
    }
    there = tree.tree.with_files(last)
    assert there.files("") == ["a.yaml", "changed.yaml", "gone.yaml", "mode.yaml", "same.yaml"]
    assert (there.is_folder("new"), there.is_file("new/é b.yaml"), there.is_file("gone.yaml")) == (False, False, True)


def test_a_link_stays_as_it_lies_there(origin: Path, tmp_path: Path) -> None:
    mine = clone(tmp_path, "mine")
    (mine / "link.yaml").symlink_to("a.yaml")
    commit(mine, "b.yaml", "b: 1\n")
    (mine / "link.yaml").unlink()
    (mine / "link.yaml").symlink_to("b.yaml")
    assert work(mine).last_commit() == {}


def test_what_keeps_git_from_committing_or_pushing_is_told(origin: Path, tmp_path: Path) -> None:
    mine = clone(tmp_path, "mine")
    assert not list(work(mine).hindrances(commit=True, push=True))
    (mine / ".git" / "index.lock").touch()
    (mine / ".git" / "HEAD").write_text(git(mine, "rev-parse", "HEAD"))
    assert [each.code for each in work(mine).hindrances(commit=True, push=True)] == ["locked", "no_branch"]
    (mine / ".git" / "index.lock").unlink()
    (alone,) = work(mine).hindrances(commit=True, push=False)
    assert "Check out the branch" in alone.text
    assert "--abort" not in alone.text
    assert not list(work(mine).hindrances(commit=False, push=False))


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["rebase", "other"], "rebase --abort"),
        (["rebase", "--apply", "other"], "rebase --abort"),
        (["merge", "other"], "merge --abort"),
        (["cherry-pick", "other"], "cherry-pick --abort"),
        (["revert", "HEAD~1"], "revert --abort"),
        (["am", "--3way", "0001-x.patch"], "am --abort"),
    ],
)
def test_what_git_has_begun_here_is_told_with_the_command_that_takes_it_back(
    origin: Path, tmp_path: Path, words: list[str], command: str
) -> None:
    mine = clone(tmp_path, "mine")
    git(mine, "branch", "other")
    for content in ("a: 2\n", "a: 3\n"):
        commit(mine, "a.yaml", content)
    git(mine, "checkout", "--quiet", "other")
    commit(mine, "a.yaml", "a: other\n")
    git(mine, "format-patch", "-1")
    git(mine, "checkout", "--quiet", "main")
    begun = subprocess.run(["git", *words], cwd=mine, check=False, capture_output=True, text=True)
    assert begun.returncode != 0, begun.stdout
    for push in (False, True):
        (told,) = work(mine).hindrances(commit=True, push=push)
        assert told.code == "begun"
        assert f"git -C {mine} {command}" in told.text
    assert not list(work(mine).hindrances(commit=False, push=False))
    git(mine, *command.split())
    assert not list(work(mine).hindrances(commit=True, push=True))


def test_a_branch_that_was_never_pushed_is_ahead(origin: Path, tmp_path: Path) -> None:
    mine = clone(tmp_path, "mine")
    git(mine, "checkout", "--quiet", "-b", "other")
    assert not work(mine).is_ahead
    commit(mine, "b.yaml", "b: 1\n")
    assert work(mine).is_ahead
    work(mine).push()
    assert not work(mine).is_ahead
    assert git(origin, "log", "-1", "--format=%s", "other").strip() == "x"


def test_a_commit_has_these_files_alone(origin: Path, tmp_path: Path) -> None:
    mine = clone(tmp_path, "mine")
    (mine / "other.yaml").write_text("mine")
    git(mine, "add", "other.yaml")
    tree = work(mine)
    tree.write({"b.yaml": b"b: 1\n"})
    made = tree.commit(["b.yaml"], "Deliver b")
    assert git(mine, "show", "--name-only", "--format=%H %s", "HEAD").split("\n")[0] == f"{made} Deliver b"
    assert git(mine, "status", "--porcelain").splitlines() == ["A  other.yaml"]


@pytest.mark.parametrize("added", [False, True])
def test_a_file_that_goes_is_committed_whether_or_not_a_killed_run_has_added_that(
    origin: Path, tmp_path: Path, added: bool
) -> None:
    mine = clone(tmp_path, "mine")
    commit(mine, "gone.yaml", "x")
    tree = work(mine)
    for files in ({"a.yaml": None, "b.yaml": b"b: 1\n"}, {"gone.yaml": None}):
        tree.write(files)
        if added:
            git(mine, "add", "--all")
        assert tree.uncommitted(files) == []
        tree.commit(files, "Deliver b")
        assert git(mine, "status", "--porcelain") == ""
    assert git(mine, "ls-files").splitlines() == ["b.yaml"]


def test_a_push_that_was_overtaken_goes_on_top(origin: Path, tmp_path: Path) -> None:
    mine, other = clone(tmp_path, "mine"), clone(tmp_path, "other")
    commit(other, "c.yaml", "c: 1\n")
    git(other, "push", "--quiet", "origin", "HEAD:main")
    tree = work(mine)
    tree.write({"b.yaml": b"b: 1\n"})
    tree.commit(["b.yaml"], "Deliver b")
    (mine / "a.yaml").write_text("not yet committed\n")
    assert tree.is_ahead
    tree.push()
    assert git(origin, "log", "--format=%s", "main").splitlines() == ["Deliver b", "x", "x"]
    assert (mine / "a.yaml").read_text() == "not yet committed\n"


def test_a_push_that_does_not_go_together_is_told_and_the_commit_stays(origin: Path, tmp_path: Path) -> None:
    mine, other = clone(tmp_path, "mine"), clone(tmp_path, "other")
    commit(other, "a.yaml", "a: theirs\n")
    git(other, "push", "--quiet", "origin", "HEAD:main")
    tree = work(mine)
    tree.write({"a.yaml": b"a: mine\n"})
    made = tree.commit(["a.yaml"], "Deliver a")
    with pytest.raises(BootstrapError, match="do not go together"):
        tree.push()
    assert git(mine, "rev-parse", "HEAD").strip() == made
    assert git(mine, "status", "--porcelain") == ""
    assert git(origin, "log", "-1", "--format=%s", "main").strip() == "x"


@pytest.mark.parametrize(("name", "content"), [("a.yaml", "a: 1\n"), ("c.yaml", None)])
def test_what_others_have_pushed_does_not_go_into_files_that_are_not_committed(
    origin: Path, tmp_path: Path, name: str, content: str | None
) -> None:
    mine, other = clone(tmp_path, "mine"), clone(tmp_path, "other")
    commit(other, name, "theirs\n")
    git(other, "push", "--quiet", "origin", "HEAD:main")
    tree = work(mine)
    tree.write({"b.yaml": b"b: 1\n"})
    made = tree.commit(["b.yaml"], "Deliver b")
    (mine / name).write_text("mine\n")
    with pytest.raises(BootstrapError, match=f"not committed in {name}.*run this again"):
        tree.push()
    assert (mine / name).read_text() == "mine\n"
    assert git(mine, "rev-parse", "HEAD").strip() == made
    assert git(mine, "stash", "list") == ""
    assert git(origin, "log", "-1", "--format=%s", "main").strip() == "x"
    if content is None:
        (mine / name).unlink()
    else:
        (mine / name).write_text(content)
    assert tree.is_ahead
    tree.push()
    assert git(origin, "log", "--format=%s", "main").splitlines() == ["Deliver b", "x", "x"]


def test_what_does_not_go_back_on_top_of_what_others_have_pushed_is_told_and_nothing_is_pushed(
    origin: Path, tmp_path: Path
) -> None:
    mine = clone(tmp_path, "mine")
    (mine / "old").mkdir()
    commit(mine, "old/c.yaml", "c: 1\n")
    git(mine, "push", "--quiet", "origin", "HEAD:main")
    other = clone(tmp_path, "other")
    git(other, "mv", "old", "new")
    git(other, "commit", "--quiet", "--message=theirs")
    git(other, "push", "--quiet", "origin", "HEAD:main")
    tree = work(mine)
    tree.write({"b.yaml": b"b: 1\n"})
    tree.commit(["b.yaml"], "Deliver b")
    (mine / "old" / "d.yaml").write_text("d: mine\n")
    git(mine, "add", "old/d.yaml")
    with pytest.raises(BootstrapError, match=r"git -C .* stash"):
        tree.push()
    assert "d: mine" in git(mine, "show", "stash@{0}:old/d.yaml")
    assert git(origin, "log", "-1", "--format=%s", "main").strip() == "theirs"


def test_a_remote_that_is_not_there_is_told(origin: Path, tmp_path: Path) -> None:
    mine = clone(tmp_path, "mine")
    git(mine, "remote", "set-url", "origin", str(tmp_path / "gone.git"))
    commit(mine, "b.yaml", "b: 1\n")
    with pytest.raises(BootstrapError, match="could not be pushed"):
        work(mine).push()


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="not in a checkout"):
        work(tmp_path)
    with pytest.raises(BootstrapError, match="not a directory"):
        work(tmp_path / "gone")
