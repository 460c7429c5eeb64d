# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a connection gave no answer: one table from what libraries raise to causes, for every system that is asked.

By types, the names of error numbers and OpenSSL's codes; the text of an exception may quote what was sent. How a cause
is said is the matter of the system. Private: other collections must not import it.
"""

from __future__ import annotations

import enum
import errno
import socket
import ssl
import typing as t
from collections.abc import Iterator


class Cause(enum.Enum):
    """Why no answer came, or none that can be used."""

    UNRESOLVED = "unresolved"
    UNRESOLVED_NOW = "unresolved_now"  # no name server answered
    NO_ROUTE = "no_route"
    REFUSED = "refused"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    PROXY = "proxy"
    TLS_UNKNOWN_CA = "tls_unknown_ca"
    TLS_WRONG_NAME = "tls_wrong_name"
    TLS_EXPIRED = "tls_expired"
    TLS_NOT_TLS = "tls_not_tls"
    TLS_CLIENT = "tls_client"  # the other side wants a client certificate, or another one
    TLS = "tls"
    NOT_HTTP = "not_http"
    REDIRECTED = "redirected"
    TOO_LARGE = "too_large"
    UNKNOWN = "unknown"

    @property
    def of_tls(self) -> bool:
        return self in _OF_TLS

    @property
    def answered(self) -> bool:
        """Whether something is there at that address."""
        return self.of_tls or self in (Cause.CLOSED, Cause.TOO_LARGE)


_OF_TLS: t.Final = frozenset(
    {Cause.TLS_UNKNOWN_CA, Cause.TLS_WRONG_NAME, Cause.TLS_EXPIRED, Cause.TLS_NOT_TLS, Cause.TLS_CLIENT, Cause.TLS}
)

# A library's exceptions, by name: neither requests nor urllib3 has to be loaded for it.
_OUR_BOUNDS: t.Final = {
    "DeadlineReached": Cause.TIMEOUT,
    "AnswerTooLarge": Cause.TOO_LARGE,
    "ProxyError": Cause.PROXY,
    "TooManyRedirects": Cause.REDIRECTED,
}
_NAMES: t.Final = {
    "NameResolutionError": Cause.UNRESOLVED,
    "LocationParseError": Cause.UNRESOLVED,
    "ConnectTimeout": Cause.TIMEOUT,
    "ConnectTimeoutError": Cause.TIMEOUT,
    "ReadTimeout": Cause.TIMEOUT,
    "ReadTimeoutError": Cause.TIMEOUT,
    "RemoteDisconnected": Cause.CLOSED,
    "IncompleteRead": Cause.CLOSED,
    "InvalidChunkLength": Cause.CLOSED,
    "BadStatusLine": Cause.NOT_HTTP,
    "LineTooLong": Cause.NOT_HTTP,
    "ContentDecodingError": Cause.NOT_HTTP,
}
# X.509 verification errors, as OpenSSL numbers them on every system.
_VERIFY_CODES: t.Final = {
    9: Cause.TLS_EXPIRED,
    10: Cause.TLS_EXPIRED,
    62: Cause.TLS_WRONG_NAME,
    64: Cause.TLS_WRONG_NAME,
}
_NOT_TLS: t.Final = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
    "UNEXPECTED_MESSAGE",
)
_ALERTS: t.Final = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": Cause.TLS_CLIENT,
    "SSLV3_ALERT_BAD_CERTIFICATE": Cause.TLS_CLIENT,
    "TLSV1_ALERT_UNKNOWN_CA": Cause.TLS_CLIENT,
}
_ERRNOS: t.Final = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.EHOSTUNREACH: Cause.NO_ROUTE,
    errno.ENETUNREACH: Cause.NO_ROUTE,
    errno.EHOSTDOWN: Cause.NO_ROUTE,
    errno.ENETDOWN: Cause.NO_ROUTE,
    errno.EADDRNOTAVAIL: Cause.NO_ROUTE,
    errno.ETIMEDOUT: Cause.TIMEOUT,
    errno.ECONNRESET: Cause.CLOSED,
    errno.EPIPE: Cause.CLOSED,
    errno.ECONNABORTED: Cause.CLOSED,
}


def cause_of(error: BaseException) -> Cause:
    """The cause that an exception stands for, found in it or in what it wraps."""
    chain = list(_chain(error))
    for find in (_bound, _tls, _network, _named):  # a name is what a library makes of what happened: asked last
        for link in chain:
            cause = find(link)
            if cause:
                return cause
    return Cause.UNKNOWN


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and every exception that it wraps in one way or another."""
    pending, seen = [error], set()
    while pending:
        link = pending.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = (getattr(link, "reason", None), link.__cause__, link.__context__, *link.args)
        pending += [candidate for candidate in inner if isinstance(candidate, BaseException)]


def _bound(link: BaseException) -> Cause | None:
    return _OUR_BOUNDS.get(type(link).__name__)


def _tls(link: BaseException) -> Cause | None:
    if isinstance(link, ssl.SSLCertVerificationError):
        return _VERIFY_CODES.get(link.verify_code, Cause.TLS_UNKNOWN_CA)
    if isinstance(link, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Cause.CLOSED
    if isinstance(link, ssl.SSLError):
        return Cause.TLS_NOT_TLS if link.reason in _NOT_TLS else _ALERTS.get(link.reason or "", Cause.TLS)
    return Cause.TLS_WRONG_NAME if type(link).__name__ == "CertificateError" else None


def _network(link: BaseException) -> Cause | None:
    if isinstance(link, socket.gaierror):
        return Cause.UNRESOLVED_NOW if link.errno == socket.EAI_AGAIN else Cause.UNRESOLVED
    if isinstance(link, UnicodeError):
        return Cause.UNRESOLVED
    if isinstance(link, TimeoutError):
        return Cause.TIMEOUT
    if isinstance(link, OSError) and link.errno in _ERRNOS:
        return _ERRNOS[link.errno]
    return None


def _named(link: BaseException) -> Cause | None:
    return _NAMES.get(type(link).__name__)
