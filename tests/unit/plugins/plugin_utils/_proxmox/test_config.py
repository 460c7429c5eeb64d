# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VM of a Talos node, purely: what is asked for, and how what exists differs from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import (
    Config,
    Machine,
    Source,
    completion,
    creation,
    differences,
    properties,
    vm_problems,
)

SOURCE = Source("home", "local-lvm", "local:import/talos.qcow2", "", False)


def row(**other: Any) -> dict[str, Any]:
    return {
        "name": "cp-1",
        "vmid": 101,
        "node": "pve",
        "cores": 2,
        "memory": 4096,
        "disk": 32,
        "address": "192.0.2.11",
        "prefix": 24,
        "gateway": "192.0.2.1",
        "nameservers": [],
        "bridge": None,
        "mac": None,
        "role": None,
        **other,
    }


def machine(**other: Any) -> Machine:
    return Machine.read(row(**other), "vmbr0")


def born(wanted: Machine, source: Source = SOURCE, **changed: str) -> Config:
    """The configuration as Proxmox VE keeps it once the VM is made, with what was changed since."""
    kept = {key: str(value) for key, value in {**creation(wanted, source), **completion("")}.items() if key != "vmid"}
    kept["scsi0"] = f"{source.storage}:vm-{wanted.vmid}-disk-0,size={wanted.disk}G"
    kept["ide2"] = f"{source.storage}:vm-{wanted.vmid}-cloudinit,media=cdrom"
    if not wanted.mac:
        kept["net0"] = kept["net0"].replace("virtio", "virtio=BC:24:11:00:00:01", 1)
    return Config({**kept, **changed}, {})


def found(config: Config, wanted: Machine | None = None, source: Source = SOURCE, node: str = "pve") -> dict[str, str]:
    return {one.setting: one.found for one in differences(wanted or machine(), source, config, node)}


# ---------------------------------------------------------------------------------------------------- the list


def test_a_good_list_has_no_problem() -> None:
    rows = [row(), row(name="w-1", vmid=102, address="192.0.2.12", mac="bc:24:11:00:00:02", nameservers=["192.0.2.1"])]
    assert vm_problems(rows, "home") == []


def test_an_address_may_come_from_dhcp() -> None:
    rows = [row(address=None, gateway=None), row(name="w-1", vmid=102, address=None, gateway=None)]
    assert vm_problems(rows, "home") == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"vmid": 99}, "cp-1: vmid is 99; it must be a whole number from 100 to 999999999."),
        ({"vmid": None}, "cp-1: vmid is not set."),
        ({"node": ""}, "cp-1: node is not set."),
        ({"name": "cp_1"}, "cp_1: is not a host name."),
        ({"disk": 0}, "cp-1: disk is 0; it must be a whole number from 8 to 131072 GiB."),
        ({"mac": "nonsense"}, "cp-1: mac is not a hardware address"),
        ({"address": "here"}, "cp-1: address 'here' is not an IPv4 address"),
        ({"gateway": "there"}, "cp-1: gateway 'there' is not an IPv4 address."),
        ({"gateway": "192.0.2.11"}, "cp-1: gateway 192.0.2.11 is the machine's own address."),
        ({"gateway": "203.0.113.1"}, "cp-1: gateway 203.0.113.1 is outside 192.0.2.0/24"),
        ({"address": None}, "cp-1: gateway is set, but address is not."),
        ({"nameservers": ["dns"]}, "cp-1: nameserver 'dns' is not an IP address."),
    ],
)
def test_each_fault_is_named(change: dict[str, Any], problem: str) -> None:
    (only,) = vm_problems([row(**change)], "home")
    assert only.text.startswith(problem)


@pytest.mark.parametrize("cluster", ["", "Home", "a;b", "-a", "a b"])
def test_a_cluster_must_make_a_tag(cluster: str) -> None:
    (only,) = vm_problems([row()], cluster)
    assert "it cannot be part of a tag" in only.text


# ---------------------------------------------------------------------------------------------------- the request


def test_the_mark_stands_in_the_creating_request_and_that_it_is_unfinished() -> None:
    request = creation(machine(), SOURCE)
    assert request["tags"] == "tazlab-home"
    assert request["onboot"] == 0
    notes = str(request["description"])
    assert not Config({"onboot": "0", "description": f"mine\n{notes}\n"}, {}).finished
    ended = completion(f"mine\n{notes}\n")
    assert ended == {"onboot": 1, "description": "mine\nNode of the Talos cluster home, made by tazlab.bootstrap\n"}
    assert Config({"description": str(ended["description"])}, {}).finished
    assert completion("mine") == {"onboot": 1}
    assert request["scsi0"] == "local-lvm:0,import-from=local:import/talos.qcow2"


def test_an_iso_gets_an_empty_disk_of_the_wanted_size() -> None:
    request = creation(machine(), Source("home", "local-lvm", "", "local:iso/talos.iso", False))
    assert (request["scsi0"], request["ide0"]) == ("local-lvm:32", "local:iso/talos.iso,media=cdrom")
    assert request["boot"] == "order=scsi0;ide0"


def test_what_a_machine_says_of_itself_is_asked_for() -> None:
    wanted = machine(bridge="vmbr9", mac="bc:24:11:aa:bb:cc", nameservers=["192.0.2.1", "192.0.2.2"], role="worker")
    request = creation(wanted, Source("home", "s", "s:import/i", "", True))
    assert request["net0"] == "virtio=BC:24:11:AA:BB:CC,bridge=vmbr9"
    assert request["nameserver"] == "192.0.2.1 192.0.2.2"
    assert request["agent"] == 1
    assert str(request["description"]).startswith("Worker of the Talos cluster home")


