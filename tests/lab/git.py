# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Git host: the real git http-backend behind an HTTPS server that demands the token, which may only read."""

from __future__ import annotations

import base64
import binascii
import gzip
import hmac
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs

from lab.process import LabError
from lab.tls import Authority
from lab.web import Request, Response, WebServer, text_response

NAME = "tazlab/cluster"


class GitServer(WebServer):
    """One repository at C(url), like the one of a Git host: any user name, the token as password, reading only.

    With C(public) it is read without a login as well, but not with a wrong one (assumed: GitHub answers 401 to that).
    """

    def __init__(
        self,
        directory: Path,
        authority: Authority,
        token: str,
        *,
        branch: str = "main",
        host: str = "127.0.0.1",
        public: bool = False,
    ) -> None:
        git = shutil.which("git")
        if git is None:
            raise LabError("git: not on PATH. Install it; the lab serves its repository with git http-backend")
        super().__init__(authority, "git", host=host)
        self.url = f"{self.url}/{NAME}"
        self.token = token
        self.public = public
        self.branch = branch
        self._git_binary = git
        self._root = directory / "repositories"
        self.bare = self._root / f"{NAME}.git"  # which takes pushes, unlike the server
        self._work = directory / "work"
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "Lab",
            "GIT_AUTHOR_EMAIL": "lab@example.net",
            "GIT_COMMITTER_NAME": "Lab",
            "GIT_COMMITTER_EMAIL": "lab@example.net",
        }
        self._work.mkdir(parents=True)
        self.bare.mkdir(parents=True)
        self._git("init", "--quiet", "--bare", f"--initial-branch={branch}", str(self.bare))
        self._git("config", "http.receivepack", "false")

    # --------------------------------------------------------------------------------------------- content

    def commit(self, files: Mapping[str, str | None], message: str = "Change", branch: str = "") -> str:
        """Commit C(files), path to content (None deletes the file), to a branch; returns the commit's id."""
        reference = f"refs/heads/{branch or self.branch}"
        self._git("symbolic-ref", "HEAD", reference)
        shutil.rmtree(self._work)
        self._work.mkdir()
        if self._exists(reference):
            self._git("reset", "--quiet", "--hard")
        else:
            self._git("read-tree", "--empty")
        for name, content in files.items():
            path = self._work / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
        self._git("add", "--all", ".")
        self._git("commit", "--quiet", "--allow-empty", f"--message={message}")
        commit = self._git("rev-parse", "HEAD").strip()
        self._git("symbolic-ref", "HEAD", f"refs/heads/{self.branch}")
        return commit

    def commit_tree(self, directory: Path, message: str = "Change", branch: str = "") -> str:
        """Commit every file below C(directory)."""
        files = {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}
        return self.commit(files, message, branch)

    def revision(self, branch: str = "") -> str:
        """The branch's newest commit."""
        return self._git("rev-parse", f"refs/heads/{branch or self.branch}").strip()

    def _exists(self, reference: str) -> bool:
        return bool(self._git("for-each-ref", reference).strip())

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._git_binary, *arguments],
            cwd=self._work,
            env={**self._environment, "GIT_DIR": str(self.bare), "GIT_WORK_TREE": str(self._work)}
            if arguments[0] != "init"
            else self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LabError(f"git {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    # ---------------------------------------------------------------------------------------------- server

    def answer(self, request: Request) -> Response:
        if not self._authorised(request.headers.get("Authorization", "")):
            # What a Git host says to a missing, a wrong and an expired token alike.
            return Response(
                401,
                b"Invalid username or token.\n",
                {"WWW-Authenticate": 'Basic realm="lab"', "Content-Type": "text/plain"},
            )
        if not any(request.path.startswith(f"/{NAME}{end}/") for end in ("", ".git")):
            return text_response(404, "Repository not found.\n")
        services = parse_qs(request.query).get("service", [])
        if "git-receive-pack" in services or request.path.endswith("/git-receive-pack"):
            return text_response(403, "The token may read this repository, not write to it.\n")
        return self._backend(request)

    def _authorised(self, header: str) -> bool:
        if self.public and not header:
            return True
        kind, _, encoded = header.partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            _, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        except binascii.Error:
            return False
        return hmac.compare_digest(password, self.token.encode())

    def _backend(self, request: Request) -> Response:
        """Run git http-backend as CGI says."""
        body = request.body
        if request.headers.get("Content-Encoding", "") == "gzip":
            body = gzip.decompress(body)
        done = subprocess.run(
            [self._git_binary, "http-backend"],
            env={
                **self._environment,
                "GIT_PROJECT_ROOT": str(self._root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
                "REQUEST_METHOD": request.method,
                "PATH_INFO": request.path,
                "QUERY_STRING": request.query,
                "CONTENT_TYPE": request.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "REMOTE_USER": "lab",
                "REMOTE_ADDR": "127.0.0.1",
            },
            input=body,
            capture_output=True,
            timeout=60,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        status = int(headers.pop("Status", "200").split()[0]) if head else 500
        return Response(status, content, headers)
