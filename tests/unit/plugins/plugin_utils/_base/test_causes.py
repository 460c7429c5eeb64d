# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a library's exception stands for, however deep it wraps what happened."""

from __future__ import annotations

import errno
import http.client
import socket
import ssl

import pytest
import requests
import urllib3

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.causes import Cause, cause_of


def wrapped(*causes: BaseException) -> BaseException:
    """An OSError that was raised from these, each from the next."""
    outer = error = OSError("canary")
    for cause in causes:
        error.__cause__ = error = cause  # type: ignore[assignment]
    return outer


def unverified(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


def unresolved(code: int) -> BaseException:
    """As urllib3 and requests tell it."""
    inner = socket.gaierror(code, "canary")
    error = urllib3.exceptions.NameResolutionError("vault.example.net", urllib3.HTTPSConnectionPool("x"), inner)  # type: ignore[arg-type]
    error.__cause__ = inner
    return requests.ConnectionError(error)


def of_tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "canary")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (wrapped(socket.gaierror(socket.EAI_NONAME, "no name")), Cause.UNRESOLVED),
        (wrapped(socket.gaierror(socket.EAI_AGAIN, "later")), Cause.UNRESOLVED_NOW),
        (wrapped(UnicodeError("idna")), Cause.UNRESOLVED),
        (unresolved(socket.EAI_AGAIN), Cause.UNRESOLVED_NOW),
        (unresolved(socket.EAI_NONAME), Cause.UNRESOLVED),
        (wrapped(ConnectionRefusedError(errno.ECONNREFUSED, "no")), Cause.REFUSED),
        (wrapped(OSError(errno.EHOSTUNREACH, "no")), Cause.NO_ROUTE),
        (wrapped(OSError(errno.ENETUNREACH, "no")), Cause.NO_ROUTE),
        (wrapped(TimeoutError()), Cause.TIMEOUT),
        (wrapped(ConnectionResetError(errno.ECONNRESET, "no")), Cause.CLOSED),
        (wrapped(http.client.RemoteDisconnected("no answer")), Cause.CLOSED),
        (wrapped(http.client.BadStatusLine("SSH-2.0")), Cause.NOT_HTTP),
        (wrapped(unverified(10)), Cause.TLS_EXPIRED),
        (wrapped(unverified(20)), Cause.TLS_UNKNOWN_CA),
        (wrapped(unverified(62)), Cause.TLS_WRONG_NAME),
        (wrapped(of_tls("WRONG_VERSION_NUMBER")), Cause.TLS_NOT_TLS),
        (wrapped(of_tls("NO_SHARED_CIPHER")), Cause.TLS),
        (wrapped(of_tls("TLSV13_ALERT_CERTIFICATE_REQUIRED")), Cause.TLS_CLIENT),
        (wrapped(ssl.SSLEOFError(8, "eof")), Cause.CLOSED),
        (requests.TooManyRedirects("canary"), Cause.REDIRECTED),
        (requests.exceptions.ProxyError(OSError(errno.ECONNREFUSED, "no")), Cause.PROXY),
        (requests.ConnectionError(urllib3.exceptions.ProtocolError("x", ConnectionResetError(104, "y"))), Cause.CLOSED),
        (requests.ReadTimeout("canary"), Cause.TIMEOUT),
        (OSError("who knows"), Cause.UNKNOWN),
    ],
)
def test_an_exception_is_told_by_what_it_wraps(error: BaseException, cause: Cause) -> None:
    assert cause_of(error) is cause


def test_what_tls_says_comes_before_what_the_network_says() -> None:
    error = wrapped(ConnectionResetError(errno.ECONNRESET, "no"), unverified(20))
    assert cause_of(error) is Cause.TLS_UNKNOWN_CA
    assert Cause.TLS_UNKNOWN_CA.of_tls
    assert Cause.TLS_UNKNOWN_CA.answered
    assert not Cause.REFUSED.answered


def test_an_exception_that_wraps_itself_ends() -> None:
    error = OSError("canary")
    error.__context__ = other = ValueError("canary")
    other.__context__ = error
    assert cause_of(error) is Cause.UNKNOWN
