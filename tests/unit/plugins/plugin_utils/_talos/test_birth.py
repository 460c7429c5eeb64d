# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a new etcd may be made: every combination of what machines and the note of a birth can say."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Birth, Etcd, Note, Verdict, judge
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Standing

CP = Node("cp-1", "192.0.2.11", "control_plane")
CP2 = Node("cp-2", "192.0.2.12", "control_plane")
WORKER = Node("worker-1", "192.0.2.21", "worker")
NEW, OURS, SILENT = Standing.MAINTENANCE, Standing.OURS, Standing.SILENT


@pytest.mark.parametrize(
    ("first", "second", "birth", "signs", "verdict"),
    [
        (NEW, NEW, Birth.NONE, [], Verdict.BIRTH),
        (NEW, NEW, Birth.NONE, ["a worker"], Verdict.LOST),
        (NEW, NEW, Birth.BEGUN, ["a worker"], Verdict.GOING_ON),
        (OURS, NEW, Birth.BEGUN, ["a worker"], Verdict.GOING_ON),
        (OURS, NEW, Birth.ASKED, ["a worker"], Verdict.GOING_ON),
        # The first control plane was asked and is another machine now.
        (NEW, NEW, Birth.ASKED, ["a worker"], Verdict.LOST),
        (NEW, NEW, Birth.ASKED, [], Verdict.BIRTH),
        (NEW, OURS, Birth.ASKED, [], Verdict.LIVING),
        (NEW, OURS, Birth.NONE, [], Verdict.LIVING),
        (OURS, OURS, Birth.NONE, ["a worker"], Verdict.LIVING),
        (SILENT, OURS, Birth.NONE, [], Verdict.LIVING),
        (SILENT, NEW, Birth.NONE, ["a worker"], Verdict.UNKNOWN),
    ],
)
def test_the_machines_and_the_note_decide_together(
    first: Standing, second: Standing, birth: Birth, signs: list[str], verdict: Verdict
) -> None:
    assert judge({WORKER: OURS, CP: first, CP2: second}, birth, lambda: signs) is verdict


@pytest.mark.parametrize(
    ("birth", "signs", "verdict"),
    [
        # A worker that has lost its control plane and rebooted answers nobody.
        (Birth.NONE, [], Verdict.UNKNOWN),
        (Birth.ASKED, [], Verdict.UNKNOWN),
        (Birth.NONE, ["its API"], Verdict.LOST),
        (Birth.BEGUN, [], Verdict.GOING_ON),
    ],
)
def test_a_silent_worker_is_no_birth(birth: Birth, signs: list[str], verdict: Verdict) -> None:
    assert judge({WORKER: SILENT, CP: NEW}, birth, lambda: signs) is verdict


@pytest.mark.parametrize("content", ["", "beg", "nonsense"])
def test_a_note_that_is_not_whole_counts_as_an_etcd_that_was_asked(tmp_path: Path, content: str) -> None:
    note = Note(State(tmp_path))
    (tmp_path / "birth").write_text(content)
    assert note.read() is Birth.ASKED


def test_a_note_is_private_and_goes(tmp_path: Path) -> None:
    note = Note(State(tmp_path))
    assert note.read() is Birth.NONE
    for birth in (Birth.BEGUN, Birth.ASKED):
        note.write(birth)
        assert note.read() is birth
        assert stat.S_IMODE((tmp_path / "birth").stat().st_mode) == 0o600
    note.write(Birth.NONE)
    assert list(tmp_path.iterdir()) == []
    note.write(Birth.NONE)


def etcd(tmp_path: Path, birth: Birth, *, restores: bool, lost: str = "") -> Etcd:
    note = Note(State(tmp_path))
    note.write(birth)
    return Etcd("home", note, lost, restores=restores)


def test_what_is_being_restored_is_not_born_empty(tmp_path: Path) -> None:
    standings = {CP: OURS, WORKER: OURS}
    with pytest.raises(BootstrapError, match=r"Run restore.yml again"):
        etcd(tmp_path, Birth.RESTORING, restores=False).decide(standings)
    assert etcd(tmp_path, Birth.RESTORING, restores=True).decide(standings) is Verdict.GOING_ON
    empty = etcd(tmp_path, Birth.RESTORING, restores=False, lost="home")
    empty.begin(empty.decide({CP: NEW}))
    assert empty.note.read() is Birth.BEGUN


def test_what_was_restored_lives_until_all_nodes_were_seen(tmp_path: Path) -> None:
    standings = {CP: OURS, CP2: NEW, WORKER: SILENT}
    for restores, verdict in ((True, Verdict.GOING_ON), (False, Verdict.LIVING)):
        restored = etcd(tmp_path, Birth.RESTORED, restores=restores)
        assert restored.decide(standings) is verdict
        restored.begin(verdict)
        assert restored.note.read() is Birth.RESTORED
    # Lost once more: it is restored once more.
    again = etcd(tmp_path, Birth.RESTORED, restores=True)
    again.begin(again.decide({CP: NEW, CP2: NEW}))
    assert again.note.read() is Birth.RESTORING


def test_what_is_to_be_restored_is_looked_at_before_it_is_begun(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match=r"Run restore.yml again"):
        etcd(tmp_path, Birth.INTENDED, restores=False).decide({CP: NEW})
    with pytest.raises(BootstrapError, match=r"all control planes are gone: cp-1"):
        etcd(tmp_path, Birth.INTENDED, restores=True).decide({CP: OURS})
    # One that does not answer yet may have still to be started.
    assert etcd(tmp_path, Birth.INTENDED, restores=True).decide({CP: SILENT}) is Verdict.LOST


def test_an_etcd_that_turns_out_to_live_is_gone_on_with(tmp_path: Path) -> None:
    """A restore was asked for while the machine was off, and refused when it answered."""
    living = etcd(tmp_path, Birth.INTENDED, restores=False)
    living.begin(living.decide({CP: OURS, CP2: NEW}))
    assert living.note.read() is Birth.NONE


@pytest.mark.parametrize("standing", [OURS, Standing.FOREIGN])
def test_nothing_is_restored_while_a_control_plane_may_have_etcd(tmp_path: Path, standing: Standing) -> None:
    restoring = etcd(tmp_path, Birth.NONE, restores=True)
    with pytest.raises(BootstrapError, match=r"all control planes are gone: cp-2"):
        restoring.decide({CP: NEW, CP2: standing, WORKER: OURS})
    restoring.begin(restoring.decide({CP: NEW, CP2: NEW, WORKER: OURS}))
    assert restoring.note.read() is Birth.RESTORING


def test_a_note_that_was_cut_off_makes_no_empty_etcd(tmp_path: Path) -> None:
    restoring = etcd(tmp_path, Birth.RESTORING, restores=True)
    restoring.note.state.replace("birth", b"rest")
    assert restoring.note.read() is Birth.INTENDED
