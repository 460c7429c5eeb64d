# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cluster's resources say, what keeps nodes and storages from being used, and what a token may do."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.cluster import Cluster, Privileges, split_tags
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import (
    UNFINISHED,
    Config,
    Machine,
    Source,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.preflight import (
    Place,
    Targets,
    privilege_problems,
    readable,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.vms import plan_absent, plan_present
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import Image

MACHINE = Machine("cp-1", 101, "pve", 2, 4096, 32, "", 24, "", (), "vmbr0", "", "")
SOURCE = Source("home", "local-lvm", "local:import/i.qcow2", "", False)
DISK = {"scsi0": "local-lvm:vm-101-disk-0,size=4G"}


def guest(**other: Any) -> dict[str, Any]:
    return {
        "type": "qemu",
        "vmid": 101,
        "name": "cp-1",
        "node": "pve",
        "status": "running",
        "tags": "b;tazlab-home",
        **other,
    }


def cluster(*rows: dict[str, Any]) -> Cluster:
    return Cluster.read(
        [
            {"type": "node", "node": "pve", "status": "online"},
            {"type": "node", "node": "old", "status": "offline"},
            {"type": "storage", "node": "pve", "storage": "local", "status": "available", "content": "iso,backup"},
            {"type": "storage", "node": "pve", "storage": "nfs", "status": "unknown", "content": "images", "shared": 1},
            *rows,
        ]
    )


def test_the_mark_tells_whose_a_vm_is() -> None:
    found = cluster(
        guest(), guest(vmid=102, tags="tazlab-homer"), guest(vmid=103, type="lxc"), guest(vmid=104, tags=None)
    )
    assert [one.vmid for one in found.marked("tazlab-home")] == [101]
    assert "tags b, tazlab-home" in found.guests[101].description
    assert "container 103" in found.guests[103].description


@pytest.mark.parametrize("tags", ["a;tazlab-home", "a,tazlab-home", "a tazlab-home", "TAZLAB-home;a"])
def test_tags_are_split_as_every_version_writes_them(tags: str) -> None:
    assert split_tags(tags) == {"a", "tazlab-home"}


def test_nodes_and_storages_that_cannot_be_used_are_named_with_the_next_step() -> None:
    found = cluster()
    assert found.node_problem("pve") is None
    assert "it is offline" in str(found.node_problem("old"))
    assert "The nodes are: old, pve." in str(found.node_problem("pve9"))
    assert found.storage_problem("pve", "local", "iso") is None
    assert "pvesm set local --content backup,iso,import" in str(found.storage_problem("pve", "local", "import"))
    assert "it is not active" in str(found.storage_problem("pve", "nfs", "images"))
    assert "The token sees: local, nfs." in str(found.storage_problem("pve", "zfs", "images"))


@pytest.mark.parametrize(
    ("row", "config", "actions"),
    [
        (None, {}, ("create", "start")),
        (guest(), {**DISK, "onboot": "1"}, ()),
        (guest(), DISK, ()),
        (guest(status="stopped"), {**DISK, "onboot": "1"}, ("start",)),
        (guest(status="stopped"), {**DISK, "description": f"Node{UNFINISHED}"}, ("complete", "start")),
        (guest(), {**DISK, "description": f"Node{UNFINISHED}"}, ()),
        # What an owner may do is no sign of a making that has not ended.
        (guest(status="stopped"), {**DISK, "onboot": "0"}, ("start",)),
        (guest(status="stopped"), {"virtio0": "local-lvm:vm-101-disk-0", "onboot": "0"}, ("start",)),
        (guest(status="stopped"), {"hostpci0": "0000:01:00.0", "onboot": "0"}, ("start",)),
        (guest(status="stopped"), {}, ("start",)),
    ],
)
def test_what_a_vm_lacks(row: dict[str, Any] | None, config: dict[str, str], actions: tuple[str, ...]) -> None:
    found = cluster(row).guests[101] if row else None
    assert plan_present(MACHINE, SOURCE, found, Config(config, {})).actions == actions


@pytest.mark.parametrize(
    ("row", "actions"),
    [(None, ()), (guest(), ("stop", "delete")), (guest(status="stopped"), ("delete",))],
)
def test_what_is_left_to_remove(row: dict[str, Any] | None, actions: tuple[str, ...]) -> None:
    found = cluster(row).guests[101] if row else None
    assert plan_absent(MACHINE, found, Config({}, {})).actions == actions


# ---------------------------------------------------------------------------------------------------- privileges


def test_an_entry_of_a_path_replaces_those_above_and_only_what_spreads_reaches_below() -> None:
    privileges = Privileges({"/": {"A": 1, "B": 0}, "/vms/101": {"C": 0}})
    assert privileges.lacking("/", ["A", "B"]) == []
    assert privileges.lacking("/vms/102", ["A", "B"]) == ["B"]
    assert privileges.lacking("/vms/101", ["A", "C"]) == ["A"]
    assert Privileges({}).lacking("/", ["A"]) == ["A"]


def test_a_download_needs_one_of_two_sets_of_privileges() -> None:
    targets = Targets("home", "s", "s", "vmbr0", [Place("cp-1", 101, "pve")])
    rest = dict.fromkeys(
        [
            "VM.Allocate",
            "VM.Audit",
            "VM.Config.CDROM",
            "VM.Config.CPU",
            "VM.Config.Cloudinit",
            "VM.Config.Disk",
            "VM.Config.HWType",
            "VM.Config.Memory",
            "VM.Config.Network",
            "VM.Config.Options",
            "VM.PowerMgmt",
            "Datastore.AllocateSpace",
            "Datastore.AllocateTemplate",
            "SDN.Use",
        ],
        1,
    )

    def problems(**more: int) -> list[Problem]:
        named = {name.replace("_", "."): value for name, value in more.items()}
        return list(privilege_problems(Privileges({"/": {**rest, **named}}), targets, ["pve"], {}))

    assert problems(Sys_Audit=1, Sys_Modify=1) == []
    assert problems(Sys_AccessNetwork=1) == []
    (only,) = problems(Sys_Audit=1)
    assert only.text.startswith("API token: it lacks Sys.AccessNetwork on /nodes/pve.")


VM_PRIVILEGES = dict.fromkeys(
    [
        "VM.Allocate",
        "VM.Audit",
        "VM.PowerMgmt",
        *(
            f"VM.Config.{part}"
            for part in ["CDROM", "CPU", "Cloudinit", "Disk", "HWType", "Memory", "Network", "Options"]
        ),
    ],
    1,
)


@pytest.mark.parametrize(
    ("pool", "pools", "lacks"),
    [("", {}, True), ("talos", {}, False), ("", {101: "talos"}, False), ("talos", {101: "web"}, True)],
)
def test_a_token_that_is_limited_to_a_pool_may_do_what_its_pool_allows(
    pool: str, pools: dict[int, str], lacks: bool
) -> None:
    targets = Targets("home", "", "", "vmbr0", [Place("cp-1", 101, "pve")], pool)
    held = {"/pool/talos": VM_PRIVILEGES, "/sdn": {"SDN.Use": 1}, "/": {"Sys.Audit": 1, "Sys.Modify": 1}}
    found = [problem.text for problem in privilege_problems(Privileges(held), targets, ["pve"], pools)]
    assert bool(found) is lacks
    if lacks and not pool:
        assert "name that pool (tazlab_proxmox.pool)" in found[0]


@pytest.mark.parametrize(
    ("path", "spreads", "lacks"),
    [
        ("/sdn/zones/localnetwork/vmbr0", 0, False),
        ("/sdn/zones/mine/vmbr0", 0, False),
        ("/sdn/zones/mine", 1, False),
        ("/sdn/zones/mine", 0, True),
        ("/sdn/zones/mine/other", 1, True),
    ],
)
def test_a_token_that_is_limited_to_a_zone_may_use_its_vnets(path: str, spreads: int, lacks: bool) -> None:
    targets = Targets("home", "", "", "vmbr0", [])
    held = {path: {"SDN.Use": spreads}}
    assert bool(list(privilege_problems(Privileges(held), targets, [], {}))) is lacks


def test_what_is_incomplete_is_left_to_the_inventorys_check() -> None:
    rows = [{"name": "a", "vmid": 101, "node": "pve"}, {"name": "b", "vmid": None, "node": "pve"}, {"vmid": 1}, {}]
    assert readable([*rows, {"name": "c", "vmid": "x", "node": "pve"}]) == [Place("a", 101, "pve")]


# ---------------------------------------------------------------------------------------------------- image


def test_an_image_is_named_by_what_it_is() -> None:
    schematic = "3765" * 16
    one = Image.read(schematic, "1.12.6", "https://factory.talos.dev/")
    assert one == Image.read(f" {schematic}\n", "v1.12.6", "https://factory.talos.dev")
    assert one.url == f"https://factory.talos.dev/image/{schematic}/v1.12.6/nocloud-amd64.qcow2"
    assert one.volid("local") == "local:import/talos-v1.12.6-376537653765-nocloud-amd64.qcow2"


@pytest.mark.parametrize(
    ("schematic", "version", "factory", "option"),
    [
        ("xyz", "v1.12.6", "https://factory.talos.dev", "schematic"),
        ("a" * 64, "latest", "https://factory.talos.dev", "version"),
        ("a" * 64, "v1.12.6", "https://user:pass@factory.talos.dev", "factory_url"),
        ("a" * 64, "v1.12.6", "factory.talos.dev", "factory_url"),
    ],
)
def test_what_names_no_image_is_refused(schematic: str, version: str, factory: str, option: str) -> None:
    with pytest.raises(BootstrapError, match=f"^{option}: ") as caught:
        Image.read(schematic, version, factory)
    assert "pass" not in str(caught.value)
