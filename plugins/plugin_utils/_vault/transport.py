# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP session under hvac: one connection, a deadline, a bound on what is read, no redirect, the CA from memory.

Private: other collections must not import it. Import it only when Vault is really asked: it loads requests.
"""

from __future__ import annotations

import socket
import ssl
import time
import typing as t
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.pem import certificates

try:
    import requests
    from requests.adapters import HTTPAdapter
    from requests.utils import should_bypass_proxies
except ImportError:  # hvac needs it as well, so who gets here without it has been told
    HTTPAdapter = object  # type: ignore[misc, assignment]

BODY_LIMIT: t.Final = 1024 * 1024
_CHUNK: t.Final = 64 * 1024


class DeadlineReached(Exception):
    """The time for everything asked is over."""


class AnswerTooLarge(Exception):
    """The answer is larger than any bundle."""


class BoundedAdapter(HTTPAdapter):
    """Sends requests of one session; all of them together end at the deadline (of the monotonic clock)."""

    def __init__(self, deadline: float, context: ssl.SSLContext, server_name: str | None = None) -> None:
        self._deadline = deadline
        self._tls: dict[str, t.Any] = {"ssl_context": context}
        if server_name:
            self._tls["server_hostname"] = server_name
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: t.Any, **kwargs: t.Any) -> None:
        kwargs |= self._tls
        super().init_poolmanager(*args, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: t.Any) -> t.Any:
        kwargs |= self._tls
        return super().proxy_manager_for(proxy, **kwargs)

    def build_connection_pool_key_attributes(self, request: t.Any, verify: t.Any, cert: t.Any = None) -> t.Any:
        """Let our context alone decide whom to trust: requests would add its own bundle of public CAs."""
        host, _tls = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {}

    def cert_verify(self, conn: t.Any, url: t.Any, verify: t.Any, cert: t.Any) -> None:
        """As above, in versions of requests before 2.32."""

    def send(self, request: t.Any, *args: t.Any, **kwargs: t.Any) -> requests.Response:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlineReached
        kwargs.update(stream=True, timeout=(remaining, remaining))
        response = super().send(request, *args, **kwargs)
        body = b""
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > BODY_LIMIT:
                response.close()
                raise AnswerTooLarge
            if time.monotonic() > self._deadline:
                response.close()
                raise DeadlineReached
        response._content = body
        return response


def bounded_session(
    url: str, deadline: float, context: ssl.SSLContext, server_name: str | None = None, proxy: str | None = None
) -> requests.Session:
    """A session that takes nothing from the environment but the proxies: no .netrc, no other bundle of CAs.

    C(server_name): the name that the certificate must have, where it is not the host of the url. C(proxy): the one for
    everything, whatever the environment says.
    """
    session = requests.Session()
    session.trust_env = False
    session.proxies = {"http": proxy, "https": proxy} if proxy else _proxies(url)
    session.verify = context.verify_mode != ssl.CERT_NONE
    adapter = BoundedAdapter(deadline, context, server_name)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def handshake(url: str, context: ssl.SSLContext, server_name: str | None, seconds: float, *, listen: bool) -> None:
    """Shake hands and hang up, or C(listen) for what the server says then; whatever fails is raised as it is."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    with (
        socket.create_connection((host, parts.port or 443), timeout=seconds) as connection,
        context.wrap_socket(connection, server_hostname=server_name or host) as tls,
    ):
        if listen:
            tls.recv(1)


def _proxies(url: str) -> dict[str, str]:
    """The proxies of the environment. macOS' own settings are not asked for: that crashes in a forked process."""
    proxies = getproxies_environment()
    # Without any variable, requests would ask those settings, too.
    return dict(proxies) if proxies and not should_bypass_proxies(url, None) else {}


def tls_context(ca_pem: str | None, validate: bool) -> ssl.SSLContext:
    """Trust these certificates and no other, or the system's store when there are none."""
    context = ssl.create_default_context(cadata=None if ca_pem is None else _authorities(ca_pem))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 asks for extensions that home-made CAs lack
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not validate:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _authorities(ca_pem: str) -> bytes:
    """The certificates without what stands around them: ssl takes ASCII alone, and no bytes for the system's store."""
    try:
        found = certificates(ca_pem)
    except InvalidValue:
        found = b""
    if not found:
        raise ssl.SSLError("no certificate")
    return found
