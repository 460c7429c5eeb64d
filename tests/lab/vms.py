# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role proxmox_vms and its module as a playbook runs them, with a user's variables, against one fake cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import yaml

from lab.playbook import Run, run_playbook, started_playbook
from lab.pve import TOKEN_ID, TalosPve
from lab.tls import Authority

SECRET = "5b0c9a3e-canary-4c55-9d1d-2f0b7a6f1e77"
SCHEMATIC = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"
IMAGE = "import/talos-v1.12.6-376567988ad3-nocloud-amd64.qcow2"
WRITES = "^(POST|PUT|DELETE) "

FACTS = """{{ {
    'result': proxmox_vms_result | default([]),
    'pending': proxmox_vms_pending | default(none),
    'problems': proxmox_vms_problems | default([]),
} | to_json }}"""


def machine(number: int, **other: Any) -> dict[str, Any]:
    return {
        "name": f"node-{number}",
        "role": "control_plane" if number == 1 else "worker",
        "vmid": 1000 + number,
        "node": "pve1",
        "address": f"192.0.2.{10 + number}",
        "prefix": 24,
        "gateway": "192.0.2.1",
        "cores": 2,
        "memory": 4096,
        "disk": 32,
        **other,
    }


def play(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    return [{"hosts": "localhost", "gather_facts": False, "vars": local, "tasks": list(tasks)}]


@dataclass
class Layer:
    """The role with a user's variables, against one fake cluster."""

    pve: TalosPve
    home: Path
    variables: dict[str, Any]
    runner: Callable[..., Run]

    def run(self, *arguments: str, tasks_from: str = "main", **variables: Any) -> Run:
        self.pve.requests.clear()
        role = {"name": "tazlab.bootstrap.proxmox_vms", "tasks_from": tasks_from}
        kept = {
            "ansible.builtin.copy": {"content": FACTS, "dest": str(self.home / "facts.json"), "mode": "0600"},
            "check_mode": False,
            "changed_when": False,
            "diff": False,
        }
        plays = play({"ansible.builtin.import_role": role}, kept)
        return self.runner(plays, variables={**self.variables, **variables}, arguments=arguments)

    def vm(self, *arguments: str, **options: Any) -> Run:
        """A task of the module proxmox_vm alone."""
        self.pve.requests.clear()
        connection = {
            key: self.variables[f"proxmox_vms_{key}"] for key in ("url", "ca_cert", "token_id", "token_secret")
        }
        task = {"tazlab.bootstrap.proxmox_vm": {**connection, "cluster": "home", "storage": "local-lvm", **options}}
        return self.runner(play(task), arguments=arguments)

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "facts.json").read_text())
        return found

    def status(self) -> dict[int, str]:
        return {vm.vmid: vm.status for vm in self.pve.vms}

    @contextmanager
    def started(self, tasks_from: str = "main", **variables: Any) -> Iterator[Popen[bytes]]:
        """A run of the role that goes on while the block does."""
        self.home.mkdir(parents=True, exist_ok=True)
        plays = play(
            {"ansible.builtin.import_role": {"name": "tazlab.bootstrap.proxmox_vms", "tasks_from": tasks_from}}
        )
        with started_playbook(plays, home=self.home, variables={**self.variables, **variables}) as process:
            yield process


def layer_of(pve: TalosPve, authority: Authority, home: Path) -> Layer:
    variables = {
        "proxmox_vms_url": pve.url,
        "proxmox_vms_ca_cert": str(authority.ca_file),
        "proxmox_vms_token_id": TOKEN_ID,
        "proxmox_vms_token_secret": SECRET,
        "proxmox_vms_cluster": "home",
        "proxmox_vms_storage": "local-lvm",
        "proxmox_vms_image_storage": "local",
        "proxmox_vms_talos_version": "v1.12.6",
        "proxmox_vms_schematic": SCHEMATIC,
        "proxmox_vms_machines": [machine(1), machine(2)],
    }

    def run_here(plays: Any, **options: Any) -> Run:
        return run_playbook(plays, home=home, **options)

    return Layer(pve, home, variables, run_here)


def inventory_of(layer: Layer, directory: Path, **settings: Any) -> Path:
    """A user's inventory of two VMs for the playbooks; Vault is away, and the anchor has Proxmox's token."""
    anchor = directory / "anchor"
    anchor.mkdir()
    for name, value in (("id", layer.variables["proxmox_vms_token_id"]), ("secret", SECRET)):
        (anchor / f"proxmox-token-{name}").touch(mode=0o600)
        (anchor / f"proxmox-token-{name}").write_text(value)
    common = {"proxmox_node": "pve1", "gateway": "192.0.2.1", "cores": 2, "memory": 4096, "disk": 32}
    hosts = {
        f"node-{number}": {"ansible_host": f"192.0.2.{10 + number}", "vmid": 1000 + number, **common}
        for number in (1, 2)
    }
    variables = {
        "tazlab_cluster": "home",
        "tazlab_vault_url": "https://127.0.0.1:1",
        "tazlab_anchor": str(anchor),
        "tazlab_fields": {"PROXMOX_TOKEN_ID": {}, "PROXMOX_TOKEN_SECRET": {}},
        "tazlab_talos": {"version": "v1.12.6", "kubernetes_version": "1.35.4", "schematic": SCHEMATIC},
        "tazlab_proxmox": {
            "url": layer.pve.url,
            "ca_cert": layer.variables["proxmox_vms_ca_cert"],
            "storage": "local-lvm",
            "image_storage": "local",
        },
        **settings,
    }
    groups = {"talos_control_plane": "node-1", "talos_workers": "node-2"}
    children = {group: {"hosts": {name: hosts[name]}} for group, name in groups.items()}
    inventory = directory / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"vars": variables, "children": children}}))
    return inventory
