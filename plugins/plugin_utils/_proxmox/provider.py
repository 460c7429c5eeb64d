# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxmox VE as a provider of machines. Private: other collections must not import it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import BRIDGE
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import Untried, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.provider import Option, Provider, Targets

SECONDS: t.Final = 30


def tried(targets: Targets, token_id: str, token_secret: str) -> str:
    """Whether the API token may do all that site.yml needs. Raises what is wrong."""
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox import preflight
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import Connection, ProxmoxClient

    setting = targets.setting
    if not setting.get("url"):
        raise Untried("tazlab_proxmox has no url")
    connection = Connection.from_params(
        {
            "url": setting["url"],
            "token_id": token_id,
            "token_secret": token_secret,
            "ca_cert": setting.get("ca_cert") or None,
            "validate_certs": True,
            "timeout": SECONDS,
        }
    )
    wanted = preflight.Targets(
        cluster=targets.cluster,
        storage=str(setting.get("storage") or ""),
        image_storage=str(setting.get("image_storage") or ""),
        bridge=str(setting.get("bridge") or BRIDGE),
        places=preflight.readable(targets.machines),
        pool=str(setting.get("pool") or ""),
    )
    problems, _absent = preflight.preflight(ProxmoxClient(connection), wanted)
    if problems:
        raise refusal(problems)
    if not wanted.places:
        return "serves; no VM in the inventory, so no VM's privileges were looked at"
    count = len(wanted.places)
    return f"every privilege for {count} VM{'s' if count > 1 else ''}"


PROXMOX: t.Final = Provider(
    name="proxmox",
    title="Proxmox",
    role="proxmox_vms",
    required=("address", "vmid", "node", "prefix", "gateway", "cores", "memory", "disk"),
    platform="nocloud",
    consoles="in Proxmox VE",
    install_disk="/dev/sda",
    setting="tazlab_proxmox",
    options=(
        Option("url", "the API's address, e.g. https://pve.example.net:8006", re.compile(r"https?://[^\s/]+\S*")),
        Option("ca_cert", required=False),
        Option("storage", "the storage that holds the VMs' disks, e.g. local-lvm"),
        Option("image_storage", "a storage whose content includes import, e.g. local"),
        Option("bridge", required=False),
        Option("pool", required=False),
    ),
    login="proxmox",
    packages=("proxmoxer", "requests"),
    tries=tried,
)
