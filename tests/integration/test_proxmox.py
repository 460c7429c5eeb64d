# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role proxmox_vms and its modules, as a playbook runs them, against a fake Proxmox VE."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.config import UNFINISHED
from lab.bundle import PROXMOX_TOKEN_ID
from lab.factory import ImageFactory
from lab.playbook import Run
from lab.proxmox import ProxmoxServer
from lab.pve import TOKEN_ID, TalosPve, serving
from lab.tls import Authority
from lab.vms import IMAGE, SCHEMATIC, SECRET, WRITES, Layer, inventory_of, layer_of, machine, play

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def pve(authority: Authority) -> Iterator[TalosPve]:
    with serving(TalosPve(SECRET), authority.certificate("pve")) as running:
        yield running


@pytest.fixture
def layer(pve: TalosPve, authority: Authority, tmp_path: Path) -> Layer:
    return layer_of(pve, authority, tmp_path / "home")


def sent(pve: TalosPve, path: str) -> dict[str, str]:
    """The parameters of the one request to a path."""
    (body,) = (body for method, asked, body in pve.requests if method != "GET" and asked.endswith(path))
    return {key: values[0] for key, values in parse_qs(body.decode()).items()}


# ---------------------------------------------------------------------------------------------------- birth


def test_the_image_is_fetched_and_vms_are_created_and_run(layer: Layer, pve: TalosPve) -> None:
    run = layer.run()
    assert run.returncode == 0, run.output
    assert layer.status() == {1001: "running", 1002: "running"}
    download = sent(pve, "/download-url")
    assert download == {
        "content": "import",
        "filename": IMAGE.removeprefix("import/"),
        "url": f"https://factory.talos.dev/image/{SCHEMATIC}/v1.12.6/nocloud-amd64.qcow2",
    }
    config = pve.vm(1001).config
    mac = config["net0"].removeprefix("virtio=").partition(",")[0]
    assert {key: str(value) for key, value in config.items() if key not in ("meta", "smbios1", "vmgenid")} == {
        "name": "node-1",
        "tags": "tazlab-home",
        "description": "Control plane of the Talos cluster home, made by tazlab.bootstrap",
        "ostype": "l26",
        "machine": "q35",
        "cpu": "host",
        "cores": "2",
        "memory": "4096",
        "balloon": "0",
        "scsihw": "virtio-scsi-pci",
        "scsi0": "local-lvm:vm-1001-disk-0,size=32G",
        "ide2": "local-lvm:vm-1001-cloudinit,media=cdrom",
        "ipconfig0": "ip=192.0.2.11/24,gw=192.0.2.1",
        "net0": f"virtio={mac},bridge=vmbr0",
        "serial0": "socket",
        "boot": "order=scsi0",
        "onboot": "1",
    }
    assert layer.facts["pending"] == []
    assert [(vm["name"], vm["status"], vm["actions"]) for vm in layer.facts["result"]] == [
        ("node-1", "running", ["create", "start"]),
        ("node-2", "running", ["create", "start"]),
    ]


def test_a_second_run_changes_nothing_and_asks_little(layer: Layer, pve: TalosPve) -> None:
    assert layer.run().returncode == 0
    second = layer.run()
    assert second.stats()["changed"] == 0, second.output
    assert "WARNING" not in second.output
    assert sorted(pve.asked("")) == [  # the VMs are asked side by side
        "GET cluster/resources",
        "GET nodes/pve1/qemu/1001/pending",
        "GET nodes/pve1/qemu/1001/status/current",
        "GET nodes/pve1/qemu/1002/pending",
        "GET nodes/pve1/qemu/1002/status/current",
    ]
    assert [vm["drift"] for vm in layer.facts["result"]] == [[], []]


def test_a_vm_that_is_added_later_needs_no_second_download(layer: Layer, pve: TalosPve) -> None:
    assert layer.run(proxmox_vms_machines=[machine(1)]).returncode == 0
    run = layer.run()
    assert run.returncode == 0, run.output
    assert layer.status() == {1001: "running", 1002: "running"}
    assert pve.asked("download-url") == []
    assert [vm["changed"] for vm in layer.facts["result"]] == [False, True]


