# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that look like ours and are not, and those of other people."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.names import (
    OWN,
    SETTINGS,
    VARIABLES,
    group_problems,
    host_problems,
    variable_problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import LOOKUP_OPTIONS, variable_names

ROOT = Path(__file__).parents[5]
OPTIONS = {name for option in LOOKUP_OPTIONS for name in variable_names(option)}
REQUIRED = ("address", "vmid", "cores", "memory")


def test_every_variable_of_the_playbooks_is_known_and_every_known_one_is_used() -> None:
    files = [path for tree in ("playbooks", "roles") for path in (ROOT / tree).rglob("*.yml")]
    used = {name for path in files for name in re.findall(r"\btazlab_[a-z0-9_]*[a-z0-9]\b(?![-.])", path.read_text())}
    assert used - VARIABLES - SETTINGS - OWN - OPTIONS == set()
    assert (VARIABLES | SETTINGS | OWN) - used == set()
    assert VARIABLES.isdisjoint(OWN)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("tazlab_talos_patch", "tazlab_talos_patches was meant?"),
        ("tazlab_proxmx", "tazlab_proxmox was meant?"),
        ("tazlab_vault_token_fil", "tazlab_vault_token_file was meant?"),
        ("tazlab_cluter", "tazlab_cluster was meant?"),
        ("tazlab_coffee", "another prefix"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_one_that_was_meant(name: str, meant: str) -> None:
    (problem,) = variable_problems(["tazlab_cluster", "rack", "my_tazlab_thing", name, *OWN, *OPTIONS], OPTIONS)
    assert (problem.code, problem.subject) == ("unknown_variable", name)
    assert meant in problem.step


def test_a_near_miss_at_a_host_is_named_where_what_was_meant_is_not_set() -> None:
    host = {"ansible_host": "192.0.2.1", "vmid": 101, "cores": 2, "memroy": 4096, "rack": "a", "core_team": "x"}
    (problem,) = host_problems({"cp-1": host}, REQUIRED)
    assert problem.text == "cp-1: memroy is not known, and memory is not set. If memory was meant, correct the name."
    assert list(host_problems({"cp-1": {**host, "memory": 4096}}, REQUIRED)) == []
    assert list(host_problems({"cp-1": {"score": 1, "ansible_host": "192.0.2.1"}}, ("address",))) == []


@pytest.mark.parametrize(
    ("groups", "count"),
    [
        ({"talos_control_plane": ["cp-1"], "workers": ["w-1"]}, 1),
        ({"talos_controlplane": ["cp-1"]}, 1),
        ({"talos_control_plane": ["cp-1"], "talos_workers": ["w-1"], "workers": ["x-1"]}, 0),
        ({"talos_control_plane": ["cp-1"], "docker_workers": ["x-1"]}, 0),
        ({"talos_control_plane": ["cp-1"], "talos_workers": [], "worker": []}, 0),
        ({"all": ["cp-1"], "ungrouped": [], "talos_control_plane": ["cp-1"]}, 0),
    ],
)
def test_a_near_miss_of_a_groups_name_is_named(groups: dict[str, list[str]], count: int) -> None:
    assert len(list(group_problems(groups))) == count
