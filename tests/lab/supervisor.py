# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole lab in one directory: its parts, the inventory for site.yml, and a process that holds it in background."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import yaml

from lab import delivered, gitops
from lab.binaries import NEWEST_TALOS, OLDEST_TALOS, binary, programs, version
from lab.bundle import bundle, write_anchor
from lab.claim import Claim, Taken
from lab.factory import PLAIN_SCHEMATIC, ImageFactory
from lab.git import GitServer
from lab.nodes import Nodes
from lab.oauth import TailscaleOAuth
from lab.operators import ESO
from lab.process import LabError, accepts, wait_until
from lab.proxmox import ProxmoxServer
from lab.tls import Authority, write_private
from lab.vault import VaultServer

NAME = "lab"
LOG = "supervisor.log"
START_TIMEOUT = 60 * 60.0  # the first start builds what no package ships
STOP_TIMEOUT = 120.0
CLUSTER_VARS = MappingProxyType(
    {
        "domain": "lab.example.net",
        "cluster_name": NAME,
        "traefik_lb_ip": "192.0.2.80",
        "ADMIN_EMAIL": "admin@lab.example.net",
    }
)
Say = Callable[[str], None]


def default_directory() -> Path:
    """Where the lab lies: TAZLAB_LAB, else a directory of this user that goes with the session."""
    if own := os.environ.get("TAZLAB_LAB"):
        return Path(own).expanduser().absolute()
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "tazlab-lab"
    return Path(tempfile.gettempdir()) / f"tazlab-lab-{os.getuid()}"


def _quiet(_message: str) -> None:
    """Tell nobody."""


