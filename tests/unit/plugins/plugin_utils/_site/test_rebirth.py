# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may stop a rebirth, and what is said of how long one took."""

from __future__ import annotations

import json
import shlex

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.rebirth import (
    Objection,
    gate_name,
    of_health,
    refusal,
    spoken,
    standing,
    told,
)

HEALTH = {
    "reborn": {"vault": {"able": False, "reasons": ["sealed"]}, "anchor": {"able": True, "reasons": []}},
    "tokens": [{"name": "ESO reader", "state": "dying", "failing": True, "text": "dies today"}, {"failing": False}],
    "state": [{"name": "state", "state": "no_copy", "failing": True, "text": "no copy"}],
    "logins": [{"name": "login tazlab-eso", "state": "refused", "failing": True, "text": "no such role"}],
}


def test_the_health_report_objects_by_source_token_state_and_login() -> None:
    assert [each.name for each in of_health(HEALTH, "")] == ["vault", "ESO reader", "state", "login tazlab-eso"]
    assert of_health({}, "it could not be made") == [Objection("health", "it could not be made")]


def test_only_the_name_of_what_said_no_overrides_it() -> None:
    found = of_health(HEALTH, "")
    assert [each.name for each in standing(found, ["vault", "anchor"])] == ["ESO reader", "state", "login tazlab-eso"]
    text = refusal(standing(found, ["vault"]), ["vault"])
    assert "  ESO reader: NO, dying: dies today\n" in text
    argument = shlex.split(text.rpartition("name it: ")[2])[1]
    assert json.loads(argument) == {"tazlab_rebirth_despite": ["vault", "ESO reader", "state", "login tazlab-eso"]}


def test_a_gate_is_called_as_somebody_would_type_it() -> None:
    assert gate_name(["sh", "-c", "exit 1"]) == "sh -c 'exit 1'"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (552, "9 min 12 s"), (3605, "1 h 0 min 5 s")]
)
def test_a_time_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_a_birth_is_compared_with_the_last_one() -> None:
    seconds = {"destroy": 12.0, "vms": 40.0, "talos": 500.0}
    assert told("reborn", seconds, 700.0) == "reborn in 9 min 12 s (last: 11 min 40 s); longest: talos"
    assert told("born", {"vms": 3.0}, None) == "born in 3 s; longest: vms"
