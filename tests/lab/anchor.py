# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a test knows of a recovery anchor: a picture of its tree that any touch would change."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def picture(directory: Path) -> dict[str, tuple[object, ...]]:
    """Every entry with its mode, owner, size, all its time stamps and the hash of its content; taken without a
    touch.
    """
    entries = [directory, *sorted(directory.rglob("*"))]
    return {str(entry.relative_to(directory)): _entry(entry) for entry in entries}


def _entry(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    content = ""
    if stat.S_ISREG(status.st_mode):
        content = hashlib.sha256(_read(path)).hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        content = str(path.readlink())
    # Nobody can list a directory or resolve a link without a new time of access; a file can be read so.
    accessed = status.st_atime_ns if stat.S_ISREG(status.st_mode) else 0
    return (
        oct(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_size,
        content,
        status.st_mtime_ns,
        status.st_ctime_ns,
        accessed,
    )


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOATIME", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
