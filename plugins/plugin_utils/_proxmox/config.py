# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The VM of a Talos node: what it should be, the request that creates it, and how one that exists differs. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.machine import Form, machine_problems

MACHINE_ARGUMENTS: t.Final[dict[str, dict[str, t.Any]]] = {
    "name": {"type": "str", "required": True},
    "vmid": {"type": "int", "required": True},
    "node": {"type": "str", "required": True},
    "cores": {"type": "int", "default": 2},
    "memory": {"type": "int", "default": 2048},
    "disk": {"type": "int", "default": 10},
    "address": {"type": "str"},
    "prefix": {"type": "int", "default": 24},
    "gateway": {"type": "str"},
    "nameservers": {"type": "list", "elements": "str", "default": []},
    "bridge": {"type": "str"},
    "mac": {"type": "str"},
    "role": {"type": "str", "choices": ["control_plane", "worker"]},
    "install_disk": {"type": "str"},
}

_CLUSTER = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
# What Proxmox VE takes where a configuration does not name a key.
_DEFAULTS = {
    "cores": "1",
    "memory": "512",
    "onboot": "0",
    "agent": "0",
    "scsihw": "lsi",
    "cpu": "kvm64",
    "machine": "pc",
}


# What the notes of a VM say from the creating request until the making has ended: nobody else writes that. Its settings
# are not such signs, as an owner may change each of them.
UNFINISHED: t.Final = " (its making has not ended yet)"


def mark_of(cluster: str) -> str:
    """The tag that says that a VM belongs to this cluster."""
    return f"tazlab-{cluster}"


@dataclass(frozen=True)
class Machine:
    """One VM as the user wants it."""

    name: str
    vmid: int
    node: str
    cores: int
    memory: int
    disk: int
    address: str
    prefix: int
    gateway: str
    nameservers: tuple[str, ...]
    bridge: str
    mac: str
    role: str

    @property
    def label(self) -> str:
        return f"{self.name} (vmid {self.vmid})"

    @classmethod
    def read(cls, row: Mapping[str, t.Any], bridge: str) -> Machine:
        """From the module's suboptions. C(vm_problems) has found them complete."""
        return cls(
            name=str(row["name"]),
            vmid=int(row["vmid"]),
            node=str(row["node"]),
            cores=int(row["cores"]),
            memory=int(row["memory"]),
            disk=int(row["disk"]),
            address=str(row["address"] or ""),
            prefix=int(row["prefix"]),
            gateway=str(row["gateway"] or ""),
            nameservers=tuple(str(server) for server in row["nameservers"] or ()),
            bridge=str(row["bridge"] or bridge),
            mac=str(row["mac"] or "").upper(),
            role=str(row["role"] or ""),
        )


@dataclass(frozen=True)
class Source:
    """Where VMs come from and where they go: what is the same for all of them."""

    cluster: str
    storage: str
    image: str
    iso: str
    agent: bool
    pool: str = ""

    @property
    def mark(self) -> str:
        return mark_of(self.cluster)


# --------------------------------------------------------------------------------------------- what the user gave

# What a VM must have here; without an address it asks DHCP for one.
_FORM: t.Final = Form(("name", "node", "vmid", "cores", "memory", "disk", "prefix"), {})


def vm_problems(rows: Sequence[Mapping[str, t.Any]], cluster: str) -> list[Problem]:
    """Everything that is wrong with the list by itself, before anything is asked of Proxmox VE."""
    problems = machine_problems(rows, _FORM)
    if not _CLUSTER.fullmatch(cluster):
        what = "it cannot be part of a tag."
        problems.insert(0, Problem("malformed", f"cluster {cluster!r}", what, "Use lower case letters, digits and -."))
    return problems


# --------------------------------------------------------------------------------------------- the creating request


