# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the Kubernetes API for the lab: requests, server-side apply, and watches that can be stopped."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

from lab.process import LabError

Object = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class KubeError(LabError):
    """The API server refused. C(status) is HTTP's, C(reason) is the API's, like C(NotFound)."""

    def __init__(self, status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {answer.get('message', 'no message')}")
        self.status = status
        self.reason = str(answer.get("reason", ""))


class Client:
    """Talks to the API server that a kubeconfig (with everything inline) names. Threads may share it."""

    def __init__(self, kubeconfig: Path, user_agent: str = "tazlab-lab") -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._server = urlsplit(cluster["server"])
        self._agent = user_agent
        self._context = ssl.create_default_context(cadata=_inline(cluster["certificate-authority-data"]))
        self._login = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        if not self._login:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:  # 0600; ssl loads a key from a file only
                pair.write(_inline(user["client-certificate-data"]) + _inline(user["client-key-data"]))
                pair.flush()
                self._context.load_cert_chain(pair.name)
        self._local = threading.local()
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    @property
    def _headers(self) -> dict[str, str]:
        return {"Accept": "application/json", "User-Agent": self._agent, **self._login}

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            self._server.hostname or "", self._server.port, timeout=timeout, context=self._context
        )

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request; its answer, or C(KubeError)."""
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {**self._headers, "Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        connection = getattr(self._local, "connection", None)
        for fresh in (connection is None, True):
            if connection is None:
                connection = self._local.connection = self._connect(30)
            try:
                connection.request(method, target, data, headers)
                response = connection.getresponse()
                text = response.read()
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = self._local.connection = None
                if fresh:
                    raise
        answer: Object = {}
        with contextlib.suppress(ValueError):
            loaded = json.loads(text)
            answer = loaded if isinstance(loaded, dict) else {}
        if response.status >= 400:
            raise KubeError(response.status, answer or {"message": text.decode(errors="replace")[:500]})
        return answer

    def path(self, api_version: str, kind: str, namespace: str = "", name: str = "") -> str:
        """The path of an object, or of its collection; which kinds there are is asked of the server."""
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        if kind not in self._kinds.get(api_version, {}):
            self._kinds[api_version] = {
                resource["kind"]: (resource["name"], resource["namespaced"])
                for resource in self.request("GET", root)["resources"]
                if "/" not in resource["name"]
            }
        try:
            plural, namespaced = self._kinds[api_version][kind]
        except KeyError:
            raise LabError(f"the API server knows no {kind} in {api_version}") from None
        space = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{root}{space}/{plural}" + (f"/{name}" if name else "")

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object:
        return self.request("GET", self.path(api_version, kind, namespace, name))

    def find(self, api_version: str, kind: str, name: str, namespace: str = "") -> Object | None:
        """The object, or None where there is none."""
        try:
            return self.get(api_version, kind, name, namespace)
        except KubeError as error:
            if error.status == 404:
                return None
            raise

    def list(self, api_version: str, kind: str, namespace: str = "") -> Iterator[Object]:
        for item in self.request("GET", self.path(api_version, kind, namespace))["items"]:
            yield {"apiVersion": api_version, "kind": kind, **item}

    def apply(self, thing: Mapping[str, Any], manager: str = "lab", *, force: bool = True) -> Object:
        """Server-side apply."""
        meta = thing["metadata"]
        path = self.path(thing["apiVersion"], thing["kind"], meta.get("namespace", "default"), meta["name"])
        query = {"fieldManager": manager, "force": str(force).lower()}
        return self.request("PATCH", path, thing, query=query, content_type=APPLY)

    def create(self, thing: Mapping[str, Any]) -> Object:
        meta = thing["metadata"]
        path = self.path(thing["apiVersion"], thing["kind"], meta.get("namespace", "default"))
        return self.request("POST", path, thing)

    def delete(self, api_version: str, kind: str, name: str, namespace: str = "") -> None:
        """Delete it; that it is gone already is fine."""
        try:
            self.request("DELETE", self.path(api_version, kind, namespace, name))
        except KubeError as error:
            if error.status != 404:
                raise

    def watch(self, path: str) -> Watch:
        return Watch(self, path)


class Watch:
    """A list and what changes after it, until C(stop) is called from another thread."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = path
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None

    def run(self, reset: Callable[[list[Object]], None], changed: Callable[[str, Object], None]) -> None:
        """Call C(reset) with the whole list whenever it was read anew, and C(changed) with each event."""
        while not self._stopped.is_set():
            try:
                listed = self._client.request("GET", self._path)
                reset(listed["items"])
                self._follow(listed["metadata"]["resourceVersion"], changed)
            except (OSError, http.client.HTTPException, ValueError, KubeError):
                self._stopped.wait(0.5)  # the API server restarts: ask again

    def _follow(self, since: str, changed: Callable[[str, Object], None]) -> None:
        query = {"watch": "1", "resourceVersion": since, "allowWatchBookmarks": "true", "timeoutSeconds": "3600"}
        connection = self._client._connect(4000)
        try:
            connection.connect()
            self._socket = connection.sock
            if self._stopped.is_set():
                return
            connection.request("GET", f"{self._path}?{urlencode(query)}", headers=self._client._headers)
            for line in connection.getresponse():
                event = json.loads(line)
                if self._stopped.is_set() or event["type"] == "ERROR":
                    return
                if event["type"] != "BOOKMARK":
                    changed(event["type"], event["object"])
        finally:
            self._socket = None
            connection.close()

    def stop(self) -> None:
        self._stopped.set()
        if (connected := self._socket) is not None:
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


def _inline(data: str) -> str:
    return base64.b64decode(data).decode()
