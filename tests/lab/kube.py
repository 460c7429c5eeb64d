# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Kubernetes control plane on loopback: etcd, kube-apiserver and kube-controller-manager, each in a process."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from lab.binaries import binary, version
from lab.kubeclient import Client
from lab.process import LabError, Process, accepts, free_port
from lab.tls import Authority, write_private

SERVICE_CIDR = "10.96.0.0/12"
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")


class ControlPlane:
    """The control plane of one cluster, with its data and its own PKI in C(directory).

    It can be stopped and started again and keeps its objects. C(secretbox_key) (base64) encrypts Secrets in etcd the
    way Talos has them encrypted; without it they lie there in clear. C(authority) is the PEM of Kubernetes' CA,
    certificate and key, where the cluster has one already; C(accounts_key) that of the key of its service accounts: the
    issuer is then the endpoint, as with Talos.
    """

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        names: tuple[str, ...] = (),
        cluster: str = "tazlab",
        secretbox_key: str | None = None,
        authority: tuple[str, str] | None = None,
        accounts_key: bytes | None = None,
    ) -> None:
        self.directory = directory
        self.host = host
        self.port = port or free_port(host)
        self.cluster = cluster
        self.url = f"https://{host}:{self.port}"
        self.version = version("kube-apiserver")
        directory.mkdir(parents=True, exist_ok=True)
        pki = directory / "pki"
        self.authority = Authority(pki, "kubernetes", given=authority)
        self._certificate, self._key = self.authority.certificate(
            "kube-apiserver", dict.fromkeys([host, "localhost", "127.0.0.1", "10.96.0.1", *SERVICE_NAMES, *names])
        )
        self._accounts_certificate, self._accounts_key = self.authority.certificate("service-accounts")
        self.issuer = "https://kubernetes.default.svc.cluster.local"
        if accounts_key:
            self._accounts_certificate = self._accounts_key = write_private(pki / "accounts.key", accounts_key)
            self.issuer = self.url
        self._etcd_authority = Authority(pki / "etcd", "etcd")
        self._etcd_port = free_port()
        self._etcd_server = self._etcd_authority.certificate("etcd")
        self._etcd_client = self._etcd_authority.certificate("etcd-client", client=True)
        self._encryption = self._write_encryption(secretbox_key) if secretbox_key else None
        self.kubeconfig = self.make_kubeconfig("admin", organization="system:masters")
        self._processes: list[Process] = []

    def make_kubeconfig(self, user: str, *, organization: str = "") -> Path:
        """A kubeconfig (0600) with a client certificate, everything inline, for C(user) of a group."""
        certificate, key = self.authority.certificate(user, (), client=True, organization=organization)
        name = f"{user}@{self.cluster}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": self.cluster,
                    "cluster": {"server": self.url, "certificate-authority-data": _base64(self.authority.ca_file)},
                }
            ],
            "users": [
                {
                    "name": name,
                    "user": {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)},
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": self.cluster, "user": name, "namespace": "default"}}],
            "current-context": name,
        }
        path = self.directory / ("kubeconfig" if user == "admin" else f"{user}.kubeconfig")
        return write_private(path, yaml.safe_dump(config, sort_keys=False))

    def client(self) -> Client:
        """A client with the administrator's certificate."""
        return Client(self.kubeconfig)

    @property
    def running(self) -> bool:
        return bool(self._processes) and all(process.running for process in self._processes)

    def start(self, timeout: float = 60) -> Self:
        """Start what does not run and wait until the API answers and the default service account is there."""
        try:
            for process in (self._etcd(), self._api_server(timeout), self._controller_manager(timeout)):
                self._processes.append(process.start())
        except BaseException:
            self.stop()
            raise
        return self

    def restart_server(self, timeout: float = 60) -> None:
        """The API server ends and starts again, as it does when it moves to another version. What it held stays."""
        self._processes[1].stop()
        self._processes[1] = self._api_server(timeout).start()

    def stop(self) -> None:
        while self._processes:
            self._processes.pop().stop()

    def etcd_values(self, prefix: str = "/registry/") -> dict[str, bytes]:
        """What etcd really holds below a key, as stored: the proof that a Secret is encrypted, or is not."""
        context = ssl.create_default_context(cafile=str(self._etcd_authority.ca_file))
        context.load_cert_chain(*self._etcd_client)
        connection = http.client.HTTPSConnection("127.0.0.1", self._etcd_port, timeout=30, context=context)
        with contextlib.closing(connection):
            end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
            asked = {"key": base64.b64encode(prefix.encode()), "range_end": base64.b64encode(end.encode())}
            connection.request(
                "POST", "/v3/kv/range", json.dumps({key: value.decode() for key, value in asked.items()})
            )
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        if response.status != 200:
            raise LabError(f"etcd answered {response.status}: {answer.get('message')}")
        return {
            base64.b64decode(pair["key"]).decode(): base64.b64decode(pair.get("value", ""))
            for pair in answer.get("kvs", [])
        }

    @property
    def store(self) -> dict[str, str]:
        """Where its etcd answers, and the files with which it is asked."""
        certificate, key = self._etcd_client
        return {
            "url": f"https://127.0.0.1:{self._etcd_port}",
            "ca": str(self._etcd_authority.ca_file),
            "certificate": str(certificate),
            "key": str(key),
        }

    def _write_encryption(self, key: str) -> Path:
        config = {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [
                {
                    "resources": ["secrets"],
                    "providers": [{"secretbox": {"keys": [{"name": "key2", "secret": key}]}}, {"identity": {}}],
                }
            ],
        }
        return write_private(self.directory / "encryption.yaml", yaml.safe_dump(config))

    def _process(self, name: str, *options: str, **how: Any) -> Process:
        return Process(
            [binary(name), *options],
            log=self.directory / f"{name}.log",
            environment={"HOME": str(self.directory)},
            cwd=self.directory,
            **how,
        )

    def _etcd(self) -> Process:
        certificate, key = self._etcd_server
        client_certificate, client_key = self._etcd_client
        peer = f"http://127.0.0.1:{free_port()}"
        url = f"https://127.0.0.1:{self._etcd_port}"
        return self._process(
            "etcd",
            "--name=lab",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=lab={peer}",
            f"--cert-file={certificate}",
            f"--key-file={key}",
            f"--client-cert-file={client_certificate}",  # its HTTP gateway is a client of its own
            f"--client-key-file={client_key}",
            "--client-cert-auth",
            f"--trusted-ca-file={self._etcd_authority.ca_file}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            ready=lambda: accepts(self._etcd_port),
        )

    def _api_server(self, timeout: float) -> Process:
        client_certificate, client_key = self._etcd_client
        options = [
            f"--bind-address={self.host}",
            f"--advertise-address={self.host}",
            "--endpoint-reconciler-type=none",
            f"--secure-port={self.port}",
            f"--tls-cert-file={self._certificate}",
            f"--tls-private-key-file={self._key}",
            f"--client-ca-file={self.authority.ca_file}",
            f"--etcd-servers=https://127.0.0.1:{self._etcd_port}",
            f"--etcd-cafile={self._etcd_authority.ca_file}",
            f"--etcd-certfile={client_certificate}",
            f"--etcd-keyfile={client_key}",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--service-account-issuer={self.issuer}",
            f"--service-account-key-file={self._accounts_certificate}",
            f"--service-account-signing-key-file={self._accounts_key}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--anonymous-auth=false",
            "--allow-privileged=true",
            "--profiling=false",
        ]
        if self._encryption:
            options.append(f"--encryption-provider-config={self._encryption}")
        client = self.client()
        return self._process(
            "kube-apiserver",
            *options,
            ready=lambda: accepts(self.port, self.host) and client.request("GET", "/readyz") is not None,
            timeout=timeout,
            grace=3,
        )

    def _controller_manager(self, timeout: float) -> Process:
        client = self.client()
        kubeconfig = self.make_kubeconfig("system:kube-controller-manager")
        return self._process(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            f"--service-account-private-key-file={self._accounts_key}",
            f"--root-ca-file={self.authority.ca_file}",
            "--controllers=*,-persistentvolume-attach-detach-controller,-persistentvolume-binder-controller",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--secure-port=0",
            "--profiling=false",
            ready=lambda: client.find("v1", "ServiceAccount", "default", "default"),
            timeout=timeout,
            grace=3,
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
