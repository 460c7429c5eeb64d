# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields out of what Vault gave, by name or by expression."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.secrets import bundle_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK, Outcome


@pytest.mark.parametrize(
    ("expression", "data", "found"),
    [
        ("git.token", {"git": {"token": "abc"}}, "abc"),
        ("git.token", {"git": {}}, None),
        ("join('-', parts)", {"parts": ["a", "b"]}, "a-b"),
        ("join('-', parts)", None, None),
        ("join('-', parts)", {}, None),
    ],
)
def test_an_expression_finds_a_value_or_nothing(expression: str, data: Any, found: str | None) -> None:
    result = bundle_of(Outcome(OK, data=data), [Field("A", expression=expression)], "secret/x")
    assert (result.found["A"].value if found else result.missing) == (found or ["A"])
    assert result.invalid == []


@pytest.mark.parametrize("expression", ["join('-', parts)", "nosuch(parts)", "length(parts)", "abs(parts)"])
def test_an_expression_that_does_not_fit_is_that_fields_error(expression: str) -> None:
    fields = [Field("A", expression=expression), Field("B")]
    result = bundle_of(Outcome(OK, data={"parts": 7, "B": "b"}, version=2), fields, "secret/x")
    assert result.found["B"].value == "b"
    if expression != "abs(parts)":  # a number, and no text
        said = "the value from vault v2 cannot be had: its expression does not fit what is there."
        assert [problem.what for problem in result.invalid] == [said]
    assert "7" not in result.invalid[0].text
