# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asymmetric keys in PEM: read, told apart, and signed with (JWS of RFC 7515). Pure, private.

Whoever signs never shows the key: no message and no representation has a part of it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import typing as t
from collections.abc import Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue

if t.TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LACKS_CRYPTOGRAPHY: t.Final = (
    "The Python package cryptography is not installed for the Python that runs ansible-playbook. "
    "Install it there: pip install cryptography"
)
HALF: t.Final = 32  # bytes of each half of an ES256 signature


class SigningKey:
    """A private key that signs JWTs: RSA (RS256), or EC on the curve P-256 (ES256)."""

    def __init__(self, pem: bytes) -> None:
        try:
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives.asymmetric import ec, rsa
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ImportError:
            raise BootstrapError(LACKS_CRYPTOGRAPHY) from None
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise InvalidValue("is not a private key in PEM that can be read without a passphrase") from None
        if not isinstance(key, rsa.RSAPrivateKey) and not (
            isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
        ):
            raise InvalidValue("is neither an RSA key nor an EC key on the curve P-256")
        self._key = key

    @property
    def public_pem(self) -> str:
        """The public half, without a last newline, as Vault gives it back."""
        return _pem(self._key.public_key())

    def sign(self, claims: Mapping[str, t.Any]) -> str:
        """A JWT with these claims."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

        is_rsa = isinstance(self._key, rsa.RSAPrivateKey)
        header = {"alg": "RS256" if is_rsa else "ES256", "typ": "JWT"}
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (header, dict(claims)))
        if isinstance(self._key, rsa.RSAPrivateKey):
            signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        else:
            halves = utils.decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
            signature = b"".join(half.to_bytes(HALF, "big") for half in halves)
        return f"{text}.{_encoded(signature)}"


def fingerprint(pem: str) -> str:
    """A short name for a public key, however its PEM is written; for that of the text where it is none that we know."""
    try:
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise BootstrapError(LACKS_CRYPTOGRAPHY) from None
    data = pem.strip().encode()
    try:
        key = x509.load_pem_x509_certificate(data).public_key() if b"CERTIFICATE" in data else load_pem_public_key(data)
        data = _pem(t.cast("RSAPublicKey", key)).encode()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        pass
    return f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"


def _pem(key: RSAPublicKey | EllipticCurvePublicKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
