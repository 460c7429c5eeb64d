# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the anchor's owner keeps a value, and that a store's own command is given only where it is certain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import (
    FileKeeper,
    Keeper,
    OtherKeeper,
    StoreKeeper,
    file_keeper,
    keeper,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers


def kept(home: Path, *declaration: dict[str, Any], files: tuple[str, ...] = ("my-token", "my-token.txt")) -> Keeper:
    providers = declared_providers(declaration, fields=(), anchor=None, environ={}, home=home)
    return keeper(providers, "MY_TOKEN", files)


ENV = {"type": "env"}
FILES = {"type": "file"}


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["gopass", "show", "-n", "x/{file}"], StoreKeeper(("gopass", "insert", "--force", "x/my-token"))),
        (["/opt/bin/gopass", "show", "{name}"], StoreKeeper(("/opt/bin/gopass", "insert", "--force", "MY_TOKEN"))),
        (["pass", "show", "x y/{file}"], StoreKeeper(("pass", "insert", "--multiline", "--force", "x y/my-token"))),
        (["gopass", "show", "-o", "x", "{file}"], OtherKeeper(("gopass", "show", "-o", "x", "my-token"))),
        (["gopass", "show", "--revision", "-1"], OtherKeeper(("gopass", "show", "--revision", "-1"))),
        (["gopass", "show", "--revision=-1", "x"], OtherKeeper(("gopass", "show", "--revision=-1", "x"))),
        (["gopass", "show", "-o", "x"], OtherKeeper(("gopass", "show", "-o", "x"))),
        (["gopass", "show", "--password", "x"], OtherKeeper(("gopass", "show", "--password", "x"))),
        (["gopass", "otp", "x"], OtherKeeper(("gopass", "otp", "x"))),
        (["gopass", "show"], OtherKeeper(("gopass", "show"))),
        (["gopass"], OtherKeeper(("gopass",))),
        (["pass", "show", "--clip=2", "x"], OtherKeeper(("pass", "show", "--clip=2", "x"))),
        (["env", "HOME=/x", "pass", "show", "x"], OtherKeeper(("env", "HOME=/x", "pass", "show", "x"))),
        (["op", "read", "op://x/{file}"], OtherKeeper(("op", "read", "op://x/my-token"))),
    ],
)
def test_a_stores_entry_is_written_only_where_it_is_certain(tmp_path: Path, argv: list[str], expected: Keeper) -> None:
    assert kept(tmp_path, ENV, {"type": "command", "argv": argv}) == expected


def test_who_is_asked_first_keeps_the_value(tmp_path: Path) -> None:
    store = {"type": "command", "argv": ["pass", "show", "x"]}
    assert isinstance(kept(tmp_path, FILES, store), FileKeeper)
    assert isinstance(kept(tmp_path, ENV, store, FILES), StoreKeeper)
    assert kept(tmp_path, ENV) == kept(tmp_path) == OtherKeeper()


def test_the_file_that_is_there_is_the_one_to_replace(tmp_path: Path) -> None:
    anchor = tmp_path / "secrets"
    assert kept(tmp_path, FILES) == FileKeeper(anchor / "my-token"), "none is there yet"
    anchor.mkdir()
    (anchor / "my-token.txt").touch()
    assert kept(tmp_path, FILES) == FileKeeper(anchor / "my-token.txt")
    (anchor / "my-token").symlink_to("nowhere")
    assert kept(tmp_path, FILES) == FileKeeper(anchor / "nowhere"), "where the link leads"
    (anchor / "my-token").unlink()
    (anchor / "my-token").symlink_to("my-token")
    assert kept(tmp_path, FILES) == FileKeeper(anchor / "my-token"), "a link to itself"
    (anchor / "my-token").unlink()
    (anchor / "my-token").symlink_to(tmp_path / "elsewhere")
    assert kept(tmp_path, FILES) == file_keeper(str(anchor / "my-token")) == FileKeeper(anchor / "my-token")
    assert kept(tmp_path, {"type": "file", "directory": str(tmp_path / "usb")}) == FileKeeper(
        tmp_path / "usb" / "my-token"
    )


def test_a_relative_directory_is_named_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert kept(tmp_path, {"type": "file", "directory": "mine"}) == FileKeeper(tmp_path / "mine" / "my-token")
