# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that meets what another one has begun, on nodes whose tasks take their time: it waits, and then goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.playbook import children, is_gone
from lab.process import wait_until
from lab.pve import TalosPve, serving
from lab.tls import Authority
from lab.vms import IMAGE, SECRET, WRITES, Layer, layer_of, machine

OTHER = "somebody@pve!else"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def pve(authority: Authority) -> Iterator[TalosPve]:
    with serving(TalosPve(SECRET), authority.certificate("pve")) as running:
        running.time_scale, running.task_secs = 1.0, 2.0
        yield running


@pytest.fixture
def layer(pve: TalosPve, authority: Authority, tmp_path: Path) -> Layer:
    return layer_of(pve, authority, tmp_path / "home")


def kill_when(layer: Layer, kind: str, tasks_from: str = "main", **variables: Any) -> None:
    """Start a run, and kill it and nothing else as soon as a task of this kind runs."""
    seen = len(layer.pve.tasklog)
    with layer.started(tasks_from, **variables) as run:
        wait_until(lambda: any(task["type"] == kind for task in layer.pve.tasklog[seen:]), f"{kind} runs", 60)
        workers = children(run.pid)
        os.kill(run.pid, signal.SIGKILL)
        wait_until(lambda: all(map(is_gone, workers)), "its workers have ended", 10)


def failed(pve: TalosPve) -> list[str]:
    return [task["exitstatus"] for task in pve.tasklog if task.get("exitstatus", "OK") != "OK"]


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["download", "qmcreate", "qmstart"])
def test_a_killed_run_that_is_repeated_at_once_waits_and_converges(layer: Layer, pve: TalosPve, kind: str) -> None:
    pve.import_secs = 2.0
    wanted = {"proxmox_vms_machines": [machine(1)]} if kind != "qmcreate" else {}
    kill_when(layer, kind, **wanted)
    run = layer.run(**wanted)
    assert run.returncode == 0, run.output
    assert set(layer.status().values()) == {"running"}
    assert all("size=32G" in vm.config["scsi0"] for vm in pve.vms)
    assert kind == "qmstart" or "runs already on node pve1" in run.output
    assert failed(pve) == []
    assert len([task for task in pve.tasklog if task["type"] == kind]) == len(layer.status())
    assert layer.run(**wanted).stats()["changed"] == 0


def test_a_creation_that_is_listed_late_is_waited_for(layer: Layer, pve: TalosPve) -> None:
    pve.import_secs, pve.unlisted_secs = 6.0, 4.0
    kill_when(layer, "qmcreate", proxmox_vms_machines=[machine(1)])
    assert pve.vm(1001).config == {"lock": "create"}
    assert "name" not in str(pve.vm(1001).config)
    run = layer.run(proxmox_vms_machines=[machine(1)])
    assert run.returncode == 0, run.output
    assert [vm["actions"] for vm in layer.facts["result"]] == [["complete", "start"]]
    assert len(pve.asked(f"{WRITES}nodes/pve1/qemu$")) == 0, "it was made by the run that was killed"


def test_a_run_beside_one_that_lives_converges_with_it(layer: Layer, pve: TalosPve, tmp_path: Path) -> None:
    """On another machine, say: neither makes a VM twice, and both end well."""
    other = Layer(pve, tmp_path / "elsewhere", layer.variables, layer.runner)
    pve.import_secs = 2.0
    with other.started() as run:
        wait_until(lambda: pve.vm(1001) is not None, "the other run makes the first VM", 60)
        ours = layer.run()
        assert run.wait(120) == 0, (other.home / "said").read_text()
    assert ours.returncode == 0, ours.output
    assert layer.status() == {1001: "running", 1002: "running"}
    assert len([task for task in pve.tasklog if task["type"] == "qmcreate" and task["exitstatus"] == "OK"]) == 2


