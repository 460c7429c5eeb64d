# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that nobody here makes: bare metal and hand-made VMs that boot Talos. Private."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.provider import Provider

EXISTING: t.Final = Provider(
    name="existing",
    title="existing machines",
    role="existing_machines",
    required=("address",),
    platform="metal",
    consoles="at the machines themselves",
    makes=False,
)
