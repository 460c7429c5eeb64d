# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes with a container is told from what stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.mounts import passing

MOUNTS = (
    "1 0 0:1 / / rw,relatime - overlay overlay rw,lowerdir=/a",
    "2 1 0:2 / /nowhere/home rw shared:1 - ext4 /dev/sda1 rw",
    "3 1 0:3 / /nowhere/with\\040blank rw - tmpfs tmpfs rw",
    "not a mount",
)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/nowhere/else", "overlay"),
        ("/nowhere/home", ""),
        ("/nowhere/home/me/.config", ""),
        ("/nowhere/homes", "overlay"),
        ("/nowhere/with blank/x", "tmpfs"),
    ],
)
def test_the_nearest_mount_counts(path: str, kind: str) -> None:
    assert passing(Path(path), MOUNTS) == kind


def test_where_nothing_is_told_nothing_is_warned_about(tmp_path: Path) -> None:
    assert passing(tmp_path, []) == ""