def test_dhcp_is_asked_for_where_no_address_is_given() -> None:
    assert creation(machine(address=None, gateway=None), SOURCE)["ipconfig0"] == "ip=dhcp"


# ---------------------------------------------------------------------------------------------------- drift


@given(
    cores=st.integers(1, 512),
    memory=st.integers(1024, 1_000_000),
    disk=st.integers(1, 10_000),
    address=st.none() | st.integers(2, 254).map(lambda last: f"192.0.2.{last}"),
    mac=st.none() | st.just("bc:24:11:00:00:09"),
    nameservers=st.lists(st.sampled_from(["192.0.2.1", "2001:db8::1"]), unique=True),
    agent=st.booleans(),
)
def test_what_was_just_made_does_not_differ(agent: bool, **values: Any) -> None:
    wanted = machine(**values, gateway=None)
    for source in (
        Source("home", "local-lvm", "local:import/talos.qcow2", "", agent),
        Source("home", "local-lvm", "", "local:iso/talos.iso", agent),
    ):
        assert found(born(wanted, source), wanted, source) == {}


@pytest.mark.parametrize(
    ("changed", "setting", "text"),
    [
        ({"memory": "2048"}, "memory", "2048"),
        ({"scsi0": "local-lvm:vm-101-disk-0,size=20G"}, "disk", "20 GiB"),
        ({"scsi0": "other:vm-101-disk-0,size=32G"}, "storage", "other"),
        ({"net0": "virtio=BC:24:11:00:00:01,bridge=vmbr1"}, "bridge", "vmbr1"),
        ({"net0": "e1000=BC:24:11:00:00:01,bridge=vmbr0"}, "nic", "e1000"),
        ({"ipconfig0": "ip=192.0.2.99/24,gw=192.0.2.1"}, "address", "192.0.2.99/24"),
        ({"ipconfig0": "ip=192.0.2.11/24"}, "gateway", ""),
        ({"cpu": "x86-64-v2-AES"}, "cpu", "x86-64-v2-AES"),
        ({"scsihw": "virtio-scsi-single"}, "scsihw", "virtio-scsi-single"),
        ({"balloon": "1024"}, "balloon", "1024"),
        ({"name": "renamed"}, "name", "renamed"),
        ({"ide2": "none,media=cdrom"}, "cloudinit", "no"),
        ({"onboot": "0"}, "onboot", "0"),
        ({"agent": "enabled=1,fstrim_cloned_disks=1"}, "agent", "1"),
        ({"nameserver": "192.0.2.53"}, "nameservers", "192.0.2.53"),
    ],
)
def test_what_was_changed_since_differs(changed: dict[str, str], setting: str, text: str) -> None:
    assert found(born(machine(), **changed)) == {setting: text}


@pytest.mark.parametrize(
    "same",
    [
        {"memory": "current=4096"},
        {"cpu": "cputype=host,flags=+aes"},
        {"machine": "pc-q35-9.0+pve0"},
        {"scsi0": "local-lvm:vm-101-disk-0,discard=on,size=32768M,ssd=1"},
        {"scsi0": "file=local-lvm:vm-101-disk-0,size=34359738368"},
        {"net0": "model=virtio,macaddr=BC:24:11:00:00:01,bridge=vmbr0,firewall=1"},
        {"agent": "0"},
    ],
)
def test_another_spelling_of_the_same_does_not_differ(same: dict[str, str]) -> None:
    assert found(born(machine(), **same)) == {}


def test_a_vm_that_was_moved_differs_by_its_node() -> None:
    assert found(born(machine()), node="pve2") == {"node": "pve2"}


def test_what_the_next_start_changes_differs_too() -> None:
    now = born(machine()).now
    assert found(Config(now, {"memory": "1024"})) == {"memory": "4096, 1024 after the next start"}
    assert found(Config({**now, "cores": "1"}, {"cores": "2"})) == {"cores": "1, 2 after the next start"}
    assert found(Config(now, {"serial0": None})) == {"serial0": "socket, not set after the next start"}


def test_a_hardware_address_matters_only_where_one_is_wanted() -> None:
    wanted = machine(mac="BC:24:11:00:00:09")
    other = born(wanted, net0="virtio=BC:24:11:00:00:01,bridge=vmbr0")
    assert found(other, wanted) == {"mac": "BC:24:11:00:00:01"}


# ---------------------------------------------------------------------------------------------------- reading


def test_pending_tells_now_from_later() -> None:
    config = Config.read(
        [
            {"key": "memory", "value": "2048", "pending": "4096"},
            {"key": "cores", "value": 2},
            {"key": "serial0", "value": "socket", "delete": 1},
            {"key": "agent", "pending": "1"},
        ]
    )
    assert config.now == {"memory": "2048", "cores": "2", "serial0": "socket"}
    assert config.later == {"memory": "4096", "cores": "2", "agent": "1"}


def test_property_strings() -> None:
    assert properties("virtio=BC:24,bridge=vmbr0") == {"virtio": "BC:24", "bridge": "vmbr0"}
    assert properties("local:disk,size=4G") == {"": "local:disk", "size": "4G"}
    assert properties("") == {}
