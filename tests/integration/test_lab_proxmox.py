# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Proxmox stand-in does what Proxmox VE does where Talos' VMs depend on it, and refuses what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from lab.bundle import PROXMOX_TOKEN_ID
from lab.factory import DISK_SIZE, PLAIN_SCHEMATIC, ImageFactory
from lab.process import accepts, wait_until
from lab.proxmox import ProxmoxServer
from lab.tls import Authority

SECRET = "0e7c4a52-canary"
IMAGE = "talos.qcow2"


@dataclass
class Cluster:
    server: ProxmoxServer
    factory: ImageFactory

    def ask(self, method: str, path: str, **values: Any) -> requests.Response:
        return requests.request(
            method,
            f"{self.server.url}/api2/json/{path}",
            data=values,
            headers={"Authorization": f"PVEAPIToken={PROXMOX_TOKEN_ID}={SECRET}"},
            verify=str(self.server.ca_file),
            timeout=10,
        )

    def task(self, method: str, path: str, **values: Any) -> str:
        """Run a task to its end; returns its exit status."""
        answer = self.ask(method, path, **values)
        assert answer.status_code == 200, answer.text
        upid = answer.json()["data"]
        status: dict[str, Any] = {}

        def ended() -> bool:
            status.update(self.ask("GET", f"nodes/{upid.split(':')[1]}/tasks/{upid}/status").json()["data"])
            return status["status"] == "stopped"

        wait_until(ended, upid, 10)
        return str(status["exitstatus"])

    def download(self, url: str = "", node: str = "pve1", filename: str = IMAGE) -> str:
        url = url or f"{self.factory.url}/image/{PLAIN_SCHEMATIC}/v1.12.6/nocloud-amd64.qcow2"
        return self.task(
            "POST", f"nodes/{node}/storage/local/download-url", content="import", filename=filename, url=url
        )

    def create(self, vmid: int = 100, disk: str = f"local-lvm:0,import-from=local:import/{IMAGE}") -> str:
        return self.task("POST", "nodes/pve1/qemu", **configuration(vmid, disk))


def configuration(vmid: int, disk: str) -> dict[str, Any]:
    return {
        "vmid": vmid,
        "name": "cp-1",
        "scsi0": disk,
        "ide2": "local-lvm:cloudinit",
        "ipconfig0": "ip=192.0.2.11/24,gw=192.0.2.1",
        "net0": "virtio,bridge=vmbr0",
    }


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    authority = Authority(tmp_path / "tls")
    with ImageFactory(authority) as factory, ProxmoxServer(authority, SECRET, time_scale=0.001) as server:
        server.set_content("local", ("iso", "import"))
        yield Cluster(server, factory)


def test_a_vm_lives_from_import_to_deletion(cluster: Cluster) -> None:
    assert cluster.download() == "OK"
    assert cluster.factory.downloads() == [f"/image/{PLAIN_SCHEMATIC}/v1.12.6/nocloud-amd64.qcow2"]
    assert cluster.create() == "OK"
    (vm,) = cluster.server.vms()
    assert (vm.address, vm.image, vm.running) == ("192.0.2.11", (PLAIN_SCHEMATIC, "v1.12.6"), False)
    assert vm.config["scsi0"] == f"local-lvm:vm-100-disk-0,size={DISK_SIZE // 1024**2}M"
    assert cluster.task("PUT", "nodes/pve1/qemu/100/resize", disk="scsi0", size="32G") == "OK"
    assert "size=32G" in cluster.server.vms()[0].config["scsi0"]
    assert "shrink" in cluster.task("PUT", "nodes/pve1/qemu/100/resize", disk="scsi0", size="8G")
    assert cluster.task("POST", "nodes/pve1/qemu/100/status/start") == "OK"
    assert cluster.server.vms()[0].running
    assert cluster.task("POST", "nodes/pve1/qemu/100/status/stop") == "OK"
    assert cluster.task("DELETE", "nodes/pve1/qemu/100") == "OK"
    assert cluster.server.vms() == []
    assert cluster.server.pve.volumes("pve1", "local-lvm") == []


def test_each_node_has_its_own_local_storage(cluster: Cluster) -> None:
    assert cluster.download(node="pve2") == "OK"
    content = {
        node: cluster.ask("GET", f"nodes/{node}/storage/local/content").json()["data"] for node in ("pve1", "pve2")
    }
    assert content["pve1"] == []
    assert [item["volid"] for item in content["pve2"]] == [f"local:import/{IMAGE}"]
    assert f"volume 'local:import/{IMAGE}' does not exist" in cluster.create()


def test_a_download_that_does_not_come_is_a_failed_task(cluster: Cluster) -> None:
    absent = cluster.download(f"{cluster.factory.url}/image/{'0' * 64}/v1.12.6/nocloud-amd64.qcow2")
    assert absent.startswith("download failed: ERROR 404")
    assert "not in qcow2" in cluster.download(f"{cluster.factory.url}/versions")
    assert cluster.server.pve.volumes("pve1", "local") == []
    wrong = cluster.ask(
        "POST", "nodes/pve1/storage/local/download-url", content="import", filename="x.txt", url="https://x.example/"
    )
    assert wrong.json()["errors"] == {"filename": "wrong file extension"}


@pytest.mark.parametrize(
    ("disk", "said"),
    [
        (f"local-lvm:8,import-from=local:import/{IMAGE}", "requires special syntax"),
        (f"local-lvm:0,import-from=absent:import/{IMAGE}", "storage 'absent' does not exist"),
        ("local-lvm:0,import-from=local:iso/talos.iso", "needs to be 'images' or 'import'"),
        ("local-lvm:0,import-from=/etc/passwd", "Only root"),
        (f"local:0,import-from=local:import/{IMAGE}", "does not support vm images"),
    ],
)
def test_an_import_that_cannot_be_is_refused(cluster: Cluster, disk: str, said: str) -> None:
    assert cluster.download() == "OK"
    answer = cluster.ask("POST", "nodes/pve1/qemu", **configuration(100, disk))
    assert answer.status_code >= 400
    assert said in answer.text
    assert cluster.server.vms() == []


def test_a_storage_that_does_not_take_imports_says_so(cluster: Cluster) -> None:
    cluster.server.set_content("local", ("iso",))
    answer = cluster.ask(
        "POST", "nodes/pve1/storage/local/download-url", content="import", filename=IMAGE, url="https://x.example/"
    )
    assert "not configured for content-type 'import'" in answer.text


def test_faults_can_be_made(cluster: Cluster) -> None:
    assert cluster.download() == "OK"
    cluster.server.pve.storage_lock_timeouts = 1
    assert "got timeout" in cluster.create()
    assert cluster.create() == "OK"
    assert [task["type"] for task in cluster.server.failed_tasks()] == ["qmcreate"]
    cluster.server.stop()
    assert not accepts(cluster.server.port)
    cluster.server.start()
    assert [vm.vmid for vm in cluster.server.vms()] == [100]


def test_a_wrong_token_is_refused(cluster: Cluster) -> None:
    answer = requests.get(
        f"{cluster.server.url}/api2/json/version",
        headers={"Authorization": f"PVEAPIToken={PROXMOX_TOKEN_ID}=wrong"},
        verify=str(cluster.server.ca_file),
        timeout=10,
    )
    assert answer.status_code == 401