def test_a_creation_on_another_node_than_the_inventorys_is_waited_for_there(layer: Layer, pve: TalosPve) -> None:
    pve.add_node("pve2")
    pve.import_secs = 2.0
    kill_when(layer, "qmcreate", proxmox_vms_machines=[machine(1, node="pve2")])
    run = layer.run(proxmox_vms_machines=[machine(1)])
    assert run.returncode == 0, run.output
    assert "waiting for qmcreate, which runs already on node pve2" in run.output
    assert (pve.vm(1001).node, pve.vm(1001).status) == ("pve2", "running")
    assert layer.facts["result"][0]["node"] == "pve2"


def test_a_removal_that_goes_on_is_waited_for(layer: Layer, pve: TalosPve) -> None:
    assert layer.run(proxmox_vms_machines=[machine(1)]).returncode == 0
    wanted = {"proxmox_vms_machines": [machine(1)], "proxmox_vms_destroy": "home"}
    kill_when(layer, "qmdestroy", tasks_from="absent", **wanted)
    run = layer.run(tasks_from="absent", **wanted)
    assert run.returncode == 0, run.output
    assert "waiting for qmdestroy, which runs already on node pve1" in run.output
    assert pve.vms == []
    assert failed(pve) == []


def test_a_vm_of_somebody_else_in_the_making_is_waited_for_and_then_refused(layer: Layer, pve: TalosPve) -> None:
    pve.apitokens[OTHER] = "x"
    pve.task_secs = 15.0
    begun = requests.post(
        f"{pve.url}/api2/json/nodes/pve1/qemu",
        data={"vmid": 1001, "name": "web", "tags": "prod"},
        headers={"Authorization": f"PVEAPIToken={OTHER}=x"},
        verify=layer.variables["proxmox_vms_ca_cert"],
        timeout=10,
    )
    assert begun.status_code == 200
    run = layer.run(proxmox_vms_machines=[machine(1)])
    assert run.returncode != 0
    assert "waiting for qmcreate, which runs already on node pve1" in run.output
    assert "the vmid belongs to somebody else: VM 1001 on node pve1 (name web, tags prod)" in run.output
    assert pve.asked(WRITES) == []


def test_a_remnant_that_nothing_works_on_is_named_with_the_safe_way_and_left(layer: Layer, pve: TalosPve) -> None:
    pve.add_vm(1001, "", lock="create", config={"lock": "create"})
    run = layer.run()
    assert run.returncode != 0
    assert "VM 1001 on node pve1 is half made or half removed. It is locked (create) and carries no tag" in run.output
    assert "qm unlock 1001 (takes the lock away and changes nothing else), then qm destroy 1001" in run.output
    assert "skiplock" not in run.output
    assert pve.asked(WRITES) == []


def test_a_backup_of_several_vms_is_left_to_its_work(layer: Layer, pve: TalosPve) -> None:
    """Its task has no id. Unlocked, it would fail, and leave the VM's disks in a state that nobody knows."""
    pve.time_scale = 0.0
    wanted = {"proxmox_vms_machines": [machine(1)], "proxmox_vms_task_timeout": 5}
    assert layer.run(**wanted).returncode == 0
    vm = pve.vm(1001)
    vm.status, vm.lock, vm.config["lock"] = "stopped", "backup", "backup"
    upid, pid, start = pve._upid("pve1", "vzdump", "", "root@pam")
    task = {"upid": upid, "node": "pve1", "pid": pid, "pstart": pid, "starttime": start, "type": "vzdump", "id": ""}
    pve.tasks[upid] = {**task, "user": "root@pam", "status": "running", "log": []}
    pve.tasklog.append(pve.tasks[upid])
    for tasks_from, confirmed in (("main", {}), ("absent", {"proxmox_vms_destroy": "home"})):
        run = layer.run(tasks_from=tasks_from, **wanted, **confirmed)
        assert run.returncode != 0
        assert "that may work on it, as it names no VM: vzdump" in run.output
        assert "unlock" not in run.output
        assert pve.asked(WRITES) == []


def test_a_token_that_sees_only_its_own_tasks_waits_and_says_so(layer: Layer, pve: TalosPve) -> None:
    privileges = ["VM.Allocate", "VM.Audit", "VM.PowerMgmt", "Datastore.Audit", "SDN.Use"]
    pve.grant("bootstrap@pve", "/", *privileges)
    pve.add_vm(1001, "", lock="create", config={"lock": "create"})
    run = layer.run(proxmox_vms_machines=[machine(1)], proxmox_vms_task_timeout=8)
    assert run.returncode != 0
    assert "the token does not see the tasks of others there (Sys.Audit on /nodes/pve1)" in run.output
    assert pve.asked(WRITES) == []


