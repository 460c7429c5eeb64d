# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STAND-IN for the machines on which Talos runs: the real talosctl talks to them, a bootstrap starts a real API server.

A machine is a VM of the Proxmox stand-in that runs, has an address and boots a Talos image. Its API is served by the
program talos-nodes (tests/lab/go/talosctl/nodes). Its disk is what is remembered here: a VM that is stopped keeps its
configuration, one that is deleted takes it along, and with the last control plane go the cluster and its data.
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import shutil
import threading
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import yaml

from lab.binaries import binary
from lab.flux import flux_programs
from lab.kube import ControlPlane
from lab.kubeclient import KubeError
from lab.kubelet import KubeletStandIn
from lab.machineconfig import MachineConfig, read
from lab.operators import operator_programs
from lab.process import LabError, Process, wait_until
from lab.proxmox import Vm

INTERVAL = 0.1
RETRY = 5.0
KUBELET_DELAY = 2.0  # after a reboot the Node says for a while what it said before


class Hypervisor(Protocol):
    """Whatever has machines that boot Talos."""

    def vms(self) -> list[Vm]: ...


@dataclass
class Machine:
    """A machine and its disk. C(identity) is the VM's: another VM with the same vmid is another machine.

    C(version) and C(schematic) lie on its disk, C(runs) is the version that was booted.
    """

    identity: str
    vmid: int
    name: str
    address: str
    version: str
    schematic: str
    on: bool = False
    stage: str = "off"
    runs: str = ""
    boot: str = ""
    not_before: float = 0.0  # when its kubelet is there
    config_text: str = field(default="", repr=False)
    bootstrapped: bool = False
    data: str = ""  # of etcd, which it was bootstrapped with
    static_pods: dict[str, tuple[str, str]] = field(default_factory=dict)  # each one's image and stamp
    kubelet: str = ""  # the image of one that was started since it booted
    _read: tuple[str, MachineConfig | None] = field(default=("", None), repr=False)

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The configuration's documents."""
        return [document for document in yaml.safe_load_all(self.config_text) if document]

    @property
    def config(self) -> dict[str, Any]:
        """The main document of the configuration; empty while there is none."""
        return next((document for document in self.documents if "machine" in document), {})

    @property
    def settings(self) -> MachineConfig | None:
        """What the configuration says; None while there is none."""
        if self._read[0] != self.config_text:
            self._read = (self.config_text, read(self.config_text))
        return self._read[1]

    @property
    def control_plane(self) -> bool:
        return bool(self.settings and self.settings.control_plane)

    @property
    def cluster(self) -> str:
        """What identifies the cluster to which it belongs: the certificate of Kubernetes' CA, which every node has."""
        return self.settings.authority[0] if self.settings else ""

    @property
    def hostname(self) -> str:
        """The node's name: as configured, else the one that the platform gives."""
        return (self.settings.hostname if self.settings else "") or self.name


