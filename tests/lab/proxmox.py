# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STAND-IN for a Proxmox VE cluster: fakepve behind the lab's certificate, stricter where Talos' VMs depend on it.

Each node has its own local storages; images are really downloaded; an import needs a volume that is there.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import re
import struct
import threading
from collections import ChainMap
from collections.abc import Coroutine, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import requests
from fakepve.lxc import split_props
from fakepve.model import FakeVm, PveError, TaskError
from fakepve.qemu import DRIVE_KEY, NEW_DISK, split_drive, volume_ref
from fakepve.routing import die, param_error, split_list
from fakepve.server import USER, ok, params

from lab.bundle import PROXMOX_TOKEN_ID
from lab.factory import identify
from lab.process import LabError, free_port
from lab.pve import TalosPve
from lab.tls import Authority

NODES = ("pve1", "pve2")
# What the bootstrap's token may do, on everything.
PRIVILEGES = (
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "VM.Allocate",
    "VM.Audit",
    "VM.Config.CDROM",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.PowerMgmt",
)
# Content type -> how a file's name must end.
ENDINGS = {"iso": r"\.(iso|img)", "import": r"\.(ova|ovf|qcow2|raw|vmdk)", "vztmpl": r"\.tar\.(gz|xz|zst|bz2)"}
TIMEOUT = 30.0
_node: contextvars.ContextVar[str | None] = contextvars.ContextVar("node", default=None)

Storage = MutableMapping[str, Any]


@dataclass(frozen=True)
class Vm:
    """What the lab needs to know of a VM. C(image): schematic and version of the Talos image that it boots."""

    vmid: int
    name: str
    node: str
    running: bool
    address: str
    image: tuple[str, str] | None
    started_at: float
    config: Mapping[str, Any]


