# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a program is run: what it prints, what ends it, and what it leaves behind."""

from __future__ import annotations

import os
import sys
import time

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import run, run_command

ENVIRON = {"PATH": os.defpath}


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def test_both_outputs_and_the_status_are_told_apart() -> None:
    ended = run(shell("printf out; printf err >&2; exit 3"), env=ENVIRON, seconds=20)
    assert (ended.status, ended.output, ended.said) == (3, b"out", b"err")
    assert "out" not in repr(ended)


def test_more_than_a_pipe_holds_is_read_from_both() -> None:
    script = "import sys; sys.stderr.write('e' * 300000); sys.stdout.write('o' * 300000)"
    ended = run([sys.executable, "-c", script], env=ENVIRON, seconds=20)
    assert (ended.status, len(ended.output), len(ended.said)) == (0, 300000, 300000)


def test_each_line_is_heard_while_it_runs() -> None:
    heard: list[tuple[str, float]] = []
    script = "echo one; echo tw; sleep 0.5; printf 'half'; sleep 0.3; echo ' and half'; printf 'no end'"
    ended = run(shell(script), env=ENVIRON, seconds=20, heard=lambda line: heard.append((line, time.monotonic())))
    assert [line for line, _when in heard] == ["one", "tw", "half and half"]
    assert heard[-1][1] - heard[0][1] > 0.5
    assert ended.output.endswith(b"no end")


def test_its_input_is_empty_and_its_environment_is_what_was_given() -> None:
    ended = run(shell("cat; env"), env={**ENVIRON, "MINE": "1"}, seconds=20)
    names = {line.partition("=")[0] for line in ended.output.decode().splitlines()}
    assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"PATH", "MINE"}


@pytest.mark.parametrize("script", ["sleep 600", "sleep 600 & wait", "exec >&- 2>&-; sleep 600", "sleep 600 & exit 0"])
def test_whoever_does_not_end_is_ended_with_all_that_it_started(script: str) -> None:
    begun = time.monotonic()
    assert run(shell(script), env=ENVIRON, seconds=0.3).status is None
    assert time.monotonic() - begun < 20


def test_whoever_prints_too_much_is_ended() -> None:
    ended = run(shell("yes"), env=ENVIRON, seconds=20, limit=1000)
    assert ended.too_much
    assert ended.output == b""
    assert run_command(shell("yes"), ENVIRON, 20).problem == "printed more than 256 KiB, which no secret is"


def test_what_a_program_for_secrets_says_on_standard_error_is_dropped() -> None:
    output = run_command(shell("echo canary >&2; echo value"), ENVIRON, 20)
    assert output.text == "value\n"
    assert run_command(shell("echo canary >&2; exit 1"), ENVIRON, 20).note == "ended with status 1"
    assert run_command(["/nowhere/program"], ENVIRON, 20).note == "is not installed"
    assert run_command(shell("sleep 600"), ENVIRON, 0.2).note == "gave no answer within 0.2 s"