def test_what_the_cluster_says_of_a_vm_is_asked_again_where_it_is_acted_upon(layer: Layer, pve: TalosPve) -> None:
    """Its resources are up to ten seconds old: a VM that was just started still counts as stopped."""
    pve.time_scale = 0.0
    assert layer.run(proxmox_vms_machines=[machine(1)]).returncode == 0
    pve.stale_status[1001] = "stopped"
    run = layer.run(proxmox_vms_machines=[machine(1)])
    assert run.returncode == 0, run.output
    assert pve.asked(WRITES) == []
    gone = layer.run(tasks_from="absent", proxmox_vms_machines=[machine(1)], proxmox_vms_destroy="home")
    assert gone.returncode == 0, gone.output
    assert [task["type"] for task in pve.tasklog][-2:] == ["qmstop", "qmdestroy"]
    assert pve.vms == []


def test_a_suspended_vm_goes_on_and_its_memory_is_not_thrown_away(layer: Layer, pve: TalosPve) -> None:
    pve.time_scale = 0.0
    assert layer.run(proxmox_vms_machines=[machine(1)]).returncode == 0
    vm = pve.vm(1001)
    vm.status, vm.lock = "stopped", "suspended"
    vm.config["lock"] = "suspended"
    refused = layer.run(tasks_from="absent", proxmox_vms_machines=[machine(1)], proxmox_vms_destroy="home")
    assert "qm unlock 1001 throws its memory away" in refused.output
    assert pve.asked(WRITES) == []
    run = layer.run(proxmox_vms_machines=[machine(1)])
    assert run.returncode == 0, run.output
    assert vm.status == "running"


def test_a_paused_vm_is_resumed(layer: Layer, pve: TalosPve) -> None:
    """To whoever asks for its status alone, it runs."""
    pve.time_scale = 0.0
    assert layer.run().returncode == 0
    pve.vm(1001).qmpstatus = "paused"
    check = layer.run("--check")
    assert check.returncode == 0, check.output
    assert [(vm["status"], vm["actions"]) for vm in layer.facts["result"]] == [("paused", ["resume"]), ("running", [])]
    run = layer.run()
    assert run.returncode == 0, run.output
    assert pve.vm(1001).qmpstatus == "running"
    assert [task["type"] for task in pve.tasklog][-1] == "qmresume"
    assert layer.run().stats()["changed"] == 0


def test_a_vm_that_ha_manages_is_waited_for_until_it_runs(layer: Layer, pve: TalosPve) -> None:
    """The task ends when HA was told; the VM starts later."""
    pve.time_scale = 0.0
    assert layer.run(proxmox_vms_machines=[machine(1)]).returncode == 0
    vm = pve.vm(1001)
    vm.status = vm.qmpstatus = "stopped"
    vm.ha_state = "stopped"
    pve.time_scale = 0.2  # HA acts after two seconds
    run = layer.run(proxmox_vms_machines=[machine(1)])
    assert run.returncode == 0, run.output
    assert vm.status == "running"


def test_an_image_whose_download_another_run_lost_is_fetched_again(layer: Layer, pve: TalosPve) -> None:
    pve.task_secs = 8.0
    pve.storages["local"]["avail"] = 1
    kill_when(layer, "download")
    (lost,) = pve.tasklog

    def make_room() -> None:
        wait_until(lambda: lost["status"] == "stopped", "the download has failed", 60)
        pve.storages["local"]["avail"] = 1024**3
        pve.task_secs = 2.0

    room = threading.Thread(target=make_room)
    room.start()
    run = layer.run(proxmox_vms_machines=[machine(1)])
    room.join()
    assert run.returncode == 0, run.output
    assert "No space left" in lost["exitstatus"]
    assert "waiting for its download, which runs already on node pve1" in run.output
    assert IMAGE in pve.storages["local"]["volumes"]
