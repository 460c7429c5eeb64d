# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A newest version without data is refused as long as something can be brought back, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.gone import refuse_gone
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
    DELETED,
    DESTROYED,
    StoredBundle,
)

SETTINGS = VaultSettings("https://vault.test:8200", "s.x", "test")
STATES = {"live": "", "deleted": DELETED, "destroyed": DESTROYED}


def refusal(*states: str, over: int | None = None) -> str:
    """What is said of a bundle whose versions, the oldest first, are so; V(trimmed) is one that Vault no longer has."""
    deletion = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    versions = {
        number: StoredBundle(number, gone=STATES[state], deletion=deletion if state == "deleted" else None)
        for number, state in enumerate(states, 1)
        if state != "trimmed"
    }
    try:
        refuse_gone(
            SETTINGS, versions[len(states)], lambda number: versions.get(number, StoredBundle()), "Publishing", over
        )
    except BootstrapError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (("live",), ""),
        (("deleted", "live"), ""),
        (("destroyed",), ""),
        (("destroyed", "destroyed"), ""),
        (("live", "trimmed", "destroyed"), ""),
        (("live", "deleted"), "2, was deleted on 2026-01-02T03:04:05Z, and"),
        (("live", "destroyed"), "2, was destroyed, while version 1 is still there"),
        (("live", "destroyed", "destroyed"), "3, was destroyed, while version 1 is"),
        (("live", "deleted", "destroyed"), "3, was destroyed, while version 2, deleted on 2026-01-02T03:04:05Z, is"),
    ],
)
def test_what_can_be_brought_back_is_not_written_over(states: tuple[str, ...], said: str) -> None:
    text = refusal(*states)
    assert (said in text) if said else text == ""
    assert refusal(*states, over=len(states)) == ""
    assert (f"over_deleted is {len(states) - 1}, which is not" in refusal(*states, over=len(states) - 1)) is bool(said)
