# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user writes in the inventory, read and checked without network.

Private: other collections must not import it.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError

# The group that a host stands in -> the role of its node.
GROUPS = {"talos_control_plane": "control_plane", "talos_workers": "worker"}

# A machine's key -> the host variable that sets it.
HOST_VARIABLES = {
    "address": "ansible_host",
    "vmid": "vmid",
    "node": "proxmox_node",
    "prefix": "prefix",
    "gateway": "gateway",
    "cores": "cores",
    "memory": "memory",
    "disk": "disk",
}
DEFAULTS: dict[str, Any] = {"prefix": 24}

# Bounds as Proxmox VE sets them: a VMID has three to nine digits.
LIMITS = {
    "vmid": (100, 999_999_999, ""),
    "prefix": (1, 32, ""),
    "cores": (1, 512, ""),
    "memory": (1024, 8_388_608, " MiB (Talos needs 2048 for a control plane, 1024 for a worker)"),
    "disk": (8, 131_072, " GiB"),
}

HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
CLUSTER_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
VERSION = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?")
SCHEMATIC = re.compile(r"[0-9a-f]{64}")

# Below, a machine configuration is not made of several documents, the hostname among them. Above, Talos writes
# documents for what we set in cluster.* (KubeCoreDNSConfig beside cluster.coreDNS), and refuses to have it in both.
TALOS = ((1, 12), (1, 13))


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version: v1.12.6-beta.1 is (1, 12, 6)."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0]))


def talos_problem(version: str) -> str | None:
    """Why a version of Talos is not supported, if it is not."""
    oldest, newest = ("v" + ".".join(map(str, end)) for end in TALOS)
    minor = numbers(version)[:2]
    if minor < TALOS[0]:
        return f"{version} is too old. Use Talos {oldest} or newer, up to {newest}."
    if minor > TALOS[1]:
        return (
            f"{version} is not supported yet: from v1.14 on, Talos writes its configuration as documents, and refuses "
            f"settings that are made here beside them (cluster.coreDNS). Use Talos {oldest} to {newest}."
        )
    return None


@dataclass(frozen=True)
class Setting:
    """A variable of the inventory that a phase cannot do without."""

    variable: str
    phases: frozenset[str]
    hint: str
    pattern: re.Pattern[str] | None = None
    check: Callable[[str], str | None] | None = None


def _setting(
    variable: str,
    phases: str,
    hint: str,
    pattern: re.Pattern[str] | None = None,
    check: Callable[[str], str | None] | None = None,
) -> Setting:
    return Setting(variable, frozenset(phases.split()), hint, pattern, check)


URL = re.compile(r"https?://[^\s/]+\S*")
SETTINGS = (
    _setting(
        "tazlab_cluster", "vms talos seed flux", "the cluster's name: lower case letters, digits, -", CLUSTER_NAME
    ),
    _setting("tazlab_proxmox.url", "vms", "the API's address, e.g. https://pve.example.net:8006", URL),
    _setting("tazlab_proxmox.storage", "vms", "the storage that holds the VMs' disks, e.g. local-lvm"),
    _setting("tazlab_proxmox.image_storage", "vms", "a storage whose content includes import, e.g. local"),
    _setting("tazlab_talos.version", "vms talos", "Talos' version, e.g. v1.12.6", VERSION, talos_problem),
    _setting("tazlab_talos.kubernetes_version", "talos", "Kubernetes' version, e.g. 1.35.4", VERSION),
    _setting("tazlab_talos.schematic", "vms talos", "the Image Factory's id: 64 hexadecimal digits", SCHEMATIC),
    _setting("tazlab_flux.url", "flux", "the repository's address, e.g. https://github.com/you/cluster"),
    _setting("tazlab_flux.branch", "flux", "the branch that Flux follows, e.g. main"),
    _setting("tazlab_flux.path", "flux", "the cluster's folder in the repository, e.g. ./clusters/home"),
)


# Every key of a setting that is a dictionary: one that is misspelt would be missed late, or never.
KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tazlab_proxmox": ("url", "ca_cert", "storage", "image_storage", "bridge"),
        "tazlab_talos": ("version", "kubernetes_version", "schematic", "factory_url"),
        "tazlab_talos_patches": ("all", "control_plane", "worker"),
        "tazlab_flux": ("url", "branch", "path", "username", "password_field", "ca_cert"),
    }
)


