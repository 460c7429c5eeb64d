# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The printed commands as text: one line, every word quoted, the right client, no secret. Running them is elsewhere."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import (
    FileKeeper,
    Keeper,
    OtherKeeper,
    StoreKeeper,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import (
    Tool,
    copy,
    enable_versioning,
    login,
    revoke,
    take,
    unwrap,
    vault_tool,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings

ODD = "a b'c;$(touch owned)`touch owned`\"&|<>*!"
SETTINGS = VaultSettings(
    url="https://vault.example.net:8200",
    token="s.secret",
    token_source="option token",
    ca_file=Path("/etc") / ODD,
    namespace=ODD,
    mount_point=ODD,
    path=ODD,
)
KEEPERS = (FileKeeper(Path("/nowhere") / ODD), StoreKeeper(("gopass", "insert", ODD)))


def every(tool: Tool, keeper: Keeper) -> list[str]:
    return [
        take(tool, SETTINGS, "FIELD", keeper),
        copy(Path("/nowhere") / ODD, keeper),
        unwrap(tool, SETTINGS, ODD),
        revoke(tool, SETTINGS, ODD),
        enable_versioning(tool, SETTINGS, ODD),
        login(tool, SETTINGS),
    ]


@pytest.mark.parametrize("keeper", KEEPERS)
@pytest.mark.parametrize("shell", list(filter(None, map(shutil.which, ("dash", "bash", "zsh", "mksh")))))
def test_every_word_is_quoted(tmp_path: Path, shell: str, keeper: Keeper) -> None:
    """Where the client prints what it was told: what is not a word of its own would be run, or split."""
    (tmp_path / "bao").write_text('#!/bin/sh\nprintf "[%s]\\n" "$@" >&2\nexit 3\n')
    (tmp_path / "bao").chmod(0o755)
    for command in every(Tool("bao"), keeper):
        assert "\n" not in command
        assert "s.secret" not in command
        done = subprocess.run(
            [shell, "-c", command],
            cwd=tmp_path,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not (tmp_path / "owned").exists(), command
        if "bao" in command and " unwrap " not in command:
            assert done.returncode == 3
            assert f"[-namespace={ODD}]" in done.stderr
            assert f"[-ca-cert=/etc/{ODD}]" in done.stderr


def test_the_client_that_is_found_is_named(tmp_path: Path) -> None:
    assert vault_tool(str(tmp_path)) == Tool("bao", installed=False)
    assert "install bao (OpenBao's client), or vault" in vault_tool(str(tmp_path)).note
    for name in ("vault", "bao"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        assert vault_tool(str(tmp_path)) == Tool(name)
    assert Tool("vault").note == Tool("vault").line == ""
    assert all("vault " in command and "bao " not in command for command in every(Tool("vault"), KEEPERS[0])[2:])


def test_the_server_is_named_as_it_is_reached() -> None:
    plain = replace(SETTINGS, ca_file=None, namespace=None)
    assert "login -no-print -address=https://vault.example.net:8200)" in login(Tool("bao"), plain)
    assert "-tls-skip-verify" in login(Tool("bao"), replace(plain, validate_certs=False))
    assert login(Tool("vault"), None) == "vault login -no-print"


def test_what_is_kept_by_a_program_of_the_users_is_said_in_words() -> None:
    said = take(Tool("bao"), SETTINGS, "FIELD", OtherKeeper(("op", "read", "a b")))
    assert said.startswith("put what (")
    assert said.endswith(" prints where op read 'a b' finds it")
    assert ">" not in take(
        Tool("bao"),
        replace(SETTINGS, ca_file=None, namespace=None, mount_point="x", path="y"),
        "F",
        OtherKeeper(("op",)),
    )
    assert "no provider says where that is" in copy(Path("/x"), OtherKeeper())