class Lab:
    """Everything that site.yml talks to, on loopback. As a context manager it is started, and stopped without a trace.

    C(values) is the bundle. It lies in Vault, the anchor holds the same, C(token_file) the scoped token. C(talos) is
    which of the two that lab.binaries has. With C(delivery) the repository holds operators and what they deliver.
    """

    def __init__(
        self, directory: Path, *, say: Say = _quiet, talos: str = OLDEST_TALOS, delivery: bool = False
    ) -> None:
        self.talos = talos
        self.delivery = delivery
        self.directory = directory
        self.state = directory / "state"
        self.inventory = directory / "inventory.yml"
        self.token_file = directory / "bootstrap-token"
        self.anchor = directory / "secrets"
        self._say = say
        self._made = not directory.exists()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.stat().st_uid != os.getuid():
            raise LabError(f"{directory} belongs to somebody else. Choose another directory with TAZLAB_LAB")
        if any(path.name != LOG for path in directory.iterdir()):  # it will be emptied
            raise LabError(f"{directory} is not empty. Choose another directory with TAZLAB_LAB")
        self.network = _free_network()
        self.authority = Authority(directory / "tls")
        self.values = bundle(self.authority.ca_pem)
        self.vault = VaultServer(directory / "vault", self.authority)
        self.factory = ImageFactory(self.authority)
        self.proxmox = ProxmoxServer(self.authority, self.values["PROXMOX_TOKEN_SECRET"])
        self.git = GitServer(directory / "git", self.authority, self.values["GITHUB_TOKEN"], branch=gitops.BRANCH)
        self.oauth = TailscaleOAuth(
            self.authority,
            self.values["TAILSCALE_OPERATOR_CLIENT_ID"],
            self.values["TAILSCALE_OPERATOR_CLIENT_SECRET"],
        )
        self.nodes: Nodes

    # ------------------------------------------------------------------------------------------------ life

    def start(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        for name in (*programs(self.talos), *([ESO] if self.delivery else [])):
            binary(name)
        self.nodes = Nodes(self.directory / "nodes", self.proxmox, f"talos-nodes{self.talos}")
        self._say("Vault: the real OpenBao")
        self.vault.start()
        self.values["ESO_READER_TOKEN"] = self.vault.eso_token()
        self.vault.write_bundle(self.values)
        token = self.vault.scoped_token()
        write_private(self.token_file, token + "\n")
        write_anchor(self.anchor, self.values)
        write_private(self.anchor / "bootstrap-token.txt", token + "\n")
        self._say("Git: git http-backend; STAND-INs: Proxmox VE, Image Factory, Tailscale's OAuth, the Talos machines")
        files = gitops.repository(self.git.url)
        if self.delivery:
            self._say("Delivery: the real External Secrets Operator; STAND-IN: Reloader")
            delivered.write(self.vault.client)
            files |= delivered.files(gitops.PATH, self.vault.url)
        self.git.commit(files, "The example repository")
        for part in (self.git, self.factory, self.oauth, self.proxmox, self.nodes):
            part.start()
        self._write_tools()
        self.inventory.write_text(yaml.safe_dump(self.variables(), sort_keys=False))

    def stop(self) -> None:
        """Stop every part and remove what they wrote."""
        nodes = getattr(self, "nodes", None)
        for part in (nodes, self.proxmox, self.oauth, self.factory, self.git, self.vault):
            if part is not None:
                part.stop()
        if self._made:
            shutil.rmtree(self.directory, ignore_errors=True)
        else:  # the directory itself is somebody else's, for instance a test's
            for path in self.directory.iterdir():
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # ---------------------------------------------------------------------------------- what a user gets

    @property
    def tools(self) -> Path:
        """The directory that belongs in front of PATH: the real talosctl."""
        return self.directory / "bin"

    def _write_tools(self) -> None:
        self.tools.mkdir(exist_ok=True)
        (self.tools / "talosctl").symlink_to(binary(f"talosctl{self.talos}"))

    def address(self, number: int) -> str:
        return f"{self.network}.{number}"

    def variables(self) -> dict[str, Any]:
        """The inventory: what a user writes, for this lab."""
        host = {"prefix": 24, "gateway": self.address(1), "cores": 2, "disk": 16}
        kubernetes = version("kube-apiserver").removeprefix("v")
        return {
            "all": {
                "vars": {
                    "tazlab_cluster": NAME,
                    "tazlab_vault_url": self.vault.url,
                    "tazlab_vault_ca_cert": str(self.authority.ca_file),
                    "tazlab_vault_token_file": str(self.token_file),
                    "tazlab_anchor": str(self.anchor),
                    "tazlab_state_dir": str(self.state),
                    "tazlab_proxmox": {
                        "url": self.proxmox.url,
                        "ca_cert": str(self.authority.ca_file),
                        "storage": "local-lvm",
                        "image_storage": "local",
                        "bridge": "vmbr0",
                    },
                    "tazlab_talos": {
                        "version": version(f"talosctl{self.talos}"),
                        "kubernetes_version": kubernetes,
                        "schematic": PLAIN_SCHEMATIC,
                        "factory_url": self.factory.url,
                    },
                    "tazlab_talos_patches": {"all": [], "control_plane": [], "worker": []},
                    "tazlab_flux": {
                        "url": self.git.url,
                        "branch": gitops.BRANCH,
                        "path": f"./{gitops.PATH}",
                        "username": "git",
                        "password_field": "GITHUB_TOKEN",
                        "ca_cert": str(self.authority.ca_file),
                    },
                    "tazlab_cluster_vars": dict(CLUSTER_VARS),
                    "tazlab_tailscale_token_url": self.oauth.token_url,
                    "tazlab_tailscale_ca_cert": str(self.authority.ca_file),
                },
                "children": {
                    "talos_control_plane": {
                        "hosts": {
                            "cp-1": {
                                "ansible_host": self.address(11),
                                "vmid": 1011,
                                "proxmox_node": "pve1",
                                "memory": 4096,
                                **host,
                            }
                        }
                    },
                    "talos_workers": {
                        "hosts": {
                            "worker-1": {
                                "ansible_host": self.address(21),
                                "vmid": 1021,
                                "proxmox_node": "pve2",
                                "memory": 8192,
                                **host,
                            }
                        }
                    },
                },
            }
        }

    def environment(self) -> dict[str, str]:
        """What to export before running a playbook, or talosctl, kubectl and bao by hand."""
        return {
            "PATH": f"{self.tools}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "KUBECONFIG": str(self.state / "kubeconfig"),
            "TALOSCONFIG": str(self.state / "talosconfig"),
            **{f"{family}_ADDR": self.vault.url for family in ("BAO", "VAULT")},
            **{f"{family}_CACERT": str(self.authority.ca_file) for family in ("BAO", "VAULT")},
            **{name: os.environ[name] for name in ("ANSIBLE_COLLECTIONS_PATH",) if name in os.environ},
        }


def _free_network() -> str:
    """A /24 of 127/8 on which no other lab's machines are: its first three numbers."""
    for _ in range(100):
        network = f"127.{64 + secrets.randbelow(63)}.{1 + secrets.randbelow(254)}"
        if not any(accepts(port, f"{network}.{host}") for host in (11, 21) for port in (6443, 50000)):
            return network
    raise LabError("no free network in 127/8")


# ------------------------------------------------------------------------------------------- in the background

# What can be done to a part of a lab that runs: lab PART VERB.
ACTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "vault": ("stop", "start", "seal", "unseal", "pause", "resume"),
        "proxmox": ("stop", "start"),
        "git": ("stop", "start"),
        "factory": ("stop", "start"),
    }
)


