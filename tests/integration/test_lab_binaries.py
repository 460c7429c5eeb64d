# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of the lab's programs: found where the user says, built once by whoever comes first, never left half made.

A script plays Go here; the real builds are what the other tests of the lab run.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import binaries
from lab.process import LabError

GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.99.0; exit; fi
echo build >> {log}
while [ "$1" != -o ]; do shift; done
echo "some/package" >&2
echo half > "$2"
{end}
"""


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and a Go that writes each build into the file that this gives."""
    monkeypatch.setenv("TAZLAB_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    use_go(tmp_path, "exit 0")
    return tmp_path / "builds"


def use_go(directory: Path, end: str) -> None:
    script = directory / "go"
    script.write_text(GO.format(log=directory / "builds", end=end))
    script.chmod(0o755)


def test_it_is_built_once_for_all_who_ask_at_the_same_time(builds: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(binaries.binary, ["etcd"] * 4))
    assert [path.read_text() for path in paths] == ["half\n"]
    assert builds.read_text() == "build\n"


def test_a_build_that_fails_says_why_and_leaves_nothing(builds: Path, tmp_path: Path) -> None:
    use_go(tmp_path, 'echo "module: 403 Forbidden" >&2; exit 1')
    with pytest.raises(LabError, match=r"etcd: go build ended with status 1 in .*\n.*403 Forbidden"):
        binaries.binary("etcd")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_what_a_killed_build_left_is_swept_away(builds: Path, tmp_path: Path) -> None:
    left = tmp_path / "cache" / ".etcd-v0-killed"
    left.mkdir(parents=True)
    assert binaries.binary("etcd").read_text() == "half\n"
    assert not left.exists()


def test_the_users_kubernetes_programs_come_first(
    builds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    assert binaries.binary("etcd") == assets / "etcd"
    assert not builds.exists()
