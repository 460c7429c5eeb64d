# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Git may be asked, what its refusals mean, and that it cannot hang."""

from __future__ import annotations

import io
import socket
import tarfile
import time
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import Ended
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.git import REFUSALS, Checkout, Remote

URL = "https://git.example.net/you/cluster"


@pytest.mark.parametrize(
    ("remote", "words"),
    [
        (Remote("git@git.example.net:you/cluster", "main"), "must begin with https://"),
        (Remote("file:///etc", "main"), "must begin with https://"),
        (Remote("https://me:canary@git.example.net/x", "main"), "https://git.example.net/x: its address holds a login"),
        (Remote("http://git.example.net/x", "main", password="canary"), "everybody on the way reads the token"),
        (Remote(URL, "--upload-pack=x"), "is not a valid branch name"),
        (Remote(URL, "a..b"), "is not a valid branch name"),
        (Remote(URL, ""), "is not a valid branch name"),
        (Remote(URL, "main", password="canary\nhost=evil"), "holds a line break"),
    ],
)
def test_what_git_must_not_be_asked_is_refused(remote: Remote, words: str) -> None:
    with pytest.raises(BootstrapError) as raised:
        remote.check()
    assert words in str(raised.value)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("branch", ["main", "release/1.2", "feature_x", "v1.0-rc.1"])
def test_names_of_branches_are_accepted(branch: str) -> None:
    Remote(URL, branch).check()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("fatal: unable to access 'x': Could not resolve host: x", "its host name does not resolve"),
        ("fatal: unable to access 'x': server certificate verification failed. CAfile: none", "TLS failed"),
        ("fatal: unable to access 'x': SSL certificate problem: self-signed certificate", "TLS failed"),
        ("fatal: unable to access 'x': Failed to connect to x port 443 after 1 ms", "the host does not answer"),
        ("fatal: unable to access 'x': Operation too slow. Less than 1 bytes/sec", "the host does not answer"),
        ("fatal: unable to access 'x': The requested URL returned error: 301", "it redirects elsewhere"),
        ("fatal: unable to access 'x': The requested URL returned error: 403", "was refused (403)"),
        ("fatal: Authentication failed for 'x'", "was refused (401)"),
        ("fatal: could not read Username for 'x': terminal prompts disabled", "was refused (401)"),
        ("remote: Repository not found.\nfatal: repository 'x' not found", "there is no such repository"),
        ("fatal: unable to access 'x': The requested URL returned error: 503", "the host is in trouble"),
    ],
)
def test_what_git_says_becomes_one_cause(said: str, words: str) -> None:
    found = next(refusal for refusal in REFUSALS if refusal.pattern.search(said))
    assert words in found.words


class Archived(Checkout):
    """A commit that was fetched: two files, and links of which two lead out of it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(Remote(URL, "main"), Deadline(10))
        self._directory = directory

    def _local(self, *arguments: str, check: bool = False, limit: int | None = None) -> Ended:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, link in (
                ("a.yaml", ""),
                ("b.yaml", "a.yaml"),
                ("c.yaml", "/etc/hostname"),
                ("d.yaml", "../../x"),
            ):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
                archive.addfile(member)
        return Ended(0, packed.getvalue())


def test_links_that_lead_out_of_a_commit_are_not_unpacked(tmp_path: Path) -> None:
    tree = Archived(tmp_path).unpack()
    assert sorted(path.name for path in tree.iterdir()) == ["a.yaml", "b.yaml"]


def test_words_in_the_address_are_not_gits() -> None:
    remote = Remote("https://127.0.0.1:1/me/wildcard-tls-timeout", "main")
    with pytest.raises(BootstrapError, match="the host does not answer"), Checkout(remote, Deadline(10)):
        pass


def test_a_host_that_never_answers_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        remote = Remote(f"https://127.0.0.1:{server.getsockname()[1]}/x", "main")
        start = time.monotonic()
        with pytest.raises(BootstrapError, match="not read within 1 s"), Checkout(remote, Deadline(1)):
            pass
    assert time.monotonic() - start < 15
