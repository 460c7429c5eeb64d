# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of a tailnet: which are a cluster's, which must never be removed, and which names are taken. Pure.

A device is told by its id. A name alone never decides: it may be another machine's that bears the same one. Private:
other collections must not import it.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

# How far the clocks of the tailnet and of this machine may differ.
CLOCKS: t.Final = 120.0  # seconds
KEY_SECONDS: t.Final = 3600  # in which the key must be used with which a node joins


@dataclass(frozen=True)
class Device:
    """A machine in a tailnet, as its API tells it."""

    id: str  # the stable one (nodeId), which the Tailscale operator notes, too
    name: str  # in the tailnet's zone, like cp-1.tail1234.ts.net
    hostname: str
    addresses: tuple[str, ...]
    tags: frozenset[str]
    created: float  # seconds since the epoch

    @classmethod
    def read(cls, row: Mapping[str, t.Any]) -> Device:
        return cls(
            id=str(row.get("nodeId") or row.get("id") or ""),
            name=str(row.get("name") or "").rstrip(".").lower(),
            hostname=str(row.get("hostname") or "").lower(),
            addresses=tuple(str(address) for address in row.get("addresses") or ()),
            tags=frozenset(str(tag) for tag in row.get("tags") or ()),
            created=_seconds(row.get("created")),
        )

    @property
    def short_name(self) -> str:
        """The name by which people call it: another machine of that name gets cp-1-1."""
        return self.name.partition(".")[0]

    @property
    def label(self) -> str:
        return f"{self.name} (id {self.id})"


def joined(devices: Iterable[Device], node: str, tags: Collection[str], minted: float) -> Device | None:
    """The device that a node has become with the key that was minted for it then; the newest of several.

    A device that is younger than the key could be used for is somebody else's.
    """
    found = [
        device
        for device in devices
        if device.hostname == node.lower()
        and set(tags) <= device.tags
        and minted - CLOCKS <= device.created <= minted + KEY_SECONDS + CLOCKS
    ]
    return max(found, key=lambda device: device.created, default=None)


def kept(
    device: Device, is_here: Callable[[str], bool], vault_host: str, vault_addresses: Collection[str]
) -> str | None:
    """Why a device must not be removed, whoever asks for it; None where it may."""
    if any(is_here(address) for address in device.addresses):
        return "it is this machine"
    if device.name == vault_host.lower() or set(device.addresses) & set(vault_addresses):
        return "Vault runs on it"
    return None


def others(devices: Iterable[Device], tags: Collection[str], ours: Collection[str]) -> list[Device]:
    """Those that carry the tags, and that nobody has recorded as this cluster's."""
    return [device for device in devices if tags and set(tags) <= device.tags and device.id not in ours]


def taken(devices: Iterable[Device], names: Sequence[str]) -> list[Device]:
    """Those that have a name which the next birth wants."""
    wanted = {name.lower() for name in names}
    return [device for device in devices if device.short_name in wanted]


def _seconds(text: t.Any) -> float:
    try:
        return datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
