# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What publishing changes, and that no race loses anybody's change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found, Provenance
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin import publish
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
    DELETED,
    INVALID,
    LOOKED_AT,
    LostRace,
    StoredBundle,
    Undoes,
    Undone,
    history,
    outdated,
    plan_absent,
    plan_present,
    update_bundle,
)

A, B = Field("A"), Field("B")
WORDS = st.text("abcdef", min_size=1, max_size=4)


def found(**values: str) -> dict[str, Found]:
    return {name: Found(value, Provenance("file", name, f"file {name}")) for name, value in values.items()}


def states(plan: Any) -> dict[str, str]:
    return {change.name: change.state for change in plan.changes}


def test_each_field_has_its_state_and_no_value() -> None:
    plan = plan_present([A, B, Field("C"), Field("D")], found(A="1", B="2", C="3"), {"A": "1\n", "B": "x", "E": "y"})
    assert states(plan) == {"A": "equal", "B": "changed", "C": "new", "D": "missing", "E": "kept"}
    assert plan.data == {"A": "1\n", "B": "2", "C": "3", "E": "y"}
    assert "'2'" not in repr(plan)


def test_what_vault_issues_wins_over_the_anchor_only_while_it_is_there() -> None:
    assert plan_present([A], found(A="old"), {"A": "new"}, ["A"]).data == {"A": "new"}
    assert plan_present([A], found(A="old"), {}, ["A"]).data == {"A": "old"}


def test_what_is_of_another_kind_in_vault_is_replaced() -> None:
    plan = plan_present([A, B], found(A="1", B="2"), {"A": {"x": 1}, "B": "two words"})
    assert states(plan) == {"A": "changed", "B": "changed"}
    assert [change.note for change in plan.changes] == [INVALID, INVALID]


def test_absent_takes_out_what_is_named() -> None:
    plan = plan_absent(["A", "X"], {"A": "1", "B": "2"})
    assert states(plan) == {"A": "removed", "X": "absent", "B": "kept"}
    assert plan.data == {"B": "2"}


@given(st.dictionaries(WORDS, WORDS), st.dictionaries(WORDS, WORDS))
def test_nothing_stored_is_lost_and_a_second_time_nothing_changes(
    stored: dict[str, str], wanted: dict[str, str]
) -> None:
    fields = [Field(name) for name in wanted]
    plan = plan_present(fields, found(**wanted), stored)
    assert plan.data == {**stored, **wanted}
    assert not plan_present(fields, found(**wanted), plan.data).changed


class Edge:
    """A bundle that others write in between, so many times."""

    def __init__(self, races: int) -> None:
        self.stored = StoredBundle(1, {"B": "theirs 0"})
        self.races = races
        self.written = 0

    def bundle(self, doing: str, version: int | None = None, over: int | None = None) -> StoredBundle:
        return self.stored

    def write_bundle(self, values: Mapping[str, Any], after: int, doing: str) -> int:
        assert after == self.stored.version
        if self.races:
            self.races -= 1
            self.stored = StoredBundle(after + 1, {"B": f"theirs {after}"})
            raise LostRace
        self.written += 1
        self.stored = StoredBundle(after + 1, values)
        return after + 1


def test_a_lost_race_is_tried_once_more_on_fresh_data() -> None:
    edge = Edge(1)
    updated = update_bundle(edge, lambda stored: plan_present([A], found(A="1"), stored.data), check_mode=False)
    assert (updated.before, updated.after) == (2, 3)
    assert edge.stored.data == {"A": "1", "B": "theirs 1"}


def test_a_second_lost_race_is_reported() -> None:
    edge = Edge(2)
    with pytest.raises(BootstrapError, match="Run this again"):
        update_bundle(edge, lambda stored: plan_present([A], found(A="1"), stored.data), check_mode=False)
    assert edge.written == 0
    assert edge.stored.data == {"B": "theirs 2"}


