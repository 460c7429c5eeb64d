# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a small private file so that it is either the old one or the new one, never half of it. Private."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError

# Enough for any token, so that a full disk is met before there is anything to lose.
_RESERVED = 4096


class PrivateFile:
    """A place for a secret, taken before the secret exists. C(store) puts it there at once, for its owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")

    def __enter__(self) -> PrivateFile:
        with _told(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self.path.parent.glob(f".{self.path.name}.????????"):  # by a run that was killed
                left.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self._temporary, flags, 0o600)
            try:
                os.fchmod(self._descriptor, 0o600)
                _write(self._descriptor, b"\0" * _RESERVED)
                os.fsync(self._descriptor)
            except BaseException:
                self._discard()
                raise
        return self

    def store(self, text: str) -> None:
        """Put the text in place of whatever the file holds, for good."""
        data = text.encode()
        with _told(self.path):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            _write(self._descriptor, data)
            os.ftruncate(self._descriptor, len(data))
            os.fsync(self._descriptor)
            self._temporary.replace(self.path)
        with contextlib.suppress(
            OSError
        ):  # the file is in place: what is still open is only how soon it is on the disk
            _sync_directory(self.path.parent)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._discard()

    def _discard(self) -> None:
        os.close(self._descriptor)
        with contextlib.suppress(FileNotFoundError):
            self._temporary.unlink()


def own_file(option: str, path: str, anchor: str) -> Path:
    """The file that an option names. The recovery anchor is never written."""
    file, directory = Path(path).expanduser(), Path(anchor).expanduser()
    if file.parent.resolve().is_relative_to(directory.resolve()):
        raise BootstrapError(
            f"{option}: {file} is inside the recovery anchor {directory}, which is never written. Name another place."
        )
    if file.is_dir():
        raise BootstrapError(f"{option}: {file} is a directory. Name a file in it.")
    return file


def write_private_file(path: Path, text: str) -> None:
    """Write a file at once, 0600; what was there stays whole if that fails."""
    with PrivateFile(path) as file:
        file.store(text)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there, for good."""
    with _told(path):
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            _sync_directory(path.parent)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say in our own words why a file could not be written."""
    reasons = {
        errno.ENOSPC: "there is no space left on its disk",
        errno.EDQUOT: "its owner's quota is used up",
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
        errno.EROFS: "its file system is read-only",
        errno.ENOTDIR: "a part of its path is not a directory",
        errno.EISDIR: "a directory is there",
        errno.EFBIG: "the limit of a file's size is reached",
    }
    try:
        yield
    except OSError as error:
        reason = reasons.get(error.errno or 0, f"errno {error.errno}")
        raise BootstrapError(
            f"{path}: cannot be written: {reason}. What was there before is unchanged. Make room or correct the "
            "permissions, then run this again."
        ) from None