class LabPve(TalosPve):
    """fakepve with what it lets pass checked, and with what it has cluster-wide kept by node."""

    def __init__(self, token_id: str, token_secret: str, *, host: str, port: int, ca_file: str) -> None:
        self._own: dict[tuple[str, str], Storage] = {}
        super().__init__(token_secret, host=host, port=port)
        self.apitokens = {token_id: token_secret}
        self.nodes = {name: {"online": True} for name in NODES}
        self.bridges = {"vmbr0"}
        self.storage_lock_timeouts = 0  # how many imports still fail because another one holds the storage's lock
        self._ca_file = ca_file
        self.grant(token_id, "/", *PRIVILEGES)

    # ------------------------------------------------------------------------------- storages of each node

    @property
    def storages(self) -> Mapping[str, Storage]:
        """The storages as the node sees them that the request is for; outside of requests the configuration."""
        node = _node.get()
        if node is None:
            return self._configured
        return {name: self.storage_of(node, name) for name in self._configured}

    @storages.setter
    def storages(self, configured: dict[str, Storage]) -> None:
        self._configured = configured

    def storage_of(self, node: str, name: str) -> Storage:
        """A storage with what lies on it at C(node): a shared one is the same everywhere."""
        configured = self._configured[name]
        if configured.get("shared"):
            return configured
        if (node, name) not in self._own:
            own = {key: configured[key] for key in ("avail",) if key in configured}
            self._own[node, name] = ChainMap({"files": set(), "volumes": {}, **own}, configured)
        return self._own[node, name]

    def volumes(self, node: str, storage: str) -> list[str]:
        """The names of the volumes on a node's storage."""
        return sorted(self.storage_of(node, storage).get("volumes", {}))

    async def _answer(self, request: Any, handler: Any, generic: Any, path_node: str | None) -> Any:
        token = _node.set(path_node if path_node in self.nodes else None)
        try:
            return await super()._answer(request, handler, generic, path_node)
        finally:
            _node.reset(token)

    # ------------------------------------------------------------------------------------------- downloads

    async def _download_url(self, request: Any) -> Any:
        """Fetch the file for real. PVE names the task by the file and asks for Sys.AccessNetwork on the node."""
        name, store = self._file_storage(request, "download")
        node, user = request.match_info["node"], request[USER]
        self.require(user, f"/storage/{name}", "Datastore.AllocateTemplate")
        if not self.allowed(user, f"/nodes/{node}", "Sys.AccessNetwork"):
            self.require(user, "/", "Sys.Audit")
            self.require(user, "/", "Sys.Modify")
        given = self._verify(request, await params(request))
        self._need_file_storage(store, "can't upload to storage type '{0}', not a file based storage!")
        content, filename = given["content"], given["filename"]
        if content not in split_list(store.get("content")):
            raise die(f"storage '{name}' is not configured for content-type '{content}'")
        if not re.fullmatch(rf"[^/]+{ENDINGS[content]}", filename):
            raise param_error(filename="wrong file extension")
        log = [f"downloading {given['url']} to {store.get('path', '')}/{content}/{filename}"]

        async def body() -> None:
            await self.pause(5)
            data = await asyncio.to_thread(self._fetch, given, log)
            if content == "import" and filename.endswith(".qcow2") and not data.startswith(b"QFI\xfb"):
                raise TaskError(f"qemu-img: Could not open '{filename}': Image is not in qcow2 format")
            self.store_file(name, filename, len(data), content)
            self.storages[name]["volumes"][f"{content}/{filename}"] |= {
                "image": identify(data),
                "virtual_size": struct.unpack(">Q", data[24:32])[0] if data.startswith(b"QFI\xfb") else len(data),
            }

        upid = await self.task(node, "download", filename, user, body)
        self.tasks[upid]["log"][:0] = log
        return ok(upid)

    def _fetch(self, given: Mapping[str, Any], log: list[str]) -> bytes:
        verify = self._ca_file if given.get("verify-certificates", 1) else False
        try:
            answer = requests.get(given["url"], verify=verify, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise TaskError(f"download failed: {type(error).__name__}: unable to fetch {given['url']}") from None
        if answer.status_code != 200:
            raise TaskError(f"download failed: ERROR {answer.status_code}: {answer.reason}.")
        expected = given.get("checksum")
        if expected:
            found = hashlib.new(given["checksum-algorithm"], answer.content).hexdigest()
            if found != expected:
                raise TaskError(f"checksum mismatch: got '{found}' != expect '{expected}'")
        return answer.content

    # ----------------------------------------------------------------------------------------------- VMs

    def _routes_lab(self) -> list[tuple[str, str, Any]]:
        return [("GET", "/nodes/{node}/network", self._networks)]

    async def _networks(self, values: Mapping[str, Any], user: str) -> list[dict[str, Any]]:
        if values.get("type") not in (None, "bridge", "any_bridge", "any_local_bridge", "include_sdn"):
            return []
        return [{"iface": name, "type": "bridge", "active": 1, "autostart": 1} for name in sorted(self.bridges)]

    def _qm_check_drive(
        self, user: str, vmid: int, pool: str | None, key: str, value: str, default: str | None
    ) -> None:
        volume, options = split_drive(value)
        if volume.endswith(":cloudinit"):
            self._qm_image_store(volume_ref(volume)[0], user)
        source = options.get("import-from")
        if source is not None:
            self._check_import(user, key, volume, source)
        super()._qm_check_drive(user, vmid, pool, key, value, default)

    def _check_import(self, user: str, key: str, volume: str, source: str) -> None:
        found = NEW_DISK.match(volume)
        if not found or float(found.group(2)) != 0:
            raise param_error(
                **{key: "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>"}
            )
        if source.startswith("/"):
            raise param_error(**{key: "Only root can pass arbitrary filesystem paths."})
        sid, name = volume_ref(source)
        store = self._store(sid)
        kind, owner, _format = self._parse_volname(store, name)
        self._check_access(user, sid, kind, owner, source)
        if kind not in ("images", "import"):
            raise param_error(**{key: f"{source} has wrong type '{kind}' - needs to be 'images' or 'import'"})
        if kind not in split_list(store.get("content")):
            raise die(f"storage '{sid}' is not configured for content-type '{kind}'")

    def _qm_new_drive(self, vmid: int, key: str, value: str, default: str | None) -> tuple[str, list[str]]:
        """What is imported keeps the image's size, and where it came from, which the configuration forgets."""
        volume, options = split_drive(value)
        source = options.get("import-from")
        if source is None:
            made: tuple[str, list[str]] = super()._qm_new_drive(vmid, key, value, default)
            return made
        if self.storage_lock_timeouts > 0:
            self.storage_lock_timeouts -= 1
            target = volume_ref(volume)[0]
            raise die(f"can't lock file '/var/lock/pve-manager/pve-storage-{target}' - got timeout")
        origin = self._qm_volume(source)
        if origin is None:
            raise die(f"volume '{source}' does not exist")
        self.virtual_size = origin.get("virtual_size") or origin["size"]
        line, volids = super()._qm_new_drive(vmid, key, value, default)
        for volid in volids:
            self._qm_volume(volid)["image"] = origin.get("image")
        return line, volids

    async def _qm_create(self, values: Mapping[str, Any], user: str) -> str:
        bridges = {
            str(split_props(text)[1].get("bridge"))
            for key, text in values.items()
            if re.fullmatch(r"net\d+", key) and "bridge=" in str(text)
        }
        for bridge in bridges:
            self.require(user, f"/sdn/zones/localnetwork/{bridge}", "SDN.Use")
        upid: str = await super()._qm_create(values, user)
        vm = self.vm(int(values["vmid"]))
        for bridge in bridges - self.bridges:
            if vm is not None:
                vm.start_error = f"bridge '{bridge}' does not exist"
        return upid

    # ------------------------------------------------------------------------------------ what the lab asks

    def image_of(self, vm: FakeVm) -> tuple[str, str] | None:
        """The Talos image from which a VM boots: that of its first disk or CD that has one."""
        for key in sorted(key for key in vm.config if DRIVE_KEY.match(key)):
            sid, name = volume_ref(split_drive(vm.config[key])[0])
            if sid not in self._configured:
                continue
            volume = self.storage_of(vm.node, sid).get("volumes", {}).get(name)
            if volume and volume.get("image"):
                image: tuple[str, str] = volume["image"]
                return image
        return None


class ProxmoxServer:
    """A cluster of two nodes with one API token. C(pve) is fakepve itself: its state, its faults, its requests."""

    def __init__(
        self,
        authority: Authority,
        token_secret: str,
        *,
        token_id: str = PROXMOX_TOKEN_ID,
        host: str = "127.0.0.1",
        time_scale: float = 0.02,
    ) -> None:
        self.host = host
        self.port = free_port(host)
        self.url = f"https://{host}:{self.port}"
        self.ca_file = authority.ca_file
        self._certificate = authority.certificate("proxmox", dict.fromkeys(("localhost", "127.0.0.1", host)))
        self.pve = LabPve(token_id, token_secret, host=host, port=self.port, ca_file=str(authority.ca_file))
        self.pve.time_scale = time_scale
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    # ------------------------------------------------------------------------------------------------ life

    def start(self) -> Self:
        """Listen, unless it does. The cluster's state is that of the last stop."""
        if self._loop is not None:
            return self
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxmox", daemon=True)
        self._thread.start()
        self.run(self.pve.start(*map(str, self._certificate)))
        return self

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run one of fakepve's coroutines, such as C(pve.hold_config_lock(100, 5)), where the cluster runs."""
        if self._loop is None:
            coroutine.close()
            raise LabError("the Proxmox stand-in does not run")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(TIMEOUT)

    def stop(self) -> None:
        """Stop listening and cut short what the nodes do, as a power cut would."""
        if self._loop is None or self._thread is None:
            return
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT)
        self._loop.close()
        self._loop = self._thread = None

    async def _stop(self) -> None:
        await self.pve.stop()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # ----------------------------------------------------------------------------------------------- state

    def vms(self) -> list[Vm]:
        """Every VM as it is now."""
        return [
            Vm(
                vm.vmid,
                vm.name,
                vm.node,
                vm.status == "running",
                address_of(vm.config),
                self.pve.image_of(vm),
                vm.started_at or 0.0,
                dict(vm.config),
            )
            for vm in list(self.pve.vms)
        ]

    def failed_tasks(self) -> list[Mapping[str, Any]]:
        """The tasks that ended with anything but OK."""
        return [task for task in self.pve.tasklog if task.get("exitstatus", "OK") != "OK"]

    def set_content(self, storage: str, kinds: Iterable[str]) -> None:
        """Say what a storage may hold, as C(pvesm set STORAGE --content) does."""
        try:
            self.pve._configured[storage]["content"] = ",".join(kinds)
        except KeyError:
            raise PveError(500, f"storage '{storage}' does not exist") from None


def address_of(config: Mapping[str, Any]) -> str:
    """The IPv4 address that cloud-init gives the first NIC, without its prefix; empty for DHCP and for none."""
    given = split_props(str(config.get("ipconfig0", "")))[1].get("ip", "")
    address: str = given.partition("/")[0]
    return "" if address == "dhcp" else address
