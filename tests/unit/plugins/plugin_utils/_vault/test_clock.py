# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the server's clock is ahead, by the date of its answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.connection import _clock_off

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("ahead", "told"), [(600, 600), (-600, -600), (1, 0), (-1, 0), (0, 0)])
def test_whole_seconds_are_no_difference(ahead: int, told: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=ahead), usegmt=True)
    assert _clock_off(date, NOW.timestamp()) == told


@pytest.mark.parametrize("date", [None, "", "yesterday", "Tue, 99 Feb 2026 12:00:00 GMT"])
def test_a_server_that_does_not_tell_is_taken_to_be_right(date: str | None) -> None:
    assert _clock_off(date, NOW.timestamp()) == 0
