# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing VMs leaves the jobs that name them alone, unless purge says otherwise, and says what becomes of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.pve import TalosPve, serving
from lab.tls import Authority
from lab.vms import SECRET, WRITES, Layer, layer_of

NIGHTLY = {"vmid": "500,1001,1002", "comment": "nightly", "storage": "local", "enabled": 1}
OURS = {"vmid": "1001 1002", "storage": "local", "enabled": 0}
REST = {"all": 1, "exclude": "1002", "storage": "local"}
POOLED = {"pool": "lab", "storage": "local"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def pve(authority: Authority) -> Iterator[TalosPve]:
    with serving(TalosPve(SECRET), authority.certificate("pve")) as running:
        for number in (1, 2):
            config = {"tags": "tazlab-home", "onboot": 1, "scsi0": f"local-lvm:vm-100{number}-disk-0,size=32G"}
            running.add_vm(1000 + number, f"node-{number}", status="running", config=config)
        running.backup_jobs = {"backup-a": NIGHTLY, "backup-b": OURS, "backup-c": REST}
        yield running


@pytest.fixture
def layer(pve: TalosPve, authority: Authority, tmp_path: Path) -> Layer:
    return layer_of(pve, authority, tmp_path / "home")


def removal(layer: Layer, *arguments: str, purge: bool = False, confirmed: bool = True) -> tuple[int, str]:
    variables = {"proxmox_vms_destroy": "home" if confirmed else "", "proxmox_vms_purge": purge}
    run = layer.run(*arguments, tasks_from="absent", **variables)
    return run.returncode, run.output


def test_without_purge_the_jobs_stay_and_are_named(layer: Layer, pve: TalosPve) -> None:
    before = dict(pve.backup_jobs)
    status, output = removal(layer)
    assert status == 0, output
    assert pve.vms == []
    assert pve.backup_jobs == before
    for text in (
        "stays in backup job backup-a (nightly)",
        "stays in backup job backup-b",
        "stays in the exclusions of backup job backup-c",
    ):
        assert text in output
    assert "is taken out of" not in output
    first, second = layer.facts["result"]
    assert [(job["kind"], job["name"], job["effect"]) for job in first["jobs"]] == [
        ("backup", "backup-a", "stays"),
        ("backup", "backup-b", "stays"),
    ]
    assert second["jobs"][-1] == {
        "kind": "exclusion",
        "name": "backup-c",
        "effect": "stays",
        "text": "stays in the exclusions of backup job backup-c",
    }


@pytest.mark.parametrize("how", ["check", "unconfirmed"])
@pytest.mark.parametrize("purge", [False, True])
def test_what_becomes_of_the_jobs_is_told_before_anything_is_done(
    layer: Layer, pve: TalosPve, how: str, purge: bool
) -> None:
    arguments = ["--check"] if how == "check" else []
    status, output = removal(layer, *arguments, purge=purge, confirmed=False)
    assert (status == 0) is (how == "check"), output
    assert ("is taken out of backup job backup-a (nightly)" if purge else "stays in backup job backup-a") in output
    assert ("backup job backup-b is removed with it" in output) is purge
    assert pve.asked(WRITES) == []


def test_with_purge_each_job_becomes_what_was_said(layer: Layer, pve: TalosPve) -> None:
    pve.replication_jobs = {"1001-0": {"guest": 1001, "target": "pve2"}, "500-0": {"guest": 500, "target": "pve2"}}
    status, output = removal(layer, purge=True)
    assert status == 0, output
    assert pve.vms == []
    assert pve.backup_jobs == {
        "backup-a": {**NIGHTLY, "vmid": "500"},
        "backup-c": {key: value for key, value in REST.items() if key != "exclude"},
    }
    assert list(pve.replication_jobs) == ["500-0"]
    effects = {(job["name"], job["effect"]) for vm in layer.facts["result"] for job in vm["jobs"]}
    assert effects == {
        ("backup-a", "taken_out"),
        ("backup-b", "removed"),
        ("backup-c", "taken_out"),
        ("1001-0", "removed"),
    }


def test_nothing_but_the_vm_is_asked_to_be_removed(layer: Layer, pve: TalosPve) -> None:
    assert removal(layer)[0] == 0
    asked = sorted(pve.removals, key=lambda removal: removal["vmid"])  # VMs are removed side by side
    assert asked == [{"node": "pve1", "vmid": 1001}, {"node": "pve1", "vmid": 1002}]


@pytest.mark.parametrize("known", ["replication", "HA"])
def test_what_proxmox_would_not_remove_is_foretold_before_anything_is_stopped(
    layer: Layer, pve: TalosPve, known: str
) -> None:
    if known == "HA":
        pve.vm(1002).ha_state = "started"
        label, command = "HA resource vm:1002", "ha-manager remove vm:1002"
    else:
        pve.replication_jobs = {"1002-0": {"guest": 1002, "target": "pve2"}}
        label, command = "replication job 1002-0 to node pve2", "pvesr delete 1002-0"
    status, output = removal(layer)
    assert status != 0
    assert f"node-2 (vmid 1002): Proxmox VE does not remove a VM while there is {label}." in output
    assert command in output
    assert "-e tazlab_destroy_purge=true" in output
    assert pve.asked(WRITES) == []
    assert layer.status() == {1001: "running", 1002: "running"}


def test_a_vm_that_ha_manages_is_stopped_and_removed_with_purge(layer: Layer, pve: TalosPve) -> None:
    """The task ends when HA was told; the VM stops later."""
    pve.time_scale = 0.2  # HA acts after two seconds
    pve.vm(1001).ha_state = "started"
    status, output = removal(layer, purge=True)
    assert status == 0, output
    assert "HA resource vm:1001 is removed with it" in output
    assert pve.vms == []


def test_a_token_that_may_not_see_the_jobs_says_so_and_goes_on(layer: Layer, pve: TalosPve) -> None:
    pve.grant("bootstrap@pve", "/vms", "VM.Allocate", "VM.Audit", "VM.PowerMgmt")
    status, output = removal(layer)
    assert status == 0, output
    assert "Which backup jobs name the VMs could not be looked at: the API token lacks Sys.Audit on /." in output
    assert pve.vms == []
    assert pve.backup_jobs["backup-a"] == NIGHTLY


def test_ha_is_seen_without_any_privilege_on_the_cluster(layer: Layer, pve: TalosPve) -> None:
    pve.grant("bootstrap@pve", "/vms", "VM.Allocate", "VM.Audit", "VM.PowerMgmt")
    pve.vm(1001).ha_state = "started"
    status, output = removal(layer)
    assert status != 0
    assert "while there is HA resource vm:1001" in output
    assert pve.asked(WRITES) == []


def test_a_pool_loses_the_vm_in_any_case_and_with_it_its_backup(layer: Layer, pve: TalosPve) -> None:
    pve.backup_jobs = {"backup-p": POOLED}
    pve.vm(1001).pool = "lab"
    pve.pools["lab"] = {1001}
    status, output = removal(layer)
    assert status == 0, output
    assert "is taken out of pool lab, which backup job backup-p saves" in output
    assert pve.backup_jobs == {"backup-p": POOLED}
