# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab can be started and stopped by one command, beside another one, and leaves nothing behind, whatever ends it."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.process import LabError, accepts, wait_until
from lab.supervisor import Background, Lab

pytestmark = pytest.mark.kube


def processes(directory: Path) -> list[str]:
    """The processes whose arguments or working directory lie in a directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            where = f"{words} {(process / 'cwd').readlink()}"
        except OSError:
            continue
        if str(directory) in where:
            found.append(words)
    return found


def children(parent: int) -> set[int]:
    """The processes that a process has started and that still run."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return {int(word) for word in listed.split()}


def sockets(ports: list[int]) -> set[str]:
    """The sockets that listen on these ports. A port that is free again may already be another test's."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) in ports}


def lab_command(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        env={**os.environ, "TAZLAB_LAB": str(directory)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Background]:
    lab = Background(tmp_path / "lab")
    yield lab
    lab.stop()


def ports(lab: Background) -> list[int]:
    return [int(port) for line in lab.ask("status") for port in re.findall(r"https://127\.0\.0\.1:(\d+)", line)]


GUIDE = Path(__file__).parents[2] / "docs" / "docsite" / "rst" / "guide_from_files_to_vault.rst"


def in_a_shell(background: Background, home: Path, script: str) -> subprocess.CompletedProcess[str]:
    """A shell that knows nothing but what the lab says to export."""
    exports = "".join(lab_command(background.directory, word).stdout for word in ("env", "operator"))
    return subprocess.run(
        ["sh", "-c", f"{exports}\n{script}"],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_what_is_printed_can_be_run_in_an_empty_shell(background: Background, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert lab_command(background.directory, "up").returncode == 0
    printed = lab_command(background.directory, "env").stdout
    (command,) = [line.removeprefix("# ") for line in printed.splitlines() if line.startswith("# ")]
    check = in_a_shell(background, home, f"{command} --check")
    assert check.returncode == 0, check.stdout + check.stderr
    vault = in_a_shell(
        background, home, "bao token lookup -format=json && bao kv get -mount=secret tazlab-k8s/bootstrap"
    )
    assert vault.returncode == 0, vault.stderr
    assert "GITHUB_TOKEN" in vault.stdout


def test_the_guide_from_files_to_vault_can_be_followed(background: Background, tmp_path: Path) -> None:
    """Its commands in their order, with the lab's inventory; who logs in and who types a value are not here."""
    home = tmp_path / "home"
    home.mkdir()
    assert lab_command(background.directory, "up").returncode == 0
    text = GUIDE.read_text()
    commands = re.findall(r"^    \$ (?:unset VAULT_TOKEN; )?(ansible-playbook .*)$", text, re.MULTILINE)
    assert len(commands) == text.count("ansible-playbook -i my-cluster.yml") > 0
    for command in commands:
        command = command.replace("my-cluster.yml", str(background.directory / "inventory.yml"))
        if command.endswith("tazlab_rotate=GITHUB_TOKEN"):
            command += f" -e tazlab_rotate_file={background.directory}/secrets/github-token"
        run = in_a_shell(background, home, command)
        assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"


def test_up_and_down_leave_nothing(background: Background) -> None:
    up = lab_command(background.directory, "up")
    assert up.returncode == 0, up.stderr
    assert "export BAO_ADDR=https://127.0.0.1:" in up.stdout
    assert f"-i {background.directory}/inventory.yml" in up.stdout
    listening = ports(background)
    assert len(listening) == 5
    assert all(accepts(port) for port in listening)
    listeners = sockets(listening)
    assert len(listeners) == len(listening)
    private = [background.directory / name for name in ("", "bootstrap-token", "control.json", "secrets", "vault")]
    assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in private] == [0] * len(private)
    down = lab_command(background.directory, "down")
    assert down.returncode == 0, down.stderr
    assert not background.directory.exists()
    assert not listeners & sockets(listening)
    assert processes(background.directory) == []