def creation(machine: Machine, source: Source) -> dict[str, str | int]:
    """The parameters that create the VM: the baseline for Talos, the ownership mark among them.

    Until C(completion), the last request of the making, its notes say that it is unfinished, and it does not start with
    its node.
    """
    disk = f"{source.storage}:0,import-from={source.image}" if source.image else f"{source.storage}:{machine.disk}"
    nic = f"virtio={machine.mac}" if machine.mac else "virtio"
    kind = {"control_plane": "Control plane", "worker": "Worker"}.get(machine.role, "Node")
    config: dict[str, str | int] = {
        "vmid": machine.vmid,
        "name": machine.name,
        "tags": source.mark,
        "description": f"{kind} of the Talos cluster {source.cluster}, made by tazlab.bootstrap{UNFINISHED}",
        "ostype": "l26",
        "machine": "q35",
        "cpu": "host",
        "cores": machine.cores,
        "memory": machine.memory,
        "balloon": 0,
        "scsihw": "virtio-scsi-pci",
        "scsi0": disk,
        "ide2": f"{source.storage}:cloudinit",
        "ipconfig0": _ipconfig(machine),
        "net0": f"{nic},bridge={machine.bridge}",
        "serial0": "socket",
        "boot": "order=scsi0",
        "onboot": 0,
    }
    if machine.nameservers:
        config["nameserver"] = " ".join(machine.nameservers)
    if source.agent:
        config["agent"] = 1
    if source.pool:
        config["pool"] = source.pool
    if source.iso:
        # The empty disk is tried first and falls through to the ISO; once Talos is installed, the disk boots.
        config |= {"ide0": f"{source.iso},media=cdrom", "boot": "order=scsi0;ide0"}
    return config


def completion(notes: str) -> dict[str, str | int]:
    """The change of the configuration that ends the making. What else stands in its notes stays."""
    ended = {"description": notes.replace(UNFINISHED, "")} if UNFINISHED in notes else {}
    return {"onboot": 1, **ended}


def _ipconfig(machine: Machine) -> str:
    if not machine.address:
        return "ip=dhcp"
    gateway = f",gw={machine.gateway}" if machine.gateway else ""
    return f"ip={machine.address}/{machine.prefix}{gateway}"


# --------------------------------------------------------------------------------------------- what exists


@dataclass(frozen=True)
class Config:
    """The configuration of a VM that exists: what holds now, and what its next start changes (None: a removal)."""

    now: Mapping[str, str]
    pending: Mapping[str, str | None]

    @classmethod
    def read(cls, rows: Sequence[Mapping[str, t.Any]]) -> Config:
        """From the answer of C(/pending), which holds both."""
        now = {str(row["key"]): str(row["value"]) for row in rows if row.get("value") is not None}
        later: dict[str, str | None] = {}
        for row in rows:
            if row.get("delete"):
                later[str(row["key"])] = None
            elif row.get("pending") is not None:
                later[str(row["key"])] = str(row["pending"])
        return cls(now, later)

    @property
    def later(self) -> dict[str, str]:
        merged = {**self.now, **self.pending}
        return {key: value for key, value in merged.items() if value is not None}

    @property
    def finished(self) -> bool:
        return UNFINISHED not in self.notes

    @property
    def notes(self) -> str:
        return self.now.get("description", "")

    @property
    def protected(self) -> bool:
        return self.now.get("protection") == "1"

    @property
    def disk_gib(self) -> float:
        return _gib(properties(self.now.get("scsi0", "")).get("size", "0"))


NOTHING: t.Final = Config({}, {})


@dataclass(frozen=True)
class Difference:
    """A setting that is not as the user wants it."""

    setting: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.setting} is {self.found or 'not set'}, wanted {self.wanted or 'not set'}"


