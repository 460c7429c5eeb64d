# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a token dies is told by Vault's clock, and whether it is the narrow periodic one that was asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import TokenSpec, token_facts

SPEC = TokenSpec("r", ("narrow",), 3600, "secret/data/x")
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def looked_up(**changed: Any) -> dict[str, Any]:
    """What lookup-self answers for a token as it should be, asked at NOW by Vault's clock."""
    return {
        "accessor": "acc",
        "creation_time": int(NOW.timestamp()) - 600,
        "creation_ttl": 3600,
        "expire_time": "2026-01-01T12:50:00.123456789Z",
        "explicit_max_ttl": 0,
        "num_uses": 0,
        "orphan": True,
        "period": 3600,
        "policies": ["narrow"],
        "renewable": True,
        "ttl": 3000,
        "type": "service",
        **changed,
    }


def test_the_one_that_was_asked_for() -> None:
    facts = token_facts(looked_up(), NOW)
    assert facts is not None
    assert facts.unfit(SPEC) == []
    assert facts.says == "dies on 2026-01-01T12:50:00Z unless renewed"
    assert facts.warnings() == []


@pytest.mark.parametrize(
    ("changed", "ours"),
    [
        ({}, True),
        ({"policies": ["wide"]}, False),
        ({"policies": ["narrow", "wide"]}, False),
        ({"policies": ["root"]}, False),
        ({"role": "r", "policies": ["narrow", "wide"], "orphan": False}, True),
        ({"role": "another"}, False),
    ],
)
def test_what_a_token_was_issued_for(changed: dict[str, Any], ours: bool) -> None:
    facts = token_facts(looked_up(**changed), NOW)
    assert facts is not None
    assert facts.issued_for(SPEC) is ours


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"policies": ["default", "narrow"]}, "policies are default, narrow"),
        ({"policies": ["root"]}, "root token"),
        ({"orphan": False}, "parent"),
        ({"period": 0}, "not periodic"),
        ({"period": 1800}, "its period is 1800 s, and 3600 s were asked for"),
        ({"explicit_max_ttl": 60}, "dies even if renewed"),
        ({"renewable": False}, "cannot be renewed"),
        ({"type": "batch"}, "batch token"),
        ({"num_uses": 3}, "uses is limited"),
    ],
)
def test_what_is_wrong_with_another_one(changed: dict[str, Any], why: str) -> None:
    facts = token_facts(looked_up(**changed), NOW)
    assert facts is not None
    assert why in "; ".join(facts.unfit(SPEC))


@pytest.mark.parametrize("off", [timedelta(hours=-30), timedelta(minutes=-5), timedelta(minutes=5), timedelta(days=40)])
def test_a_clock_that_is_off_changes_no_date_and_is_told(off: timedelta) -> None:
    facts = token_facts(looked_up(explicit_max_ttl=7200), NOW + off)
    right = token_facts(looked_up(explicit_max_ttl=7200), NOW)
    assert facts is not None
    assert right is not None
    assert facts.says == right.says
    assert "2026-01-01T13:50:00Z even if renewed" in facts.says
    assert (
        f"{int(abs(off).total_seconds())} s {'ahead of' if off > timedelta() else 'behind'} Vault's"
        in (facts.warnings()[0])
    )


@pytest.mark.parametrize(
    "expires", ["2026-01-01T07:50:00.99-05:00", "2026-01-01T18:20:00+05:30", "2026-01-01T12:50:00Z"]
)
def test_vaults_zone_changes_no_date(expires: str) -> None:
    facts = token_facts(looked_up(expire_time=expires), NOW)
    assert facts is not None
    assert facts.says == "dies on 2026-01-01T12:50:00Z unless renewed"
    assert facts.warnings() == []


def test_a_period_that_is_capped_is_told() -> None:
    facts = token_facts(looked_up(creation_ttl=60, ttl=50, expire_time="2026-01-01T12:00:50Z"), NOW)
    assert facts is not None
    assert facts.unfit(SPEC) == []
    assert "renewed within 60 s, not 3600 s" in facts.warnings()[0]
    assert not facts.health.renewal_due


def test_a_token_without_end() -> None:
    facts = token_facts(looked_up(ttl=0, creation_ttl=0, expire_time=None, period=0, policies=["root"]), NOW)
    assert facts is not None
    assert facts.says == "never dies"


def test_an_answer_that_is_none() -> None:
    assert token_facts({}, NOW) is None
