# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles, their documentation, playbooks and code have the same defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base import defaults
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import BUNDLE_OPTIONS

ROOT = Path(__file__).parents[3]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
# How a role's variable ends, and what it is where the user says nothing.
SHARED = {
    "_anchor": defaults.ANCHOR,
    "_factory_url": defaults.FACTORY_URL,
    "_bridge": defaults.BRIDGE,
    "_period": defaults.TOKEN_PERIOD,
    "_username": defaults.GIT_USERNAME,
}
# What such a default looks like wherever it stands, and the only one that there is.
WRITTEN = {
    r"~/secrets\w*": defaults.ANCHOR,
    r"https://factory\.[\w.]+": defaults.FACTORY_URL,
    r"default\('(vmbr\w*)'": defaults.BRIDGE,
    r"https://api\.tailscale\.com[\w/]*": defaults.TAILSCALE_TOKEN_URL,
}


def loaded(*parts: str) -> dict[str, Any]:
    path = ROOT.joinpath("roles", *parts)
    return yaml.safe_load(path.read_text()) or {} if path.is_file() else {}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_documents_the_defaults_that_it_has(role: str) -> None:
    found = loaded(role, "defaults", "main.yml")
    documented = loaded(role, "meta", "argument_specs.yml").get("argument_specs", {})
    options = {name: option for entry in documented.values() for name, option in (entry.get("options") or {}).items()}
    told = {name: option["default"] for name, option in options.items() if "default" in option}
    fixed = {name: value for name, value in found.items() if "{{" not in str(value)}
    assert {name: value for name, value in told.items() if name in fixed and value != fixed[name]} == {}
    assert [name for name in found if name not in options] == []
    for ending, value in SHARED.items():
        assert [name for name, own in fixed.items() if name.endswith(ending) and own not in ("", value)] == []


def test_the_option_that_does_not_import_its_default_has_it() -> None:
    assert BUNDLE_OPTIONS["anchor"]["default"] == defaults.ANCHOR


def test_the_endings_are_those_of_variables_that_there_are() -> None:
    names = [name for role in ROLES for name in loaded(role, "defaults", "main.yml")]
    assert [ending for ending in SHARED if not any(name.endswith(ending) for name in names)] == []


@pytest.mark.parametrize("pattern", WRITTEN)
def test_a_default_that_is_written_out_is_the_one(pattern: str) -> None:
    files = [path for tree in ("roles", "playbooks", "plugins/modules") for path in (ROOT / tree).rglob("*.*")]
    found = {word for path in files if path.suffix in (".yml", ".py") for word in re.findall(pattern, path.read_text())}
    assert found == {WRITTEN[pattern]}