def test_check_mode_shows_what_would_be_done_and_changes_nothing(layer: Layer, pve: TalosPve) -> None:
    run = layer.run("--check", "--diff")
    assert run.returncode == 0, run.output
    assert pve.asked(WRITES) == []
    assert pve.vms == []
    assert layer.facts["pending"] == ["node-1", "node-2"]
    assert [vm["status"] for vm in layer.facts["result"]] == ["absent", "absent"]
    assert f"+local:{IMAGE}" in run.stdout
    assert '+ipconfig0: "ip=192.0.2.11/24,gw=192.0.2.1"' in run.stdout
    assert f'+scsi0: "local-lvm:0,import-from=local:{IMAGE}"' in run.stdout


def test_a_stopped_vm_is_started_and_a_difference_is_reported_and_left(layer: Layer, pve: TalosPve) -> None:
    assert layer.run().returncode == 0
    pve.vm(1002).status = "stopped"
    pve.vm(1001).config["memory"] = "2048"
    pve.vm(1001).pending["cores"] = "8"
    run = layer.run()
    assert run.returncode == 0, run.output
    assert pve.asked(WRITES) == ["POST nodes/pve1/qemu/1002/status/start"]
    assert layer.facts["result"][0]["drift"] == [
        {"setting": "cores", "wanted": "2", "found": "2, 8 after the next start"},
        {"setting": "memory", "wanted": "4096", "found": "2048"},
    ]
    assert "node-1 (vmid 1001) on node pve1 differs from what is wanted and is left so" in run.output


def test_an_iso_boots_an_empty_disk(layer: Layer, pve: TalosPve) -> None:
    pve.store_file("local", "nocloud-amd64.iso", 1024)
    run = layer.vm(iso="local:iso/nocloud-amd64.iso", vms=[machine(1)])
    assert run.returncode == 0, run.output
    config = pve.vm(1001).config
    assert config["scsi0"] == "local-lvm:vm-1001-disk-0,size=32G"
    assert config["ide0"].startswith("local:iso/nocloud-amd64.iso,media=cdrom")
    assert config["boot"] == "order=scsi0;ide0"
    assert pve.vm(1001).status == "running"
    again = layer.vm(iso="local:iso/nocloud-amd64.iso", vms=[machine(1)])
    assert again.stats()["changed"] == 0, again.output


def test_each_node_fetches_its_image_and_a_least_privileged_token_is_enough(
    authority: Authority, layer: Layer, tmp_path: Path
) -> None:
    with ImageFactory(authority) as factory, ProxmoxServer(authority, SECRET, time_scale=0.005) as server:
        server.pve.storages["local"]["content"] = "iso,vztmpl,backup,import"
        server.pve.storage_lock_timeouts = 1
        layer.pve = server.pve
        layer.variables |= {
            "proxmox_vms_url": server.url,
            "proxmox_vms_token_id": PROXMOX_TOKEN_ID,
            "proxmox_vms_factory_url": factory.url,
            "proxmox_vms_machines": [machine(1), machine(2, node="pve2"), machine(3, node="pve2")],
        }
        assert layer.run(tasks_from="preflight").returncode == 0
        assert layer.facts["problems"] == []
        run = layer.run()
        assert run.returncode == 0, run.output
        assert len(factory.downloads()) == 2
        assert {(vm.vmid, vm.node, vm.running, vm.image) for vm in server.vms()} == {
            (1001, "pve1", True, (SCHEMATIC, "v1.12.6")),
            (1002, "pve2", True, (SCHEMATIC, "v1.12.6")),
            (1003, "pve2", True, (SCHEMATIC, "v1.12.6")),
        }
        assert "a lock is held by somebody else; next attempt in 1 s" in run.output
        assert layer.run().stats()["changed"] == 0


# ---------------------------------------------------------------------------------------------------- refusal


def test_a_foreign_vm_is_named_and_nothing_is_touched(layer: Layer, pve: TalosPve) -> None:
    foreign = pve.add_vm(1002, "web", status="running", config={"tags": "prod;tazlab-other", "memory": "512"})
    before = dict(foreign.config)
    run = layer.run()
    assert run.returncode != 0
    assert "node-2 (vmid 1002): the vmid belongs to somebody else: VM 1002 on node pve1 (name web, " in run.output
    assert "tags prod, tazlab-other) has no tag tazlab-home. It is not touched." in run.output
    assert pve.asked(WRITES) == []
    assert (foreign.config, foreign.status) == (before, "running")
    assert layer.run(tasks_from="absent", proxmox_vms_destroy="home").returncode != 0
    assert pve.asked(WRITES) == []


