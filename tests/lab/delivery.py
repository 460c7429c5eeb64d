# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster in which ESO delivers for real out of a Vault: what the engine layer seeds, and the store over it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab.flux import flux_programs
from lab.kube import ControlPlane
from lab.kubeclient import MERGE, Client, Object
from lab.kubelet import KubeletStandIn, Program
from lab.operators import ESO, external_secrets, install, operator_programs
from lab.process import wait_until
from lab.tls import Authority
from lab.vault import MOUNT, VaultServer

API = "external-secrets.io/v1beta1"
STORE = "tazlab-secrets-vault"


class Delivery:
    """The cluster and its Vault. Use it as a context manager."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pods = directory / "pods"  # their logs
        self.authority = Authority(directory / "ca")
        self.vault = VaultServer(directory / "vault", self.authority)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            stack.enter_context(self.vault)
            self.control_plane = stack.enter_context(ControlPlane(self.directory / "kube"))
            kubeconfig = self.control_plane.kubeconfig
            kubelet = stack.enter_context(KubeletStandIn(kubeconfig, self.pods, programs=self.programs(kubeconfig)))
            kubelet.add_node("lab-worker", "127.0.0.2")
            self.client: Client = self.control_plane.client()
            self.install()
            self.seed()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def programs(self, kubeconfig: Path) -> dict[str, Program]:
        """What runs in the cluster, by pattern of the image."""
        return {**operator_programs(kubeconfig), **flux_programs(kubeconfig)}

    def install(self) -> None:
        """Bring ESO."""
        install(self.client, external_secrets())

    def seed(self) -> None:
        """What the phase of seeds brings, and the store."""
        seeds = {
            "vault-ca-cert": {"ca.crt": self.authority.ca_pem},
            "vault-eso-token": {"token": self.vault.eso_token()},
        }
        for name, content in seeds.items():
            self.client.apply(thing("v1", "Secret", name, ESO, stringData=content))
        self.client.apply(store(self.vault.url))

    def write(self, path: str, value: str) -> None:
        self.vault.client.secrets.kv.v2.create_or_update_secret(path, {"value": value}, mount_point=MOUNT)

    def rotate(self, path: str) -> str:
        """Write a new random value; returns it."""
        value = secrets.token_hex(16)
        self.write(path, value)
        return value

    def sync(self, namespace: str, names: Iterable[str]) -> None:
        """Have ESO read ExternalSecrets anew now."""
        for name in names:
            path = self.client.path(API, "ExternalSecret", namespace, name)
            body = {"metadata": {"annotations": {"force-sync": secrets.token_hex(4)}}}
            self.client.request("PATCH", path, body, content_type=MERGE)

    def data(self, name: str, namespace: str = "default") -> dict[str, str]:
        """What a Secret holds, if there is one."""
        found = self.client.find("v1", "Secret", name, namespace) or {}
        return {key: base64.b64decode(value).decode() for key, value in found.get("data", {}).items()}

    def wait(self, name: str, wanted: Mapping[str, str], namespace: str = "default") -> None:
        what = f"the Secret {namespace}/{name} has what Vault holds"
        wait_until(lambda: self.data(name, namespace) == wanted, what, 60)


def store(vault_url: str) -> Object:
    """The store of the user's layout: the seeded token and CA, over all of the key-value mount."""
    vault = {
        "server": vault_url,
        "path": MOUNT,
        "version": "v2",
        "caProvider": {"type": "Secret", "name": "vault-ca-cert", "namespace": ESO, "key": "ca.crt"},
        "auth": {"tokenSecretRef": {"name": "vault-eso-token", "namespace": ESO, "key": "token"}},
    }
    return thing(API, "ClusterSecretStore", STORE, spec={"provider": {"vault": vault}})


def thing(api_version: str, kind: str, name: str, namespace: str = "", **content: Any) -> Object:
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **place}, **content}