class _Cluster:
    """A cluster that was bootstrapped: a real control plane, and the stand-in for its kubelets."""

    def __init__(self, directory: Path, first: Machine) -> None:
        config = first.settings
        assert config is not None
        endpoint = urlsplit(config.endpoint)
        self.directory = directory
        self.control = ControlPlane(
            directory,
            host=endpoint.hostname or first.address,
            port=endpoint.port or 443,
            names=config.names,
            cluster=config.cluster,
            secretbox_key=config.secretbox_key or None,
            authority=config.authority,
        )
        self.kubelet: KubeletStandIn | None = None
        self.nodes: dict[str, str] = {}  # the boot in which it was registered; empty where it is lost
        self.members: dict[str, str] = {}  # of etcd: addresses by host names. Who is lost stays one until it is removed
        self.left: set[str] = set()  # the machines that were taken out of etcd while they ran
        self.pods: dict[tuple[str, str], tuple[str, str]] = {}  # static ones that were told: image and stamp
        self.inventory = False
        self.not_before = 0.0

    def start(self) -> None:
        """Start it, again if it was stopped, with the objects that it had."""
        self.control.start()
        kubeconfig = self.control.kubeconfig
        programs = {**flux_programs(kubeconfig), **operator_programs(kubeconfig)}
        self.kubelet = KubeletStandIn(kubeconfig, self.directory / "pods", programs=programs).start()

    def stop(self) -> None:
        if self.kubelet is not None:
            self.kubelet.stop()
            self.kubelet = None
        self.control.stop()
        self.nodes = {}

    def register(self, machine: Machine) -> None:
        """Let the machine's kubelet appear, Ready as soon as there is a network between pods."""
        assert self.kubelet is not None
        if self.nodes.get(machine.hostname) == machine.boot or time.monotonic() < machine.not_before:
            return
        config = machine.settings
        assert config is not None
        self.kubelet.add_node(
            machine.hostname,
            machine.address,
            "control_plane" if machine.control_plane else "worker",
            schedulable=config.takes_pods,
            kubelet=config.kubernetes,
            system=f"Talos ({machine.runs})",
            boot=machine.boot,
            ready=config.networked,
        )
        self.nodes[machine.hostname] = machine.boot
        machine.kubelet = ""

    def run_pods(self, machine: Machine) -> None:
        """Let a kubelet do what Talos has told it: a static pod is made anew, an API server of another image moves."""
        assert self.kubelet is not None
        if not self.nodes.get(machine.hostname):
            return
        if machine.kubelet:
            self.kubelet.set_kubelet(machine.hostname, machine.kubelet.rpartition(":")[2])
            machine.kubelet = ""
        for name, wanted in machine.static_pods.items():
            former = self.pods.get((machine.hostname, name))
            if former == wanted:
                continue
            self.pods[machine.hostname, name] = wanted
            if name == "kube-apiserver" and former is not None and former[0] != wanted[0]:
                self.control.restart_server()
            self.kubelet.run_static(machine.hostname, name, *wanted)
        if machine.runs >= "v1.13" and machine.control_plane and not self.inventory:
            self.inventory = True  # of the objects that Talos has made: none here
            self.kubelet.make_config("talos-bootstrap-manifests-inventory")

    def lose(self, names: Iterable[str]) -> None:
        """Nodes whose machine is off or gone are not Ready any more."""
        assert self.kubelet is not None
        for name in names:
            self.kubelet.set_node_ready(name, False)
            self.nodes[name] = ""


