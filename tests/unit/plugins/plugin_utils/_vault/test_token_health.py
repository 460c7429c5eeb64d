# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a token is renewed, when it dies, and when renewing will not save it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import (
    DAY,
    TokenHealth,
    health_warnings,
    iso,
    renewed,
    token_health,
    vault_time,
)

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
MONTH = 768 * 3600


def health(*, age: int = 0, **changes: Any) -> TokenHealth:
    data = {
        "ttl": MONTH - age,
        "creation_ttl": MONTH,
        "creation_time": int(NOW.timestamp()) - age,
        "renewable": True,
        "policies": ["tazlab-bootstrap"],
    }
    found = token_health({**data, **changes}, NOW)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({"ttl": MONTH // 2}, False),
        ({"ttl": MONTH // 2 - 1}, True),
        ({"ttl": 3600, "period": 7100}, False),
        ({"ttl": 3500, "period": 7100}, True),
        ({"ttl": 60, "renewable": False}, False),
        ({"ttl": 0}, False),
    ],
)
def test_renewal_is_due_below_half_of_the_period_or_ttl(changes: dict[str, Any], due: bool) -> None:
    assert health(**changes).renewal_due is due


@pytest.mark.parametrize(
    ("changes", "age", "dies", "why"),
    [
        ({"period": MONTH}, 5 * DAY, None, ""),
        ({}, 5 * DAY, MONTH - 5 * DAY, "not periodic"),
        ({"role": "ours"}, 5 * DAY, MONTH - 5 * DAY, "unless its token role makes it periodic"),
        ({"explicit_max_ttl": 40 * DAY}, 5 * DAY, 35 * DAY, "maximum TTL ends"),
        ({"period": MONTH, "explicit_max_ttl": 40 * DAY}, 5 * DAY, 35 * DAY, "maximum TTL ends"),
        ({"renewable": False, "ttl": 100}, 0, 100, "cannot be renewed"),
        ({"ttl": 0, "policies": ["root"]}, 0, None, ""),
    ],
)
def test_renewing_does_not_always_save_it(changes: dict[str, Any], age: int, dies: int | None, why: str) -> None:
    found = health(age=age, **changes)
    assert found.dies_at == (None if dies is None else NOW + timedelta(seconds=dies))
    assert why in found.dies_by


@pytest.mark.parametrize(
    ("changes", "age", "warning"),
    [
        ({"period": MONTH}, 0, None),
        ({"period": MONTH, "ttl": 6 * DAY}, 0, "unless it is renewed"),
        ({"period": 3 * DAY, "ttl": 2 * DAY}, 0, None),
        ({"period": 3 * DAY, "ttl": 1 * DAY}, 0, "unless it is renewed"),
        ({}, 26 * DAY, "renewed or not: it is not periodic"),
        ({}, 20 * DAY, None),
        ({"ttl": 0, "policies": ["root"]}, 0, "root token"),
        ({"period": MONTH, "num_uses": 3}, 0, "3 more requests"),
    ],
)
def test_a_person_is_warned_in_time(changes: dict[str, Any], age: int, warning: str | None) -> None:
    found = health_warnings(health(age=age, **changes), NOW)
    assert [warning in text for text in found] == ([True] if warning else []) if warning else found == []


def test_a_renewal_gives_a_new_end() -> None:
    found = renewed(health(ttl=100), {"lease_duration": 2 * DAY}, NOW)
    assert (found.ttl, found.renewed, iso(found.expires_at)) == (2 * DAY, True, "2026-02-02T12:00:00Z")


@pytest.mark.parametrize(
    ("changes", "lease", "dies", "why"),
    [
        ({"period": MONTH}, MONTH, None, ""),
        ({"period": MONTH}, 5 * DAY, None, ""),
        ({"creation_ttl": 10 * DAY}, 10 * DAY, 12 * DAY, "not periodic"),
        ({"creation_ttl": 13 * DAY}, 13 * DAY, 13 * DAY, "not periodic"),
        ({"creation_ttl": 13 * DAY}, 12 * DAY, 12 * DAY, "its maximum TTL ends"),
        ({"explicit_max_ttl": 25 * DAY, "creation_ttl": 10 * DAY}, 5 * DAY, 5 * DAY, "its maximum TTL ends"),
    ],
)
def test_a_renewal_tells_more_about_the_end(changes: dict[str, Any], lease: int, dies: int | None, why: str) -> None:
    found = renewed(health(age=20 * DAY, **{"ttl": DAY, **changes}), {"lease_duration": lease}, NOW)
    assert found.dies_at == (None if dies is None else NOW + timedelta(seconds=dies))
    assert why in found.dies_by


@pytest.mark.parametrize("number", [10**18, 1e300, float("inf"), -(10**18), float("-inf")])
@pytest.mark.parametrize("name", ["ttl", "creation_ttl", "creation_time", "explicit_max_ttl", "period", "num_uses"])
def test_no_number_is_too_large(name: str, number: float) -> None:
    found = health(**{"explicit_max_ttl": DAY, name: number})
    assert renewed(found, {"lease_duration": number}, NOW).renewed
    health_warnings(found, NOW)


@pytest.mark.parametrize(
    "data",
    [{}, {"ttl": float("nan"), "creation_ttl": 1}, {"ttl": "x", "creation_ttl": 1}, {"ttl": 1, "creation_ttl": True}],
)
def test_an_answer_that_is_none_is_unknown(data: dict[str, Any]) -> None:
    assert token_health(data, NOW) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-24T21:28:13.123456789Z", "2026-11-24T21:28:13Z"),
        ("2026-11-24T16:28:13.99-05:00", "2026-11-24T21:28:13Z"),
        ("2026-11-25T02:58:13+05:30", "2026-11-24T21:28:13Z"),
        ("2026-11-24T21:28:13", None),
        ("2026-13-24T21:28:13Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("", None),
        (None, None),
    ],
)
def test_vaults_times_are_read_in_its_own_zone(text: str | None, said: str | None) -> None:
    assert iso(vault_time(text)) == said
