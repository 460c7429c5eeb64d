# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps new secrets from taking the place of those of a cluster whose Vault was made anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import Directory, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_home import VaultHome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings, vault_settings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import StoredBundle


def empty(work: Callable[[Any], Any]) -> Any:
    """A Vault in which nothing is."""
    return work(SimpleNamespace(stored=lambda doing: StoredBundle()))


def away(work: Callable[[Any], Any]) -> Any:
    raise BootstrapError("Vault is sealed.", code="sealed")


@pytest.mark.parametrize(
    ("ask", "copied", "new_allowed", "refused"),
    [
        (empty, True, False, True),
        (empty, False, False, False),
        (empty, True, True, False),
        (away, True, False, False),
    ],
)
def test_a_vault_made_anew_does_not_make_a_cluster_of_which_there_is_a_copy_new(
    ask: Any, copied: bool, new_allowed: bool, refused: bool, tmp_path: Path
) -> None:
    anchor = tmp_path / "anchor"
    anchor.mkdir()
    if copied:
        (anchor / "talos-secrets.yaml").write_text("cluster: {}\n")
        (anchor / "talos-secrets.yaml").chmod(0o600)
    options = {"url": "https://vault.example.net:8200", "token": "s.x", "path": "state/home"}
    settings = vault_settings(options, environ={}, home=tmp_path)
    assert isinstance(settings, VaultSettings)
    providers = declared_providers([{"type": "file"}], fields=(), anchor=str(anchor), environ={}, home=tmp_path)
    unstored, seen = Directory(tmp_path / "unstored"), Directory(tmp_path / "seen")
    home = VaultHome("home", settings, ask, unstored, seen, providers, new_allowed)
    problem = home.only_a_copy(State(tmp_path, home))
    assert (problem is not None) is refused
    if problem:
        assert str(anchor / "talos-secrets.yaml") in problem.text
        assert f"as {tmp_path / 'secrets.yaml'} (mode 0600)" in problem.text
        assert "-e tazlab_new_secrets=home" in problem.text
