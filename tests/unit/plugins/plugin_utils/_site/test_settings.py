# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the inventory's reading and checking."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.settings import setting_problems
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.machine import machine_problems, machines

HOST = {
    "ansible_host": "192.0.2.11",
    "vmid": 1011,
    "proxmox_node": "pve",
    "gateway": "192.0.2.1",
    "cores": 2,
    "memory": 4096,
    "disk": 32,
}
GROUPS = {"talos_workers": ["worker-1"], "talos_control_plane": ["cp-1"], "all": ["cp-1", "worker-1", "other"]}


def inventory(**changes: Any) -> list[dict[str, Any]]:
    """Two good machines; C{changes} go into the worker."""
    worker = HOST | {"ansible_host": "192.0.2.21", "vmid": 1021} | changes
    return machines(GROUPS, {"cp-1": HOST, "worker-1": {k: v for k, v in worker.items() if v is not None}})


def test_machines_are_control_planes_first_with_the_default_prefix_and_no_patches() -> None:
    found = inventory()
    assert [(machine["name"], machine["role"]) for machine in found] == [
        ("cp-1", "control_plane"),
        ("worker-1", "worker"),
    ]
    assert found[0] == {
        "name": "cp-1",
        "role": "control_plane",
        "address": "192.0.2.11",
        "vmid": 1011,
        "node": "pve",
        "prefix": 24,
        "gateway": "192.0.2.1",
        "cores": 2,
        "memory": 4096,
        "disk": 32,
    }
    assert machine_problems(found) == []


def test_patches_are_those_for_all_then_those_of_the_role_as_each_host_sees_them() -> None:
    hostvars = {
        "cp-1": HOST | {"tazlab_talos_patches": {"all": ["a"], "control_plane": ["c"], "worker": ["w"]}},
        "worker-1": HOST | {"tazlab_talos_patches": {"worker": ["mine"]}},
    }
    assert [machine["patches"] for machine in machines(GROUPS, hostvars, patches=True)] == [["a", "c"], ["mine"]]


def test_patches_of_another_shape_are_refused() -> None:
    with pytest.raises(BootstrapError, match="tazlab_talos_patches is no dictionary"):
        machines(GROUPS, {"cp-1": HOST | {"tazlab_talos_patches": ["a"]}, "worker-1": HOST}, patches=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"vmid": None}, "worker-1: vmid is not set"),
        ({"vmid": 99}, "worker-1: vmid is 99"),
        ({"vmid": "1e3"}, "worker-1: vmid is '1e3'"),
        ({"proxmox_node": ""}, "worker-1: proxmox_node is not set"),
        ({"memory": 512}, "worker-1: memory is 512"),
        ({"prefix": 33}, "worker-1: prefix is 33"),
        ({"ansible_host": "worker-1.local"}, "worker-1: ansible_host 'worker-1.local' is no IPv4 address"),
        ({"gateway": "router"}, "worker-1: gateway 'router' is no IPv4 address"),
        ({"gateway": "192.0.3.1"}, "worker-1: gateway 192.0.3.1 is outside 192.0.2.0/24"),
        ({"vmid": 1011}, "inventory: vmid 1011 stands at 2 places (cp-1, worker-1)"),
        ({"ansible_host": "192.0.2.11"}, "inventory: address 192.0.2.11 stands at 2 places (cp-1, worker-1)"),
    ],
)
def test_a_wrong_machine_is_named_with_what_is_wrong(change: dict[str, Any], problem: str) -> None:
    (found,) = machine_problems(inventory(**change))
    assert found.startswith(problem)


def test_a_host_name_that_kubernetes_refuses_is_a_problem() -> None:
    (problem,) = machine_problems(machines({"talos_control_plane": ["cp_1"]}, {"cp_1": HOST}))
    assert problem.startswith("cp_1: is no host name")


def test_no_control_plane_is_a_problem() -> None:
    (problem,) = machine_problems(machines({"talos_workers": ["worker-1"]}, {"worker-1": HOST}))
    assert problem.startswith("inventory: the group talos_control_plane has no host")


def test_only_the_settings_of_the_chosen_phases_are_asked_for() -> None:
    assert setting_problems({"tazlab_cluster": "home"}, ["secrets", "seed"]) == []
    named = [problem.subject for problem in setting_problems({}, ["flux"])]
    assert named == ["tazlab_cluster", "tazlab_flux.url", "tazlab_flux.branch", "tazlab_flux.path"]


def test_a_misspelt_key_is_told_with_those_that_there_are() -> None:
    settings = {"tazlab_cluster": "home", "tazlab_talos_patches": {"controlplane": [], "all": []}, "tazlab_flux": None}
    assert texts(setting_problems(settings, ["secrets"])) == [
        "tazlab_talos_patches: does not know controlplane. It has all, control_plane, worker."
    ]


@pytest.mark.parametrize("phase", ["vms", "talos"])
@pytest.mark.parametrize(("version", "words"), [("v1.11.9", "is too old"), ("v1.14.0", "is not supported yet")])
def test_a_version_of_talos_that_is_not_supported_is_told_before_a_vm_is_made(
    phase: str, version: str, words: str
) -> None:
    problems = setting_problems({"tazlab_cluster": "home", "tazlab_talos": {"version": version}}, [phase])
    (told,) = [problem for problem in problems if problem.subject == "tazlab_talos.version"]
    assert told.code == "unsupported"
    assert words in told.what
    assert "Use Talos v1.12" in told.step


def test_a_malformed_setting_is_shown_with_what_it_should_be() -> None:
    settings = {"tazlab_cluster": "home", "tazlab_talos": {"version": "latest", "schematic": "a" * 64}}
    settings["tazlab_talos"]["kubernetes_version"] = "1.35.4"
    assert texts(setting_problems(settings, ["talos"])) == [
        "tazlab_talos.version: 'latest' does not fit. It is Talos' version, e.g. v1.12.6."
    ]
