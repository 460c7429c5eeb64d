# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nobody here made: machines that boot Talos (tazlab_provider: existing), and a cluster that runs already."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.factory import PLAIN_SCHEMATIC
from lab.flux import flux_programs
from lab.kube import ControlPlane
from lab.kubeclient import Client
from lab.kubelet import KubeletStandIn
from lab.playbook import Run, run_playbook
from lab.supervisor import Lab

ROOT = Path(__file__).resolve().parents[2]
VERSION = "v1.12.6"
# What neither of the two needs: the fields of a provider, and, where the cluster is given, Talos' key.
PROXMOX = ("PROXMOX_TOKEN_ID", "PROXMOX_TOKEN_SECRET")
TALOS = ("TALOS_SECRETBOX_KEY",)


@dataclass
class World:
    """A lab, and an inventory that knows neither Proxmox VE nor what only it needs."""

    lab: Lab
    home: Path
    inventory: dict[str, Any]

    @property
    def variables(self) -> dict[str, Any]:
        found: dict[str, Any] = self.inventory["all"]["vars"]
        return found

    def host(self, name: str) -> dict[str, Any]:
        group = "talos_workers" if "worker" in name else "talos_control_plane"
        found: dict[str, Any] = self.inventory["all"]["children"][group]["hosts"][name]
        return found

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Run:
        path = self.home / "inventory.yml"
        path.write_text(yaml.safe_dump(self.inventory))
        return run_playbook(
            ROOT / "playbooks" / playbook,
            home=self.home,
            inventory=path,
            arguments=arguments,
            variables=variables,
            environment={"PATH": self.lab.environment()["PATH"]},
            timeout=600,
        )


def without(lab: Lab, *fields: str) -> None:
    """Neither Vault nor the anchor has these fields."""
    lab.vault.write_bundle({name: value for name, value in lab.values.items() if name not in fields})
    for name in fields:
        (lab.anchor / name.lower().replace("_", "-")).unlink()


def by_hand(lab: Lab, name: str, vmid: int, address: str, disks: int) -> None:
    """A VM that somebody made for themselves: nothing about it says that it is a cluster's."""
    store = lab.proxmox.pve.storage_of("pve1", "local-lvm")
    config = {"ipconfig0": f"ip={address}/24,gw={lab.address(1)}", "smbios1": f"uuid={uuid.uuid4()}"}
    for number in range(disks):
        volume = f"vm-{vmid}-disk-{number}"
        store["volumes"][volume] = {"content": "images", "size": 16, "image": (PLAIN_SCHEMATIC, VERSION)}
        config[f"scsi{number}"] = f"local-lvm:{volume},size=16G"
    lab.proxmox.pve.add_vm(vmid, name, status="running", config=config)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two machines in maintenance mode, the worker with two disks."""
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        without(lab, *PROXMOX)
        inventory = lab.variables()
        settings = inventory["all"]["vars"]
        del settings["tazlab_proxmox"]
        settings["tazlab_provider"] = "existing"
        for group in inventory["all"]["children"].values():
            group["hosts"] = {name: {"ansible_host": it["ansible_host"]} for name, it in group["hosts"].items()}
        by_hand(lab, "cp-1", 301, lab.address(11), 1)
        by_hand(lab, "worker-1", 302, lab.address(21), 2)
        for name in ("cp-1", "worker-1"):
            lab.nodes.wait(name, "maintenance")
        yield World(lab, tmp_path_factory.mktemp("home"), inventory)


def written(machines: World) -> set[str]:
    """The configurations on the machines' disks."""
    return {machine.config_text for machine in machines.lab.nodes.machines()}


