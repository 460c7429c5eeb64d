# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example in a role's README is a play that the role takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.action.proxmox_vm import ActionModule as Machines
from ansible_collections.tazlab.bootstrap.plugins.action.talos_config import ActionModule as Nodes
from tests.unit.roles.test_defaults import ROLES, ROOT, loaded

ENTRIES = {
    "proxmox_vms_machines": Machines.argument_spec["vms"]["options"],
    "existing_machines_machines": Machines.argument_spec["vms"]["options"],
    "talos_cluster_nodes": Nodes.argument_spec["nodes"]["options"],
}


def examples(role: str) -> list[dict[str, Any]]:
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "roles" / role / "README.md").read_text(), re.DOTALL)
    (play,) = yaml.safe_load(block)
    return [entry for entry in play["roles"] if entry["role"] == f"tazlab.bootstrap.{role}"]


@pytest.mark.parametrize("role", ROLES)
def test_the_example_gives_what_the_role_takes(role: str) -> None:
    options = loaded(role, "meta", "argument_specs.yml")["argument_specs"]["main"].get("options") or {}
    (entry,) = examples(role)
    given = entry.get("vars", {})
    assert sorted(set(given) - set(options)) == []
    assert [name for name, option in options.items() if option.get("required") and name not in given] == []
    for name, keys in ENTRIES.items():
        for each in given.get(name, []):
            assert sorted(set(each) - set(keys)) == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_what_it_is(role: str) -> None:
    about = loaded(role, "meta", "main.yml")["galaxy_info"]
    assert about["description"]
    assert (about["license"], about["min_ansible_version"]) == ("GPL-3.0-or-later", "2.19")
