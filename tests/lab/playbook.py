# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook as a user would, in a HOME of its own, with an environment that names every variable."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

# What a command keeps of the caller's environment. Everything else could decide a test's outcome.
KEPT = ("PATH", "LANG", "LC_ALL", "ANSIBLE_COLLECTIONS_PATH", "VIRTUAL_ENV", "TAZLAB_LAB_CACHE", "KUBEBUILDER_ASSETS")


@dataclass(frozen=True)
class Run:
    """A finished run of ansible-playbook."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    def stats(self, host: str = "localhost") -> dict[str, int]:
        """The play recap of C(host): ok, changed, unreachable, failed, skipped, rescued, ignored."""
        for line in reversed(self.stdout.splitlines()):
            name, colon, counts = line.partition(":")
            if colon and name.strip() == host and "ok=" in counts:
                return {key: int(value) for key, _, value in (word.partition("=") for word in counts.split())}
        raise AssertionError(f"no recap for {host} in:\n{self.output}")


# ansible-core 2.21 puts a socket of its own two levels below TMPDIR, and such a path has at most 107 bytes.
LONGEST = 60


@cache
def _short_name(directory: Path) -> Path:
    """A link to the directory with a short path; it goes when this process does."""
    parent = Path(tempfile.mkdtemp(prefix="tz-", dir="/tmp"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    link = parent / "t"
    link.symlink_to(directory)
    return link


def private_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment with a HOME and TMPDIR of its own, and no variable of the caller that could reach a plugin."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    if len(str(temporary)) > LONGEST:
        temporary = _short_name(temporary)
    return {
        **{name: os.environ[name] for name in KEPT if name in os.environ},
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        **(extra or {}),
    }


def _command(
    playbook: Path | Sequence[Mapping[str, Any]],
    home: Path,
    inventory: Path | None,
    variables: Mapping[str, Any] | None,
    arguments: Sequence[str],
) -> list[str]:
    """The command for a playbook file, or plays given as data. Variables travel in a 0600 file, never in argv."""
    home.mkdir(parents=True, exist_ok=True)
    if not isinstance(playbook, Path):
        path = home / "playbook.yml"
        path.write_text(yaml.safe_dump(list(playbook), sort_keys=False))
        playbook = path
    argv = [sys.executable, "-m", "ansible", "playbook", str(playbook)]
    if inventory is not None:
        argv += ["--inventory", str(inventory)]
    if variables:
        file = home / "extra-vars.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(variables))
        argv += ["--extra-vars", f"@{file}"]
    return [*argv, *arguments]


def run_playbook(
    playbook: Path | Sequence[Mapping[str, Any]],
    *,
    home: Path,
    inventory: Path | None = None,
    variables: Mapping[str, Any] | None = None,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float = 300,
) -> Run:
    """Run a playbook file, or plays given as data, and wait at most C(timeout) seconds."""
    done = subprocess.run(
        _command(playbook, home, inventory, variables, arguments),
        env=private_environment(home, environment),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@contextmanager
def started_playbook(
    playbook: Path | Sequence[Mapping[str, Any]],
    *,
    home: Path,
    inventory: Path | None = None,
    variables: Mapping[str, Any] | None = None,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A run that goes on while the block does, and what it says in C(home)/said; with all it started it ends then."""
    argv = _command(playbook, home, inventory, variables, arguments)
    with (home / "said").open("wb") as said:
        process = subprocess.Popen(
            argv,
            env=private_environment(home, environment),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            kill_tree(process.pid)
        process.wait()


def children(process: int) -> list[int]:
    """The processes that a process has started, Ansible's workers for one."""
    try:
        return [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except FileNotFoundError:
        return []


def is_gone(process: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def kill_tree(process: int) -> None:
    """Kill a process and all its descendants: Ansible's workers lead sessions of their own."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGSTOP)
        try:
            for child in children(process):
                kill_tree(child)
        finally:
            os.kill(process, signal.SIGKILL)
