# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to restore etcd from. None is needed for a rebirth, so nothing fails here. Private."""

from __future__ import annotations

import datetime
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.snapshot import newest


def snapshot_line(directory: Path, cluster: str) -> str:
    """The newest snapshot with its age and size, for the report."""
    try:
        found = newest(directory, cluster)
    except BootstrapError as error:
        return f"WARNING: snapshots of etcd: {error}"
    if found is None:
        return f"snapshots of etcd: none in {directory}"
    return f"snapshots of etcd: the newest is {found.text(datetime.datetime.now(datetime.UTC))}"
