# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads PEM, and tells a damaged block without a trace of its content in any message. Pure, private."""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import InvalidValue

_BEGIN: t.Final = re.compile(r"^\ufeff?-----BEGIN ([A-Z0-9][A-Z0-9 ]*)-----[ \t]*\r?$", re.MULTILINE)
_HEADER: t.Final = re.compile(r"[A-Za-z0-9-]+: ")
# Blocks whose content is DER, so that a damaged one can be told. Others (OpenSSH keys, PGP) need only be base64.
_DER_LABEL: t.Final = re.compile(
    r"CERTIFICATE|X509 CERTIFICATE|TRUSTED CERTIFICATE|CERTIFICATE REQUEST|NEW CERTIFICATE REQUEST|X509 CRL|PKCS7|CMS"
    r"|PUBLIC KEY|RSA PUBLIC KEY|(?:ENCRYPTED |RSA |EC |DSA |)PRIVATE KEY|(?:DH |EC |DSA )PARAMETERS"
)


def pem_blocks(text: str) -> list[tuple[str, bytes]]:
    """The label and content of each block of a PEM text, in order. What stands around the blocks may be anything."""
    blocks = []
    position = 0
    while begin := _BEGIN.search(text, position):
        label = begin.group(1)
        end = text.find(f"\n-----END {label}-----", begin.end())
        if end < 0:
            raise InvalidValue(f"has a PEM block {label} without its END line")
        body = text[begin.end() : end]
        if "-----" in body:
            raise InvalidValue(f"has a PEM block {label} without its END line")
        blocks.append((label, _pem_content(label, body)))
        position = end + len(label) + len("\n-----END -----")
    if not blocks:
        raise InvalidValue("holds no PEM block: no line reads -----BEGIN ...-----")
    return blocks


def certificates(text: str) -> bytes:
    """The DER of every certificate of a PEM text, one after the other. OpenSSL's own kind, TRUSTED, is none of them."""
    return b"".join(der for label, der in pem_blocks(text) if label in ("CERTIFICATE", "X509 CERTIFICATE"))


def _pem_content(label: str, body: str) -> bytes:
    lines = [line.strip() for line in body.splitlines()]
    encrypted = any(_HEADER.match(line) for line in lines)
    if encrypted:  # RFC 1421 headers end with an empty line
        while lines and (not lines[0] or _HEADER.match(lines[0])):
            lines.pop(0)
    try:
        content = base64.b64decode("".join(lines).encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValue(f"has a PEM block {label} that is not base64") from None
    if not content:
        raise InvalidValue(f"has a PEM block {label} without content")
    parts = [content]
    if label == "TRUSTED CERTIFICATE" and (certificate := _der_element(content, 0, len(content))):
        end = certificate[2]  # after it stands what OpenSSL adds: whom it is trusted for
        parts = [content[:end], content[end:]]
    if _DER_LABEL.fullmatch(label) and not encrypted and not all(map(_is_der, parts)):
        raise InvalidValue(f"has a PEM block {label} that is cut off or damaged")
    return content


def _is_der(content: bytes) -> bool:
    """Whether this is exactly one DER element, and everything in it, as deep as it goes, has the length it says."""
    pending = [(0, len(content))]
    first = True
    while pending:
        position, limit = pending.pop()
        while position < limit:
            element = _der_element(content, position, limit)
            if element is None:
                return False
            constructed, start, end = element
            if first and end != limit:
                return False
            first = False
            if constructed:
                pending.append((start, end))
            position = end
    return True


def _der_element(content: bytes, position: int, limit: int) -> tuple[bool, int, int] | None:
    """Whether the element at a position is constructed, and where its content starts and ends."""
    tag = content[position]
    position += 1
    if tag & 0x1F == 0x1F:
        while position < limit and content[position] & 0x80:
            position += 1
        position += 1
    if position >= limit:
        return None
    length = content[position]
    position += 1
    if length & 0x80:
        size = length & 0x7F
        if not 0 < size <= 4 or position + size > limit:
            return None
        length = int.from_bytes(content[position : position + size], "big")
        position += size
    end = position + length
    return (bool(tag & 0x20), position, end) if end <= limit else None
