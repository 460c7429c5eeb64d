# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of ours ends with the run that it belongs to, and takes along what it started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base import lifeline as _lifeline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.lifeline import (
    end_with_run,
    running,
    signals_reach_children,
)
from lab.playbook import is_gone
from lab.process import wait_until

FORK = multiprocessing.get_context("fork")
TREE = "sleep 60 & echo $! > $1.new; mv $1.new $1; wait"


def run_of(worker: Callable[[], None]) -> tuple[int, int]:
    """A run, which does nothing but have one worker: the numbers of both."""
    reading, writing = os.pipe()

    def run() -> None:
        child = FORK.Process(target=worker)
        child.start()
        os.write(writing, b"%d" % (child.pid or 0))
        child.join()

    # Not waited for by a thread of this process: that it becomes a zombie is a case of its own.
    root = FORK.Process(target=run)
    root.start()
    number = int(os.read(reading, 20))
    os.close(reading)
    os.close(writing)
    return root.pid or 0, number


@pytest.fixture(params=["as it is", "without pidfd"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "as it is":
        monkeypatch.setattr(_lifeline, "watch", lambda _process: None)


@pytest.mark.usefixtures("system")
def test_a_worker_and_what_it_started_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    started = tmp_path / "started"

    def work() -> None:
        with running(["sh", "-c", TREE, "sh", str(started)], env=dict(os.environ)) as child:
            child.wait()

    run, worker = run_of(work)
    wait_until(started.exists, "the worker's child runs", 20)
    grandchild = int(started.read_text())
    assert not is_gone(worker)
    os.kill(run, signal.SIGKILL)
    wait_until(lambda: is_gone(worker) and is_gone(grandchild), "all have ended", 10)
    os.waitpid(run, 0)


@pytest.mark.usefixtures("system")
def test_a_worker_that_only_computes_ends_as_well(tmp_path: Path) -> None:
    def work() -> None:
        end_with_run()
        (tmp_path / "started").touch()
        while True:
            pass

    run, worker = run_of(work)
    wait_until((tmp_path / "started").exists, "the worker works", 20)
    os.kill(run, signal.SIGKILL)
    wait_until(lambda: is_gone(worker), "the worker has ended", 10)
    os.waitpid(run, 0)


def test_a_worker_whose_run_was_over_before_it_looked_does_nothing(tmp_path: Path) -> None:
    go, done = tmp_path / "go", tmp_path / "done"

    def work() -> None:
        while not go.exists():
            time.sleep(0.01)
        end_with_run()
        done.touch()

    run, worker = run_of(work)
    os.kill(run, signal.SIGKILL)
    os.waitpid(run, 0)
    go.touch()
    wait_until(lambda: is_gone(worker), "the worker has ended", 10)
    assert not done.exists()


def test_what_is_no_runs_child_goes_on_without_a_guard() -> None:
    before = threading.active_count()
    end_with_run()
    assert threading.active_count() == before
    with running(["true"], env={}) as child:
        assert child.wait() == 0


def test_a_process_is_guarded_once_however_many_tasks_it_runs(tmp_path: Path) -> None:
    def work() -> None:
        for _ in range(50):
            end_with_run()
        (tmp_path / "threads").write_text(str(sum(each.name == "tazlab-lifeline" for each in threading.enumerate())))

    child = FORK.Process(target=work)
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert (tmp_path / "threads").read_text() == "1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_children_of_threads_too(tmp_path: Path, number: signal.Signals) -> None:
    """Ansible's processes of a task end within their signal handler, without any cleaning up."""
    started = tmp_path / "started"

    def start() -> None:
        with running(["sh", "-c", TREE, "sh", str(started)], env=dict(os.environ)) as child:
            child.wait()

    def work() -> None:
        signal.signal(number, lambda *_: os._exit(3))
        with signals_reach_children():
            thread = threading.Thread(target=start)
            thread.start()
            thread.join()

    child = FORK.Process(target=work)
    child.start()
    wait_until(started.exists, "the child runs", 20)
    os.kill(child.pid or 0, number)
    child.join(10)
    assert child.exitcode == 3
    wait_until(lambda: is_gone(int(started.read_text())), "what it started has ended", 10)


def test_a_signal_that_comes_while_a_child_is_started_reaches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    original = _lifeline.subprocess.Popen

    def interrupted(*arguments: object, **options: object) -> object:
        child = original(*arguments, **options)  # type: ignore[call-overload]
        started.write_text(str(child.pid))
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(100):  # the handler runs here
            pass
        return child

    def work() -> None:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
        monkeypatch.setattr(_lifeline.subprocess, "Popen", interrupted)
        with running([sys.executable, "-c", "import time; time.sleep(60)"], env={}) as child:
            child.wait()

    child = FORK.Process(target=work)
    child.start()
    child.join(20)
    assert child.exitcode == 3
    wait_until(lambda: is_gone(int(started.read_text())), "the child has ended", 10)


def test_the_handlers_of_signals_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with pytest.raises(ValueError, match="x"), running(["sleep", "60"], env=dict(os.environ)) as child:
        raise ValueError("x")
    assert child.returncode == -signal.SIGKILL
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
