# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own checkout of a repository: what is not committed there, and files that are the old ones or the new.

A commit goes on top of the last one, so what it holds is planned on that. What a killed run has left is then what would
be written again: it is known from somebody's changes by its content, and nothing has to be remembered.

Private: other collections must not import it.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import secrets
import shlex
import shutil
import stat
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import Ended, run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree

_NOWHERE: t.Final = ("??", "!!")  # what Git status says of a file that neither the last commit nor the index has
_FILE: t.Final = "100"  # how the modes of files begin; others are links and submodules
# What Git has in its own folder while a command of it has begun and not ended, and which. The first that is there
# counts: a rebase may have a merge inside.
_BEGUN: t.Final = {
    "rebase-apply/applying": "am",
    "rebase-apply": "rebase",
    "rebase-merge": "rebase",
    "MERGE_HEAD": "merge",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}
# What Git needs of our environment to be the user's own Git.
_KEPT: t.Final = (
    *("PATH", "HOME", "XDG_CONFIG_HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GNUPGHOME"),
    *("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"),
    *("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"),
)


class WorkTree:
    """A checkout, of which files are written."""

    def __init__(self, path: str, deadline: Deadline) -> None:
        self._deadline = deadline
        place = Path(path).expanduser()
        if not place.is_dir():
            raise BootstrapError(
                f"checkout: {place} is not a directory. Clone the repository that Flux follows, and name the clone."
            )
        found = self._git(place, "rev-parse", "--show-toplevel")
        if found.status:
            raise BootstrapError(
                f"checkout: {place} is not in a checkout of Git that this user may use. Clone the repository that Flux "
                f"follows, and name the clone. What Git says: git -C {shlex.quote(str(place))} status"
            )
        self.root = Path(found.output.decode().rstrip("\n"))
        self.tree = Tree(self.root)

    def last_commit(self) -> dict[str, bytes | None]:
        """What the last commit has of each file that is another one here; None of what it does not have.

        Links stay as they are here.
        """
        states = self._states()
        known = self._modes([name for name, state in states.items() if state not in _NOWHERE])
        return {
            name: self._committed(name) if name in known else None
            for name in states
            if known.get(name, _FILE).startswith(_FILE)
        }

    def uncommitted(self, files: Mapping[str, bytes | None]) -> list[str]:
        """Those of these files that somebody has changed: they are not as committed, nor as they would be written."""
        if not files:
            return []
        states = self._states("--ignored=traditional", "--", *(f":(literal,top){name}" for name in files))
        return [name for name, state in states.items() if not self._is_left(state, name, files.get(name))]

    def _is_left(self, state: str, name: str, content: bytes | None) -> bool:
        """Whether a file is as a run that was killed leaves it: written, and added perhaps, but not in two forms."""
        one = state in _NOWHERE or " " in state
        return one and (self.tree.read(name) if self.tree.is_file(name) else None) == content

    def hindrances(self, *, commit: bool, push: bool) -> Iterator[Problem]:
        """Why nothing could be committed here, or pushed."""
        lock = self._own("index.lock")
        if commit and lock.exists():
            what = f"Git has it locked by {lock}, which a Git that was killed leaves, too."
            yield Problem("locked", "checkout", what, "Let Git end there; if none runs, remove that file.")
        if not (commit or push):
            return
        if begun := next((each for name, each in _BEGUN.items() if self._own(name).exists()), ""):
            what = f"in {self.root} a git {begun} has begun and not ended."
            step = f"End it, or take it back: git -C {shlex.quote(str(self.root))} {begun} --abort"
            yield Problem("begun", "checkout", what, step)
        elif not self.branch:
            what = f"no branch is checked out in {self.root}, and a commit would belong to none."
            yield Problem("no_branch", "checkout", what, "Check out the branch that Flux follows.")

    def _own(self, name: str) -> Path:
        """Where a file of Git's own lies."""
        return self.root / self._git(self.root, "rev-parse", "--git-path", name).output.decode().rstrip("\n")

    def _modes(self, names: Sequence[str]) -> dict[str, str]:
        """Those of these files that the last commit has, each with its mode."""
        if not names:
            return {}
        found = self._git(self.root, "ls-tree", "-z", "HEAD", "--", *names)
        entries = found.output.decode(errors="surrogateescape").split("\0")
        return {entry.partition("\t")[2]: entry.partition(" ")[0] for entry in entries if entry}

    def _committed(self, name: str) -> bytes:
        found = self._git(self.root, "cat-file", "--filters", f"HEAD:{name}")
        if found.status:
            raise BootstrapError(
                f"checkout: Git does not give what the last commit of {self.root} has of {name}. What it says: "
                f"git -C {shlex.quote(str(self.root))} fsck"
            )
        return found.output

    def _states(self, *more: str) -> dict[str, str]:
        """What of the files is not as the last commit has it, each with the two letters that Git has for that."""
        words = ("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
        found = self._git(self.root, *words, *more)
        if found.status:
            raise BootstrapError(
                f"checkout: Git cannot tell what is not committed in {self.root}. What it says: "
                f"git -C {shlex.quote(str(self.root))} status"
            )
        entries = found.output.decode(errors="surrogateescape").split("\0")
        return {entry[3:]: entry[:2] for entry in entries if entry}

    def write(self, files: Mapping[str, bytes | None]) -> None:
        """Write files, those first that are new, as what lists them comes after them, and take away those that go."""
        for name in sorted(files, key=lambda name: (files[name] is None, self.tree.is_file(name), name)):
            content = files[name]
            if content is None:
                self.tree.place(name).unlink(missing_ok=True)
            else:
                self._write(name, content)

    def commit(self, files: Iterable[str], message: str) -> str:
        """Commit these files alone, as the user would; returns the commit's id."""
        names = {name: f":(literal,top){name}" for name in files}
        there = [given for name, given in names.items() if self.tree.is_file(name)]  # no other one can be added
        failed = bool(there) and self._git(self.root, "add", "--", *there).status
        if failed or self._git(self.root, "commit", "--quiet", f"--message={message}", "--", *names.values()).status:
            raise BootstrapError(
                f"checkout: the files are written in {self.root}, and Git did not commit them. See why, and commit "
                "them yourself."
            )
        return self._git(self.root, "rev-parse", "HEAD").output.decode().strip()

    def push(self) -> None:
        """Push the branch that is checked out, never by force. What others have pushed goes before it, once."""
        branch, remote = self.branch, self._remote
        words = ("push", "--quiet", "--porcelain", remote, f"HEAD:refs/heads/{branch}")
        pushed = self._git(self.root, *words)
        if not pushed.status:
            return
        if b"[rejected]" not in pushed.output:  # of Git's own table for programs
            raise BootstrapError(
                f"checkout: {branch} is committed in {self.root}, and could not be pushed to {remote}. Is it reached, "
                "and may this user push there without being asked for a password? Push it yourself."
            )
        fetched = self._git(self.root, "fetch", "--quiet", remote, f"refs/heads/{branch}")
        if both := [] if fetched.status else self._changed_by_both():
            raise BootstrapError(
                f"checkout: others have pushed to {branch} of {remote} meanwhile, and have changed what is not "
                f"committed in {few(both)} of {self.root}. The commit there stays as it is, and is not pushed. "
                "Commit or take back what is yours in these files, and run this again."
            )
        stash = self._stash
        rebased = fetched if fetched.status else self._git(self.root, "rebase", "--quiet", "--autostash", "FETCH_HEAD")
        if rebased.status:
            self._git(self.root, "rebase", "--abort")
            raise BootstrapError(
                f"checkout: others have pushed to {branch} of {remote} meanwhile, and their changes do not go together "
                f"with the commit in {self.root}, which stays as it is. Rebase it and push it yourself."
            )
        if self._stash != stash:  # Git ends well where it could not put back what it had put aside
            where = f"git -C {shlex.quote(str(self.root))}"
            raise BootstrapError(
                f"checkout: the commit in {self.root} is on top of what others have pushed to {branch} of {remote}, "
                "and is not pushed, as what you had not committed did not go back on top of it whole. It is kept in "
                f"the newest stash. See {where} status and {where} stash show, put it in order, and run this again."
            )
        if self._git(self.root, *words).status:
            raise BootstrapError(
                f"checkout: {branch} was overtaken at {remote} twice. The commit in {self.root} is on top of what was "
                "there the first time. Push it yourself."
            )

    @property
    def is_ahead(self) -> bool:
        """Whether the branch has commits that its remote one lacks, as far as that was fetched."""
        counted = self._git(self.root, "rev-list", "--count", "@{upstream}..HEAD")
        if counted.status:  # it was never pushed from here
            counted = self._git(self.root, "rev-list", "--count", "HEAD", "--not", f"--remotes={self._remote}")
        return not counted.status and counted.output.strip() != b"0"

    @property
    def branch(self) -> str:
        """The branch that is checked out; nothing where none is."""
        return self._git(self.root, "symbolic-ref", "--quiet", "--short", "HEAD").output.decode().strip()

    def _changed_by_both(self) -> list[str]:
        """The files in which something is not committed here, and which others have changed in what was fetched."""
        found = self._git(self.root, "diff", "--name-only", "-z", "--no-renames", "HEAD...FETCH_HEAD")
        theirs = set(found.output.decode(errors="surrogateescape").split("\0"))
        return sorted(theirs.intersection(self._states()))

    @property
    def _stash(self) -> bytes:
        """The newest stash; nothing where there is none."""
        return self._git(self.root, "rev-parse", "--quiet", "--verify", "refs/stash").output

    @property
    def _remote(self) -> str:
        return self._git(self.root, "config", f"branch.{self.branch}.remote").output.decode().strip() or "origin"

    def _write(self, name: str, content: bytes) -> None:
        folder = self.tree.place(posixpath.dirname(name))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            place = self.tree.place(name)
            mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else None
            for left in place.parent.glob(f".{place.name}.tazlab-????????"):  # by a run that was killed
                left.unlink(missing_ok=True)
            beside = place.with_name(f".{place.name}.tazlab-{secrets.token_hex(4)}")
            try:
                with beside.open("xb") as file:
                    if mode is not None:
                        os.fchmod(file.fileno(), mode)
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(place)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    beside.unlink()
        except OSError as error:
            raise BootstrapError(
                f"checkout: {name} cannot be written (errno {error.errno}). What was written before it is whole. "
                "Mend that and run again."
            ) from None

    def _git(self, where: Path, *arguments: str) -> Ended:
        git = shutil.which("git")
        if git is None:
            raise BootstrapError("git is not on PATH. Install it: the checkout is looked at with it.")
        own = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
        kept = {"GIT_SSH_COMMAND": "ssh -oBatchMode=yes", "GIT_EDITOR": "true"}
        kept |= {name: os.environ[name] for name in _KEPT if name in os.environ}
        argv = [git, "-c", "core.fsmonitor=false", *arguments]
        done = run(argv, env={**kept, **own}, seconds=self._deadline.left, cwd=where)
        if done.status is None:
            raise BootstrapError(
                f"checkout: Git did not answer within {self._deadline.seconds:.0f} s in {where}. Run this again."
            )
        return done
