# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines that the inventory describes, whoever makes them: read, and checked without network.

Private: other collections must not import it.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Mapping, Sequence
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