def machines(
    groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, Any]], patches: bool = False
) -> list[dict[str, Any]]:
    """The VMs that the inventory describes: one dictionary a host, control planes first, in the inventory's order.

    Keys: C{name}, C{role} (control_plane or worker) and those of L{HOST_VARIABLES}; a variable that is not set gives
    None, which L{machine_problems} reports. Patches may hold secrets, so C{patches} stands there only when asked for:
    those for all nodes and then those for the role, of C{tazlab_talos_patches} as this host sees it.
    """
    found = []
    for group, role in GROUPS.items():
        for host in groups.get(group, ()):
            variables = hostvars[host]
            machine: dict[str, Any] = {"name": str(host), "role": role}
            machine |= {key: variables.get(name, DEFAULTS.get(key)) for key, name in HOST_VARIABLES.items()}
            if patches:
                machine["patches"] = _patches(variables.get("tazlab_talos_patches") or {}, role)
            found.append(machine)
    return found


def _patches(declared: Mapping[str, Any], role: str) -> list[Any]:
    if not isinstance(declared, Mapping):
        raise BootstrapError(
            "tazlab_talos_patches is no dictionary. Write one with the keys all, control_plane and worker, each a list."
        )
    return [*(declared.get("all") or []), *(declared.get(role) or [])]


def machine_problems(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything that is wrong with the machines, each as 'host: what, next step'; an empty list when all is well."""
    problems = []
    if not any(machine["role"] == "control_plane" for machine in found):
        problems.append(
            "inventory: the group talos_control_plane has no host. Add the cluster's first control plane to it."
        )
    for machine in found:
        problems += [f"{machine['name']}: {problem}" for problem in _one_machine(machine)]
    for key in ("name", "vmid", "address"):
        counted = Counter(str(machine[key]) for machine in found if machine[key] is not None)
        for value, times in counted.items():
            if times > 1:
                names = ", ".join(str(machine["name"]) for machine in found if str(machine[key]) == value)
                problems.append(
                    f"inventory: {key} {value} stands at {times} places ({names}). Give each machine its own."
                )
    return problems


def _one_machine(machine: Mapping[str, Any]) -> list[str]:
    problems: list[str] = []
    if not HOST_NAME.fullmatch(machine["name"]):
        problems.append("is no host name. Use lower case letters, digits and -, at most 63.")
    for key, variable in HOST_VARIABLES.items():
        value = machine[key]
        if value is None or value == "":
            problems.append(f"{variable} is not set. Set it for this host in the inventory.")
        elif key in LIMITS:
            low, high, unit = LIMITS[key]
            if not str(value).isdecimal() or not low <= int(value) <= high:
                problems.append(f"{variable} is {value!r}; it must be a whole number from {low} to {high}{unit}.")
    return problems + _network(machine)


def _network(machine: Mapping[str, Any]) -> list[str]:
    """Address, prefix and gateway must be one network. What is not set, or no number, was reported before."""
    if machine["address"] is None:
        return []
    try:
        address = ipaddress.IPv4Address(str(machine["address"]))
    except ValueError:
        return [f"ansible_host {machine['address']!r} is no IPv4 address."]
    try:
        network = ipaddress.IPv4Network(f"{address}/{machine['prefix']}", strict=False)
    except ValueError:
        return []
    if machine["gateway"] is None:
        return []
    try:
        gateway = ipaddress.IPv4Address(str(machine["gateway"]))
    except ValueError:
        return [f"gateway {machine['gateway']!r} is no IPv4 address."]
    if gateway not in network:
        return [f"gateway {gateway} is outside {network}, the network of ansible_host and prefix."]
    return []


def setting_problems(settings: Mapping[str, Any], phases: Sequence[str]) -> list[str]:
    """The settings of the chosen phases that are missing or malformed. C{settings} maps variable names to values."""
    problems = []
    for variable, keys in KEYS.items():
        given = settings.get(variable)
        unknown = [str(key) for key in given if key not in keys] if isinstance(given, Mapping) else []
        if unknown:
            problems.append(f"{variable}: does not know {', '.join(unknown)}. It has {', '.join(keys)}.")
    for setting in SETTINGS:
        if not setting.phases.intersection(phases):
            continue
        outer, dot, inner = setting.variable.partition(".")
        value = settings.get(outer)
        if dot:
            value = value.get(inner) if isinstance(value, Mapping) else None
        if value is None or str(value).strip() == "":
            problems.append(f"{setting.variable}: is not set. It is {setting.hint}.")
        elif setting.pattern and not setting.pattern.fullmatch(str(value)):
            problems.append(f"{setting.variable}: {value!r} does not fit. It is {setting.hint}.")
        elif setting.check and (problem := setting.check(str(value))):
            problems.append(f"{setting.variable}: {problem}")
    return problems
