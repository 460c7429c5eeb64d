# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache of the lab's programs: found where the user says, built once by whoever comes first, never left half made.

A script plays Go here; the real builds are what the other tests of the lab run.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import binaries
from lab.process import LabError

GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.99.0; exit; fi
if [ "$1" = mod ]; then echo '{{"Dir": "{module}"}}'; exit; fi
for word; do case "$word" in -modfile=*) cp -r "$(dirname "${{word#-modfile=}}")" {log}.lean; esac; done
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
    script.write_text(GO.format(log=directory / "builds", module=directory / "module", end=end))
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


def test_what_the_lab_never_runs_is_left_out_of_a_copy(builds: Path, tmp_path: Path) -> None:
    program = binaries.PROGRAMS["source-controller"]
    files = ("main.go", "README", *program.without, *(f"{part}/a.yaml" for part in program.kept))
    for name in files:
        (tmp_path / "module" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "module" / name).write_text("theirs")
    ours = binaries.MODULES / program.module
    before = {path: path.read_bytes() for path in ours.rglob("*") if path.is_file()}

    directory = binaries.binary("source-controller").parent

    lean = tmp_path / "builds.lean"
    assert f"\nreplace {program.source} => " in (lean / "go.mod").read_text()
    assert not any((lean / "source" / name).exists() for name in program.without)
    assert "package main" in (lean / "source" / "main.go").read_text()
    assert (lean / "source" / "README").read_text() == "theirs"
    assert {path.name for path in directory.iterdir()} == {"source-controller", "config"}
    assert (tmp_path / "module" / "main.go").read_text() == "theirs"
    assert {path: path.read_bytes() for path in ours.rglob("*") if path.is_file()} == before


def test_it_says_which_of_how_many_it_builds_and_how_long_the_rest_may_take(
    builds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("etcd", "talos-nodes"):
        binaries.binary(name)
    said = capsys.readouterr().err
    first, second = re.findall(r"(\d) of 7, and all that are missing may take (\d+) min", said)
    assert (first[0], second[0]) == ("1", "2")
    assert int(first[1]) >= int(second[1]) >= 1
    assert re.search(r"etcd v3\S+: built in \d+ s, [\d.]+ minutes of CPU time", said)


def test_what_a_killed_build_left_is_swept_away(builds: Path, tmp_path: Path) -> None:
    left = tmp_path / "cache" / ".etcd-v0-killed"
    left.mkdir(parents=True)
    assert binaries.binary("etcd").read_text() == "half\n"
    assert not left.exists()


def test_the_users_kubernetes_programs_come_first(
    builds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    assert binaries.binary("etcd") == assets / "etcd"
    assert not builds.exists()
    binaries.binary("talos-nodes")
    assert "2 of 7" in capsys.readouterr().err, "the given one is counted"


def test_what_is_seldom_run_is_built_only_by_its_name(builds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert binaries.main([]) == 0
    built = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    seldom = {name for name, program in binaries.PROGRAMS.items() if program.seldom}
    assert seldom
    assert built == binaries.PROGRAMS.keys() - seldom
    binaries.main(sorted(seldom))
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == seldom