@pytest.mark.sweep("a whole birth")
@pytest.mark.kube
def test_a_cluster_is_born_on_machines_that_nobody_here_makes(machines: World) -> None:
    lab = machines.lab

    # A disk is never guessed.
    run = machines.play("site.yml")
    assert run.returncode != 0
    assert "worker-1: it is not known on which disk Talos is to be installed: it has /dev/sda" in run.output
    assert "/dev/sdb" in run.output
    assert "Set install_disk for this host." in run.output
    assert "Preflight found 1 problem; nothing was changed." in run.output
    assert not lab.state.exists()
    assert written(machines) == {""}

    # It is born on the disk that is named, and on the only one.
    machines.host("worker-1")["install_disk"] = "/dev/sdb"
    check = machines.play("site.yml", "--check")
    assert check.returncode == 0, check.output
    assert written(machines) == {""}
    run = machines.play("site.yml")
    assert run.returncode == 0, run.output
    assert "Every phase holds: secrets, vms, talos, seed, flux." in run.stdout
    installed = {name: lab.nodes.machine(name).config["machine"]["install"] for name in ("cp-1", "worker-1")}
    assert {name: it["disk"] for name, it in installed.items()} == {"cp-1": "/dev/sda", "worker-1": "/dev/sdb"}
    assert all("/metal-installer/" in it["image"] for it in installed.values())

    # The second run changes nothing, although no machine tells its disks to strangers any more.
    again = machines.play("site.yml")
    assert again.returncode == 0, again.output
    assert again.stats()["changed"] == 0

    # The health report tries no provider.
    health = machines.play("health.yml")
    assert "Git" in health.output
    assert "Proxmox" not in health.output

    # To remove them is left to whoever made them.
    state = {path.name: path.read_bytes() for path in lab.state.iterdir()}
    refused = machines.play("destroy.yml", "-e", "tazlab_destroy=lab")
    assert refused.returncode != 0
    assert "Nothing was changed." in refused.output
    assert f"--endpoints {lab.address(21)} --nodes {lab.address(21)}" in refused.output
    assert {path.name: path.read_bytes() for path in lab.state.iterdir()} == state
    assert {vm.name: vm.running for vm in lab.proxmox.vms()} == {"cp-1": True, "worker-1": True}
    assert lab.proxmox.pve.requests == []


@pytest.mark.parametrize("playbook", ["site.yml", "destroy.yml"])
def test_a_provider_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path, playbook: str) -> None:
    anchor = tmp_path / "secrets"
    anchor.mkdir()
    variables = {"tazlab_cluster": "home", "tazlab_provider": "proxmx", "tazlab_anchor": str(anchor)}
    variables |= {"tazlab_vault_url": "https://127.0.0.1:1", "tazlab_state_dir": str(tmp_path / "state")}
    run = run_playbook(ROOT / "playbooks" / playbook, home=tmp_path / "home", variables=variables)
    assert run.returncode != 0
    assert "tazlab_provider: 'proxmx' is not known. It is one of proxmox, existing." in run.output
    assert not (tmp_path / "state").exists()


# ------------------------------------------------------------------------------------------ a cluster that is given


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster that runs somewhere, its kubeconfig, and an inventory without a single machine."""
    directory: Path = tmp_path_factory.mktemp("given")
    with (
        Lab(tmp_path_factory.mktemp("lab")) as lab,
        ControlPlane(directory / "kube") as control_plane,
        KubeletStandIn(
            control_plane.kubeconfig, directory / "pods", programs=flux_programs(control_plane.kubeconfig)
        ) as kubelet,
    ):
        kubelet.add_node("theirs-1", "127.0.0.2")
        without(lab, *PROXMOX, *TALOS)
        settings = lab.variables()["all"]["vars"]
        for name in ("tazlab_proxmox", "tazlab_talos", "tazlab_talos_patches"):
            del settings[name]
        settings |= {"tazlab_kubeconfig": str(control_plane.kubeconfig), "tazlab_coredns": False}
        yield World(lab, tmp_path_factory.mktemp("home"), {"all": {"vars": settings}})


@pytest.mark.kube
def test_flux_follows_on_a_cluster_that_nobody_here_made(given: World) -> None:
    # It is not made again, and one that is not there is told.
    run = given.play("site.yml")
    assert run.returncode != 0
    assert "it names a cluster that is there already, and vms and talos would make one." in run.output
    assert "Run --tags seed,flux for that cluster" in run.output
    run = given.play("site.yml", "--tags", "seed,flux", "-e", "tazlab_kubeconfig=/nowhere/kubeconfig")
    assert run.returncode != 0
    assert "tazlab_kubeconfig: /nowhere/kubeconfig is not there. Correct its path." in run.output
    assert not given.lab.state.exists()

    # It is seeded, and follows the repository; CoreDNS is its own.
    run = given.play("site.yml", "--tags", "seed,flux")
    assert run.returncode == 0, run.output
    assert "Every phase holds: secrets, seed, flux." in run.stdout
    client = Client(Path(given.variables["tazlab_kubeconfig"]))
    assert client.get("v1", "Secret", "tailscale-operator-oauth", "tailscale")["data"]
    assert client.find("apps/v1", "Deployment", "coredns", "kube-system") is None

    again = given.play("site.yml", "--tags", "seed,flux")
    assert again.returncode == 0, again.output
    assert again.stats()["changed"] == 0
    assert given.lab.proxmox.pve.requests == []
    assert given.lab.nodes.machines() == []
