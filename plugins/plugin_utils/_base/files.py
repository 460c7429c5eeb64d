# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads small private files that belong to somebody else: without touching them, following them elsewhere or hanging.

Private: other collections must not import it.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

LIMIT = 256 * 1024


@dataclass(frozen=True)
class Content:
    """What a file holds, or why that cannot be told. C(text) and C(problem) both None: there is no such file."""

    text: str | None = field(default=None, repr=False)
    problem: str | None = None
    age: int | None = None
    mode: int = 0


def exposed(path: Path, content: Content) -> str | None:
    """The warning about a file with a secret that others can read."""
    if not content.mode & 0o007:
        return None
    return f"{path} can be read by everybody (mode {content.mode:04o}): chmod 600 {shlex.quote(str(path))}"


def read_text(path: Path, within: Path | None = None, limit: int = LIMIT) -> Content:
    """Read a regular file of UTF-8 text, byte for byte. With C(within), no link may lead out of that directory."""
    try:
        is_link = stat.S_ISLNK(path.lstat().st_mode)
    except OSError as error:
        return _failed(error)
    except ValueError:  # a NUL, or half of a surrogate pair
        return Content(problem="has a name that no file can have")
    try:
        real = path.resolve(strict=True)
        if within is not None and not real.is_relative_to(within.resolve()):
            return Content(problem="is a symbolic link that leaves its directory, which is not followed")
        kind = real.lstat().st_mode
    except OSError as error:
        return _failed(error, is_link)
    except RuntimeError:  # Python before 3.13 reports a loop of links so
        return _failed(OSError(errno.ELOOP, ""))
    if not stat.S_ISREG(kind):
        return Content(problem=f"is {_name(kind)}, not a regular file")
    return _read(real, limit)


def holds_nothing(directory: Path) -> bool:
    """Whether a directory is empty. Raise C(OSError) where it cannot be listed."""
    descriptor = _open(directory.resolve())
    try:
        return not os.listdir(descriptor)  # noqa: PTH208  # of a descriptor, which pathlib cannot
    finally:
        os.close(descriptor)


def _read(real: Path, limit: int) -> Content:
    try:
        descriptor = _open(real)
    except OSError as error:
        return _failed(error)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Content(problem=f"is {_name(status.st_mode)}, not a regular file")
        data = b""
        while len(data) <= limit and (chunk := os.read(descriptor, limit + 1 - len(data))):
            data += chunk
    except OSError as error:
        return _failed(error)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        return Content(problem=f"is larger than {limit // 1024} KiB, which no secret is")
    age = max(0, int(time.time() - status.st_mtime))
    try:
        return Content(text=data.decode("utf-8"), age=age, mode=stat.S_IMODE(status.st_mode))
    except UnicodeDecodeError:
        return Content(problem="is not UTF-8 text")


def _open(real: Path) -> int:
    """Open for reading without waiting (a FIFO) and, where the system lets us, without a new access time."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        return os.open(real, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:
        return os.open(real, flags)


def _failed(error: OSError, is_link: bool = False) -> Content:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Content(problem="is a symbolic link to nothing") if is_link else Content()
    reasons = {
        errno.EACCES: "cannot be read: permission denied",
        errno.EPERM: "cannot be read: permission denied",
        errno.ELOOP: "is a symbolic link to itself",
        errno.ENAMETOOLONG: "has a name that is too long",
    }
    return Content(problem=reasons.get(error.errno or 0, f"cannot be read (errno {error.errno})"))


def _name(mode: int) -> str:
    names = {stat.S_IFDIR: "a directory", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return names.get(stat.S_IFMT(mode), "a device")
