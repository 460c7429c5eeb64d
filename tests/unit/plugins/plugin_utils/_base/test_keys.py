# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys are told apart whatever their text, and sign what others verify."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.keys import SigningKey, fingerprint

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
OLD = (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())  # as talosctl writes them


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize(("key", "algorithm"), [(EC, "ES256"), (RSA, "RS256")])
def test_a_token_is_verified_by_the_public_half(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, algorithm: str
) -> None:
    signer = SigningKey(key.private_bytes(*OLD))
    header, body, signature = signer.sign({"sub": "system:serviceaccount:a:b", "aud": ["vault"]}).split(".")
    assert json.loads(decoded(header)) == {"alg": algorithm, "typ": "JWT"}
    assert json.loads(decoded(body)) == {"sub": "system:serviceaccount:a:b", "aud": ["vault"]}
    public = load_pem_public_key(signer.public_pem.encode())
    text, raw = f"{header}.{body}".encode(), decoded(signature)
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(raw, text, padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        assert len(raw) == 64
        der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public.verify(der, text, ec.ECDSA(hashes.SHA256()))
        with pytest.raises(InvalidSignature):
            public.verify(der, text + b"x", ec.ECDSA(hashes.SHA256()))


def test_nothing_shows_the_private_half() -> None:
    signer = SigningKey(EC.private_bytes(*OLD))
    secret = EC.private_bytes(*OLD).decode().splitlines()[1]
    assert secret not in repr(signer) + str(vars(signer)) + signer.public_pem


def test_what_cannot_sign_is_refused_without_a_word_of_it() -> None:
    for pem, why in (
        (b"canary", "is not a private key in PEM"),
        (EC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")), "without a passphrase"),
        (ec.generate_private_key(ec.SECP384R1()).private_bytes(*OLD), "neither an RSA key nor an EC key on the curve"),
        (
            ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "neither an RSA key",
        ),
    ):
        with pytest.raises(InvalidValue, match=why) as raised:
            SigningKey(pem)
        assert "canary" not in str(raised.value)


def test_a_key_has_one_fingerprint_however_it_is_written() -> None:
    public = RSA.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    old = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()
    prints = {fingerprint(each) for each in (pem, pem.strip(), f"\n{pem}\n\n", pem.replace("\n", "\r\n"), old)}
    assert prints == {fingerprint(SigningKey(RSA.private_bytes(*OLD)).public_pem)}
    assert fingerprint(SigningKey(EC.private_bytes(*OLD)).public_pem) not in prints
    assert fingerprint("no key") != fingerprint("another one")
