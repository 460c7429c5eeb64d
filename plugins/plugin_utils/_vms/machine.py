# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines that the inventory describes, whoever makes them: read, and checked without network.

What a machine may look like stands here and nowhere else. Private: other collections must not import it.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem

# The group that a host stands in -> the role of its node.
GROUPS: t.Final = {"talos_control_plane": "control_plane", "talos_workers": "worker"}

# A machine's key -> the host variable that sets it.
HOST_VARIABLES: t.Final = {
    "address": "ansible_host",
    "vmid": "vmid",
    "node": "proxmox_node",
    "prefix": "prefix",
    "gateway": "gateway",
    "cores": "cores",
    "memory": "memory",
    "disk": "disk",
    "install_disk": "install_disk",
}
DEFAULTS: t.Final[Mapping[str, t.Any]] = {"prefix": 24}

# Lower and upper bound, and the unit, of what a machine counts. A VMID of Proxmox VE has three to nine digits.
LIMITS: t.Final = {
    "vmid": (100, 999_999_999, ""),
    "prefix": (1, 32, ""),
    "cores": (1, 512, ""),
    "memory": (1024, 8_388_608, " MiB (Talos needs 2048 for a control plane, 1024 for a worker)"),
    "disk": (8, 131_072, " GiB"),
}

HOST_NAME: t.Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
DEVICE: t.Final = re.compile(r"/dev/[A-Za-z0-9._/:-]+")
_MAC: t.Final = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
# What no two machines share.
_OWN: t.Final = ("name", "vmid", "address")


@dataclass(frozen=True)
class Form:
    """What a list of machines must say of each, and what its user calls that."""

    required: tuple[str, ...]
    names: Mapping[str, str]

    def called(self, key: str) -> str:
        return self.names.get(key, key)


def machines(
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Mapping[str, t.Any]],
    *,
    patches: bool = False,
    install_disk: str = "",
) -> list[dict[str, t.Any]]:
    """The machines that the inventory describes: one dictionary a host, control planes first, in the inventory's order.

    Keys: C(name), C(role) (control_plane or worker) and those of HOST_VARIABLES; a variable that is not set gives
    None. C(install_disk) is that of hosts that do not name their own. Patches may hold secrets, so C(patches) stands
    there only when asked for: those for all nodes and then those for the role, of C(tazlab_talos_patches) as this host
    sees it.
    """
    found = []
    for group, role in GROUPS.items():
        for host in groups.get(group, ()):
            variables = hostvars[host]
            machine: dict[str, t.Any] = {"name": str(host), "role": role}
            machine |= {key: variables.get(name, DEFAULTS.get(key)) for key, name in HOST_VARIABLES.items()}
            machine["install_disk"] = machine["install_disk"] or install_disk or None
            if patches:
                machine["patches"] = _patches(variables.get("tazlab_talos_patches") or {}, role)
            found.append(machine)
    return found


def _patches(declared: Mapping[str, t.Any], role: str) -> list[t.Any]:
    if not isinstance(declared, Mapping):
        raise BootstrapError(
            "tazlab_talos_patches is not a dictionary. Write one with the keys all, control_plane and worker, each a "
            "list.",
            code="malformed",
            subject="tazlab_talos_patches",
        )
    return [*(declared.get("all") or []), *(declared.get(role) or [])]


def inventory_problems(found: Sequence[Mapping[str, t.Any]], required: Sequence[str]) -> list[Problem]:
    """Everything that is wrong with the machines of an inventory, of which the provider of machines requires this."""
    problems = []
    if not any(machine["role"] == "control_plane" for machine in found):
        what, step = "the group talos_control_plane has no host.", "Add the cluster's first control plane to it."
        problems.append(Problem("no_control_plane", "inventory", what, step))
    return problems + machine_problems(found, Form(tuple(required), HOST_VARIABLES))