def test_a_lab_killed_by_force_leaves_no_process_and_can_be_taken_down(background: Background) -> None:
    background.start(lambda _: None)
    listening = ports(background)
    listeners = sockets(listening)
    holder = json.loads((background.directory / "control.json").read_text())["pid"]
    started = children(holder)
    assert started
    assert listeners
    os.kill(holder, signal.SIGKILL)
    wait_until(lambda: not listeners & sockets(listening), "nobody listens any more", 10)
    wait_until(lambda: not any(Path(f"/proc/{child}/cwd").exists() for child in started), "its children are gone", 10)
    with pytest.raises(LabError, match="no lab runs"):
        background.ask("status")
    assert lab_command(background.directory, "down").returncode == 0
    assert not background.directory.exists()


def test_two_labs_side_by_side_and_parts_that_stop(background: Background, tmp_path: Path) -> None:
    background.start(lambda _: None)
    with Lab(tmp_path / "other") as other:
        assert not set(ports(background)) & {other.vault.port, other.git.port, other.proxmox.port}
        assert lab_command(background.directory, "vault", "stop").returncode == 0
        assert "stopped" in background.ask("status")[0]
        assert other.vault.running
        assert lab_command(background.directory, "vault", "start").returncode == 0
        assert "runs" in background.ask("status")[0]
        wrong = lab_command(background.directory, "vault", "explode")
        assert wrong.returncode == 1
        assert "no such command" in wrong.stderr
        networks = {
            host["ansible_host"].rpartition(".")[0]
            for directory in (background.directory, other.directory)
            for group in yaml.safe_load((directory / "inventory.yml").read_text())["all"]["children"].values()
            for host in group["hosts"].values()
        }
        assert len(networks) == 2
    assert not (tmp_path / "other").exists()


def test_two_starts_at_the_same_moment_get_one_lab(background: Background) -> None:
    """The second one does not take the first one's directory away: it waits, and gets that lab."""
    environment = {**os.environ, "TAZLAB_LAB": str(background.directory)}
    both = [
        subprocess.Popen([sys.executable, "-m", "lab", "up"], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert said[0] == said[1]
    assert "export BAO_ADDR=" in said[0]
    holders = [words for words in processes(background.directory) if " lab hold " in words]
    assert len(holders) == 1, holders


def test_a_demo_beside_a_lab_says_which_one_runs(background: Background) -> None:
    background.start(lambda _: None)
    holder = json.loads((background.directory / "control.json").read_text())["pid"]
    done = subprocess.run(
        [sys.executable, "-m", "lab.demo"],
        env={**os.environ, "TAZLAB_LAB": str(background.directory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"a lab runs in {background.directory} already (process {holder}, since " in done.stderr
    assert "./dev demo --again uses it" in done.stderr
    assert background.running


def test_a_lab_that_is_just_being_started_is_not_taken_down(background: Background) -> None:
    environment = {**os.environ, "TAZLAB_LAB": str(background.directory)}
    lock = background.directory.with_name("lab.lock")
    with subprocess.Popen([sys.executable, "-m", "lab", "up"], env=environment, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: lock.exists() and background.directory.exists(), "the start has begun", 60)
        down = lab_command(background.directory, "down")
        assert process.wait(timeout=300) == 0
    if down.returncode:  # else it was ready by then
        assert "a lab is just being started" in down.stderr
        assert background.running
    assert lab_command(background.directory, "down").returncode == 0
    assert not background.directory.exists()
    assert not lock.exists()


def test_a_directory_that_holds_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine\n")
    with pytest.raises(LabError, match="not empty"):
        Lab(tmp_path)
    with pytest.raises(LabError, match="is not a lab's directory"):
        Background(tmp_path).start(lambda _: None)
    refused = lab_command(tmp_path, "down")
    assert refused.returncode == 1
    assert (tmp_path / "precious").read_text() == "mine\n"
