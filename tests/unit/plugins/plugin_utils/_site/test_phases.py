# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the phases' choice and timing."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import (
    PHASES,
    Timing,
    chosen,
    timings,
    unknown_tags,
)


@pytest.mark.parametrize(
    ("run", "skip", "phases"),
    [
        (["all"], [], list(PHASES)),
        (["all"], ["flux", "vms"], ["secrets", "talos", "seed"]),
        (["flux"], [], ["secrets", "flux"]),
        (["seed", "talos"], ["seed"], ["secrets", "talos"]),
    ],
)
def test_tags_choose_phases_and_the_secrets_always_run(run: list[str], skip: list[str], phases: list[str]) -> None:
    assert chosen(run, skip) == phases


def test_whoever_imports_the_playbook_chooses_all_of_it_by_a_tag_of_their_own() -> None:
    assert chosen(["mine"], [], {"mine"}) == list(PHASES)
    assert unknown_tags(["mine", "vms"], {"mine"}) == []


def test_a_tag_that_chooses_nothing_is_told() -> None:
    assert unknown_tags(["all", "always", "vmz", "flux"], set()) == ["vmz"]


def test_a_phase_lasts_until_the_next_begins() -> None:
    assert timings([("secrets", 10.0), ("flux", 12.5)], 20.0) == [Timing("secrets", 2.5), Timing("flux", 7.5)]
