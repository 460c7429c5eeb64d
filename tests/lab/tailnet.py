# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STAND-IN for a tailnet's API, as strict as its public documentation: keys, devices and their removal, by scope."""

from __future__ import annotations

import datetime
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from lab.oauth import PATH as OAUTH
from lab.oauth import TailscaleOAuth
from lab.tls import Authority
from lab.web import Request, Response, json_response

KEYS = "/api/v2/tailnet/-/keys"
DEVICES = "/api/v2/tailnet/-/devices"
DEVICE = re.compile(r"/api/v2/device/([^/]+)")
ZONE = "tail1234.ts.net"


@dataclass
class TailnetDevice:
    """A machine in the tailnet."""

    id: str  # the legacy number; the API takes it and the stable one
    hostname: str
    name: str
    addresses: list[str]
    tags: list[str]
    created: str

    @property
    def node_id(self) -> str:
        """The stable one, which the machine itself knows."""
        return f"n{self.id}CNTRL"

    def row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "nodeId": self.node_id,
            "hostname": self.hostname,
            "name": f"{self.name}.{ZONE}",
            "addresses": self.addresses,
            "tags": self.tags,
            "created": self.created,
            "authorized": True,
        }


@dataclass
class Minted:
    """A key that was minted, and whether a machine has used it."""

    key: str
    tags: list[str]
    used: bool = False


@dataclass
class Tailnet:
    """What is in the tailnet."""

    devices: list[TailnetDevice] = field(default_factory=list)
    keys: list[Minted] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    def join(self, hostname: str, key: str, address: str = "") -> TailnetDevice:
        """A machine joins with a key, which serves once. Where its name is taken, it gets another one."""
        minted = next(each for each in self.keys if each.key == key and not each.used)
        minted.used = True
        return self.add(hostname, minted.tags, address)

    def add(self, hostname: str, tags: list[str], address: str = "") -> TailnetDevice:
        names = {device.name for device in self.devices}
        number, name = 0, hostname
        while name in names:
            number += 1
            name = f"{hostname}-{number}"
        device = TailnetDevice(
            id=str(secrets.randbelow(10**16)),
            hostname=hostname,
            name=name,
            addresses=[address or f"100.64.{secrets.randbelow(250)}.{1 + secrets.randbelow(250)}"],
            tags=tags,
            created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        self.devices.append(device)
        return device


class TailnetApi(TailscaleOAuth):
    """C(POST keys), C(GET devices) and C(DELETE device) with a token of the OAuth client, each with its scope."""

    def __init__(self, authority: Authority, client_id: str, client_secret: str, *, host: str = "127.0.0.1") -> None:
        super().__init__(authority, client_id, client_secret, host=host)
        self.scope = "auth_keys devices:core"
        self.owns = {"tag:k8s"}
        self.tailnet = Tailnet()
        self.tokens: set[str] = set()
        self.portal = False  # a network that answers for every host by its own page

    def answer(self, request: Request) -> Response:
        if request.path == OAUTH:
            given = super().answer(request)
            if given.status == 200:
                self.tokens.add(json.loads(given.body)["access_token"])
            return given
        if self.portal:
            return Response(200, b"<html>Please log in</html>")
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return json_response(401, {"message": "API token invalid"})
        scopes = self.scope.split()
        if request.path == KEYS and request.method == "POST":
            return self._mint(json.loads(request.body)) if "auth_keys" in scopes else _forbidden()
        if request.path == DEVICES and request.method == "GET":
            if not {"devices:core", "devices:core:read"} & set(scopes):
                return _forbidden()
            return json_response(200, {"devices": [device.row() for device in self.tailnet.devices]})
        named = DEVICE.fullmatch(request.path)
        if named and request.method == "DELETE":
            return self._remove(named[1]) if "devices:core" in scopes else _forbidden()
        return json_response(404, {"message": "not found"})

    def _mint(self, body: dict[str, Any]) -> Response:
        create = body["capabilities"]["devices"]["create"]
        tags = create["tags"]
        if create.get("reusable") or not create.get("preauthorized") or not 0 < body["expirySeconds"] <= 7776000:
            return json_response(400, {"message": "invalid capabilities"})
        if not tags or not set(tags) <= self.owns:  # a client of OAuth must give tags, and owns them
            return json_response(400, {"message": "requested tags are invalid or not permitted"})
        key = f"tskey-auth-{secrets.token_hex(12)}"
        self.tailnet.keys.append(Minted(key, tags))
        return json_response(200, {"id": secrets.token_hex(6), "key": key, "capabilities": body["capabilities"]})

    def _remove(self, device: str) -> Response:
        found = [each for each in self.tailnet.devices if device in (each.id, each.node_id)]
        if not found:
            return json_response(404, {"message": "no such device"})
        self.tailnet.devices.remove(found[0])
        self.tailnet.removed.append(found[0].node_id)
        return json_response(200, {})


def _forbidden() -> Response:
    return json_response(403, {"message": "calling actor does not have enough permissions to perform this function"})