@pytest.mark.parametrize("late", [1, 3])
def test_a_race_that_a_lagging_standby_hides_is_tried_again(late: int, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Edge(1)
    shown = [StoredBundle(1, {"B": "theirs 0"})] * (1 + late)
    monkeypatch.setattr(edge, "bundle", lambda *_args, **_more: shown.pop() if shown else edge.stored)
    monkeypatch.setattr(publish, "LAGS", (0.0,) * 4)
    updated = update_bundle(edge, lambda stored: plan_present([A], found(A="1"), stored.data), check_mode=False)
    assert (updated.before, updated.after) == (2, 3)


def test_a_standby_that_lags_for_good_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Edge(1)
    monkeypatch.setattr(edge, "bundle", lambda *_args, **_more: StoredBundle(1, {"B": "theirs 0"}))
    monkeypatch.setattr(publish, "LAGS", (0.0,) * 4)
    with pytest.raises(BootstrapError, match=r"reads still show version 1, .* Give the active server's address as url"):
        update_bundle(edge, lambda stored: plan_present([A], found(A="1"), stored.data), check_mode=False)
    assert edge.written == 0


def test_check_mode_writes_nothing() -> None:
    edge = Edge(0)
    updated = update_bundle(edge, lambda stored: plan_present([A], found(A="1"), stored.data), check_mode=True)
    assert updated.plan.changed
    assert (updated.after, edge.written) == (1, 0)


def test_an_equal_bundle_is_not_written() -> None:
    edge = Edge(0)
    edge.stored = StoredBundle(4, {"A": "1"})
    updated = update_bundle(edge, lambda stored: plan_present([A], found(A="1"), stored.data), check_mode=False)
    assert (updated.after, edge.written) == (4, 0)


class History(Edge):
    """A bundle with older versions, the first of them made at second 100, the next at 200."""

    def __init__(self, *versions: Mapping[str, Any]) -> None:
        super().__init__(0)
        self.versions = [
            StoredBundle(n, data, created=100.0 * n, gone="" if data else DELETED) for n, data in enumerate(versions, 1)
        ]
        self.stored = self.versions[-1]
        self.read = 0

    def bundle(self, doing: str, version: int | None = None, over: int | None = None) -> StoredBundle:
        self.read += 1
        return self.versions[version - 1] if version else self.stored


VALUE, ABSENCE, GONE = Undoes.VALUE, Undoes.ABSENCE, Undoes.DELETED
OLD, ROTATED = {"A": "old"}, {"A": "rotated"}


def undone(
    versions: list[Mapping[str, Any]], written: int | None, value: str = "file", over: int | None = None
) -> Undone | None:
    edge = History(*versions)
    age = None if written is None else 5000 - written
    wanted = {"A": Found(value, Provenance("file", "A", "file a", age=age))}
    plan = plan_present([A], wanted, edge.stored.data)
    found = outdated([A], plan, wanted, history(edge, edge.stored, {}, over, "Looking"), 5000)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("versions", "written", "undoes"),
    [
        ([OLD, ROTATED], 150, VALUE),
        ([OLD, ROTATED], 250, None),
        ([OLD, ROTATED], None, None),
        ([ROTATED, {**ROTATED, "B": "new"}], 150, None),
        ([OLD, ROTATED, {**ROTATED, "B": "new"}], 150, VALUE),
        ([{"A": "file"}], 50, None),
        ([{"B": "x"}], 50, None),
        ([OLD, {"B": "x"}], 150, ABSENCE),
        ([OLD, {"B": "x"}], 250, None),
        ([OLD, {"B": "x"}], None, ABSENCE),
        ([OLD, {"B": "x"}, {"B": "y"}], 150, ABSENCE),
        ([{"B": "x"}, {"B": "y"}], 50, None),
        ([{"B": "x"}, {"B": "y"}], None, None),
        ([OLD, {}], 50, None),
        # The deleted version may hold a newer value.
        ([OLD, {}, {"B": "x"}], 150, GONE),
        ([OLD, {}, {"B": "x"}], 250, None),
        ([OLD, {}, {"B": "x"}], None, GONE),
        ([{"B": "x"}, {}, {"B": "y"}], None, None),
        # What is not valid is nothing to keep; a value that it hides is.
        ([OLD, {"A": "two words"}], 50, VALUE),
        ([OLD, {"A": "two words"}], 150, None),
        ([{"A": "file"}, {"A": "two words"}], 50, None),
        ([{"A": "two words"}], 50, None),
        ([{"A": {"a": "map"}}], 50, None),
        ([{"A": 5}, {"A": "two words"}], None, None),
    ],
)
def test_what_publishing_would_undo_is_found(
    versions: list[Mapping[str, Any]], written: int | None, undoes: Undoes | None
) -> None:
    one = undone(versions, written)
    assert (one.undoes if one else None) is undoes


@pytest.mark.parametrize("written", [50, 4000, None])
def test_a_value_that_vault_held_before_another_one_is_a_roll_back_however_new_its_file_looks(
    written: int | None,
) -> None:
    assert undone([OLD, ROTATED], written, "old") == Undone("A", VALUE, 2, newest=True)
    assert undone([OLD, ROTATED, {"A": "two words"}], written, "old") == Undone("A", VALUE, 2)
    assert undone([OLD, {}, {"B": "x"}], written, "old") == Undone("A", GONE, 2)
    assert undone([OLD, {}, {"A": 5}], written, "old") == Undone("A", GONE, 2)


def test_a_deleted_version_that_is_given_up_is_not_looked_at() -> None:
    assert undone([OLD, {}, {"B": "x"}], 50, over=2) is None
    assert undone([OLD, ROTATED], 50, "old", over=1) is not None, "it is not deleted"


def test_a_field_that_was_lost_is_known_with_its_last_version() -> None:
    assert undone([OLD, {"B": "x"}], 150) == Undone("A", ABSENCE, 1)
    assert undone([OLD, {"B": "x"}, {"B": "y"}], 150, "old") == Undone("A", ABSENCE, 1, same=True)


def test_where_vault_keeps_no_version_from_before_the_file_nothing_is_claimed() -> None:
    edge = History(OLD, ROTATED, {**ROTATED, "B": "x"})
    wanted = {"A": Found("file", Provenance("file", "A", "file a", age=4900))}
    plan = plan_present([A], wanted, edge.stored.data)
    assert outdated([A], plan, wanted, [edge.stored], 5000) == [Undone("A", VALUE, 3, newest=True, untold=True)]


def test_versions_are_read_once_and_not_without_end() -> None:
    edge = History(*[{"A": str(n)} for n in range(40)])
    known: dict[int, StoredBundle] = {}
    for _time in range(2):
        assert [stored.version for stored in history(edge, edge.stored, known, None, "Looking")] == list(
            range(40, 40 - LOOKED_AT - 1, -1)
        )
    assert edge.read == LOOKED_AT
    edge.versions[35] = StoredBundle()
    assert len(history(edge, edge.stored, {}, None, "Looking")) == 4, "Vault keeps no older ones"