class Nodes:
    """Every Talos machine of the lab. C(problems) are the errors of the stand-in itself: there should be none."""

    def __init__(self, directory: Path, hypervisor: Hypervisor, program: str = "talos-nodes") -> None:
        self.directory = directory
        self.problems: list[str] = []
        self._hypervisor = hypervisor
        self._machines: dict[str, Machine] = {}
        self._clusters: dict[str, _Cluster] = {}
        self._made = 0
        self._events: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self._told: dict[str, object] = {}
        self._stopping = threading.Event()
        self._process = Process([binary(program)], log=directory / "talos-nodes.log", piped=True)
        self._threads: list[threading.Thread] = []

    # ------------------------------------------------------------------------------------------------ life

    def start(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process.start()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._work)]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        if self._threads:
            self._threads[1].join(timeout=90)
        for cluster in self._clusters.values():
            cluster.stop()
        self._clusters.clear()
        if self._process.running:
            stdin, _stdout = self._process.streams
            stdin.close()
        for thread in self._threads:
            thread.join(timeout=10)
        self._process.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # ------------------------------------------------------------------------------------- what tests look at

    def machines(self) -> list[Machine]:
        """Every machine that has been switched on and not been deleted."""
        return list(self._machines.values())

    def machine(self, name: str) -> Machine:
        for machine in self.machines():
            if machine.name == name:
                return machine
        raise LabError(f"there is no machine {name}; there are: {', '.join(m.name for m in self.machines()) or 'none'}")

    def clusters(self) -> list[ControlPlane]:
        """The control planes that were bootstrapped and still exist."""
        return [cluster.control for cluster in self._clusters.values()]

    def kubelets(self) -> list[KubeletStandIn]:
        """The stand-ins for the kubelets of the clusters that run, for their faults."""
        return [cluster.kubelet for cluster in self._clusters.values() if cluster.kubelet]

    def wait(self, name: str, stage: str, timeout: float = 20) -> Machine:
        """Wait until a machine is in a stage: off, booting, maintenance or configured."""
        wait_until(lambda: self.machine(name).stage == stage, f"{name} is in stage {stage}", timeout)
        return self.machine(name)

    def tell_members(self, machine: Machine, members: list[dict[str, str]]) -> None:
        """Let the etcd of a control plane know other members than there are, until those that there are change."""
        self._order("etcd", machine, members=members)

    def hold_server(self, machine: Machine, *, down: bool) -> None:
        """Let a control plane's kubelet say that its API server does not get ready, from now on."""
        self._order("server", machine, down=down)

    # ------------------------------------------------------------------------------------------------ work

    def _order(self, do: str, machine: Machine, **values: object) -> None:
        stdin, _stdout = self._process.streams
        line = json.dumps({"do": do, "address": machine.address, **values})
        with contextlib.suppress(BrokenPipeError):
            stdin.write(line.encode() + b"\n")
            stdin.flush()

    def _listen(self) -> None:
        _stdin, stdout = self._process.streams
        with contextlib.suppress(ValueError):  # the stream is closed when the lab stops
            for line in stdout:
                self._events.put(json.loads(line))

    def _work(self) -> None:
        while not self._stopping.wait(INTERVAL):
            try:
                self._switch(self._vms())
                while not self._events.empty():
                    self._handle(self._events.get())
                self._run_clusters()
            except (LabError, KubeError, OSError, RuntimeError, KeyError, ValueError) as error:
                self.problems.append(f"{error}\n{traceback.format_exc()}")
                with (self.directory / "problems.log").open("a") as log:
                    log.write(f"{self.problems[-1]}\n")

    def _vms(self) -> dict[str, Vm]:
        """The VMs that boot a Talos image, by what identifies their disk."""
        return {
            str(vm.config.get("smbios1")): vm
            for vm in self._hypervisor.vms()
            if vm.config.get("smbios1") and vm.image and vm.address
        }

    def _switch(self, vms: dict[str, Vm]) -> None:
        """Boot the machines whose VM was started, halt those whose VM was stopped, forget those whose VM is gone."""
        for identity, machine in list(self._machines.items()):
            vm = vms.get(identity)
            if machine.on and (vm is None or not vm.running):
                machine.on, machine.stage = False, "off"
                self._order("halt", machine)
            if vm is None:
                del self._machines[identity]
        for identity, vm in vms.items():
            if vm.running and not (identity in self._machines and self._machines[identity].on):
                self._boot(identity, vm)

    def _boot(self, identity: str, vm: Vm) -> None:
        assert vm.image is not None
        schematic, version = vm.image
        machine = self._machines.setdefault(
            identity, Machine(identity, vm.vmid, vm.name, vm.address, version, schematic)
        )
        machine.on, machine.stage, machine.address = True, "booting", vm.address
        machine.runs = machine.version
        self._told.pop(identity, None)
        self._order(
            "boot",
            machine,
            name=machine.name,
            version=machine.version,
            schematic=machine.schematic,
            config=machine.config_text,
            bootstrapped=machine.bootstrapped,
            disks=_disks(vm),
        )

    def _handle(self, event: dict[str, str]) -> None:
        for machine in self._machines.values():
            if machine.on and machine.address == event["address"]:
                match event["what"]:
                    case "maintenance":
                        machine.stage = "maintenance"
                    case "listening":
                        machine.stage, machine.boot = "configured", event["boot"]
                    case "down":
                        machine.not_before = time.monotonic() + KUBELET_DELAY if machine.stage == "configured" else 0.0
                        machine.stage = "booting"
                        machine.runs = machine.version
                    case "config":
                        machine.config_text = event["config"]
                    case "bootstrap":
                        machine.bootstrapped, machine.data = True, event.get("data", "")
                    case "left":
                        self._leave(self._clusters[machine.cluster], event["member"])
                    case "wiped":
                        machine.config_text, machine.bootstrapped, machine.stage = "", False, "off"
                        for cluster in self._clusters.values():
                            cluster.left.discard(machine.identity)
                    case "pod":
                        machine.static_pods[event["pod"]] = (event["image"], event["stamp"])
                    case "kubelet":
                        machine.kubelet = event["image"]
                    case "upgrade":
                        machine.version, machine.schematic = event["version"], event.get("schematic", "")

    def _run_clusters(self) -> None:
        """Each cluster runs while most of the control planes with etcd's data do, and exists as long as one exists."""
        stored: dict[str, list[Machine]] = {}
        for machine in self._machines.values():
            if machine.bootstrapped:
                stored.setdefault(machine.cluster, []).append(machine)
        for key in [key for key in self._clusters if key not in stored]:
            self._clusters[key].stop()
            shutil.rmtree(self._clusters[key].directory, ignore_errors=True)
            del self._clusters[key]
        for key, machines in stored.items():
            up = [machine for machine in machines if machine.stage == "configured"]
            if key not in self._clusters and up:
                self._made += 1
                self._clusters[key] = _Cluster(self.directory / f"cluster-{self._made}", up[0])
                for machine in machines:
                    if machine.data:
                        shutil.move(machine.data, self._clusters[key].directory / "etcd")
                        machine.data = ""
            if key in self._clusters:
                cluster = self._clusters[key]
                counted = [machine for machine in up if machine.hostname in cluster.members or not cluster.members]
                self._run_cluster(key, cluster, 2 * len(counted) > len(cluster.members or machines))

    def _run_cluster(self, key: str, cluster: _Cluster, up: bool) -> None:
        if not up:
            if cluster.kubelet is not None:
                cluster.stop()
            return
        if cluster.kubelet is None:
            if time.monotonic() < cluster.not_before:
                return
            cluster.not_before = time.monotonic() + RETRY
            cluster.start()
        configured = [
            machine for machine in self._machines.values() if machine.stage == "configured" and machine.cluster == key
        ]
        self._tell_members(cluster, [machine for machine in configured if machine.control_plane])
        for machine in configured:
            cluster.register(machine)
            cluster.run_pods(machine)
        running = {machine.hostname for machine in self._machines.values() if machine.on and machine.cluster == key}
        cluster.lose([name for name, boot in cluster.nodes.items() if boot and name not in running])

    def _tell_members(self, cluster: _Cluster, control_planes: list[Machine]) -> None:
        """Every control plane joins etcd once the first one runs it, in the place of who had its name before."""
        for machine in control_planes:
            if machine.identity not in cluster.left:
                cluster.members[machine.hostname] = machine.address
                machine.bootstrapped = True
        members = [{"name": name, "address": address} for name, address in cluster.members.items()]
        for machine in control_planes:
            known = [] if machine.identity in cluster.left else members
            if self._told.get(machine.identity) != known:
                self._told[machine.identity] = list(known)
                self._order("etcd", machine, members=known, store=cluster.control.store)

    def _leave(self, cluster: _Cluster, address: str) -> None:
        """A member was taken out of etcd. Where its machine runs on, it has no etcd until it is wiped."""
        cluster.members = {name: each for name, each in cluster.members.items() if each != address}
        cluster.left |= {
            machine.identity
            for machine in self._machines.values()
            if machine.address == address and machine.stage == "configured"
        }


def _disks(vm: Vm) -> list[str]:
    """The devices that the machine's disks are: sda for the first on SCSI, vda for the first on virtio."""
    keys = sorted(key for key in vm.config if re.fullmatch(r"(scsi|virtio)\d+", key))
    return [f"{'s' if key.startswith('scsi') else 'v'}d{chr(ord('a') + int(key[-1]))}" for key in keys]
