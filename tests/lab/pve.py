# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Proxmox VE: fakepve, which checks requests against the schema of PVE 9 and keeps state, and beside it
what Talos' VMs need and fakepve does not model: disks that are imported, disks that grow, and a bare configuration
while a VM is in the making."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakepve import FakePve
from fakepve.lxc import format_size, parse_size
from fakepve.model import FakeVm, TaskError
from fakepve.qemu import join_drive, split_drive
from fakepve.routing import die

GIB = 1024**3
TOKEN_ID = "bootstrap@pve!lab"
START_TIMEOUT = 30.0


class TalosPve(FakePve):  # type: ignore[misc]
    """One node, C{pve1}, with the storages C{local} (which takes imports) and C{local-lvm}, and one API token."""

    def __init__(self, token_secret: str, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host, port=port)
        self.apitokens[TOKEN_ID] = token_secret
        self.storages["local"]["content"] = "iso,vztmpl,backup,import"
        self.virtual_size = 4 * GIB  # of every image that is imported
        self.import_secs = 0.0  # PVE seconds that an import takes

    def _routes_talos(self) -> list[tuple[str, str, Any]]:
        return [("PUT", "/nodes/{node}/qemu/{vmid}/resize", self._resize)]

    def _qm_new_drive(self, vmid: int, key: str, value: str, default: str | None) -> tuple[str, list[str]]:
        """Import a volume into a new disk: it has the image's size, and the configuration forgets its origin."""
        volume, options = split_drive(value)
        if volume.endswith(":cloudinit"):
            return self._cloudinit(vmid, volume.partition(":")[0])
        source = options.pop("import-from", None)
        if source is None:
            made: tuple[str, list[str]] = super()._qm_new_drive(vmid, key, value, default)
            return made
        if self._qm_volume(source) is None:
            raise die(f"volume '{source}' does not exist")
        volid, _format = self._qm_alloc(volume.partition(":")[0], vmid, options.pop("format", None), self.virtual_size)
        return join_drive(volid, {**options, "size": format_size(self.virtual_size)}), [volid]

    def _cloudinit(self, vmid: int, storage: str) -> tuple[str, list[str]]:
        """The drive with the node's address, under the name that PVE gives it."""
        name = f"vm-{vmid}-cloudinit"
        self.storages[storage].setdefault("volumes", {})[name] = {
            "content": "images",
            "format": "raw",
            "size": 4 * 1024**2,
            "vmid": vmid,
            "ctime": 0,
        }
        return f"{storage}:{name},media=cdrom", [f"{storage}:{name}"]

    async def ceph_io(self, vm: FakeVm, keys: list[str] | None = None) -> None:
        """Called when a VM's disks are there: until the creation ends, its configuration holds the lock alone."""
        await super().ceph_io(vm, keys)
        if vm.lock == "create" and self.import_secs:
            made, vm.config = vm.config, {"lock": "create"}
            await self.pause(self.import_secs)
            vm.config = made

    async def _resize(self, values: dict[str, Any], user: str) -> str:
        vm = self.find(values["node"], values["vmid"])
        self._check_lock(vm)
        disk, wanted = values["disk"], str(values["size"])
        if disk not in vm.config:
            raise die(f"disk '{disk}' does not exist")

        async def body() -> None:
            volume, options = split_drive(vm.config[disk])
            old = int(parse_size(options.get("size", "0")) or 0)
            new = int(parse_size(wanted.removeprefix("+")) or 0) + (old if wanted.startswith("+") else 0)
            if new < old:
                raise TaskError("shrinking disks is not supported")
            vm.config[disk] = join_drive(volume, {**options, "size": format_size(new)})
            stored = self._qm_volume(volume)
            if stored is not None:
                stored["size"] = new

        upid: str = await self.task(vm.node, "resize", vm.vmid, user, body, vm=vm)
        return upid

    def asked(self, pattern: str) -> list[str]:
        """The requests so far, as C{METHOD path} below C{/api2/json/}, that match a regular expression."""
        lines = (f"{method} {path.removeprefix('/api2/json/')}" for method, path, _body in self.requests)
        return [line for line in lines if re.search(pattern, line)]


@contextmanager
def serving(pve: TalosPve, certificate: tuple[Path, Path]) -> Iterator[TalosPve]:
    """Serve it from a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="lab-pve", daemon=True)
    thread.start()

    def call(coroutine: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(START_TIMEOUT)

    try:
        call(pve.start(*map(str, certificate)))
        yield pve
    finally:
        call(_stop(pve))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_TIMEOUT)
        loop.close()


async def _stop(pve: TalosPve) -> None:
    """Stop listening, and let no task of a node outlive its cluster."""
    await pve.stop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
