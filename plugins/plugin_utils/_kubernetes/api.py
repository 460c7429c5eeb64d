# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a Kubernetes API: one connection, every request with a bound, every failure in our own words.

Private: other collections must not import it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import ssl
import tempfile
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

# Here and not where they are used: Ansible loads an action before it forks for each of its tasks.
try:
    import urllib3
    from kubernetes import client, config
except ImportError as error:
    MISSING: ImportError | None = error
else:
    MISSING = None

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.causes import Cause, cause_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.exec_plugin import logged_in

# No single request may take longer, whatever the deadline leaves: a restarting API server accepts and never answers.
REQUEST_SECONDS = 10.0

# Has an API server leave out all of an object, or of each in a list, but its metadata: of a Secret, its data.
METADATA_ALONE: t.Final = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST: t.Final = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

# What an API server answers while it starts, restarts or is busy.
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})

_JSON: t.Final = "application/json"

# How each cause is said here.
_UNANSWERED = {
    Cause.UNRESOLVED: "its name does not resolve",
    Cause.UNRESOLVED_NOW: "no name server answered for its name",
    Cause.NO_ROUTE: "there is no route to it",
    Cause.REFUSED: "it refused the connection",
    Cause.CLOSED: "it closed the connection",
    Cause.TIMEOUT: "it did not answer in time",
    Cause.PROXY: "the proxy did not let us through",
    Cause.TLS_UNKNOWN_CA: "its certificate is not signed by the kubeconfig's CA",
    Cause.TLS_WRONG_NAME: "its certificate is for another name",
    Cause.TLS_EXPIRED: "its certificate has expired or is not valid yet",
    Cause.TLS_NOT_TLS: "what answers there speaks no TLS",
    Cause.TLS_CLIENT: "it refused the kubeconfig's client certificate",
    Cause.TLS: "TLS failed",
    Cause.NOT_HTTP: "what answers there is no API server",
}


class Unanswered(BootstrapError):
    """No answer came, or one that says: not now. Asking again may help."""


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    body: dict[str, t.Any]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        return str(self.body.get("reason") or f"HTTP {self.status}")

    @property
    def message(self) -> str:
        return str(self.body.get("message") or "")


@dataclass(frozen=True)
class Kind:
    """A kind as the API serves it."""

    api_version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None) -> str:
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        words = [root]
        if self.namespaced and namespace:
            words += ["namespaces", quote(namespace, safe="")]
        words.append(self.plural)
        if name:
            words.append(quote(name, safe=""))
        return "/".join(words)


