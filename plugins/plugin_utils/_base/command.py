# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a program: bounded in time and size, without a shell, its output in memory only. Here and nowhere else.

Private: other collections must not import it.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.lifeline import kill, running

LIMIT = 256 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit status, or None where it had not ended in time and was killed with its children.

    C(output) and C(said) are what it printed on standard output and standard error.
    """

    status: int | None
    output: bytes = field(default=b"", repr=False)
    said: bytes = field(default=b"", repr=False)
    too_much: bool = False


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    seconds: float,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    limit: int | None = None,
    listen: bool = True,
    heard: Callable[[str], None] | None = None,
) -> Ended:
    """Run a program with this environment and no input, and end all of it after C(seconds) or C(limit) bytes.

    Without C(listen), what it says on standard error is dropped. C(heard) gets each line of its standard output while
    it runs. An OSError means that it could not be started.
    """
    deadline = time.monotonic() + max(0.1, seconds)
    stderr = subprocess.PIPE if listen else subprocess.DEVNULL
    with running(argv, env=env, cwd=cwd, stderr=stderr, pass_fds=pass_fds) as child:
        ended = _until(child, deadline, limit, heard)
        if ended.status is None:
            kill(child)
        return ended


def _until(
    child: subprocess.Popen[bytes], deadline: float, limit: int | None, heard: Callable[[str], None] | None
) -> Ended:
    """What the child prints until it and all that it started have closed its output, or until a bound is reached."""
    printed: dict[object, list[bytes]] = {child.stdout: [], child.stderr: []}
    size = 0
    begun = b""  # a line of which the end has not come
    with selectors.DefaultSelector() as selector:
        for stream in filter(None, (child.stdout, child.stderr)):
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                return Ended(None)
            for key, _events in ready:
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fileobj)
                printed[key.fileobj].append(chunk)
                size += len(chunk)
                if heard is not None and key.fileobj is child.stdout:
                    *lines, begun = (begun + chunk).split(b"\n")
                    for line in lines:
                        heard(line.decode(errors="replace"))
            if limit is not None and size > limit:
                return Ended(None, too_much=True)
    try:
        status = child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return Ended(None)
    return Ended(status, b"".join(printed[child.stdout]), b"".join(printed[child.stderr]))


@dataclass(frozen=True)
class CommandOutput:
    """What a program that prints one secret printed (None: no value), what is wrong with that, and how it ended."""

    text: str | None = field(default=None, repr=False)
    problem: str | None = None
    note: str = ""
    ran: bool = True


def run_command(argv: Sequence[str], environ: Mapping[str, str], timeout: float) -> CommandOutput:
    """Run a program that prints one secret; what it says on standard error is dropped.

    A status other than 0 means that the program has no value: a password store ends so for a name it does not know.
    """
    try:
        ended = run(argv, env=environ, seconds=timeout, limit=LIMIT, listen=False)
    except FileNotFoundError:
        return CommandOutput(note="is not installed", ran=False)
    except OSError as error:
        return CommandOutput(note=f"cannot be started, errno {error.errno}", ran=False)
    if ended.too_much:
        return CommandOutput(problem=f"printed more than {LIMIT // 1024} KiB, which no secret is")
    if ended.status is None:
        return CommandOutput(note=f"gave no answer within {timeout:g} s")
    if ended.status:
        return CommandOutput(note=f"ended with status {ended.status}")
    try:
        return CommandOutput(text=ended.output.decode("utf-8"))
    except UnicodeDecodeError:
        return CommandOutput(problem="printed something that is not UTF-8 text")
