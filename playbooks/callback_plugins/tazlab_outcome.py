# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets a playbook that is started by its path from a clone end with the callback outcome, which nobody enabled."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.callback import outcome


class CallbackModule(outcome.CallbackModule):
    """The same, for the playbooks beside it."""

    CALLBACK_NEEDS_ENABLED = False
    CALLBACK_NAME = "tazlab_outcome"
    playbooks = Path(__file__).resolve().parents[1]