def test_all_that_is_wrong_is_reported_together_before_anything_is_changed(layer: Layer, pve: TalosPve) -> None:
    pve.add_ct(1001, "container")
    pve.add_vm(900, "node-2", config={"tags": "tazlab-home"})
    wrong = [machine(1), machine(2), machine(3, node="pve9")]
    run = layer.vm(image=f"local:{IMAGE}", vms=wrong)
    assert "3 problems; nothing was changed." in run.output
    assert "node-1 (vmid 1001): the vmid belongs to somebody else: container 1001" in run.output
    assert "node-2 (vmid 1002): this cluster already has VM 900 on node pve1" in run.output
    assert pve.asked(WRITES) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vmid": 1002}, "vmid 1002: it stands at 2 places (node-1, node-2)"),
        ({"name": "node-2"}, "name node-2: it stands at 2 places"),
        ({"address": "192.0.2.12"}, "address 192.0.2.12: it stands at 2 places (node-1, node-2)"),
        ({"gateway": "198.51.100.1"}, "node-1: gateway 198.51.100.1 is outside 192.0.2.0/24"),
        ({"address": "192.0.2.300"}, "node-1: address '192.0.2.300' is not an IPv4 address"),
    ],
)
def test_a_wrong_list_is_refused_without_asking_proxmox(
    layer: Layer, pve: TalosPve, change: dict[str, Any], message: str
) -> None:
    run = layer.vm(image=f"local:{IMAGE}", vms=[machine(1, **change), machine(2)])
    assert run.returncode != 0
    assert message in run.output
    assert pve.requests == []


def test_a_storage_without_import_is_named_with_the_command_that_allows_it(layer: Layer, pve: TalosPve) -> None:
    pve.storages["local"]["content"] = "iso,vztmpl"
    run = layer.run()
    assert run.returncode != 0
    assert "storage local on node pve1: its content does not include import." in run.output
    assert "pvesm set local --content iso,vztmpl,import" in run.output
    assert pve.asked(WRITES) == []


# ---------------------------------------------------------------------------------------------------- preflight


def test_the_preflight_finds_nothing_wrong_with_a_cluster_that_is_right(layer: Layer, pve: TalosPve) -> None:
    run = layer.run(tasks_from="preflight")
    assert run.returncode == 0, run.output
    assert layer.facts["problems"] == []
    assert pve.asked("") == ["GET access/permissions", "GET cluster/resources", "GET nodes/pve1/network"]


def test_the_preflight_reports_every_problem_and_never_fails(layer: Layer, pve: TalosPve) -> None:
    pve.grant("bootstrap@pve", "/", "VM.Audit", "Datastore.Audit", "Datastore.AllocateSpace", "Sys.Audit", "Sys.Modify")
    pve.storages["local"]["content"] = "iso"
    pve.add_node("pve2", online=False)
    pve.add_vm(1001, "web")
    run = layer.run(
        tasks_from="preflight",
        proxmox_vms_bridge="vmbr7",
        proxmox_vms_machines=[machine(1), machine(2, node="pve2"), machine(3, node="pve9"), machine(4, vmid=None)],
    )
    assert run.returncode == 0, run.output
    problems = [problem["text"] for problem in layer.facts["problems"]]
    expected = (
        "API token: it lacks VM.Allocate, VM.Config.CDROM",
        "API token: it lacks Datastore.AllocateTemplate on /storage/local.",
        "API token: it lacks SDN.Use on /sdn/zones/localnetwork/vmbr7.",
        "storage local on node pve1: its content does not include import.",
        "node pve2: it is offline.",
        "node pve9: there is no such node. The nodes are: pve1, pve2.",
        "node-1 (vmid 1001): the vmid belongs to somebody else",
        "bridge vmbr7 on node pve1: it is not there",
    )
    for text in expected:
        assert [problem for problem in problems if problem.startswith(text)], (text, problems)
    assert len(problems) == len(expected), problems
    assert pve.asked(WRITES) == []


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"proxmox_vms_token_secret": "another-canary-secret"}, "the API token is not accepted"),
        ({"proxmox_vms_token_id": "bootstrap@pve"}, "token_id: it is not the whole id of an API token"),
        ({"proxmox_vms_url": "https://127.0.0.1:1"}, "Proxmox at 127.0.0.1:1: the connection was refused"),
        ({"proxmox_vms_url": "http://127.0.0.1:8006"}, "url: this is not the address of a Proxmox VE API"),
        ({"proxmox_vms_ca_cert": ""}, "its certificate is not signed by a CA that is trusted here"),
        ({"proxmox_vms_ca_cert": "/nonexistent/ca.crt"}, "ca_cert: /nonexistent/ca.crt is not there"),
    ],
)
def test_what_keeps_proxmox_from_answering_is_one_clear_problem(
    layer: Layer, variables: dict[str, Any], message: str
) -> None:
    run = layer.run(tasks_from="preflight", **variables)
    assert run.returncode == 0, run.output
    (problem,) = layer.facts["problems"]
    assert message in problem["text"]
    assert "canary" not in problem["text"]


