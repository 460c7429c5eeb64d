# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Proxmox VE: fakepve, which checks requests against the schema of PVE 9 and keeps state, and beside it
what Talos' VMs need and fakepve does not model: disks that are imported, disks that grow, a bare configuration while a
VM is in the making, tasks that take their time, what is known late, and the jobs that name a VM."""

from __future__ import annotations

import asyncio
import contextvars
import json
import re
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakepve import FakePve
from fakepve.lxc import format_size, parse_size
from fakepve.model import FakeVm, TaskError
from fakepve.qemu import join_drive, split_drive
from fakepve.routing import die, split_list
from fakepve.server import ok, params

GIB = 1024**3
TOKEN_ID = "bootstrap@pve!lab"
START_TIMEOUT = 30.0
_filename: contextvars.ContextVar[str] = contextvars.ContextVar("filename", default="")


class TalosPve(FakePve):  # type: ignore[misc]
    """One node, C(pve1), with the storages C(local) (which takes imports) and C(local-lvm), and one API token."""

    def __init__(self, token_secret: str, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__(host=host, port=port)
        self.tasklog: list[dict[str, Any]]
        self.apitokens[TOKEN_ID] = token_secret
        self.storages["local"]["content"] = "iso,vztmpl,backup,import"
        self.virtual_size = 4 * GIB  # of every image that is imported
        self.import_secs = 0.0  # PVE seconds that an import takes
        self.task_secs = 0.0  # PVE seconds that each task takes before it does anything
        self.unlisted_secs = 0.0  # real seconds after its start in which a task is not listed yet
        self.stale_status: dict[int, str] = {}  # by vmid, what /cluster/resources still says: it is 10 s old in PVE
        self.backup_jobs: dict[str, dict[str, Any]] = {}  # id -> its options, as /cluster/backup shows them
        self.replication_jobs: dict[str, dict[str, Any]] = {}
        self.removals: list[dict[str, Any]] = []  # what each request to remove a VM said

    def _routes_talos(self) -> list[tuple[str, str, Any]]:
        return [
            ("PUT", "/nodes/{node}/qemu/{vmid}/resize", self._resize),
            ("GET", "/cluster/backup", self._backup),
            ("GET", "/cluster/replication", self._replication),
        ]

    # ------------------------------------------------------------------------------------------- tasks

    async def task(
        self, node: str, ttype: str, tid: object, user: str, body: Callable[[], Awaitable[Any]], **options: Any
    ) -> str:
        """A task that takes its time."""

        if ttype == "download":
            tid = _filename.get() or tid  # fakepve names the storage

        async def slow() -> Any:
            await self.pause(self.task_secs)
            return await body()

        upid: str = await super().task(node, ttype, tid, user, slow, **options)
        self.tasks[upid]["seen"] = time.monotonic()
        return upid

    def _task_view(self, task: dict[str, Any], listing: bool = False) -> dict[str, Any]:
        view: dict[str, Any] = super()._task_view(task, listing)
        view.pop("seen", None)
        return view

    async def _task_list(self, request: Any) -> Any:
        """What runs is active, what has ended is archived: fakepve makes no difference."""
        source = self._verify(request, dict(request.query)).get("source", "archive")
        kept: list[dict[str, Any]] = self.tasklog
        now = time.monotonic()
        wanted = {"archive": ("stopped",), "active": ("running",)}.get(source, ("stopped", "running"))
        kind = request.query.get("typefilter")
        self.tasklog = [
            task
            for task in kept
            if task["status"] in wanted
            and now - task.get("seen", 0.0) >= self.unlisted_secs
            and kind in (None, task["type"])
        ]
        try:
            return await super()._task_list(request)
        finally:
            self.tasklog = kept

    async def _resources(self, request: Any) -> Any:
        """A VM in the making has no name yet, and what a VM does is known late."""
        answer = await super()._resources(request)
        rows = json.loads(answer.text)["data"]
        for row in rows:
            vm = self.vm(row["vmid"]) if row["type"] == "qemu" else None
            if vm is not None and vm.config == {"lock": vm.lock}:
                row.pop("name", None)
            row["status"] = self.stale_status.get(row.get("vmid"), row.get("status"))
        return ok(rows)

    async def _download_url(self, request: Any) -> Any:
        given = _filename.set(str((await params(request)).get("filename") or ""))
        try:
            return await super()._download_url(request)
        finally:
            _filename.reset(given)

    # -------------------------------------------------------------------------------------------- jobs

    async def _backup(self, values: dict[str, Any], user: str) -> list[dict[str, Any]]:
        return [{"id": name, "type": "vzdump", **job} for name, job in sorted(self.backup_jobs.items())]

    async def _replication(self, values: dict[str, Any], user: str) -> list[dict[str, Any]]:
        """Those of the guests that the user may see."""
        return [
            {"id": name, "type": "local", **job}
            for name, job in sorted(self.replication_jobs.items())
            if self.allowed(user, f"/vms/{job['guest']}", "VM.Audit")
        ]

    async def _qm_destroy(self, values: dict[str, Any], user: str) -> str:
        """Without C(purge) a replication job keeps a VM from being removed; with it, the jobs forget the VM."""
        vmid = int(values["vmid"])
        self.removals.append(dict(values))
        replicated = [name for name, job in self.replication_jobs.items() if job["guest"] == vmid]
        if not values.get("purge") and replicated:
            self._qm_check_protection(self.find(values["node"], vmid), f"can't remove VM {vmid}")
            raise die(f"There is a replication job '{replicated[0]}' for guest '{vmid}' - Please remove that first.")
        upid: str = await super()._qm_destroy(values, user)
        if values.get("purge"):
            for name in replicated:
                del self.replication_jobs[name]
            self.backup_jobs = {
                name: left for name, job in self.backup_jobs.items() if (left := _without(job, vmid)) is not None
            }
        return upid

    # --------------------------------------------------------------------------------------------- VMs

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
        """The requests so far, as C(METHOD path) below C(/api2/json/), that match a regular expression."""
        lines = (f"{method} {path.removeprefix('/api2/json/')}" for method, path, _body in self.requests)
        return [line for line in lines if re.search(pattern, line)]


def _without(job: dict[str, Any], vmid: int) -> dict[str, Any] | None:
    """What is left of a backup job; None where it was for this VM alone: Proxmox VE removes it then."""
    if job.get("vmid"):
        left = [one for one in split_list(job["vmid"]) if one != str(vmid)]
        return {**job, "vmid": ",".join(left)} if left else None
    left = [one for one in split_list(job.get("exclude")) if one != str(vmid)]
    return {key: value for key, value in {**job, "exclude": ",".join(left)}.items() if value}


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