class Background:
    """A lab that another process holds, found by its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._control = directory / "control.json"
        self._log = directory / LOG
        self._claim = Claim(directory)
        self._holder: subprocess.Popen[bytes] | None = None  # if it was this process that started it

    @property
    def running(self) -> bool:
        try:
            return bool(self.ask("ping"))
        except LabError:
            return False

    def ask(self, *words: str) -> Any:
        """Let the lab do something; returns its answer."""
        try:
            control = json.loads(self._control.read_text())
            with Client(("127.0.0.1", control["port"]), authkey=control["key"].encode()) as connection:
                connection.send_bytes(json.dumps(words).encode())
                answer = json.loads(connection.recv_bytes())
        except FileNotFoundError:
            raise LabError(f"no lab runs in {self.directory}. Start it with ./dev lab up") from None
        except (OSError, EOFError, ValueError) as error:
            raise LabError(
                f"no lab runs in {self.directory} ({type(error).__name__}). Start it with ./dev lab up"
            ) from None
        if "error" in answer:
            raise LabError(answer["error"])
        return answer["result"]

    def environment(self) -> dict[str, str]:
        found: dict[str, str] = self.ask("environment")
        return found

    def start(self, say: Say, *, leashed: bool = False, share: bool = False, delivery: bool = False) -> None:
        """Start the lab in a process of its own and wait until it is ready, telling what it is at.

        A C(leashed) lab ends with this process, whatever ends that. Where a lab runs already, or is just being started,
        whoever wants to C(share) it gets that one, once it is ready; anybody else is told.
        """
        claimed = self._claim.take()
        if claimed is not None:
            try:
                self._start(claimed, say, [*(["leashed"] if leashed else []), *(["delivery"] if delivery else [])])
            finally:
                os.close(claimed)  # the process that holds the lab has it
            return
        if not share:
            raise Taken(f"a lab runs in {self.directory} already ({self._claim.holder()})")
        if not self.running:
            say(f"another start is at work in {self.directory} ({self._claim.holder()}); waiting for it")
        wait_until(lambda: self.running or not self._claim.held, "the other start has ended", START_TIMEOUT)
        if not self.running:
            raise LabError(f"the other start in {self.directory} has failed. Try it again")

    def _start(self, claimed: int, say: Say, how: Sequence[str]) -> None:
        self.remove()
        self.directory.mkdir(mode=0o700, parents=True)
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lab", "hold", str(self.directory), *how],
                stdin=subprocess.PIPE if "leashed" in how else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(claimed,),
            )
        self._holder = process
        self._claim.note(claimed, process.pid)
        try:
            self._follow(process, say)
        except BaseException:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_TIMEOUT)
            self.remove()
            self._claim.forget()
            raise

    def _follow(self, process: subprocess.Popen[bytes], say: Say) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        with self._log.open() as log:
            while not self._control.exists():
                for line in log:
                    say(line.rstrip().removeprefix("lab: "))
                if process.poll() is not None:
                    raise LabError(f"the lab did not start. The end of {self._log}:\n{self._log.read_text()[-2000:]}")
                if time.monotonic() > deadline:
                    raise LabError(f"the lab was not ready after {START_TIMEOUT / 60:.0f} minutes")
                time.sleep(0.1)

    def stop(self) -> None:
        """Stop the lab, or what is left of one, and remove its directory."""
        with contextlib.suppress(LabError):
            process = int(self.ask("down"))
            wait_until(lambda: not self._holds(process), "the lab has stopped", STOP_TIMEOUT)
        claimed = self._claim.take()
        if claimed is None:
            raise LabError(
                f"a lab is just being started in {self.directory} ({self._claim.holder()}). Wait until it runs"
            )
        try:
            self.remove()
        finally:
            self._claim.release(claimed)

    def _holds(self, process: int) -> bool:
        if self._holder is not None:
            return self._holder.poll() is None
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        return True

    def remove(self) -> None:
        """Remove what a lab that was killed left behind. Only what a lab made: its log stands there."""
        if self.directory.exists():
            if not self._log.exists() and any(self.directory.iterdir()):
                raise LabError(f"{self.directory} is not a lab's directory. Choose another one with TAZLAB_LAB")
            shutil.rmtree(self.directory)


def hold(directory: Path, *, leashed: bool, delivery: bool) -> None:
    """Hold a lab until somebody asks to take it down: the process behind ./dev lab up.

    A C(leashed) one also ends when its standard input does.
    """
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())

    def say(message: str) -> None:
        print(f"lab: {message}", flush=True)

    if leashed:
        threading.Thread(target=_end_with_input, args=(ended,), daemon=True).start()
    with Lab(directory, say=say, talos=NEWEST_TALOS, delivery=delivery) as lab:
        key = secrets.token_hex(16)
        with Listener(("127.0.0.1", 0), authkey=key.encode()) as listener:
            threading.Thread(target=_serve, args=(listener, lab, ended), daemon=True).start()
            draft = write_private(
                directory / ".control.json", json.dumps({"port": listener.address[1], "key": key, "pid": os.getpid()})
            )
            draft.rename(directory / "control.json")
            ended.wait()
            (directory / "control.json").unlink(missing_ok=True)
    shutil.rmtree(directory, ignore_errors=True)
    Claim(directory).forget()  # it is ours: whoever started us took it


def _end_with_input(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _serve(listener: Listener, lab: Lab, ended: threading.Event) -> None:
    while not ended.is_set():
        with contextlib.suppress(OSError, EOFError), listener.accept() as connection:
            _answer(connection, lab, ended)


def _answer(connection: Connection[Any, Any], lab: Lab, ended: threading.Event) -> None:
    words = json.loads(connection.recv_bytes())
    try:
        answer: dict[str, Any] = {"result": _do(words, lab)}
    except Exception as error:  # noqa: BLE001 - whatever it was, the one who asked is told
        answer = {"error": f"{' '.join(words)}: {error}"}
    connection.send_bytes(json.dumps(answer).encode())
    if words == ["down"]:
        ended.set()


def _do(words: list[str], lab: Lab) -> Any:
    match words:
        case ["ping"]:
            return True
        case ["down"]:
            return os.getpid()
        case ["environment"]:
            return lab.environment()
        case ["operator"]:
            return lab.vault.operator_token()
        case ["requests"]:
            return dict(lab.vault.requests())
        case ["status"]:
            return list(_status(lab))
        case [part, verb] if verb in ACTIONS.get(part, ()):
            getattr(getattr(lab, part), verb)()
            return f"{part}: {verb}: done"
        case _:
            choices = "; ".join(f"{part} {'|'.join(verbs)}" for part, verbs in ACTIONS.items())
            raise LabError(f"no such command. There are: status; requests; {choices}")


def _status(lab: Lab) -> Iterable[str]:
    """What runs, a line each."""
    yield f"vault         {lab.vault.url}  {'runs' if lab.vault.running else 'stopped'}"
    yield f"git           {lab.git.url}  {'runs' if lab.git.running else 'stopped'}"
    yield f"proxmox       {lab.proxmox.url}  STAND-IN, {len(lab.proxmox.vms())} VMs"
    yield f"image factory {lab.factory.url}  STAND-IN"
    yield f"oauth         {lab.oauth.token_url}  STAND-IN"
    for machine in lab.nodes.machines():
        yield f"machine       {machine.name}  {machine.address}  {machine.stage}  STAND-IN"
    for control in lab.nodes.clusters():
        yield f"kubernetes    {control.url}  {'runs' if control.running else 'stopped'}"
    for problem in lab.nodes.problems:
        yield f"problem       {problem.splitlines()[0]}"
