# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STAND-IN for Tailscale's OAuth token endpoint: it hands a short-lived token to the client that it knows."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from urllib.parse import parse_qs, unquote

from lab.tls import Authority
from lab.web import Request, Response, WebServer, json_response

PATH = "/api/v2/oauth/token"


class TailscaleOAuth(WebServer):
    """C(POST /api/v2/oauth/token) with the client credentials grant (RFC 6749), in the form or as Basic login."""

    def __init__(self, authority: Authority, client_id: str, client_secret: str, *, host: str = "127.0.0.1") -> None:
        super().__init__(authority, "oauth", host=host)
        self.token_url = f"{self.url}{PATH}"
        self.client_id = client_id
        self.client_secret = client_secret
        self.scope = "devices:core auth_keys"

    def answer(self, request: Request) -> Response:
        if request.path != PATH:
            return json_response(404, {"message": "not found"})
        if request.method != "POST":
            return json_response(405, {"message": "method not allowed"})
        form = {name: values[0] for name, values in parse_qs(request.body.decode(errors="replace")).items()}
        grant = form.get("grant_type", "client_credentials")
        if grant != "client_credentials":
            return json_response(400, {"error": "unsupported_grant_type"})
        login = _basic(request.headers.get("Authorization", "")) or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        known = (self.client_id, self.client_secret)
        if not all(
            hmac.compare_digest(given.encode(), right.encode()) for given, right in zip(login, known, strict=True)
        ):
            return json_response(401, {"message": "API token invalid"})
        return json_response(
            200,
            {
                "access_token": f"tskey-api-{secrets.token_hex(16)}",
                "token_type": "Bearer",
                "expires_in": 3600,
                "scope": self.scope,
            },
        )


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return unquote(user), unquote(password)
