# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talos machines without anything around them, and a cluster that plays of the Talos modules alone make out of them."""

from __future__ import annotations

import base64
import json
import os
import random
import secrets
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from lab.binaries import binary
from lab.playbook import Run, run_playbook, started_playbook
from lab.process import Process, wait_until
from lab.proxmox import Vm

VERSION = "v1.12.6"
KUBERNETES = "1.35.4"
SCHEMATIC = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"


class Machines:
    """Machines that boot Talos, each with an address of its own on loopback. STAND-IN: only their API is there."""

    def __init__(self, directory: Path, version: str = VERSION) -> None:
        self.version = version
        self.suffix = "-1.14" if version >= "v1.13" else ""  # of the programs that are of this version
        self.process = Process([binary(f"talos-nodes{self.suffix}")], log=directory / "nodes.log", piped=True)
        self.disks: dict[str, str] = {}
        self.images: dict[str, tuple[str, str]] = {}  # what an upgrade has installed: version and schematic
        self.bootstraps: list[str] = []
        self.up: dict[str, str] = {}
        self.network = _network()

    def __enter__(self) -> Machines:
        self.process.start()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()
        self.listener.join(timeout=10)

    def address(self, number: int) -> str:
        return f"{self.network}.{number}"

    def order(self, do: str, number: int, **values: Any) -> None:
        stdin, _ = self.process.streams
        stdin.write(json.dumps({"do": do, "address": self.address(number), **values}).encode() + b"\n")
        stdin.flush()

    def boot(self, number: int) -> None:
        """Switch a machine on, with what lies on its disk, and wait until it answers."""
        address = self.address(number)
        self.up.pop(address, None)
        config = self.disks.get(address, "")
        version, schematic = self.images.get(address, (self.version, SCHEMATIC))
        self.order(
            *("boot", number),
            name="auto",
            version=version,
            schematic=schematic,
            config=config,
            bootstrapped=address in self.bootstraps,
            disks=["sda"],
        )
        wait_until(lambda: address in self.up, f"{address} answers", 20)

    def lose(self, number: int) -> None:
        """A machine is gone with its disk, and another one stands at its address, switched on."""
        address = self.address(number)
        self.order("halt", number)
        self.disks.pop(address, None)
        self.images.pop(address, None)
        if address in self.bootstraps:
            self.bootstraps.remove(address)
        self.boot(number)

    def members(self, number: int, *addresses: str) -> None:
        """Tell a control plane which members its etcd has."""
        self.order("etcd", number, members=[{"name": address, "address": address} for address in addresses])

    def config(self, number: int) -> list[dict[str, Any]]:
        """The configuration on a machine's disk."""
        return list(yaml.safe_load_all(self.disks[self.address(number)]))

    def _listen(self) -> None:
        _, stdout = self.process.streams
        for line in stdout:
            event = json.loads(line)
            what, address = event["what"], event["address"]
            if what == "config":
                self.disks[address] = event["config"]
            elif what == "upgrade":
                self.images[address] = event["version"], event.get("schematic", "")
            elif what == "bootstrap":
                self.bootstraps.append(address)
                self.members(int(address.rpartition(".")[2]), address)
            elif what == "down":
                self.up.pop(address, None)
            else:
                self.up[address] = what


class Metal:
    """Machines that stand there, switched on, each with one disk: what lab.nodes takes where no Proxmox makes them."""

    def __init__(self, count: int, version: str = VERSION) -> None:
        self.version = version
        self.suffix = "-1.14"  # of the programs, which serve older machines as well
        self.network = _network()
        self._replaced = 0
        self._vms = {number: self._vm(number) for number in range(1, count + 1)}

    def address(self, number: int) -> str:
        return f"{self.network}.{number}"

    def vms(self) -> list[Vm]:
        return list(self._vms.values())

    def power(self, number: int, *, on: bool) -> None:
        self._vms[number] = replace(self._vms[number], running=on)

    def replace(self, number: int) -> None:
        """Another machine stands at this address, with an empty disk."""
        self._replaced += 1
        self._vms[number] = replace(self._vm(number), config={"smbios1": f"uuid=new-{self._replaced}", "scsi0": "disk"})

    def _vm(self, number: int) -> Vm:
        return Vm(
            vmid=1000 + number,
            name=f"machine-{number}",
            node="",
            running=True,
            address=self.address(number),
            image=(SCHEMATIC, self.version),
            started_at=time.time(),
            config={"smbios1": f"uuid={number}", "scsi0": "disk"},
        )


def _network() -> str:
    """Of addresses on loopback. The labs' machines have theirs from 127.64 to 127.126."""
    return f"127.{random.randint(128, 250)}.{random.randint(1, 250)}"  # noqa: S311


# Options of those modules alone that look at a living cluster.
LIVING = ("etcd_lost", "raise_contract")


