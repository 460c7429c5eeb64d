# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to Proxmox VE: requests over proxmoxer with an API token, and every failure in words of our own.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import ssl
import threading
import typing as t
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.causes import Cause, cause_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import clean_token

ARGUMENTS: t.Final[dict[str, dict[str, t.Any]]] = {
    "url": {"type": "str", "required": True},
    "token_id": {"type": "str", "required": True, "no_log": True},
    "token_secret": {"type": "str", "required": True, "no_log": True},
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 30},
}

TOKEN_ID = re.compile(r"(?P<user>[^\s:/@!=]+@[A-Za-z][\w.-]+)!(?P<name>[A-Za-z][\w.-]+)")
EXAMPLE = "https://pve.example.net:8006"


class ProxmoxError(BootstrapError):
    """A request that did not succeed.

    C(reason) is what Proxmox VE said, C(transient) whether it may pass by itself, C(dropped) whether a connection that
    stood was closed.
    """

    def __init__(
        self, message: str, *, reason: str = "", status: int = 0, transient: bool = False, dropped: bool = False
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.transient = transient
        self.dropped = dropped


@dataclass(frozen=True)
class Connection:
    """Where the API is and who asks it. The token never shows in a representation."""

    host: str
    port: int
    user: str = field(repr=False)
    token_name: str = field(repr=False)
    token_secret: str = field(repr=False)
    verify: bool | str
    timeout: int

    @property
    def warnings(self) -> list[str]:
        """What the user should know about this connection."""
        if self.verify:
            return []
        return [f"The certificate of Proxmox at {self.place} is not verified: whoever sits between can read the token."]

    @property
    def token_id(self) -> str:
        return f"{self.user}!{self.token_name}"

    @property
    def place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def from_params(cls, params: Mapping[str, t.Any]) -> Connection:
        """Read the options of C(ARGUMENTS), or say what is wrong with the first that cannot be used."""
        host, port = _address(str(params["url"] or ""))
        user, name = _token_id(params["token_id"])
        return cls(
            host, port, user, name, _token("token_secret", params["token_secret"]), _verify(params), _positive(params)
        )


def _address(url: str) -> tuple[str, int]:
    try:
        parts = urllib.parse.urlsplit(url.strip())
        host, port = parts.hostname, parts.port or 8006
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme != "https" or parts.path.strip("/") or parts.query or parts.username:
        raise BootstrapError(
            f"url: this is not the address of a Proxmox VE API. Give scheme https, host and port, e.g. {EXAMPLE}"
        )
    return host, port


def _token(option: str, value: t.Any) -> str:
    try:
        cleaned = clean_token(str(value or ""))
    except InvalidValue as error:
        raise BootstrapError(f"{option}: it {error}. Give the API token as Proxmox VE showed it.") from None
    return cleaned


def _token_id(value: t.Any) -> tuple[str, str]:
    found = TOKEN_ID.fullmatch(_token("token_id", value))
    if not found:
        raise BootstrapError(
            "token_id: it is not the whole id of an API token. Give user, realm and token name: user@realm!name"
        )
    return found["user"], found["name"]


def _verify(params: Mapping[str, t.Any]) -> bool | str:
    if not params["validate_certs"]:
        return False
    if not params["ca_cert"]:
        return True
    path = str(params["ca_cert"])
    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        state = "holds no certificate in PEM form" if Path(path).is_file() else "is not there or cannot be read"
        raise BootstrapError(
            f"ca_cert: {path} {state}. Give the CA that signed the API's certificate "
            "(on a node: /etc/pve/pve-root-ca.pem)."
        ) from None
    return path


def _positive(params: Mapping[str, t.Any]) -> int:
    if int(params["timeout"]) < 1:
        raise BootstrapError("timeout: it must be at least 1 second.")
    return int(params["timeout"])


@dataclass(frozen=True)
class _Failure:
    """What came back and what to do about it."""

    what: str
    step: str
    transient: bool = False


_CHECK_URL = "Check the url's host and port (8006 by default) and that pveproxy runs there."
_TRUST = "Give the CA that signed it as ca_cert (on a node: /etc/pve/pve-root-ca.pem)."
_FAILURES: t.Final = {
    Cause.UNRESOLVED: _Failure(
        "its name does not resolve", "Check the url and DNS; for a *.ts.net name, that this machine is on the tailnet."
    ),
    Cause.UNRESOLVED_NOW: _Failure(
        "no name server answered for its name",
        "Check this machine's DNS and network; for a *.ts.net name, that it is on the tailnet.",
        True,
    ),
    Cause.PROXY: _Failure(
        "the proxy that the environment names (HTTPS_PROXY) does not lead to it",
        "Correct it, or add the url's host to NO_PROXY.",
    ),
    Cause.REFUSED: _Failure("the connection was refused", _CHECK_URL, True),
    Cause.NO_ROUTE: _Failure("there is no route to it", "Check the network, the VPN and the url's host.", True),
    Cause.TIMEOUT: _Failure(
        "no answer came within the time-out", f"{_CHECK_URL} A slow node needs a higher timeout.", True
    ),
    Cause.CLOSED: _Failure("the connection was closed without an answer", _CHECK_URL, True),
    Cause.TLS_UNKNOWN_CA: _Failure("its certificate is not signed by a CA that is trusted here", _TRUST),
    Cause.TLS_WRONG_NAME: _Failure(
        "its certificate is for another name", "Use a name that the certificate carries as host of the url."
    ),
    Cause.TLS_EXPIRED: _Failure(
        "its certificate has expired or is not valid yet", "Renew it, and check this machine's clock."
    ),
    Cause.TLS_NOT_TLS: _Failure("what answers there speaks no TLS", _CHECK_URL),
    Cause.TLS_CLIENT: _Failure("it demands a client certificate", "Give the address of the API itself as url."),
    Cause.TLS: _Failure("the TLS handshake failed", _CHECK_URL),
    Cause.REDIRECTED: _Failure(
        "it redirects elsewhere, which is not followed with a token", "Give the API's own address as url."
    ),
    Cause.NOT_HTTP: _Failure("what answers there is not the API of Proxmox VE", _CHECK_URL),
    Cause.UNKNOWN: _Failure("the request failed", _CHECK_URL),
}
_STRANGER: t.Final = _FAILURES[Cause.NOT_HTTP]


def _failure(cause: Cause, unknown: _Failure = _FAILURES[Cause.UNKNOWN]) -> _Failure:
    return unknown if cause is Cause.UNKNOWN else _FAILURES.get(cause, unknown)


_STATUS: t.Final = {
    401: _Failure(
        "the API token is not accepted",
        "Check PROXMOX_TOKEN_ID and PROXMOX_TOKEN_SECRET, and on a node whether the token has expired or was removed: "
        "pveum user token list USER",
    ),
    501: _Failure("this version does not know the request", "Proxmox VE 8.4 or newer is needed."),
    502: _Failure("a proxy before it got no answer", _CHECK_URL, True),
    503: _Failure("it is not available", _CHECK_URL, True),
    504: _Failure("a proxy before it got no answer in time", _CHECK_URL, True),
    595: _Failure("the node could not be reached from there", "Check that the node is online: pvecm status", True),
    596: _Failure("the node did not answer in time", "Check that the node is online: pvecm status", True),
    599: _Failure("the node broke off the request", "Check that the node is online: pvecm status", True),
}
_UPID = re.compile(r"UPID:[^/]*")  # it holds the token's id
_PRIVILEGE = re.compile(r"\((?P<path>/[\w./-]*), (?P<privilege>[A-Za-z.|]+)\)")


class ProxmoxClient:
    """The API of one cluster. Paths are given without the leading C(/api2/json/)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._local = threading.local()  # each thread has a session of its own
        self._local.api = _connect(connection)

    @property
    def place(self) -> str:
        return self._connection.place

    @property
    def _session(self) -> t.Any:
        if not hasattr(self._local, "api"):
            self._local.api = _connect(self._connection)
        return self._local.api

    def get(self, path: str, **params: t.Any) -> t.Any:
        """Read. A connection that the other side closed between two requests is opened again, once."""
        try:
            return self._ask("get", path, params)
        except ProxmoxError as error:
            if not error.dropped:
                raise
        return self._ask("get", path, params)

    def post(self, path: str, **params: t.Any) -> t.Any:
        return self._ask("post", path, params)

    def put(self, path: str, **params: t.Any) -> t.Any:
        return self._ask("put", path, params)

    def delete(self, path: str, **params: t.Any) -> t.Any:
        return self._ask("delete", path, params)

    def _ask(self, method: str, path: str, params: dict[str, t.Any]) -> t.Any:
        from proxmoxer import ResourceException

        request = f"{method.upper()} /{_UPID.sub('UPID', path)}"
        try:
            answer = getattr(self._session(path), method)(**params)
        except ResourceException as error:
            raise self._refused(request, error.status_code, str(error.content or ""), error.errors) from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            # An answer that is not JSON of the API's form; requests' own errors about input are ValueErrors, too.
            raise self._failed(request, _failure(cause_of(error), _STRANGER)) from None
        except OSError as error:  # requests' exceptions are OSErrors
            raise self._failed(request, _failure(cause_of(error))) from None
        if isinstance(answer, dict) and isinstance(
            answer.get("errors"), bytes
        ):  # how proxmoxer hands out what is not JSON
            raise self._failed(request, _STRANGER)
        return answer

    def _failed(self, request: str, failure: _Failure, status: int = 0) -> ProxmoxError:
        return ProxmoxError(
            f"Proxmox at {self.place}: {failure.what} ({request}). {failure.step}",
            status=status,
            transient=failure.transient,
            dropped=failure is _FAILURES[Cause.CLOSED],
        )

    def _refused(self, request: str, status: int, content: str, errors: t.Any) -> ProxmoxError:
        """An HTTP status that is an error. The server's words about a request are kept, never those about the token."""
        if status in _STATUS:
            return self._failed(request, _STATUS[status], status)
        reason = self.readable(content)
        if status == 403:
            missing = _PRIVILEGE.search(reason)
            lacks = f"lacks {missing['privilege']} on {missing['path']}" if missing else "may not do this"
            return ProxmoxError(
                f"Proxmox at {self.place}: the API token {lacks} ({request}). Grant it: pveum acl modify PATH --tokens "
                "USER!NAME --roles ROLE; with privilege separation the user needs it too.",
                reason=reason,
                status=status,
            )
        if isinstance(errors, Mapping):
            fields = ", ".join(f"{name}: {self.readable(str(text))}" for name, text in sorted(errors.items()))
            reason = f"{reason.rstrip('.')}: {fields}" if reason else fields
        return ProxmoxError(
            f"Proxmox at {self.place}: {request} was refused with status {status}: {reason or 'no reason given'}",
            reason=reason,
            status=status,
        )

    def readable(self, text: str) -> str:
        """What the server said, on one line and short; nothing of it where it repeats the token."""
        line = " ".join(text.split())[:400]
        secrets = (self._connection.token_secret, self._connection.token_id)
        return (
            "(its words are withheld, since they repeat the token)" if any(word in line for word in secrets) else line
        )


def _connect(connection: Connection) -> t.Any:
    try:
        from proxmoxer import ProxmoxAPI
        from proxmoxer.backends import https as _https  # noqa: F401  # it ends the process where requests is missing
    except (ImportError, SystemExit):
        raise BootstrapError(
            "The Python packages proxmoxer and requests are needed on the controller: pip install proxmoxer requests"
        ) from None
    api = ProxmoxAPI(
        connection.host,
        port=connection.port,
        user=connection.user,
        token_name=connection.token_name,
        token_value=connection.token_secret,
        verify_ssl=connection.verify,
        timeout=connection.timeout,
    )
    api._store["session"].max_redirects = 0  # a redirect would take the token along
    return api
