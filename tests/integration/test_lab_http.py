# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Git host refuses as a Git host does; its stand-ins for the Image Factory and Tailscale check who asks."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lab.factory import PLAIN_SCHEMATIC, ImageFactory, identify
from lab.git import GitServer
from lab.oauth import TailscaleOAuth
from lab.process import accepts
from lab.tls import Authority

TOKEN = "ghp_canary"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


@pytest.fixture
def git_server(tmp_path: Path, authority: Authority) -> Iterator[GitServer]:
    with GitServer(tmp_path / "git", authority, TOKEN) as server:
        server.commit({"clusters/lab/README": "one\n", "other": "x\n"}, "Begin")
        yield server


def git(server: GitServer, token: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """git with the token in a private environment, as the collection gives it."""
    login = base64.b64encode(f"git:{token}".encode()).decode()
    return subprocess.run(
        ["git", *arguments],
        cwd=cwd,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(cwd),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_SSL_CAINFO": str(server.ca_file),
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {login}",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_token_clones_and_fetches(git_server: GitServer, tmp_path: Path) -> None:
    done = git(git_server, TOKEN, "clone", git_server.url, "clone", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "clone" / "clusters" / "lab" / "README").read_text() == "one\n"
    commit = git_server.commit({"clusters/lab/README": "two\n", "other": None}, "Go on")
    assert git(git_server, TOKEN, "pull", "--quiet", cwd=tmp_path / "clone").returncode == 0
    assert (tmp_path / "clone" / "clusters" / "lab" / "README").read_text() == "two\n"
    assert not (tmp_path / "clone" / "other").exists()
    assert git(git_server, TOKEN, "rev-parse", "HEAD", cwd=tmp_path / "clone").stdout.strip() == commit


def test_branches_are_kept_apart(git_server: GitServer, tmp_path: Path) -> None:
    git_server.commit({"only": "there\n"}, "Begin a branch", branch="side")
    listed = git(git_server, TOKEN, "ls-remote", git_server.url + ".git", cwd=tmp_path).stdout
    assert f"{git_server.revision()}\tHEAD" in listed
    assert f"{git_server.revision('side')}\trefs/heads/side" in listed


def test_a_wrong_token_an_absent_repository_and_a_push_are_refused(git_server: GitServer, tmp_path: Path) -> None:
    wrong = git(git_server, "wrong", "ls-remote", git_server.url, cwd=tmp_path)
    assert wrong.returncode != 0
    assert requests.get(git_server.url, verify=str(git_server.ca_file), timeout=10).status_code == 401
    absent = git(git_server, TOKEN, "ls-remote", git_server.url + "-absent", cwd=tmp_path)
    assert "not found" in absent.stderr
    assert git(git_server, TOKEN, "clone", git_server.url, "clone", cwd=tmp_path).returncode == 0
    pushed = git(git_server, TOKEN, "push", "origin", "HEAD:refs/heads/new", cwd=tmp_path / "clone")
    assert pushed.returncode != 0
    assert "403" in pushed.stderr


def test_the_factory_serves_what_it_knows_and_nothing_else(authority: Authority) -> None:
    with ImageFactory(authority) as factory:

        def get(path: str) -> requests.Response:
            return requests.get(factory.url + path, verify=str(factory.ca_file), timeout=10)

        assert "v1.12.6" in get("/versions").json()
        for kind, magic in (("qcow2", b"QFI\xfb\0\0\0\3"), ("iso", b"\0")):
            content = get(f"/image/{PLAIN_SCHEMATIC}/v1.12.6/nocloud-amd64.{kind}").content
            assert content.startswith(magic)
            assert identify(content) == (PLAIN_SCHEMATIC, "v1.12.6")
        assert get(f"/image/{'0' * 64}/v1.12.6/nocloud-amd64.qcow2").status_code == 404
        assert get(f"/image/{PLAIN_SCHEMATIC}/v0.0.1/nocloud-amd64.qcow2").status_code == 404
        made = requests.post(
            f"{factory.url}/schematics", data="customization: {a: b}", verify=str(factory.ca_file), timeout=10
        )
        assert get(f"/image/{made.json()['id']}/v1.12.6/nocloud-amd64.iso").status_code == 200
        assert len(factory.downloads()) == 5
    assert not accepts(factory.port)


def test_the_oauth_endpoint_knows_its_client(authority: Authority) -> None:
    with TailscaleOAuth(authority, "kCLIENT", "tskey-client-x") as oauth:

        def ask(**form: str) -> requests.Response:
            return requests.post(oauth.token_url, data=form, verify=str(oauth.ca_file), timeout=10)

        right = ask(client_id="kCLIENT", client_secret="tskey-client-x", grant_type="client_credentials")
        assert right.status_code == 200
        assert right.json()["token_type"] == "Bearer"
        assert ask(client_id="kCLIENT", client_secret="wrong").status_code == 401
        assert ask().status_code == 401
        login = ("kCLIENT", "tskey-client-x")
        assert requests.post(oauth.token_url, auth=login, verify=str(oauth.ca_file), timeout=10).status_code == 200
