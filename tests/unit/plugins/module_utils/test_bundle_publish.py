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

from ansible_collections.tazlab.bootstrap.plugins.module_utils._bundle_publish import (
    DELETED,
    LostRace,
    StoredBundle,
    outdated,
    plan_absent,
    plan_present,
    update_bundle,
)
from ansible_collections.tazlab.bootstrap.plugins.module_utils._errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.module_utils._fields import Field
from ansible_collections.tazlab.bootstrap.plugins.module_utils._resolution import Found, Provenance

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
    assert states(plan_present([A, B], found(A="1", B="2"), {"A": {"x": 1}, "B": "two words"})) == {
        "A": "changed",
        "B": "changed",
    }


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

    def bundle(self, doing: str, version: int | None = None, over: int | None = None) -> StoredBundle:
        return self.versions[version - 1] if version else self.stored


@pytest.mark.parametrize(
    ("versions", "written", "older"),
    [
        ([{"A": "old"}, {"A": "rotated"}], 150, ["A"]),
        ([{"A": "old"}, {"A": "rotated"}], 250, []),
        ([{"A": "rotated"}, {"A": "rotated", "B": "new"}], 150, []),
        ([{"A": "old"}, {"A": "rotated"}, {"A": "rotated", "B": "new"}], 150, ["A"]),
        ([{"A": "file"}], 50, []),
        ([{"B": "x"}], 50, []),
        ([{"A": "old"}, {"B": "x"}], 150, ["A"]),
        ([{"A": "old"}, {"B": "x"}], 250, []),
        ([{"A": "old"}, {"B": "x"}, {"B": "y"}], 150, ["A"]),
        ([{"B": "x"}, {"B": "y"}], 50, []),
        ([{"A": "old"}, {}, {"B": "x"}], 50, []),  # given up with all that it held
        ([{"A": "old"}, {}], 50, []),
    ],
)
def test_a_file_older_than_what_vault_has_is_found(
    versions: list[Mapping[str, Any]], written: int, older: list[str]
) -> None:
    edge = History(*versions)
    wanted = {"A": Found("file", Provenance("file", "A", "file a", age=1000 - written))}
    plan = plan_present([A], wanted, edge.stored.data)
    assert outdated(edge, plan, wanted, edge.stored, 1000, "Looking") == older
