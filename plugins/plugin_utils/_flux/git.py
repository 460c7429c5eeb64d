# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a branch of a Git repository over HTTPS: bounded, with no configuration of the user's, and a token in no argv.

Private: other collections must not import it.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shlex
import shutil
import tarfile
import tempfile
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import Ended, run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few

# What a child keeps of our environment: where programs are, and the way out through a proxy.
KEPT = ("PATH", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")

# A transfer slower than a byte a second for so long is given up, whatever the deadline leaves.
STALLED_SECONDS = 20

MOST_UNPACKED: t.Final = 512 * 2**20

BRANCH = re.compile(r"(?!.*(\.\.|//|@\{|\.lock$))[A-Za-z0-9_][A-Za-z0-9._/+-]*(?<![./])")


@dataclass(frozen=True)
class Remote:
    """Where a branch is, and how one logs in there."""

    url: str
    branch: str
    username: str = "git"
    password: str = ""
    ca_pem: str = ""

    def check(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise BootstrapError(
                f"Git repository {_shown(self.url)}: its address must begin with https:// and name a host. "
                "Write the HTTPS form of the address, as your Git host shows it for cloning."
            )
        if parts.username or parts.password:
            raise BootstrapError(
                f"Git repository {_shown(self.url)}: its address holds a login. Take it out of the address; the token "
                "comes from the bundle."
            )
        if parts.scheme == "http" and self.password:
            raise BootstrapError(
                f"Git repository {self.url}: over http:// everybody on the way reads the token. Use https://."
            )
        if not BRANCH.fullmatch(self.branch):
            raise BootstrapError(f"Git repository {self.url}: {self.branch!r} is not a valid branch name.")
        if any(character in self.username + self.password for character in "\r\n\0"):
            raise BootstrapError(
                f"Git repository {self.url}: user name or token holds a line break. Store the token as one line."
            )


def _shown(url: str) -> str:
    """The address without a login."""
    return re.sub(r"//[^/@]*@", "//", url)


@dataclass(frozen=True)
class Refusal:
    """A pattern in what Git says (in English, LC_ALL=C), and what we say then."""

    pattern: re.Pattern[str]
    words: str
    code: str
    status: int | None = None


def _refusal(pattern: str, code: str, words: str, status: int | None = None) -> Refusal:
    return Refusal(re.compile(pattern, re.IGNORECASE), words, code, status)


# The first that fits wins.
REFUSALS = (
    _refusal(
        r"could not resolve host",
        "unresolved",
        "its host name does not resolve. Check the address, and that this machine has DNS.",
    ),
    _refusal(
        r"certificate|SSL|TLS|gnutls",
        "tls",
        "TLS failed. If the host's certificate is of a private CA, name that CA's file (tazlab_flux.ca_cert).",
    ),
    _refusal(
        r"failed to connect|connection refused|couldn't connect|timed out|timeout|too slow|network is unreachable"
        r"|no route to host",
        "no_answer",
        "the host does not answer. Check the address, and that this machine reaches it.",
    ),
    _refusal(
        r"returned error: 3\d\d|redirect",
        "redirected",
        "it redirects elsewhere, and the token must not follow. Write the address to which it redirects.",
    ),
    _refusal(r"returned error: 403|write access|forbidden", "forbidden", "the token was refused (403). {token}", 403),
    _refusal(
        r"authentication failed|could not read (username|password)|returned error: 401|terminal prompts disabled"
        r"|access denied|invalid credentials",
        "unauthorised",
        "the login was refused (401). {token}",
        401,
    ),
    _refusal(
        r"repository .*not found|returned error: 404|does not appear to be a git repository|not found",
        "not_found",
        "there is no such repository, or the token may not see it. Check the address. {token}",
    ),
    _refusal(r"returned error: 429", "quota", "the host has had too many requests (429). Wait a little and run again."),
    _refusal(r"returned error: 5\d\d", "unavailable", "the host is in trouble (5xx). Wait a little and run again."),
    _refusal(
        r"early EOF|hung up|empty reply|recv failure|reset by peer|rpc failed",
        "closed",
        "the host broke the connection. Run again.",
    ),
)
MISSING_BRANCH = re.compile(r"couldn't find remote ref|remote branch .* not found", re.IGNORECASE)


class Checkout:
    """The newest commit of a branch, in a private directory. Use it as a context manager.

    The directory is bare: files are read out of the commit, so that nothing of it, a hook or a link, has an effect.
    """

    def __init__(self, remote: Remote, deadline: Deadline) -> None:
        remote.check()
        self.remote = remote
        self.commit = ""
        self.deadline = deadline

    def __enter__(self) -> Checkout:
        git = shutil.which("git")
        if git is None:
            raise BootstrapError("git is not on PATH. Install it: the repository that Flux follows is read with it.")
        self._git_program = git
        self._directory = Path(tempfile.mkdtemp(prefix="tazlab-git-"))
        try:
            self._fetch()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def exists(self, path: str) -> bool:
        """Whether the commit has this file or folder."""
        return self._local("cat-file", "-e", f"{self.commit}:{path}").status == 0

    def folder(self, path: str) -> list[str]:
        """Every file below a folder, by its path in the repository."""
        listed = self._local("ls-tree", "-r", "-z", "--name-only", self.commit, "--", f"{path}/")
        return [name for name in listed.output.decode().split("\0") if name]

    def folders(self, path: str) -> list[str]:
        """The names of the folders right in a folder ('' is the root)."""
        listed = self._local("ls-tree", "-d", "-z", "--name-only", f"{self.commit}:{path}")
        return [name for name in listed.output.decode().split("\0") if name]

    def read(self, path: str) -> bytes:
        """A file's content; it must exist."""
        return self._local("cat-file", "blob", f"{self.commit}:{path}").output

    def unpack(self) -> Path:
        """The whole commit as files, in the private directory."""
        target = self._directory / "tree"
        target.mkdir()
        (self._directory / "info").mkdir(exist_ok=True)
        (self._directory / "info" / "attributes").write_text("* -export-ignore -export-subst\n")
        done = self._local("archive", "--format=tar", self.commit, limit=MOST_UNPACKED)
        if done.status or done.too_much:
            raise BootstrapError(
                f"Git repository {self.remote.url}: its files are more than {MOST_UNPACKED // 2**20} MiB, or cannot be "
                "unpacked. Is this disk full?"
            )
        packed = done.output
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(target, filter=_inside)  # noqa: S202 - which lets nothing out of it
        return target

    def _fetch(self) -> None:
        self._local("init", "--quiet", "--bare", "--template=", ".", check=True)
        fetched = self._remote("fetch", "--quiet", "--depth=1", "--no-tags", self.remote.url, self._reference)
        if fetched.status:
            self._complain(fetched.said.decode(errors="replace"))
        self.commit = self._local("rev-parse", "FETCH_HEAD", check=True).output.decode().strip()

    @property
    def _reference(self) -> str:
        return f"refs/heads/{self.remote.branch}"

    def _complain(self, said: str) -> t.NoReturn:
        """What Git said, in our words: its own may quote what it was given."""
        url = self.remote.url
        said = said.replace(url, "")  # its words are not Git's
        if MISSING_BRANCH.search(said):
            branches = self._branches()
            has = f"It has: {few(branches)}." if branches else "It has no branch at all."
            raise BootstrapError(
                f"Git repository {url}: it has no branch {self.remote.branch}. {has} Set tazlab_flux.branch to the one "
                "that Flux shall follow."
            )
        token = (
            "Check that the token is valid and may read this repository."
            if self.remote.password
            else "No token was given: the bundle's field for it has no value."
        )
        for refusal in REFUSALS:
            if refusal.pattern.search(said):
                raise BootstrapError(
                    f"Git repository {url}: {refusal.words.format(token=token)}",
                    code=refusal.code,
                    status=refusal.status,
                )
        raise BootstrapError(
            f"Git repository {url}: Git could not read it, for a reason that we do not know. Try it by hand: "
            f"git ls-remote {shlex.quote(url)}"
        )

    def _branches(self) -> list[str]:
        listed = self._remote("ls-remote", "--heads", self.remote.url)
        if listed.status:
            return []
        lines = listed.output.decode(errors="replace").splitlines()
        return [line.partition("refs/heads/")[2] for line in lines]

    def _remote(self, *arguments: str) -> Ended:
        """A command that talks to the host: the only one whose environment holds the login."""
        settings = {
            "http.followRedirects": "false",
            "http.lowSpeedLimit": "1",
            "http.lowSpeedTime": str(STALLED_SECONDS),
            "protocol.allow": "never",
            "protocol.http.allow": "always",
            "protocol.https.allow": "always",
        }
        if self.remote.password:
            # Sent at once: a public repository asks for none, and a dead token would not be told.
            login = base64.b64encode(f"{self.remote.username}:{self.remote.password}".encode()).decode()
            settings[f"http.{self.remote.url}.extraHeader"] = f"Authorization: Basic {login}"
        if self.remote.ca_pem:
            bundle = self._directory / "ca.pem"
            bundle.write_text(self.remote.ca_pem)
            settings["http.sslCAInfo"] = str(bundle)
        numbered: dict[str, str] = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings.items()):
            numbered |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return self._run([self._git_program, *arguments], numbered)

    def _local(self, *arguments: str, check: bool = False, limit: int | None = None) -> Ended:
        done = self._run([self._git_program, *arguments], {}, limit)
        if check and done.status:
            raise BootstrapError(f"git {arguments[0]} failed in a directory of our own. Is this disk full?")
        return done

    def _run(self, argv: Sequence[str], environment: Mapping[str, str], limit: int | None = None) -> Ended:
        own = {
            **inherited(),
            "HOME": str(self._directory),
            "TMPDIR": str(self._directory),
            "LC_ALL": "C",
            "GIT_DIR": str(self._directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_OPTIONAL_LOCKS": "0",
        }
        done = run(argv, env={**own, **environment}, seconds=self.deadline.left, cwd=self._directory, limit=limit)
        if done.status is None and not done.too_much:
            raise BootstrapError(
                f"Git repository {self.remote.url}: it was not read within {self.deadline.seconds:.0f} s. Check that "
                "the host answers and that this machine reaches it."
            )
        return done


def _inside(member: tarfile.TarInfo, target: str) -> tarfile.TarInfo | None:
    """A file of a commit as it is unpacked; a link that leads out of it is left out."""
    try:
        return tarfile.data_filter(member, target)
    except tarfile.FilterError:
        return None


class Glance(Checkout):
    """The newest commit of a branch, with nothing fetched."""

    def _fetch(self) -> None:
        listed = self._remote("ls-remote", self.remote.url, self._reference)
        if listed.status:
            self._complain(listed.said.decode(errors="replace"))
        self.commit = listed.output.decode(errors="replace").partition("\t")[0]
        if not self.commit:
            self._complain("couldn't find remote ref")


def inherited() -> dict[str, str]:
    """What a child keeps of our environment, as C(KEPT) names it."""
    return {name: os.environ[name] for name in KEPT if name in os.environ}