def test_the_preflight_leaves_what_is_missing_in_the_inventory_to_its_own_check(layer: Layer, pve: TalosPve) -> None:
    run = layer.run(tasks_from="preflight", proxmox_vms_token_secret="", proxmox_vms_machines=[])
    assert run.returncode == 0, run.output
    assert layer.facts["problems"] == []
    assert pve.requests == []


# ---------------------------------------------------------------------------------------------------- faults


def test_a_failed_task_is_reported_at_once_with_the_end_of_its_log(layer: Layer, pve: TalosPve) -> None:
    assert layer.run(proxmox_vms_machines=[machine(1)]).returncode == 0
    pve.vm(1001).status = "stopped"
    pve.vm(1001).start_error = "start failed: QEMU exited with code 1"
    begun = time.monotonic()
    run = layer.run(proxmox_vms_machines=[machine(1)])
    assert time.monotonic() - begun < 60, "not until the time-out"
    assert run.returncode != 0
    assert "node-1 (vmid 1001): start: the task qmstart 1001 on node pve1 failed: start failed: QEMU" in run.output
    assert "TASK ERROR: start failed: QEMU exited with code 1" in run.output


def test_one_vm_that_fails_keeps_no_other_from_being_finished(layer: Layer, pve: TalosPve) -> None:
    machines = [machine(number) for number in (1, 2, 3)]
    assert layer.run(proxmox_vms_machines=machines).returncode == 0
    for number in (1, 2, 3):
        pve.vm(1000 + number).status = "stopped"
    pve.vm(1001).start_error = "start failed: QEMU exited with code 1"
    pve.vm(1002).start_error = "no such network bridge"
    run = layer.run(proxmox_vms_machines=machines)
    assert run.returncode != 0
    assert "2 of 3 VMs failed; what could be done for the others is done." in run.output
    assert "1. node-1 (vmid 1001): start: the task qmstart 1001 on node pve1 failed: start failed" in run.output
    assert "2. node-2 (vmid 1002): start: the task qmstart 1002 on node pve1 failed: no such network" in run.output
    assert layer.status() == {1001: "stopped", 1002: "stopped", 1003: "running"}
    pve.vm(1001).start_error = pve.vm(1002).start_error = None
    assert layer.run(proxmox_vms_machines=machines).returncode == 0
    assert set(layer.status().values()) == {"running"}


