# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run holds a cluster: who lives, who is gone, who cannot be seen, and what lies on the disk."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state import run_record as _run_record
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.cluster_lock import FILE, ClusterLock
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.run_record import (
    RunRecord,
    Standing,
    process_start,
    standing,
    this_run,
)
from lab.process import wait_until

BOOT = "0d9c2d5e-4c55 pid:[4026531836]"
OTHER = RunRecord("ansible-playbook site.yml", "tazio", 4711, "208471", "laptop", "1f0d", BOOT, 1_790_000_000.0)
HERE = replace(OTHER, pid=12, started="999")


@pytest.mark.parametrize(
    ("change", "here", "began", "means"),
    [
        ({}, HERE, "208471", Standing.LIVES),
        ({}, HERE, None, Standing.GONE),
        ({}, HERE, "308471", Standing.GONE),  # its number was given again
        ({}, OTHER, "208471", Standing.OURS),
        ({"boot": "another pid:[4026531836]"}, HERE, "208471", Standing.GONE),  # rebooted since
        ({"boot": "0d9c2d5e-4c55 pid:[7]"}, HERE, None, Standing.ELSEWHERE),  # another container of that name
        ({"host": "pod", "boot": "0d9c2d5e-4c55 pid:[7]"}, HERE, None, Standing.ELSEWHERE),
        ({"host": "desk", "boot": "another pid:[4026531836]"}, HERE, None, Standing.ELSEWHERE),
        ({"machine": "ffff", "boot": "another pid:[4026531836]"}, HERE, None, Standing.ELSEWHERE),
        ({"host": "renamed"}, HERE, "208471", Standing.LIVES),  # the same kernel, whatever its name
        ({"boot": ""}, replace(HERE, boot=""), "208471", Standing.LIVES),  # a system that does not tell
        ({"boot": "", "host": "desk"}, replace(HERE, boot=""), "208471", Standing.ELSEWHERE),
        # A name alone tells no two machines apart that share a home directory.
        ({"machine": "", "boot": "another pid:[4026531836]"}, replace(HERE, machine=""), None, Standing.ELSEWHERE),
        ({"machine": ""}, replace(HERE, machine=""), None, Standing.GONE),  # the same kernel
        ({"machine": "", "boot": ""}, replace(HERE, machine="", boot=""), None, Standing.ELSEWHERE),
        ({"machine": "", "boot": ""}, replace(HERE, machine="", boot=""), "208471", Standing.LIVES),
        ({"machine": "", "boot": ""}, replace(OTHER, machine="", boot=""), "208471", Standing.OURS),
    ],
)
def test_what_a_record_means(change: dict[str, str], here: RunRecord, began: str | None, means: Standing) -> None:
    assert standing(replace(OTHER, **change), here, lambda _pid: began) is means


def lock(directory: Path, began: str | None = None, anchor: str | None = None) -> ClusterLock:
    return ClusterLock("home", directory, anchor, lambda _pid: began)


def test_a_second_run_is_told_who_runs_since_when(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert lock(state).take(OTHER) is None
    before = (state / FILE).read_bytes()
    with pytest.raises(BootstrapError) as raised:
        lock(state, OTHER.started).take(HERE)
    message = str(raised.value)
    assert "ansible-playbook site.yml of user tazio on laptop (pid 4711), since 2026-09-21 14:13:20 UTC" in message
    assert "kill 4711" in message
    assert "Nothing was changed." in message
    assert (state / FILE).read_bytes() == before


def test_all_tasks_of_one_run_share_it_and_the_first_moment_counts(tmp_path: Path) -> None:
    lock(tmp_path / "s").take(OTHER)
    assert lock(tmp_path / "s", OTHER.started).take(replace(OTHER, since=OTHER.since + 60)) is None
    found = lock(tmp_path / "s", OTHER.started).look(HERE)
    assert found is not None
    assert found.record == OTHER


def test_a_run_that_is_gone_is_followed_and_named(tmp_path: Path) -> None:
    lock(tmp_path / "s").take(OTHER)
    assert lock(tmp_path / "s").take(HERE) == OTHER
    found = lock(tmp_path / "s", HERE.started).look(OTHER)
    assert found is not None
    assert found.record == HERE


def test_only_ones_own_hold_is_freed(tmp_path: Path) -> None:
    assert not lock(tmp_path / "s").free(HERE)
    assert not (tmp_path / "s").exists()
    lock(tmp_path / "s").take(OTHER)
    assert not lock(tmp_path / "s", OTHER.started).free(HERE)
    assert lock(tmp_path / "s").free(OTHER)
    assert lock(tmp_path / "s").look(HERE) is None
    assert lock(tmp_path / "s").take(HERE) is None


def test_a_run_that_cannot_be_seen_is_refused_with_the_file_to_remove(tmp_path: Path) -> None:
    lock(tmp_path / "s").take(replace(OTHER, host="desk", boot="another pid:[1]"))
    with pytest.raises(BootstrapError, match="cannot be seen from here") as raised:
        lock(tmp_path / "s").take(HERE)
    assert f"remove {tmp_path / 's' / FILE}" in str(raised.value)
    (tmp_path / "s" / FILE).unlink()
    assert lock(tmp_path / "s").take(HERE) is None


def test_it_is_private_and_the_directory_too(tmp_path: Path) -> None:
    os.umask(0o022)
    lock(tmp_path / "a" / "s").take(OTHER)
    assert oct((tmp_path / "a" / "s").stat().st_mode & 0o777) == "0o700"
    assert oct((tmp_path / "a" / "s" / FILE).stat().st_mode & 0o777) == "0o600"
    (tmp_path / "a" / "s" / FILE).chmod(0o644)
    lock(tmp_path / "a" / "s").take(HERE)
    assert oct((tmp_path / "a" / "s" / FILE).stat().st_mode & 0o777) == "0o600"


def test_it_never_lies_in_the_anchor(tmp_path: Path) -> None:
    anchor = tmp_path / "secrets"
    anchor.mkdir()
    with pytest.raises(BootstrapError, match="lies in the recovery anchor"):
        lock(anchor / "state", anchor=str(anchor)).take(HERE)
    assert list(anchor.iterdir()) == []


@pytest.mark.parametrize("content", [b"nonsense\n", b"[]\n", b'{"pid": 1}\n', b"\xff\xfe\n"])
def test_what_no_run_has_written_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(BootstrapError, match="does not hold what a run writes there"):
        lock(tmp_path).take(HERE)
    assert (tmp_path / FILE).read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 300])
