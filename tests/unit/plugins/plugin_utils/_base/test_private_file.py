# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private file is the old one or the new one, whatever happens."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base import private_file as _private_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import PrivateFile, write_private_file


def test_it_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "token"
    write_private_file(path, "one\n")
    assert path.read_text() == "one\n"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    write_private_file(path, "two\n")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("two\n", 0o600)
    assert [entry.name for entry in path.parent.iterdir()] == ["token"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    path = tmp_path / "token"
    write_private_file(path, "old\n")

    def fail(descriptor: int, data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(_private_file.os, "write", fail)
    with pytest.raises(BootstrapError, match="unchanged"):
        write_private_file(path, "new\n")
    assert path.read_text() == "old\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["token"]


def test_room_is_taken_before_there_is_anything_to_lose(tmp_path: Path) -> None:
    with PrivateFile(tmp_path / "token") as file:
        (reserved,) = tmp_path.iterdir()
        assert reserved.stat().st_size == 4096
        file.store("x")
    assert (tmp_path / "token").read_text() == "x"


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".token.0a1b2c3d").write_text("secret")
    write_private_file(tmp_path / "token", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["token"]


def test_a_directory_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    with pytest.raises(BootstrapError, match="a directory is there"):
        write_private_file(tmp_path / "token", "x")