def test_a_token_that_is_limited_to_a_pool_makes_vms_in_it(layer: Layer, pve: TalosPve) -> None:
    pve.pools["talos"] = set()
    config = [
        f"VM.Config.{part}" for part in ["CDROM", "CPU", "Cloudinit", "Disk", "HWType", "Memory", "Network", "Options"]
    ]
    pve.grant(TOKEN_ID, "/pool/talos", "VM.Allocate", "VM.Audit", "VM.PowerMgmt", *config)
    pve.grant(TOKEN_ID, "/storage", "Datastore.Audit", "Datastore.AllocateSpace", "Datastore.AllocateTemplate")
    pve.grant(TOKEN_ID, "/sdn/zones", "SDN.Use")
    pve.grant(TOKEN_ID, "/", "Sys.Audit", "Sys.Modify")
    layer.run(tasks_from="preflight")
    (refused,) = layer.facts["problems"]
    assert "name that pool (tazlab_proxmox.pool)" in refused["text"]
    layer.variables["proxmox_vms_pool"] = "talos"
    layer.run(tasks_from="preflight")
    assert layer.facts["problems"] == []
    run = layer.run()
    assert run.returncode == 0, run.output
    assert pve.pools["talos"] == {1001, 1002}
    assert layer.run().stats()["changed"] == 0
    layer.variables["proxmox_vms_pool"] = ""  # what is in the pool already needs it no more
    layer.run(tasks_from="preflight")
    assert layer.facts["problems"] == []


def test_what_a_killed_run_left_half_made_is_completed(layer: Layer, pve: TalosPve) -> None:
    assert layer.run().returncode == 0
    for vmid in (1001, 1002):
        pve.vm(vmid).status = "stopped"
        pve.vm(vmid).config["onboot"] = 0
        pve.vm(vmid).config["description"] += f"{UNFINISHED}\nand a note of the owner's"
    pve.vm(1001).config["scsi0"] = "local-lvm:vm-1001-disk-0,size=4G"
    run = layer.run("--diff")
    assert run.returncode == 0, run.output
    assert [vm["actions"] for vm in layer.facts["result"]] == [["complete", "start"], ["complete", "start"]]
    assert "size=32G" in pve.vm(1001).config["scsi0"]
    assert all(str(vm.config["onboot"]) == "1" for vm in pve.vms)
    assert pve.vm(1001).config["description"] == (
        "Control plane of the Talos cluster home, made by tazlab.bootstrap\nand a note of the owner's"
    )
    assert layer.status() == {1001: "running", 1002: "running"}
    assert '-disk: "4 GiB"' in run.stdout
    assert '+disk: "32 GiB"' in run.stdout


@pytest.mark.parametrize("elsewhere", [{"virtio0": "local-lvm:vm-1001-disk-0,size=32G"}, {"hostpci0": "0000:01:00.0"}])
def test_a_vm_that_its_owner_changed_is_started_and_neither_resized_nor_deleted(
    layer: Layer, pve: TalosPve, elsewhere: dict[str, str]
) -> None:
    wanted = {"proxmox_vms_machines": [machine(1)]}
    assert layer.run(**wanted).returncode == 0
    vm = pve.vm(1001)
    vm.status = "stopped"
    vm.config.update(elsewhere, onboot=0)
    del vm.config["scsi0"]
    before = dict(vm.config)
    checked = layer.run("--check", **wanted)
    assert checked.returncode == 0, checked.output
    run = layer.run(**wanted)
    assert run.returncode == 0, run.output
    assert [vm["actions"] for vm in layer.facts["result"]] == [["start"]]
    assert [request.split("?")[0] for request in pve.asked(WRITES)] == ["POST nodes/pve1/qemu/1001/status/start"]
    assert (vm.status, vm.config) == ("running", before)
    assert "onboot is 0, wanted 1" in run.output


def test_a_half_made_vm_without_its_disk_is_refused_and_left(layer: Layer, pve: TalosPve) -> None:
    wanted = {"proxmox_vms_machines": [machine(1)]}
    assert layer.run(**wanted).returncode == 0
    vm = pve.vm(1001)
    vm.status, vm.config["description"] = "stopped", f"x{UNFINISHED}"
    vm.config["virtio0"] = vm.config.pop("scsi0")
    for arguments in (["--check"], []):
        run = layer.run(*arguments, **wanted)
        assert run.returncode != 0
        assert "its notes say that its making has not ended, and it has no disk scsi0" in run.output
        assert pve.asked(WRITES) == []


