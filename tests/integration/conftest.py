# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that every integration test shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from lab.binaries import version
from lab.living import LivingWorld, living_world
from lab.machines import Machines, TalosWorld
from lab.playbook import Run, run_playbook


@pytest.fixture
def ansible_playbook(tmp_path: Path) -> Callable[..., Run]:
    """C(lab.playbook.run_playbook) in this test's own HOME."""
    return partial(run_playbook, home=tmp_path / "home")


@pytest.fixture
def made(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LivingWorld]:
    """A cluster that lives: C(param) is the number of its control planes and workers, maybe Talos, Kubernetes."""
    control_planes, workers, *versions = request.param
    with living_world(tmp_path, control_planes, workers, *(versions or [version("talosctl")])) as world:
        yield world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[TalosWorld]:
    """A control plane and a worker, switched on and without configuration."""
    with Machines(tmp_path) as machines:
        world = TalosWorld(tmp_path, machines)
        for number in (1, 2):
            machines.boot(number)
        yield world
