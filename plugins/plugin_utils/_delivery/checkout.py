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
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree

_NOWHERE: t.Final = ("??", "!!")  # what Git status says of a file that neither the last commit nor the index has
_FILE: t.Final = "100"  # how the modes of files begin; others are links and submodules
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
        lock = self.root / self._git(self.root, "rev-parse", "--git-path", "index.lock").output.decode().rstrip("\n")
        if commit and lock.exists():
            what = f"Git has it locked by {lock}, which a Git that was killed leaves, too."
            yield Problem("locked", "checkout", what, "Let Git end there; if none runs, remove that file.")
        if push and not self.branch:
            what = f"no branch is checked out in {self.root}; so it is when a rebase was broken off."
            step = f"Check out the one to push, or end the rebase: git -C {shlex.quote(str(self.root))} rebase --abort"
            yield Problem("no_branch", "checkout", what, step)

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
        names = [f":(literal,top){name}" for name in files]
        added = self._git(self.root, "add", "--", *names)
        done = (
            added if added.status else self._git(self.root, "commit", "--quiet", f"--message={message}", "--", *names)
        )
        if done.status:
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
        rebased = fetched if fetched.status else self._git(self.root, "rebase", "--quiet", "--autostash", "FETCH_HEAD")
        if rebased.status:
            self._git(self.root, "rebase", "--abort")
            raise BootstrapError(
                f"checkout: others have pushed to {branch} of {remote} meanwhile, and their changes do not go together "
                f"with the commit in {self.root}, which stays as it is. Rebase it and push it yourself."
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
