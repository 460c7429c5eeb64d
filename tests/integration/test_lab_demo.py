# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's own part: what it says when there is nothing to go on with, and that its lab never outlives it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.process import wait_until

pytestmark = pytest.mark.kube


def demo(directory: Path, home: Path, *words: str) -> subprocess.Popen[str]:
    home.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "lab.demo", *words],
        env={**os.environ, "TAZLAB_LAB": str(directory), "ANSIBLE_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_there_is_nothing_to_repeat_without_a_kept_lab(tmp_path: Path) -> None:
    with demo(tmp_path / "lab", tmp_path / "home", "--again") as process:
        assert process.stdout is not None
        assert "no lab was kept" in process.stdout.read()
    assert process.returncode == 1


def finished(directory: Path, home: Path, *words: str) -> tuple[int, str]:
    with demo(directory, home, *words) as process:
        output, _ = process.communicate(timeout=600)
    return process.returncode, output


def test_a_cluster_is_born_from_its_anchor_and_a_second_run_with_vault_changes_nothing(tmp_path: Path) -> None:
    directory, home = tmp_path / "lab", tmp_path / "home"
    status, output = finished(directory, home, "--keep", "--vault-down")
    try:
        assert status == 0, output
        assert "VAULT IS STOPPED" in output
        assert "THE RECOVERY ANCHOR ANSWERS INSTEAD OF VAULT" in output
        assert "Every phase holds: secrets, vms, talos, seed, flux." in output
        for line in (
            "GITHUB_TOKEN +file github-token",
            "worker-1 .*running",
            "revision +master@sha1:",
            "all +[0-9.]+ s",
        ):
            assert re.search(line, output), line
        status, output = finished(directory, home, "--again")
        assert status == 0, output
        assert re.search("GITHUB_TOKEN +vault v1", output)
        assert "changed=0" in output
    finally:
        assert finished(directory, home, "--down")[0] == 0
    assert not directory.exists()


def test_a_secret_is_delivered_and_its_rotation_restarts_what_uses_it(tmp_path: Path) -> None:
    status, output = finished(tmp_path / "lab", tmp_path / "home", "--delivery")
    assert status == 0, output
    assert "Delivery: the real External Secrets Operator; STAND-IN: Reloader" in output
    assert "Secret apps/greeter came from tazlab-k8s/static/apps/greeter/WORD in Vault" in output
    assert re.search(r"rotated in Vault: [0-9.]+ s to the Secret .*, [0-9.]+ s to the restarted Deployment", output)


@pytest.mark.sweep
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_demo_that_is_broken_off_takes_its_lab_along(tmp_path: Path, number: signal.Signals) -> None:
    directory = tmp_path / "lab"
    with demo(directory, tmp_path / "home") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("PLAY ["):
                break
        assert (directory / "inventory.yml").exists()
        process.send_signal(number)
        said = process.stdout.read()
    assert process.returncode != 0
    if number is not signal.SIGKILL:
        assert "broken off; the lab is taken down" in said
        assert "Traceback" not in said
        assert not directory.exists(), "at once"
    wait_until(lambda: not directory.exists(), "the lab is gone", 60)


def test_a_kept_demo_that_is_broken_off_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    with demo(directory, tmp_path / "home", "--keep") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("PLAY ["):
                break
        for _impatient in range(2):
            process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not directory.exists()
    assert not directory.with_name("lab.lock").exists()


def test_a_demo_of_which_nobody_reads_the_end_says_so(tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    process = subprocess.Popen(
        ["sh", "-c", f"{sys.executable} -m lab.demo 2> {tmp_path}/said | head -1"],
        env={**os.environ, "TAZLAB_LAB": str(directory), "ANSIBLE_HOME": str(tmp_path / "home")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    assert process.wait(timeout=300) == 0
    wait_until(lambda: not directory.exists(), "the lab is gone", 60)
    said = (tmp_path / "said").read_text()
    assert "nobody reads what is printed any more; the lab is taken down" in said
    assert "Traceback" not in said
    assert "BrokenPipeError" not in said