def inventory_warnings(found: Sequence[Mapping[str, t.Any]]) -> list[str]:
    """What is allowed and hardly meant."""
    count = sum(machine["role"] == "control_plane" for machine in found)
    if count == 0 or count % 2:
        return []
    even = f"{count} control planes: etcd needs more than half of its members, so they survive the loss of no more"
    return [f"{even} than {count - 1} do. Take an odd number."]


def machine_problems(found: Sequence[Mapping[str, t.Any]], form: Form) -> list[Problem]:
    """Everything that is wrong with a list of machines by itself."""
    problems = [
        Problem(code, str(machine.get("name") or "a machine without a name"), what, step)
        for machine in found
        for code, what, step in (*_one_machine(machine, form), *_network(machine, form))
    ]
    for key in _OWN:
        counted = Counter(str(machine[key]) for machine in found if machine.get(key))
        for value, times in counted.items():
            if times > 1:
                names = ", ".join(str(machine.get("name")) for machine in found if str(machine.get(key)) == value)
                what = f"it stands at {times} places ({names})."
                problems.append(Problem("duplicate", f"{form.called(key)} {value}", what, "Give each machine its own."))
    return problems


def _one_machine(machine: Mapping[str, t.Any], form: Form) -> Iterator[tuple[str, str, str]]:
    name = machine.get("name")
    if name and not HOST_NAME.fullmatch(str(name)):
        yield "malformed", "is not a host name.", "Use lower case letters, digits and -, at most 63."
    for key in form.required:
        if machine.get(key) in (None, ""):
            yield "unset", f"{form.called(key)} is not set.", "Set it for this host."
    for key, (low, high, unit) in LIMITS.items():
        value = machine.get(key)
        if value not in (None, "") and (not str(value).isdecimal() or not low <= int(str(value)) <= high):
            what = f"{form.called(key)} is {value!r}; it must be a whole number from {low} to {high}{unit}."
            yield "out_of_bounds", what, ""
    if machine.get("mac") and not _MAC.fullmatch(str(machine["mac"])):
        yield "malformed", f"{form.called('mac')} is not a hardware address such as BC:24:11:00:00:01.", ""
    if machine.get("install_disk") and not DEVICE.fullmatch(str(machine["install_disk"])):
        what = f"{form.called('install_disk')} {machine['install_disk']!r} is not a disk's device."
        yield "malformed", what, "Write its path, such as /dev/sda, /dev/nvme0n1 or /dev/disk/by-id/..."


def _network(machine: Mapping[str, t.Any], form: Form) -> Iterator[tuple[str, str, str]]:
    """Address, prefix and gateway must be one network. What is not set, or not a number, is reported elsewhere."""
    gateway = machine.get("gateway")
    if not machine.get("address"):
        if gateway and "address" not in form.required:
            yield "unset", "gateway is set, but address is not.", ""
        return
    address = _address(machine["address"])
    if not isinstance(address, ipaddress.IPv4Address):
        yield "malformed", f"{form.called('address')} {machine['address']!r} is not an IPv4 address.", ""
        return
    for server in machine.get("nameservers") or ():
        if _address(server) is None:
            yield "malformed", f"nameserver {server!r} is not an IP address.", ""
    given = _address(gateway) if gateway else None
    if gateway and not isinstance(given, ipaddress.IPv4Address):
        yield "malformed", f"gateway {gateway!r} is not an IPv4 address.", ""
        return
    try:
        network = ipaddress.IPv4Network(f"{address}/{machine.get('prefix')}", strict=False)
    except ValueError:
        return
    if given is not None and given not in network:
        names = f"{form.called('address')} and {form.called('prefix')}"
        yield "outside", f"gateway {given} is outside {network}, the network of {names}.", ""
    if given == address:
        yield "own_gateway", f"gateway {given} is the machine's own address.", "Name the router of its network."


def _address(value: t.Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(str(value))
    except ValueError:
        return None
