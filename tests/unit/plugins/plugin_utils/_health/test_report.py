# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health report: each credential used once, the verdict of each source, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, Untried
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.report import Check, Source, examine, judged
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found, Provenance
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import token_facts

GIT = Field("GITHUB_TOKEN")


def source(name: str, why: str = "", **values: str) -> Source:
    """A source that calls its field as it does: Vault by its key, the anchor by its file."""
    label, place = ("vault v1", "") if name == "vault" else ("file github-token", "github-token")
    found = {key: Found(value, Provenance(name, place or key, label)) for key, value in values.items()}
    return Source(name, found, {}, why)


def git(used: list[str]) -> Check:
    def use(values: Mapping[str, str]) -> str:
        used.append(values["GITHUB_TOKEN"])
        if values["GITHUB_TOKEN"] == "dead":
            raise BootstrapError("Git repository x: the login was refused. Check the token.", status=401)
        if values["GITHUB_TOKEN"] == "offline":
            raise Untried("the host does not answer")
        return "branch main is there"

    return Check("Git", (GIT,), use)


def test_the_two_lines_say_it_all() -> None:
    used: list[str] = []
    report = examine([git(used)], [source("vault", GITHUB_TOKEN="good"), source("anchor", GITHUB_TOKEN="dead")])
    lines = list(report.lines())
    assert lines[:2] == ["From Vault: yes", "From the anchor: NO, github-token was refused (401)"]
    assert used == ["good", "dead"]
    assert lines[-1].startswith("Git ")
    assert ["Check the token." in line for line in report.advice()] == [True]
    assert report.as_dict()["reborn"]["anchor"] == {"able": False, "reasons": ["github-token was refused (401)"]}


def test_what_will_soon_be_gone_is_a_reason_beside_those_of_the_checks() -> None:
    ends = replace(source("vault", GITHUB_TOKEN="dead"), ends="Vault will delete it")
    report = examine([git([])], [ends, source("anchor", GITHUB_TOKEN="good")])
    assert report.reasons(report.sources[0]) == ["Vault will delete it", "GITHUB_TOKEN was refused (401)"]
    assert report.able(report.sources[1])


def test_an_equal_value_is_used_once_and_named_as_each_source_has_it() -> None:
    used: list[str] = []
    report = examine([git(used)], [source("vault", GITHUB_TOKEN="dead"), source("anchor", GITHUB_TOKEN="dead")])
    assert used == ["dead"]
    assert [report.reasons(each)[0].split()[0] for each in report.sources] == ["GITHUB_TOKEN", "github-token"]


def test_what_cannot_be_tried_is_no_failure_and_is_said() -> None:
    used: list[str] = []
    report = examine([git(used)], [source("vault", "Vault is sealed."), source("anchor", GITHUB_TOKEN="offline")])
    assert list(report.lines())[:2] == ["From Vault: NO, Vault is sealed.", "From the anchor: yes (not tried: Git)"]


def test_a_missing_value_counts_only_if_it_is_required() -> None:
    for required, able in ((True, False), (False, True)):
        check = Check("Git", (Field("GITHUB_TOKEN", required=required),), git([]).use)
        report = examine([check], [source("anchor")])
        assert report.able(report.sources[0]) is able


def test_a_check_that_breaks_is_a_verdict_and_quotes_nothing() -> None:
    def use(values: Mapping[str, str]) -> str:
        raise TypeError(values["GITHUB_TOKEN"])

    report = examine([Check("Git", (GIT,), use)], [source("anchor", GITHUB_TOKEN="canary")])
    assert next(iter(report.lines())) == "From the anchor: NO, github-token did not serve"
    assert list(report.advice()) == ["Git: Unexpected TypeError while it was used. Please report this bug."]


DAY = 86400


@pytest.mark.parametrize(
    ("changed", "failure", "state"),
    [
        ({}, "", "alive"),
        ({"ttl": DAY}, "", "alive"),
        ({"period": 0, "explicit_max_ttl": 9 * DAY}, "", "alive"),
        ({"period": 0, "explicit_max_ttl": 8 * DAY}, "", "dying"),
        ({"renewable": False, "ttl": 6 * DAY}, "", "dying"),
        ({"renewable": False, "ttl": 8 * DAY}, "", "alive"),
        ({}, "Vault said no.", "not renewed"),
        ({"policies": ["root"], "ttl": 0}, "", "too wide"),
    ],
)
def test_a_tokens_state_is_one_word(changed: dict[str, Any], failure: str, state: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    data = {
        "ttl": 30 * DAY,
        "creation_ttl": 32 * DAY,
        "creation_time": int(now.timestamp()) - 2 * DAY,
        "period": 32 * DAY,
        "renewable": True,
        "policies": ["narrow"],
    }
    facts = token_facts({**data, **changed}, now)
    assert facts is not None
    judgement = judged("token", facts, failure)
    assert judgement.state == state
    assert judgement.failing is (state != "alive")
    assert judgement.as_dict()["state"] == state
