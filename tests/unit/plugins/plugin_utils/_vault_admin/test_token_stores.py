# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token takes the place of a token or of nothing, and what may be somebody else's stays beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_stores import FileStore, refuse_other


@pytest.mark.parametrize("content", ["", "\n", "s.token", '"s.token"\r\n', "\ufeffs.token\n"])
def test_a_file_for_a_token_serves(tmp_path: Path, content: str) -> None:
    file, link = tmp_path / "token", tmp_path / "link"
    refuse_other(file)
    link.symlink_to(file)
    refuse_other(link)
    file.write_text(content)
    refuse_other(file)
    refuse_other(link)


@pytest.mark.parametrize(
    "content", [b"cluster:\n  id: x\n", b'{"a":"b"}', b"two words", b"\xff\xfe\x00", b"x" * 300_000]
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    file, link = tmp_path / "secrets.yaml", tmp_path / "link"
    file.write_bytes(content)
    link.symlink_to(file)
    for path in (file, link):
        with pytest.raises(BootstrapError, match="Nothing was changed") as raised:
            refuse_other(path)
        assert f"dest: {path} " in str(raised.value)
        assert "cluster" not in str(raised.value).partition("Nothing was changed")[0]


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match="is a directory, not a regular file"):
        refuse_other(tmp_path)


def test_what_is_set_aside_adds_up_and_stays_private(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "token")
    for token in ("s.one", "s.two", "s.one"):
        store.set_aside(token)
    assert store.before.read_text() == "s.one\ns.two\n"
    assert store.before.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["token.before"]