def differences(machine: Machine, source: Source, config: Config, node: str) -> list[Difference]:
    """How a finished VM differs from what is wanted, now or after its next start."""
    wanted_config = {key: str(value) for key, value in {**creation(machine, source), **completion("")}.items()}
    wanted = facts({**wanted_config, "scsi0": f"{source.storage}:disk,size={machine.disk}G"})
    wanted["node"] = machine.node
    now, later = facts(config.now) | {"node": node}, facts(config.later) | {"node": node}
    found = []
    for setting, value in wanted.items():
        if setting == "mac" and not value:
            continue  # Proxmox VE chose one
        if now[setting] == value and later[setting] == value:
            continue
        text = now[setting]
        if later[setting] != now[setting]:
            text = f"{text or 'not set'}, {later[setting] or 'not set'} after the next start"
        found.append(Difference(setting, value, text))
    return found


def facts(config: Mapping[str, str]) -> dict[str, str]:
    """What counts of a configuration, in one spelling whichever way it is written."""
    return {setting: read(config) for setting, read in _FACTS.items()}


def properties(text: str) -> dict[str, str]:
    """A property string: C(virtio=BC:24:...,bridge=vmbr0). The first part may lack its key, which is then C("")."""
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {key if equals else "": value if equals else key for key, equals, value in pairs}


def _plain(key: str) -> Callable[[Mapping[str, str]], str]:
    return lambda config: config.get(key, _DEFAULTS.get(key, ""))


def _first(key: str, name: str) -> Callable[[Mapping[str, str]], str]:
    """The leading value of a property string, whether its key is written or not."""

    def read(config: Mapping[str, str]) -> str:
        found = properties(config.get(key, _DEFAULTS.get(key, "")))
        return found.get("") or found.get(name, "")

    return read


def _part(key: str, name: str) -> Callable[[Mapping[str, str]], str]:
    return lambda config: properties(config.get(key, "")).get(name, "")


def _machine_type(config: Mapping[str, str]) -> str:
    kind = _first("machine", "type")(config)
    return "q35" if "q35" in kind else kind


def _mac(config: Mapping[str, str]) -> str:
    return properties(config.get("net0", "")).get("virtio", "").upper()


def _nic(config: Mapping[str, str]) -> str:
    first = config.get("net0", "").split(",")[0].partition("=")
    return first[2] if first[0] == "model" else first[0]


def _storage(config: Mapping[str, str]) -> str:
    return _first("scsi0", "file")(config).partition(":")[0]


def _disk_size(config: Mapping[str, str]) -> str:
    return f"{_gib(properties(config.get('scsi0', '')).get('size', '0')):g} GiB"


def _cloudinit(config: Mapping[str, str]) -> str:
    return "yes" if "cloudinit" in config.get("ide2", "") else "no"


def _nameservers(config: Mapping[str, str]) -> str:
    return " ".join(re.split(r"[\s,;]+", config.get("nameserver", "")))


_FACTS: t.Final[dict[str, Callable[[Mapping[str, str]], str]]] = {
    "name": _plain("name"),
    "cores": _plain("cores"),
    "memory": _first("memory", "current"),
    "disk": _disk_size,
    "storage": _storage,
    "address": _part("ipconfig0", "ip"),
    "gateway": _part("ipconfig0", "gw"),
    "nameservers": _nameservers,
    "nic": _nic,
    "mac": _mac,
    "bridge": _part("net0", "bridge"),
    "cpu": _first("cpu", "cputype"),
    "machine": _machine_type,
    "scsihw": _plain("scsihw"),
    "balloon": _plain("balloon"),
    "ostype": _plain("ostype"),
    "serial0": _plain("serial0"),
    "cloudinit": _cloudinit,
    "agent": _first("agent", "enabled"),
    "onboot": _plain("onboot"),
}

_UNITS = {"": 1 / 1024**3, "K": 1 / 1024**2, "M": 1 / 1024, "G": 1.0, "T": 1024.0}


def _gib(size: str) -> float:
    """A disk's size (C(40G), C(512M), C(1T), bytes) in GiB; what cannot be read is 0."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", size)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0
