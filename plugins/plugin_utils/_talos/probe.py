# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a Talos node asks for a client certificate, as it does once it is configured. Private.

talosctl cannot be relied on to tell: with TLS 1.3 the node refuses after the handshake, while gRPC is already writing,
and the connection's reset may overtake the refusal. Who only listens after the handshake always hears it.
"""

from __future__ import annotations

import socket
import ssl
import time
import typing as t

PORT: t.Final = 50000

# What OpenSSL calls the alerts with which a server turns away who shows no certificate: TLS 1.3's, and older ones.
_REFUSALS: t.Final = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "HANDSHAKE_FAILURE")


def asks_for_certificate(address: str, timeout: float, port: int = PORT) -> bool:
    """Connect as a stranger, say nothing, and listen. False also where nothing answers within C(timeout) seconds."""
    deadline = time.monotonic() + timeout
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # A node without configuration shows a certificate that nobody signed. Nothing is sent to it.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((address, port), timeout) as connection,
            context.wrap_socket(connection, server_hostname=address) as tls,
        ):
            tls.settimeout(max(0.1, deadline - time.monotonic()))
            tls.recv(1)
    except ssl.SSLError as error:
        return any(refusal in (error.reason or "") for refusal in _REFUSALS)
    except OSError:
        return False
    return False
