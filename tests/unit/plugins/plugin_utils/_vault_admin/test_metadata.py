# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of the bundle's metadata only what somebody asked for is written, and what that destroys is known before."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.metadata import Metadata, plan_metadata


def plan(found: dict[str, Any] | None, **options: Any) -> Metadata:
    return plan_metadata("secret/metadata/x", found, **{"limit": None, "custom": None, "defaults": None, **options})


@pytest.mark.parametrize(
    ("found", "options", "wanted"),
    [
        ({"max_versions": 50}, {}, {}),
        ({"max_versions": 50}, {"limit": 50}, {}),
        ({"max_versions": 50}, {"limit": 20}, {"max_versions": 20}),
        (None, {"limit": 20}, {"max_versions": 20}),
        ({"custom_metadata": None}, {"defaults": {"a": 1}}, {"custom_metadata": {"a": "1"}}),
        ({"custom_metadata": {"a": "theirs"}}, {"defaults": {"a": "ours"}}, {}),
        ({"custom_metadata": {"a": "theirs"}}, {"custom": {"a": "ours"}}, {"custom_metadata": {"a": "ours"}}),
        (
            {"custom_metadata": {"a": "theirs", "c": "x"}},
            {"custom": {}, "defaults": {"a": "ours", "b": "new"}},
            {"custom_metadata": {"a": "theirs", "b": "new", "c": "x"}},
        ),
    ],
)
def test_only_what_was_asked_for_is_written(
    found: dict[str, Any] | None, options: dict[str, Any], wanted: dict[str, Any]
) -> None:
    assert plan(found, **options).wanted == wanted


def test_the_versions_beyond_a_lower_limit_are_named() -> None:
    found = {"versions": {str(n): {"destroyed": n == 3} for n in range(2, 13)}}
    assert plan(found, limit=8).lost(12) == [2, 4, 5]
    assert plan(found, limit=8).lost(13) == [2, 4, 5, 6]
    assert plan(found, limit=20).lost(12) == []
    assert plan({**found, "max_versions": 8}, limit=8).lost(12) == []
    assert plan(None, limit=1).lost(1) == []


def test_the_server_is_told_which_metadata_was_read_where_it_counts_them() -> None:
    metadata = plan(None, limit=5)
    assert metadata.body({"current_metadata_version": 0}) == {"max_versions": 5, "metadata_cas": 0}
    assert metadata.body({}) == {"max_versions": 5}
