# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The molecule scenarios, run as a user runs them: in a clone, and in a project of somebody else's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lab.binaries import cache
from lab.process import free_port
from lab.release import build

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "extensions" / "molecule"
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())


def molecule(home: Path, project: Path, *words: str, **environment: str) -> str:
    """What it said, of a run that ended well. Of the lab, only the cache of its programs is known."""
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "molecule", "test", *words],
        cwd=project,
        env={
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "ANSIBLE_NOCOLOR": "1",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20000:]
    return done.stdout


def labs(home: Path) -> list[Path]:
    """What labs have left below a HOME."""
    return list(home.rglob("supervisor.log"))


@pytest.mark.kube
@pytest.mark.sweep("scenarios")
def test_the_whole_site_is_the_scenario_that_is_run_without_a_name(tmp_path: Path) -> None:
    said = molecule(tmp_path / "home", ROOT, TAZLAB_LAB_CACHE=str(cache()))
    for action in ("converge", "idempotence", "verify", "side_effect", "destroy"):
        assert f"default > {action}: Executed: Successful" in said
    assert labs(tmp_path / "home") == []


def test_every_role_has_a_scenario() -> None:
    assert sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml")) == sorted(["default", *ROLES])
    for role in ROLES:
        assert {"converge.yml", "verify.yml", "side_effect.yml"} <= {path.name for path in (SCENARIOS / role).iterdir()}


@pytest.mark.kube
@pytest.mark.sweep("scenarios")
@pytest.mark.parametrize("role", ROLES)
def test_the_scenario_of_a_role_holds(tmp_path: Path, role: str) -> None:
    said = molecule(tmp_path / "home", ROOT, "--scenario-name", role, TAZLAB_LAB_CACHE=str(cache()))
    assert f"{role} > side_effect: Executed: Successful" in said
    assert labs(tmp_path / "home") == []


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The HOME of somebody who installed a release, and a project made of what that holds to be copied."""
    home = tmp_path_factory.mktemp("home")
    archive = build(tmp_path_factory.mktemp("release"))
    subprocess.run(
        [Path(sys.executable).with_name("ansible-galaxy"), "collection", "install", archive],
        env={"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        cwd=home,
        check=True,
        capture_output=True,
        timeout=120,
    )
    installed = home / ".ansible" / "collections" / "ansible_collections" / "tazlab" / "bootstrap"
    assert not list(installed.rglob("extensions")), "what needs the lab is not in a release"
    shutil.copytree(installed / "docs" / "examples" / "project", home / "project")
    return home, home / "project"


def test_other_peoples_projects_are_tested_with_and_without_vault(project: tuple[Path, Path]) -> None:
    home, directory = project
    jobs = yaml.safe_load((directory / "workflow.yml").read_text())["jobs"]
    (last,) = [step["run"] for step in jobs["molecule"]["steps"] if step.get("run", "").startswith("molecule")]
    program, command, *words = last.split()
    assert (program, command) == ("molecule", "test")
    said = molecule(home, directory, *words, OPENBAO_PORT=str(free_port()))
    for scenario in ("default", "openbao"):
        for action in ("converge", "idempotence", "verify"):
            assert f"{scenario} > {action}: Executed: Successful" in said
    left = subprocess.run(["pgrep", "--full", f"dev-tls-cert-dir={home}"], check=False, capture_output=True, text=True)
    assert left.stdout == ""
    assert "made-up-github-token" not in said


def test_the_scenarios_fail_where_the_playbook_uses_another_value(project: tuple[Path, Path]) -> None:
    home, directory = project
    anchor = directory / "molecule" / "default" / "anchor" / "github-token"
    anchor.write_text("another-token\n")
    with pytest.raises(AssertionError, match="Compare them"):
        molecule(home, directory, "--scenario-name", "default")