class Api:
    """A Kubernetes API, reached as a kubeconfig says. Use it as a context manager.

    TLS reads a client's key from files only. The kubeconfig's is in one for as long as that takes, in a private
    directory, and then in memory alone.
    """

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = Path(kubeconfig).expanduser()
        self._kinds: dict[tuple[str, str], Kind] = {}
        self.server = ""
        self._settled = False

    def __enter__(self) -> Api:
        if not self._kubeconfig.is_file():
            raise BootstrapError(
                f"kubeconfig {self._kubeconfig} is not there. The phase talos writes it: run that phase first, or name "
                "the file of the cluster that you mean."
            )
        if MISSING is not None:
            raise BootstrapError(
                "The Python package kubernetes is not installed for the Python that runs ansible-playbook. "
                "Install it there: pip install kubernetes"
            ) from MISSING
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the kubeconfig's author chose that
        configuration = client.Configuration()
        ready_made = logged_in(self._kubeconfig)
        private = tempfile.mkdtemp(prefix="tazlab-kube-")
        try:
            if ready_made is not None:
                config.load_kube_config_from_dict(
                    ready_made, client_configuration=configuration, persist_config=False, temp_file_path=private
                )
            else:
                config.load_kube_config(
                    str(self._kubeconfig),
                    client_configuration=configuration,
                    persist_config=False,
                    temp_file_path=private,
                )
            configuration.retries = False
            self._pool = client.ApiClient(configuration).rest_client.pool_manager
            self._pool.connection_pool_kw |= {
                "ssl_context": _context(configuration),
                **dict.fromkeys(("ca_certs", "ca_cert_data", "cert_file", "key_file")),
            }
        except Exception:  # noqa: BLE001 - its text quotes the file, which holds keys
            raise BootstrapError(
                f"kubeconfig {self._kubeconfig} cannot be used: it is not a kubeconfig, or its current context is "
                f"incomplete. Look at it with: kubectl --kubeconfig {shlex.quote(str(self._kubeconfig))} config view"
            ) from None
        finally:
            shutil.rmtree(private, ignore_errors=True)
        self.server = str(configuration.host).rstrip("/")
        self._headers = {
            str(setting["key"]): str(setting["value"]).strip()  # a token's file ends with a newline
            for setting in configuration.auth_settings().values()
            if setting.get("in") == "header" and setting.get("value")
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    @property
    def kubeconfig(self) -> str:
        return str(self._kubeconfig)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        seconds: float = REQUEST_SECONDS,
    ) -> Answer:
        """Ask once. Raise C(Unanswered) where no answer came; an answer of any status is an answer.

        Only that a new API server forbids everything, until it has written its own roles, is none.
        """
        answer = self._once(method, path, query or {}, body, content_type, accept, seconds)
        if answer.status == 403 and not self._has_roles(seconds):
            raise Unanswered(
                f"Kubernetes API {self.server}: it forbids everything, as one that has just been made (403)."
            )
        return answer

    def _has_roles(self, seconds: float) -> bool:
        """Whether the role is there by which everybody may ask for /readyz."""
        if not self._settled:
            self._settled = self._once("GET", "/readyz", {}, None, _JSON, _JSON, seconds).status != 403
        return self._settled

    def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object,
        content_type: str,
        accept: str,
        seconds: float,
    ) -> Answer:
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers={"Accept": accept, "Content-Type": content_type, **self._headers},
                timeout=urllib3.Timeout(total=max(0.1, min(seconds, REQUEST_SECONDS))),
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            words = _UNANSWERED.get(cause_of(error), "the connection failed")
            raise Unanswered(f"Kubernetes API {self.server}: {words}.") from None
        try:
            decoded = json.loads(response.data)
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            decoded = {}
        return Answer(int(response.status), decoded)

    def get(self, path: str, query: Mapping[str, str] | None = None, seconds: float = REQUEST_SECONDS) -> Answer:
        return self.request("GET", path, query=query, seconds=seconds)

    def kind(self, api_version: str, kind: str, seconds: float = REQUEST_SECONDS) -> Kind | None:
        """How the API serves this kind; None when it does not, which a later question may change."""
        known = self._kinds.get((api_version, kind))
        if known:
            return known
        answer = self.get(f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}", seconds=seconds)
        if answer.status == 404:
            return None
        require(answer, self.server, f"what {api_version} offers")
        for resource in answer.body.get("resources") or []:
            if "/" not in resource["name"]:
                self._kinds[api_version, resource["kind"]] = Kind(
                    api_version, resource["name"], bool(resource["namespaced"])
                )
        return self._kinds.get((api_version, kind))


def _context(configuration: t.Any) -> ssl.SSLContext:
    """TLS as the kubeconfig says, with everything read from its files."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def require(answer: Answer, server: str, what: str) -> None:
    """Raise C(Unanswered) for an answer that may pass, and C(BootstrapError) for one that will not."""
    if answer.ok:
        return
    if answer.status == 401:
        raise BootstrapError(
            f"Kubernetes API {server}: the kubeconfig's credentials were refused (401). Fetch a new kubeconfig of this "
            "cluster; this one is expired or belongs to another."
        )
    if answer.status in PASSING:
        raise Unanswered(f"Kubernetes API {server}: asked for {what}, it answered {answer.status}.")
    if answer.status == 403:
        said = answer.message or f"this kubeconfig's user may not ask for {what}"
        raise BootstrapError(
            f"Kubernetes API {server}: {said} (403). Grant that to the user, or use the kubeconfig of one who may.",
            code="forbidden",
            status=403,
        )
    raise BootstrapError(f"Kubernetes API {server}: asked for {what}, it answered {answer.status} ({answer.reason}).")


def kubectl(kubeconfig: str, namespace: str, *words: str) -> str:
    """A command for a person, against this cluster and no other."""
    return f"kubectl --kubeconfig {shlex.quote(kubeconfig)} {shlex.join(['--namespace', namespace, *words])}"


def label(kind: str, namespace: str | None, name: str) -> str:
    """An object as we write it for people: Secret tailscale/oauth."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
