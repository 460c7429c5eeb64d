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
    assert [each.code for each in work(mine).hindrances(commit=True, push=False)] == ["locked"]
    assert not list(work(mine).hindrances(commit=False, push=False))


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
