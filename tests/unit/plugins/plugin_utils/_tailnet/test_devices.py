# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of which device of a tailnet a node has become."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.devices import (
    CLOCKS,
    KEY_SECONDS,
    Device,
    joined,
)

MINTED = 1_000_000.0


def device(created: float, hostname: str = "cp-1", tags: frozenset[str] = frozenset({"tag:k8s"})) -> Device:
    return Device("n1", f"{hostname}.tail1234.ts.net", hostname, (), tags, created)


@pytest.mark.parametrize(
    ("created", "found"),
    [
        (MINTED - CLOCKS, True),
        (MINTED + KEY_SECONDS, True),
        (MINTED - CLOCKS - 1, False),  # it was there before the key
        (MINTED + 30 * 86400, False),  # another cluster's node of this name, born weeks later
    ],
)
def test_a_node_is_no_device_that_its_key_cannot_have_made(created: float, found: bool) -> None:
    assert (joined([device(created)], "CP-1", ["tag:k8s"], MINTED) is not None) is found


def test_a_device_without_the_tags_or_of_another_name_is_not_the_node() -> None:
    others = [device(MINTED, tags=frozenset()), device(MINTED, "cp-2")]
    assert joined(others, "cp-1", ["tag:k8s"], MINTED) is None
