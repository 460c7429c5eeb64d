# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written about each action plugin is what it takes."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.plugin_docs import read_docstring
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import add_fragments

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction

ROOT = Path(__file__).parents[4]
ACTIONS = sorted(path.stem for path in (ROOT / "plugins" / "action").glob("*.py"))
COMPARED = ("type", "required", "default", "choices", "elements", "aliases")


def documented(name: str) -> dict[str, Any]:
    path = str(ROOT / "plugins" / "modules" / f"{name}.py")
    doc: dict[str, Any] = read_docstring(path)["doc"]
    add_fragments(doc, path, fragment_loader, is_module=True)
    return doc


def action(name: str) -> type[ControllerAction]:
    module = import_module(f"ansible_collections.tazlab.bootstrap.plugins.action.{name}")
    found: type[ControllerAction] = module.ActionModule
    return found


def normal(options: dict[str, Any], nested: str) -> dict[str, Any]:
    """An argument spec, or documented options, with the defaults that Ansible itself fills in."""
    result = {}
    for name, option in options.items():
        shown = {key: option[key] for key in COMPARED if option.get(key) not in (None, False, [], "")}
        if option.get("type") == "bool" and option.get("default") is False:
            shown["default"] = False
        shown.setdefault("type", "str")
        if option.get(nested):
            shown["suboptions"] = normal(option[nested], nested)
        result[name] = shown
    return result


@pytest.mark.parametrize("name", ACTIONS)
def test_the_argument_spec_is_the_documented_one(name: str) -> None:
    assert normal(action(name).argument_spec, "options") == normal(documented(name).get("options", {}), "suboptions")


@pytest.mark.parametrize("name", ACTIONS)
def test_what_may_hold_a_secret_is_hidden(name: str) -> None:
    plugin = action(name)
    hidden = [option for option, spec in plugin.argument_spec.items() if spec.get("no_log") is True]
    assert plugin.secret_result or not hidden, f"{hidden} would be shown by a task without no_log"


def test_the_action_groups_name_plugins_that_exist() -> None:
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    assert sorted({name for members in groups.values() for name in members} - set(ACTIONS)) == []


@pytest.mark.parametrize("name", ACTIONS)
def test_a_plugin_says_what_its_action_groups_are(name: str) -> None:
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    mine = {f"tazlab.bootstrap.{group}" for group, members in groups.items() if name in members}
    said = documented(name).get("attributes", {}).get("action_group", {}).get("membership", [])
    assert set([said] if isinstance(said, str) else said) == mine
