# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-playbook as a user would, in a HOME of its own, with an environment that names every variable."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
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
        """The play recap of C{host}: ok, changed, unreachable, failed, skipped, rescued, ignored."""
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
    """Run a playbook file, or plays given as data, and wait at most C{timeout} seconds.

    Variables travel in a 0600 file, never in argv.
    """
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
    done = subprocess.run(
        [*argv, *arguments],
        env=private_environment(home, environment),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)
