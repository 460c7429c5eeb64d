# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback says what no task can: that none ran, and how far a run came that was broken off."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab.playbook import private_environment
from tests.integration.test_preflight import World

ROOT = Path(__file__).resolve().parents[2]
ENABLED = {"ANSIBLE_CALLBACKS_ENABLED": "tazlab.bootstrap.outcome"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("playbook", ["playbooks/site.yml", "playbooks/health.yml", "tazlab.bootstrap.site"])
def test_a_limit_that_leaves_nothing_is_an_error(world: World, playbook: str) -> None:
    run = world.run("--limit", "cp-1", playbook=playbook, **ENABLED)
    assert run.returncode == 2
    assert run.output.count("no task of it ran, since --limit cp-1 leaves out localhost") == 1


def test_a_limit_that_leaves_localhost_is_none_of_its_business(world: World) -> None:
    assert "no task of it ran" not in world.run("--limit", "localhost", **ENABLED).output


@pytest.mark.parametrize("enabled", [{}, ENABLED], ids=["found", "enabled"])
def test_a_run_that_is_broken_off_says_how_far_it_came(world: World, enabled: dict[str, str]) -> None:
    """Broken off while a task waits. Ansible itself may miss the signal, or fail, where it starts a task just then."""
    playbook = "tazlab.bootstrap.site" if enabled else str(ROOT / "playbooks" / "site.yml")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        world.variables["tazlab_flux"]["url"] = f"https://127.0.0.1:{silent.getsockname()[1]}/you/cluster"
        silent.settimeout(60)
        with subprocess.Popen(
            [sys.executable, "-m", "ansible", "playbook", playbook, "--inventory", str(world.written())],
            env=private_environment(world.directory / "home", enabled),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as run:
            assert run.stderr
            git, _address = silent.accept()
            with git:
                run.send_signal(signal.SIGINT)
                said = run.stderr.read()
    assert run.returncode != 0
    last = said.strip().splitlines()[-1]
    assert "site.yml was broken off in the preflight, in the task" in last
    assert "Check whether the repository can be read" in last
    assert "Complete before: secrets. Nothing was changed." in last
    assert said.count("was broken off") == 1
    assert "Traceback" not in said
    assert "Callback dispatch" not in said
