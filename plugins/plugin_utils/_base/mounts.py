# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On what kind of file system a path lies, where the system tells. Private: other collections must not import it."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable
from pathlib import Path

# What a container's own files, or a machine's memory, are: gone with it.
PASSING: t.Final = frozenset({"aufs", "fuse-overlayfs", "fuse.fuse-overlayfs", "overlay", "ramfs", "tmpfs"})


def passing(path: Path, mounts: Iterable[str] | None = None) -> str:
    """The kind of file system that goes with its container or machine; empty where the path lies on another one.

    C(mounts) are the lines of C(/proc/self/mountinfo).
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
        except OSError:
            return ""
    found: dict[Path, str] = {}
    for line in mounts:
        before, _dash, after = line.partition(" - ")
        words = before.split()
        if len(words) > 4 and after:
            found[Path(words[4].replace("\\040", " "))] = after.split()[0]
    real = path.resolve()
    place = next((parent for parent in (real, *real.parents) if parent in found), None)
    kind = found[place] if place is not None else ""
    return kind if kind in PASSING else ""