class TalosWorld:
    """A cluster that is to be born: its machines, its state directory and the plays that make it."""

    def __init__(self, directory: Path, machines: Machines | Metal, client: str = "") -> None:
        self.directory = directory
        self.machines = machines
        self.home = directory / "home"
        self.state = directory / "state"
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.canary = f"canary{secrets.token_hex(12)}"
        self.nodes = [self.node("cp-1", 1), self.node("worker-1", 2)]
        self.options: dict[str, Any] = {}
        self.rolling: dict[str, Any] = {}
        self.environment: dict[str, str] = {}
        self.snapshot: Path | None = None
        tools = directory / "tools"
        tools.mkdir()
        (tools / "talosctl").symlink_to(binary(client or f"talosctl{machines.suffix}"))
        self.path = f"{tools}{os.pathsep}{os.environ['PATH']}"

    def node(self, name: str, number: int, *patches: Any) -> dict[str, Any]:
        role = "worker" if "worker" in name else "control_plane"
        # A machine of the inventory has more keys than the modules of Talos take.
        return {
            "name": name,
            "address": self.machines.address(number),
            "role": role,
            "install_disk": "/dev/sda",
            "patches": list(patches),
            "vmid": 1000 + number,
            "cores": 2,
        }

    def tasks(self, *names: str) -> list[dict[str, Any]]:
        cluster = {
            "cluster": "home",
            "version": self.machines.version,
            "kubernetes_version": KUBERNETES,
            "schematic": SCHEMATIC,
            "platform": "nocloud",
            "nodes": "{{ nodes }}",
            "state_dir": str(self.state),
            **{name: value for name, value in self.options.items() if name not in ("timeout", *LIVING)},
        }
        lost = {name: self.options.get(name, "") for name in LIVING}
        waiting = {"timeout": self.options.get("timeout", 20), "pending": "{{ pending | default(false) }}"}
        key = {"secretbox_key": "{{ key }}", "anchor": str(self.directory / "anchor")}
        rolling = {"kubeconfig": str(self.state / "kubeconfig"), "timeout": 60, **self.rolling}
        arguments: dict[str, dict[str, Any]] = {
            "talos_disks": {"nodes": "{{ nodes }}", "state_dir": str(self.state), "timeout": waiting["timeout"]},
            "talos_preflight": {**cluster, **key, **lost, "unmade": "{{ unmade | default([]) }}"},
            "talos_secrets": {**cluster, **key, **waiting},
            "talos_config": {**cluster, **waiting, **lost},
            "talos_bootstrap": {"nodes": "{{ nodes }}", "state_dir": str(self.state), **waiting},
            "talos_upgrade": {**cluster, **rolling},
            "talos_apply": {**cluster, **rolling},
            "talos_remove": {**cluster, **rolling, "name": "worker-1"},
            "talos_restoring": {**cluster, **waiting, **lost, "recover_from": str(self.snapshot)},
            "late": {**cluster, **waiting, "wait_for_workers": True},
        }
        tasks: list[dict[str, Any]] = []
        for name in names:
            module = "talos_config" if name in ("late", "talos_restoring") else name
            tasks += [
                {"name": name, f"tazlab.bootstrap.{module}": arguments[name], "register": "result"},
                {"ansible.builtin.set_fact": {"all": "{{ all | default({}) | combine({'" + name + "': result}) }}"}},
            ]
        return [
            *tasks,
            {"ansible.builtin.copy": {"content": "{{ all | to_json }}", "dest": str(self.directory / "result.json")}},
        ]

    def run(self, *names: str, arguments: Sequence[str] = (), **variables: Any) -> Run:
        """Run these modules one after the other; C(results) are then those of this run."""
        (self.directory / "result.json").unlink(missing_ok=True)
        return run_playbook(
            [self._play(*names)],
            home=self.home,
            variables={"nodes": self.nodes, "key": self.key, **variables},
            arguments=arguments,
            environment={"PATH": self.path, **self.environment},
            timeout=300,
        )

    def started(self, *names: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """The same, as a run that goes on while the block does."""
        return started_playbook(
            [self._play(*names)],
            home=self.home,
            variables={"nodes": self.nodes, "key": self.key},
            environment={"PATH": self.path, **self.environment},
        )

    def _play(self, *names: str) -> dict[str, Any]:
        tasks = [
            {**task, "check_mode": False} if "ansible.builtin.copy" in task else task for task in self.tasks(*names)
        ]
        return {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {
                "ansible_connection": "local",
                "ansible_pipelining": True,
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            },
            "tasks": tasks,
        }

    def results(self, *names: str, arguments: Sequence[str] = (), **variables: Any) -> dict[str, Any]:
        run = self.run(*names, arguments=arguments, **variables)
        assert run.returncode == 0, run.output
        found: dict[str, Any] = json.loads((self.directory / "result.json").read_text())
        return found

    def born(self) -> None:
        """The whole cluster, up to its kubeconfig."""
        assert all(found["changed"] for found in self.results(*ALL).values())

    def problems(self, **variables: Any) -> list[str]:
        found = self.results("talos_preflight", **variables)["talos_preflight"]["problems"]
        return [problem["text"] for problem in found]

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.state.iterdir()} if self.state.exists() else {}


ALL = ("talos_secrets", "talos_config", "talos_bootstrap")
