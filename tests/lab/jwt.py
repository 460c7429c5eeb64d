# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs JWTs as a CI's issuer does, or a cluster with the key of its service accounts (RFC 7515, ES256 and RS256)."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


class Issuer:
    """A key, by default a new one, and the tokens that it signs."""

    def __init__(self, private_pem: bytes | None = None) -> None:
        key = serialization.load_pem_private_key(private_pem, None) if private_pem else None
        assert key is None or isinstance(key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey))
        self._key = key or ec.generate_private_key(ec.SECP256R1())

    @property
    def public_pem(self) -> str:
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()

    @property
    def private_pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )

    def sign(self, *, lives: int = 300, **claims: Any) -> str:
        """A JWT with these claims that expires in so many seconds."""
        now = int(time.time())
        header = {"alg": "ES256" if isinstance(self._key, ec.EllipticCurvePrivateKey) else "RS256", "typ": "JWT"}
        body = {"iat": min(now, now + lives), "nbf": min(now, now + lives), "exp": now + lives, **claims}
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (header, body))
        return f"{text}.{_encoded(self._signature(text.encode()))}"

    def _signature(self, text: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        halves = decode_dss_signature(self._key.sign(text, ec.ECDSA(hashes.SHA256())))
        return b"".join(half.to_bytes(32, "big") for half in halves)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
