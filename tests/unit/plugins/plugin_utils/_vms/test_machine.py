# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of an inventory: read and checked, whoever makes them, with one table of bounds."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import vm_problems
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.provider import PROXMOX
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.existing import EXISTING
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.machine import (
    LIMITS,
    inventory_problems,
    inventory_warnings,
    machines,
)

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
    """Two good machines; C(changes) go into the worker."""
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
        "install_disk": None,
    }
    assert inventory_problems(found, PROXMOX.required) == []


def test_patches_are_those_for_all_then_those_of_the_role_as_each_host_sees_them() -> None:
    hostvars = {
        "cp-1": HOST | {"tazlab_talos_patches": {"all": ["a"], "control_plane": ["c"], "worker": ["w"]}},
        "worker-1": HOST | {"tazlab_talos_patches": {"worker": ["mine"]}},
    }
    assert [machine["patches"] for machine in machines(GROUPS, hostvars, patches=True)] == [["a", "c"], ["mine"]]


def test_patches_of_another_shape_are_refused() -> None:
    with pytest.raises(BootstrapError, match="tazlab_talos_patches is not a dictionary"):
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
        ({"ansible_host": "worker-1.local"}, "worker-1: ansible_host 'worker-1.local' is not an IPv4 address"),
        ({"gateway": "router"}, "worker-1: gateway 'router' is not an IPv4 address"),
        ({"gateway": "192.0.3.1"}, "worker-1: gateway 192.0.3.1 is outside 192.0.2.0/24"),
        ({"gateway": "192.0.2.21"}, "worker-1: gateway 192.0.2.21 is the machine's own address."),
        ({"install_disk": "sda"}, "worker-1: install_disk 'sda' is not a disk's device"),
        ({"vmid": 1011}, "vmid 1011: it stands at 2 places (cp-1, worker-1)"),
        ({"ansible_host": "192.0.2.11"}, "ansible_host 192.0.2.11: it stands at 2 places (cp-1, worker-1)"),
    ],
)
def test_a_wrong_machine_is_named_with_what_is_wrong(change: dict[str, Any], problem: str) -> None:
    (found,) = inventory_problems(inventory(**change), PROXMOX.required)
    assert found.text.startswith(problem)


def test_a_host_name_that_kubernetes_refuses_is_a_problem() -> None:
    (problem,) = inventory_problems(machines({"talos_control_plane": ["cp_1"]}, {"cp_1": HOST}), PROXMOX.required)
    assert problem.text.startswith("cp_1: is not a host name")


@pytest.mark.parametrize(("count", "warned"), [(0, False), (1, False), (2, True), (3, False), (4, True)])
def test_an_even_number_of_control_planes_is_warned_about(count: int, warned: bool) -> None:
    found = [{"name": f"cp-{number}", "role": "control_plane"} for number in range(count)]
    assert bool(inventory_warnings([*found, {"name": "w", "role": "worker"}])) is warned


def test_no_control_plane_is_a_problem() -> None:
    (problem,) = inventory_problems(machines({"talos_workers": ["worker-1"]}, {"worker-1": HOST}), PROXMOX.required)
    assert problem.text.startswith("inventory: the group talos_control_plane has no host")


def test_a_provider_that_makes_nothing_asks_for_an_address_alone() -> None:
    bare = {"cp-1": {"ansible_host": "192.0.2.11"}, "worker-1": {"ansible_host": "192.0.2.12"}}
    found = machines(GROUPS, bare)
    assert inventory_problems(found, EXISTING.required) == []
    assert {problem.code for problem in inventory_problems(found, PROXMOX.required)} == {"unset"}
    assert [each["install_disk"] for each in machines(GROUPS, bare, install_disk="/dev/sda")] == ["/dev/sda"] * 2


@pytest.mark.parametrize(("key", "bounds"), LIMITS.items())
def test_what_a_vm_counts_has_the_same_bounds_in_the_inventory_and_in_the_module(
    key: str, bounds: tuple[int, int, str]
) -> None:
    low, high, _unit = bounds
    for value in (low - 1, high + 1):
        wrong = inventory(**{key: value})
        told = [problem for problem in inventory_problems(wrong, PROXMOX.required) if problem.code == "out_of_bounds"]
        assert [problem.subject for problem in told] == ["worker-1"]
        assert [problem for problem in vm_problems(wrong, "home") if problem.code == "out_of_bounds"] == told
    for value in (low, high):
        codes = {problem.code for problem in inventory_problems(inventory(**{key: value}), PROXMOX.required)}
        assert "out_of_bounds" not in codes