def test_no_secret_shows_at_the_highest_verbosity(layer: Layer, pve: TalosPve, tmp_path: Path) -> None:
    log = tmp_path / "ansible.log"
    environment = {"ANSIBLE_LOG_PATH": str(log), "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "1"}
    role = {"ansible.builtin.import_role": {"name": "tazlab.bootstrap.proxmox_vms"}}
    for extra in ({}, {"proxmox_vms_machines": [machine(1), machine(3)]}):
        run = layer.runner(
            play(role),
            variables={**layer.variables, **extra},
            arguments=["-vvvvv", "--diff"],
            environment={**environment, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        )
        assert run.returncode == 0, run.output
        assert SECRET not in run.output + log.read_text()
    pve.vm(1001).start_error = "no"
    pve.vm(1001).status = "stopped"
    failed = layer.runner(play(role), variables=layer.variables, arguments=["-vvvvv"], environment=environment)
    assert failed.returncode != 0
    assert "qmstart 1001" in failed.output
    for canary in (SECRET, TOKEN_ID):
        assert canary not in failed.output + log.read_text()


# ---------------------------------------------------------------------------------------------------- removal


def test_removal_takes_only_vms_that_are_marked_and_listed(layer: Layer, pve: TalosPve) -> None:
    assert layer.run().returncode == 0
    pve.add_vm(1003, "node-3", status="running", config={"tags": "tazlab-home"})
    pve.add_vm(500, "web", status="running", config={"tags": "prod"})
    pve.storages["local-lvm"]["volumes"]["vm-1001-disk-9"] = {"content": "images", "size": 1, "vmid": 1001}
    run = layer.run(tasks_from="absent", proxmox_vms_destroy="home")
    assert run.returncode == 0, run.output
    assert layer.status() == {1003: "running", 500: "running"}
    assert "node-3 (vmid 1003) on node pve1, running" in run.output
    assert [(vm["status"], vm["actions"]) for vm in layer.facts["result"]] == [("absent", ["stop", "delete"])] * 2
    assert IMAGE in pve.storages["local"]["volumes"]
    # A volume that only bears the number may be somebody else's.
    assert set(pve.storages["local-lvm"]["volumes"]) == {"vm-1001-disk-9"}
    again = layer.run(tasks_from="absent", proxmox_vms_destroy="home")
    assert again.stats()["changed"] == 0, again.output
    assert layer.run().returncode == 0
    assert layer.status() == {1001: "running", 1002: "running", 1003: "running", 500: "running"}


@pytest.mark.parametrize("confirmation", ["", "other", "yes"])
def test_removal_without_the_right_confirmation_lists_what_would_go_and_does_nothing(
    layer: Layer, pve: TalosPve, confirmation: str
) -> None:
    pve.add_vm(1001, "node-1", status="running", config={"tags": "tazlab-home"})
    run = layer.run(tasks_from="absent", proxmox_vms_destroy=confirmation)
    assert run.returncode != 0
    assert "-e proxmox_vms_destroy=home" in run.output
    assert "node-1 (vmid 1001) on node pve1, running" in run.output
    assert pve.asked(WRITES) == []


def test_a_protected_vm_is_not_removed(layer: Layer, pve: TalosPve) -> None:
    pve.add_vm(1001, "node-1", status="running", config={"tags": "tazlab-home", "protection": 1})
    run = layer.run(tasks_from="absent", proxmox_vms_destroy="home")
    assert run.returncode != 0
    assert "node-1 (vmid 1001): it is protected from removal." in run.output
    assert pve.asked(WRITES) == []


def test_the_playbook_destroys_and_keeps_the_state(
    layer: Layer, pve: TalosPve, ansible_playbook: Callable[..., Run], tmp_path: Path
) -> None:
    inventory = inventory_of(layer, tmp_path)
    state = layer.home / ".config" / "tazlab" / "home"
    state.mkdir(parents=True)
    (state / "secrets.yaml").write_text("kept")
    for number in (1, 2):
        pve.add_vm(1000 + number, f"node-{number}", status="running", config={"tags": "tazlab-home"})
    playbook = ROOT / "playbooks" / "destroy.yml"
    refused = ansible_playbook(playbook, inventory=inventory)
    assert refused.returncode != 0
    assert "-e tazlab_destroy=home" in refused.output
    assert layer.status() == {1001: "running", 1002: "running"}
    done = ansible_playbook(playbook, inventory=inventory, arguments=["-e", "tazlab_destroy=home"])
    assert done.returncode == 0, done.output
    assert pve.vms == []
    assert (state / "secrets.yaml").read_text() == "kept"
    assert str(state) in done.output
