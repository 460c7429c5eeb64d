# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of each sweep CI runs a part that the commit chooses; over many commits, every point has its turn."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

def test_plain(): pass

@pytest.mark.parametrize("number", range(3))
def test_matrix(number): pass

@pytest.mark.sweep
@pytest.mark.parametrize("number", range(9))
def test_many(number): pass

@pytest.mark.sweep
@pytest.mark.parametrize("number", range(2))
def test_few(number): pass

@pytest.mark.sweep("together")
def test_part_alone(): pass

@pytest.mark.sweep("together")
@pytest.mark.parametrize("number", range(3))
def test_part_of_many(number): pass

@pytest.mark.seldom
def test_rare(): pass
"""
POINTS = 1 + 3 + 9 + 2 + 4 + 1


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  sweep\n  seldom\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def chosen(suite: Path, *words: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *words],
        cwd=suite,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line]


def test_without_a_seed_everything_is_run(suite: Path) -> None:
    assert len(chosen(suite)) == POINTS


def test_a_seed_chooses_a_part_of_each_sweep_and_leaves_out_nothing_else_but_what_is_seldom_run(suite: Path) -> None:
    first = chosen(suite, "--share=one commit")
    assert [name for name in first if "plain" in name or "matrix" in name] == [
        "test_plain",
        *(f"test_matrix[{number}]" for number in range(3)),
    ]
    assert len([name for name in first if "test_many" in name]) == 2
    assert len([name for name in first if "part" in name]) == 1
    assert len([name for name in first if "few" in name]) == 1
    assert "test_rare" not in first
    assert chosen(suite, "--share=one commit") == first


def test_every_point_has_its_turn(pytestconfig: pytest.Config) -> None:
    conftest = pytestconfig.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py"))
    assert conftest is not None
    sweeps = {f"{name}[{number}]": name for name, size in (("many", 9), ("few", 2)) for number in range(size)}
    met = {point for commit in range(40) for point in sweeps.keys() - conftest.left_out(sweeps, f"commit {commit}")}
    assert met == sweeps.keys()


def test_the_choice_is_printed(suite: Path) -> None:
    words = [sys.executable, "-m", "pytest", "--share=0badcafe", "-p", "no:cacheprovider"]
    done = subprocess.run(words, cwd=suite, capture_output=True, text=True, timeout=60, check=True)
    assert "sweeps: one point in 6, chosen by 0badcafe" in done.stdout
    assert "8 passed, 12 deselected" in done.stdout
