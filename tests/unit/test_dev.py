# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The developer's own entry, where something is in its way: a line, never a traceback."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A copy of the entry alone, which would make its environment beside itself."""
    return Path(shutil.copy(ROOT / "dev", tmp_path / "dev"))


def run(entry: Path, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path} if path else dict(os.environ)
    return subprocess.run(
        [sys.executable, str(entry), *words], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_place_where_nothing_can_be_written_is_named(entry: Path) -> None:
    (entry.parent / ".dev").write_text("in the way")
    done = run(entry, "lint")
    assert done.returncode == 1
    assert f"dev: {entry.parent}/.dev: File exists. Nothing more was done.\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_without_git_is_told_so(entry: Path, tmp_path: Path) -> None:
    done = run(entry, "lint", path=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "dev: git is not on PATH. Install it\n")
    assert not (tmp_path / ".dev").exists()


def test_a_command_that_is_broken_off_is_waited_for() -> None:
    script = "import time\ntry:\n print('on', flush=True); time.sleep(600)\nexcept KeyboardInterrupt:\n"
    script += " time.sleep(1); print('tidied', flush=True)"
    with subprocess.Popen(
        [sys.executable, str(ROOT / "dev"), "run", "python", "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "tidied\n"
    assert process.returncode == 0
