# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The molecule scenarios of the collection, run as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.binaries import cache
from lab.playbook import private_environment
from lab.supervisor import Background

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.kube
def test_the_scenario_of_the_whole_site_holds_and_is_idempotent(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "molecule", "test", "--scenario-name", "site"],
            cwd=ROOT,
            env={
                **private_environment(tmp_path / "home"),
                "PYTHONPATH": os.environ["PYTHONPATH"],
                "TAZLAB_LAB_CACHE": str(cache()),
                "TAZLAB_LAB": str(lab),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        left = lab.exists()
    finally:
        Background(lab).stop()
    assert done.returncode == 0, done.stdout[-10000:] + done.stderr[-10000:]
    assert not left
