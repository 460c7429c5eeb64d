# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program that prints one secret: bounded in time and size, without a shell, its output in memory only.

Private: other collections must not import it.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.lifeline import kill, running

LIMIT = 256 * 1024


@dataclass(frozen=True)
class CommandOutput:
    """What the program printed (None: no value), what is wrong with that, and how it ended."""

    text: str | None = field(default=None, repr=False)
    problem: str | None = None
    note: str = ""


def run_command(argv: Sequence[str], environ: Mapping[str, str], timeout: float) -> CommandOutput:
    """Run a program with this environment. Its standard input is empty, and what it says on standard error is dropped.

    A status other than 0 means that the program has no value: a password store ends so for a name it does not know.
    """
    try:
        with running(argv, env=environ, stderr=subprocess.DEVNULL) as child:
            data = _output(child, time.monotonic() + timeout)
            if data is None:
                kill(child)
                return CommandOutput(note=f"gave no answer within {timeout:g} s")
            if len(data) > LIMIT:
                kill(child)
                return CommandOutput(problem=f"printed more than {LIMIT // 1024} KiB, which no secret is")
    except FileNotFoundError:
        return CommandOutput(note="is not installed")
    except OSError as error:
        return CommandOutput(note=f"cannot be started, errno {error.errno}")
    if child.returncode:
        return CommandOutput(note=f"ended with status {child.returncode}")
    try:
        return CommandOutput(text=data.decode("utf-8"))
    except UnicodeDecodeError:
        return CommandOutput(problem="printed something that is not UTF-8 text")


def _output(child: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    """What the child prints until it ends, or None when it has not ended at the deadline."""
    if child.stdout is None:
        return b""
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while len(data) <= LIMIT:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not selector.select(remaining):
                return None
            chunk = os.read(child.stdout.fileno(), LIMIT)
            if not chunk:
                break
            data += chunk
        else:
            return data
    try:
        child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return None
    return data
