# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of a tailnet: keys for new machines, devices, and their removal. Private.

Import it only when it is really asked: it loads requests.
"""

from __future__ import annotations

import re
import socket
import time
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.causes import cause_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.devices import KEY_SECONDS, Device
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import bounded_session, tls_context

SECONDS: t.Final = 30.0  # for everything that is asked of it by one caller
OAUTH: t.Final = "api/v2/oauth/token"
KEYS: t.Final = "api/v2/tailnet/-/keys"
DEVICES: t.Final = "api/v2/tailnet/-/devices"
DEVICE: t.Final = "api/v2/device/"
# What an OAuth client needs for what.
SCOPES: t.Final = {KEYS: "auth_keys", DEVICES: "devices:core:read", DEVICE: "devices:core"}
AGAIN: t.Final = "Run this again; if that lasts, look at the tailnet's status page."
TAG: t.Final = re.compile(r"tag:[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Client:
    """An OAuth client, and where its tailnet's API is."""

    url: str  # https://api.tailscale.com, without a path
    client_id: str
    client_secret: str = field(repr=False)
    ca_pem: str = field(default="", repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or self.url


class Tailnet:
    """The API as one client sees it, for as long as the block lasts."""

    def __init__(self, client: Client, seconds: float = SECONDS) -> None:
        self._client = client
        context = tls_context(client.ca_pem or None, validate=True)
        self._session = bounded_session(client.url, time.monotonic() + seconds, context)
        self._token = ""
        self._scopes: frozenset[str] = frozenset()

    def __enter__(self) -> Tailnet:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret,
        }
        answer = self._ask("POST", OAUTH, {"data": form})
        self._scopes = frozenset(str(answer.get("scope") or "").split())
        self._token = str(answer.get("access_token") or "")
        if not self._token:
            raise BootstrapError(f"{self._client.host} gave no token to the OAuth client. {AGAIN}")
        register([self._token])
        return self

    def __exit__(self, *_exc: object) -> None:
        self._session.close()

    def refuse_lacking_scopes(self) -> None:
        """Raise for a scope that the client lacks, as far as its token tells. C(all) is every scope."""
        needed = (SCOPES[KEYS], SCOPES[DEVICE])
        missing = [scope for scope in needed if scope not in self._scopes]
        if self._scopes and missing and "all" not in self._scopes:
            raise BootstrapError(
                f"The OAuth client of the tailnet lacks the scope {' and '.join(missing)}. Give it that in the admin "
                "console, or make another client.",
                code="forbidden",
            )

    def mint(self, tags: Sequence[str], description: str) -> str:
        """A key with which one machine joins, once, within an hour."""
        create = {"reusable": False, "ephemeral": False, "preauthorized": True, "tags": list(tags)}
        body = {
            "capabilities": {"devices": {"create": create}},
            "expirySeconds": KEY_SECONDS,
            "description": description,
        }
        key = str(self._ask("POST", KEYS, {"json": body}).get("key") or "")
        if not key:
            raise BootstrapError(f"{self._client.host} minted a key and did not tell it. {AGAIN}")
        register([key])
        return key

    def devices(self) -> list[Device]:
        """Every device that the client may see. Raises for any other answer: what is not listed counts as gone."""
        rows = self._ask("GET", DEVICES, {}).get("devices")
        if not isinstance(rows, list):
            raise BootstrapError(f"{self._client.host} answered without a list of devices. {AGAIN}")
        return [Device.read(row) for row in rows]

    def remove(self, device: str) -> bool:
        """Remove a device by its id. False where there is none (any more)."""
        return self._ask("DELETE", f"{DEVICE}{quote(device, safe='')}", {}, absent_is_fine=True) is not _ABSENT

    def _ask(
        self, method: str, path: str, content: Mapping[str, t.Any], *, absent_is_fine: bool = False
    ) -> Mapping[str, t.Any]:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        url = f"{self._client.url.rstrip('/')}/{path}"
        try:
            answer = self._session.request(method, url, headers=headers, allow_redirects=False, **content)
        except Exception as error:  # noqa: BLE001  # whatever a library raises may quote the secret
            reason = cause_of(error).value.replace("_", " ")
            raise BootstrapError(
                f"{self._client.host} was not reached ({reason}). Check this machine's network."
            ) from None
        if answer.status_code == 404 and absent_is_fine:
            return _ABSENT
        if 200 <= answer.status_code < 300:
            try:
                found = answer.json()
            except ValueError:  # a removal is answered with nothing
                found = None
            return found if isinstance(found, Mapping) else {}
        raise self._refused(path, answer.status_code)

    def _refused(self, path: str, status: int) -> BootstrapError:
        host = self._client.host
        if path == OAUTH:
            return BootstrapError(
                f"{host} refused the OAuth client of the tailnet ({status}). Make a new one in the admin console, then "
                "rotate both of its fields.",
                code="forbidden",
                status=status,
            )
        if status == 400 and path == KEYS:
            return BootstrapError(
                f"{host} mints no key with these tags ({status}). Only tags that the OAuth client itself has may be "
                "given: correct tazlab_tailnet.tags, or give the client those tags in the admin console.",
                code="bad_tags",
                status=status,
            )
        scope = next(scope for start, scope in SCOPES.items() if path.startswith(start))
        if status in (401, 403):
            return BootstrapError(
                f"{host} did not let the OAuth client do that ({status}): it lacks the scope {scope}. Give it that in "
                "the admin console, or make another client.",
                code="forbidden",
                status=status,
            )
        return BootstrapError(f"{host} answered with HTTP {status}, asked for {path}. {AGAIN}", status=status)


_ABSENT: t.Final[Mapping[str, t.Any]] = {"absent": True}


def is_here(address: str) -> bool:
    """Whether an address is one of this machine's own."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
