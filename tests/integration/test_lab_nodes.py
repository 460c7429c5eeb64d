# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Talos machines, asked by the real talosctl, live and die with their VMs, and so does their cluster."""

from __future__ import annotations

import secrets
import subprocess
import uuid
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lab.binaries import binary
from lab.factory import PLAIN_SCHEMATIC
from lab.kubeclient import Client
from lab.nodes import Nodes
from lab.process import accepts, wait_until
from lab.proxmox import ProxmoxServer
from lab.tls import Authority

pytestmark = pytest.mark.kube
VERSION = "v1.12.6"


@dataclass
class World:
    """Talos machines, and talosctl with a cluster's secrets."""

    directory: Path
    proxmox: ProxmoxServer
    nodes: Nodes
    network: str

    def address(self, number: int) -> str:
        return f"{self.network}.{number}"

    def switch_on(self, name: str, vmid: int, number: int) -> None:
        """A VM as the collection makes it, without the detour over Proxmox' API."""
        disk = f"vm-{vmid}-disk-0"
        store = self.proxmox.pve.storage_of("pve1", "local-lvm")
        store["volumes"][disk] = {"content": "images", "size": 1, "image": (PLAIN_SCHEMATIC, VERSION)}
        self.proxmox.pve.add_vm(
            vmid,
            name,
            status="running",
            config={
                "scsi0": f"local-lvm:{disk},size=8G",
                "ipconfig0": f"ip={self.address(number)}/24,gw={self.address(1)}",
                "smbios1": f"uuid={uuid.uuid4()}",
            },
        )

    def talosctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [binary("talosctl"), *arguments],
            cwd=self.directory,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ask(self, number: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        address = self.address(number)
        return self.talosctl(*arguments, "--talosconfig", "talosconfig", "-n", address, "-e", address)

    def generate(self, key: str) -> None:
        assert self.talosctl("gen", "secrets", "-o", "secrets.yaml").returncode == 0
        bundle = yaml.safe_load((self.directory / "secrets.yaml").read_text())
        bundle["secrets"]["secretboxencryptionsecret"] = key
        (self.directory / "secrets.yaml").write_text(yaml.safe_dump(bundle))
        for kind in ("controlplane", "worker", "talosconfig"):
            done = self.talosctl(
                "gen",
                "config",
                "lab",
                f"https://{self.address(11)}:6443",
                "--with-secrets=secrets.yaml",
                f"--output-types={kind}",
                f"--output={kind}",
                "--with-docs=false",
                "--with-examples=false",
            )
            assert done.returncode == 0, done.stderr

    def configure(self, number: int, kind: str) -> None:
        done = self.talosctl("apply-config", "--insecure", "-n", self.address(number), "--file", kind)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    network = f"127.{64 + secrets.randbelow(63)}.{1 + secrets.randbelow(254)}"
    with (
        ProxmoxServer(Authority(tmp_path / "tls"), "secret") as proxmox,
        Nodes(tmp_path / "nodes", proxmox) as nodes,
    ):
        yield World(tmp_path, proxmox, nodes, network)
        assert nodes.problems == []
    assert not accepts(50000, f"{network}.11")
    assert not accepts(6443, f"{network}.11")


def ready(client: Client) -> dict[str, bool]:
    nodes = client.request("GET", "/api/v1/nodes")["items"]
    return {
        node["metadata"]["name"]: any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in node.get("status", {}).get("conditions", [])
        )
        for node in nodes
    }


def test_a_node_refuses_what_a_node_refuses(world: World) -> None:
    world.switch_on("cp-1", 101, 11)
    world.nodes.wait("cp-1", "maintenance")
    world.generate(b64encode(secrets.token_bytes(32)).decode())
    assert "unknown authority" in world.ask(11, "version").stderr
    (world.directory / "broken").write_text("machine: {}\n")
    broken = world.talosctl("apply-config", "--insecure", "-n", world.address(11), "--file", "broken")
    assert broken.returncode == 1
    assert world.nodes.machine("cp-1").config == {}
    world.configure(11, "controlplane")
    world.nodes.wait("cp-1", "configured")
    assert VERSION in world.ask(11, "version").stdout.partition("Server:")[2]
    assert world.talosctl("get", "machinestatus", "--insecure", "-n", world.address(11)).returncode == 1
    assert "no such file or directory" in world.ask(11, "etcd", "members").stderr
    wait_until(lambda: world.ask(11, "bootstrap").returncode == 0, "etcd is bootstrapped", 20)
    assert "AlreadyExists" in world.ask(11, "bootstrap").stderr
    world.switch_on("worker-1", 102, 21)
    world.nodes.wait("worker-1", "maintenance")
    world.configure(21, "worker")
    world.nodes.wait("worker-1", "configured")
    refused = world.ask(21, "kubeconfig", "-", "--merge=false")
    assert "only available on control plane nodes" in refused.stderr


def test_a_cluster_is_born_stopped_started_and_gone(world: World) -> None:
    key = b64encode(secrets.token_bytes(32)).decode()
    world.generate(key)
    world.switch_on("cp-1", 101, 11)
    world.switch_on("worker-1", 102, 21)
    for name, number, kind in (("cp-1", 11, "controlplane"), ("worker-1", 21, "worker")):
        world.nodes.wait(name, "maintenance")
        world.configure(number, kind)
    world.nodes.wait("cp-1", "configured")
    wait_until(lambda: world.ask(11, "bootstrap").returncode == 0, "etcd is bootstrapped", 20)
    wait_until(lambda: "cp-1" in world.ask(11, "etcd", "members").stdout, "etcd has a member", 90)
    assert world.ask(11, "kubeconfig", "kubeconfig").returncode == 0
    client = Client(world.directory / "kubeconfig")
    wait_until(lambda: ready(client) == {"cp-1": True, "worker-1": True}, "both nodes are Ready", 30)
    client.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "kept", "namespace": "default"},
            "stringData": {"token": "canary"},
        }
    )
    (control,) = world.nodes.clusters()
    stored = control.etcd_values("/registry/secrets/default/kept")["/registry/secrets/default/kept"]
    assert stored.startswith(b"k8s:enc:secretbox:v1:")
    assert b"canary" not in stored

    worker = world.proxmox.pve.vm(102)
    worker.status = "stopped"
    wait_until(lambda: ready(client) == {"cp-1": True, "worker-1": False}, "the worker is lost", 20)

    vm = world.proxmox.pve.vm(101)
    vm.status = "stopped"
    wait_until(lambda: not accepts(6443, world.address(11)), "the API server stopped with its machine", 30)
    vm.status = "running"
    wait_until(lambda: client.find("v1", "Secret", "kept", "default"), "the same cluster is back", 90)
    assert "AlreadyExists" in world.ask(11, "bootstrap").stderr

    vm.status = "stopped"
    world.proxmox.pve.vms.remove(vm)
    wait_until(lambda: not world.nodes.clusters(), "the cluster is gone with its last control plane", 30)
    assert not control.directory.exists()
    world.switch_on("cp-1", 101, 11)
    world.nodes.wait("cp-1", "maintenance")
