# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of facts that were noted while those before could not be seen."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import (
    Birth,
    Facts,
    Joined,
    Rebirth,
    merged,
    parsed,
    serialised,
)

BEGUN = Rebirth(7.0, "a run")
GONE = Rebirth(7.0, "a run", gone=8.0)


def merge(vault: Facts, waiting: Facts, base: Facts | None = None) -> Facts:
    found = parsed(merged(serialised(vault), serialised(waiting), None if base is None else serialised(base)))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("vault", "waiting", "base", "kept"),
    [
        (GONE, None, None, GONE),  # noted by who did not see that machines were gone: none is removed again
        (GONE, None, GONE, None),  # who saw it has ended it
        (GONE, GONE, BEGUN, GONE),
        (None, BEGUN, BEGUN, None),  # others have ended it since
        (None, BEGUN, None, BEGUN),
        (BEGUN, GONE, BEGUN, GONE),
    ],
)
def test_how_far_a_rebirth_is_was_noted_last_by_who_knew_of_it(
    vault: Rebirth | None, waiting: Rebirth | None, base: Rebirth | None, kept: Rebirth | None
) -> None:
    known = Facts(rebirth=base) if base else None
    assert merge(Facts(rebirth=vault), Facts(rebirth=waiting), known).rebirth == kept


def test_a_rebirth_that_a_later_birth_has_ended_does_not_come_back() -> None:
    assert merge(Facts(births=(Birth(20.0, {"vms": 1.0}),)), Facts(rebirth=BEGUN)).rebirth is None


MOVES, RESTS = Facts(kubernetes="1.35.4"), Facts()


@pytest.mark.parametrize(
    ("vault", "waiting", "base", "kept"),
    [
        (MOVES, RESTS, MOVES, ""),  # it was ended here
        (RESTS, MOVES, RESTS, "1.35.4"),  # it was begun here
        (MOVES, RESTS, RESTS, "1.35.4"),  # somebody else has begun it since
        (MOVES, RESTS, None, "1.35.4"),
        (RESTS, MOVES, None, "1.35.4"),
    ],
)
def test_a_move_of_kubernetes_is_known_until_it_is_through(
    vault: Facts, waiting: Facts, base: Facts | None, kept: str
) -> None:
    assert merge(vault, waiting, base).kubernetes == kept


def test_of_two_keys_of_a_node_the_later_one_counts() -> None:
    older, newer = Joined("nOld", 1.0), Joined("nNew", 2.0)
    assert merge(Facts(joined={"cp-1": newer}), Facts(joined={"cp-1": older})).joined["cp-1"] == newer
    assert merge(Facts(joined={"cp-1": older}), Facts(joined={"cp-1": newer})).joined["cp-1"] == newer