def test_what_a_crash_may_leave_holds_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert lock(tmp_path).take(HERE) is None


def test_a_shorter_record_over_a_longer_one_is_read_alone(tmp_path: Path) -> None:
    """A process that ends between its two steps leaves the end of the former record behind its own."""
    (tmp_path / FILE).write_text(f"{OTHER.to_line()}\n{'x' * 50}\n")
    found = lock(tmp_path).look(HERE)
    assert found is not None
    assert found.record == OTHER


def test_a_link_or_a_directory_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("kept")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BootstrapError, match="it is a link, which is not followed"):
        lock(tmp_path).take(HERE)
    assert (tmp_path / "elsewhere").read_text() == "kept"
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    for attempt in (lock(tmp_path).take, lock(tmp_path).look, lock(tmp_path).free):
        with pytest.raises(BootstrapError, match=f"{tmp_path / FILE}: .* it is a directory"):
            attempt(HERE)


def as_somebody_else(state: Path, attempt: str) -> str:
    """What another user's process is told."""
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    here = this_run(os.getpid(), "x")

    def go() -> None:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            results.put(f"done: {getattr(ClusterLock('home', state, None), attempt)(here)}")
        except BootstrapError as error:
            results.put(str(error))
        except OSError as error:
            results.put(f"{type(error).__name__}: {error}")

    child = fork.Process(target=go)
    child.start()
    said = str(results.get(timeout=60))
    child.join(20)
    return said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("case", "attempts", "where", "said"),
    [
        ("group-writable", ["take"], "state", "it belongs to somebody else"),
        ("file of another", ["look", "take", "free"], "state/run.lock", "permission denied"),
        ("writable file of another", ["take", "free"], "state/run.lock", "it belongs to somebody else"),
        ("untraversable", ["look", "take", "free"], "state/below", "permission denied"),
    ],
)
def test_what_belongs_to_somebody_else_is_told(case: str, attempts: list[str], where: str, said: str) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        top = Path(name)
        top.chmod(0o755)
        state = top / "state"
        state.mkdir()
        if case == "group-writable":
            os.chown(state, 0, 65534)
            state.chmod(0o770)
        elif case == "untraversable":
            (state / "below").mkdir()
            state.chmod(0o700)
            state /= "below"
        else:
            os.chown(state, 65534, 65534)
            state.chmod(0o700)
            (state / FILE).touch()
            (state / FILE).chmod(0o666 if case.startswith("writable") else 0o600)
        for attempt in attempts:
            told = as_somebody_else(state, attempt)
            assert told.startswith(f"{top / where}")
            assert f": {said}. " in told
            assert told.endswith("Nothing was changed.")


def test_of_many_that_come_at_once_one_gets_it(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()

    def come(number: int) -> None:
        try:
            ClusterLock("home", tmp_path / "s", None, lambda pid: str(pid)).take(
                replace(HERE, pid=number, started=str(number))
            )
            results.put(number)
        except BootstrapError:
            results.put(None)

    children = [fork.Process(target=come, args=(number,)) for number in range(1, 21)]
    for child in children:
        child.start()
    got = [results.get(timeout=60) for _ in children]
    for child in children:
        child.join(20)
    assert len([number for number in got if number is not None]) == 1


def test_a_process_is_known_by_when_it_began_and_a_zombie_lives_no_more() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        began = process_start(child.pid)
        assert began
        assert process_start(child.pid) == began
        assert this_run(child.pid, "x").started == began
        child.kill()
        wait_until(lambda: process_start(child.pid) is None, "the zombie counts as gone", 10)
    assert process_start(child.pid) is None


def test_another_system_asks_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run_record.sys, "platform", "darwin")
    began = process_start(os.getpid())
    assert began
    assert ":" in began
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert process_start(child.pid) is None


def test_a_record_survives_its_way_to_the_disk_and_back() -> None:
    assert RunRecord.from_line(OTHER.to_line()) == OTHER
    assert RunRecord.from_line('{"pid": "1"}') is None
