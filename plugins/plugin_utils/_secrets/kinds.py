# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the value of a field is cleaned and checked, by its kind. Pure, without a trace of the value in any message.

Private: other collections must not import it.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.pem import pem_blocks

# What may surround a token: quotes of every sort, and marks that an editor, a mail or a browser leaves behind.
_AROUND: t.Final = (
    "\"'`\u00b4\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\ufeff\u200b\u200c\u200d\u2060\x00"
)
_PRINTABLE: t.Final = re.compile(r"[!-~]+")


def clean(field: Field, raw: str) -> str | None:
    """The value as the field's kind wants it, or None where it is empty or blank."""
    if not strip_token(raw):
        return None
    value = _CLEANERS[field.kind](field, raw)
    if field.pattern is not None and not re.fullmatch(field.pattern, value):
        raise InvalidValue(f"does not have the form {field.form or 'that its pattern asks for'}")
    return value


def same(field: Field, one: str, other: str) -> bool:
    """Whether two cleaned values mean the same: certificates by their content, a text but for its last newline."""
    meaning = _MEANINGS[field.kind]
    return bool(meaning(one) == meaning(other))


def strip_token(raw: str) -> str:
    """What remains of a token when blanks, quotes and byte order marks around it are cut away."""
    previous, value = None, raw
    while value != previous:
        previous, value = value, value.strip().strip(_AROUND)
    return value


def clean_token(raw: str) -> str:
    """A token on one line, without what surrounds it."""
    value = strip_token(raw)
    if not value:
        raise InvalidValue("is empty")
    if _PRINTABLE.fullmatch(value) and not re.search("[\"'`]", value):
        return value
    for pattern, reason in _TOKEN_FAULTS:
        if re.search(pattern, value):
            raise InvalidValue(reason)
    raise InvalidValue("holds a character that no token has")


_TOKEN_FAULTS: t.Final = (
    (r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", "has more than one line, and a token has one"),
    (r"\s", "holds a blank inside"),
    ("[\"'`]", "holds a quote inside"),
    (r"[\x00-\x1f\x7f]", "holds a control character inside"),
)


def _clean_base64key(field: Field, raw: str) -> str:
    value = clean_token(raw)
    length = decoded_length(value)
    if length is None:
        raise InvalidValue("is not base64 (standard alphabet, with padding)")
    if length != field.bytes:
        raise InvalidValue(f"decodes to {length} bytes, not to {field.bytes}")
    return value


def decoded_length(value: str) -> int | None:
    """The number of bytes that a base64 text stands for, or None if it is none."""
    try:
        return len(base64.b64decode(value.encode("ascii"), validate=True))
    except (binascii.Error, ValueError):
        return None


def _clean_text(field: Field, raw: str) -> str:
    if "\0" in raw:
        raise InvalidValue("holds a NUL character")
    return raw


def _clean_pem(field: Field, raw: str) -> str:
    if "\0" in raw:
        raise InvalidValue("holds a NUL character")
    pem_blocks(raw)
    return raw


_CLEANERS: t.Final[dict[str, t.Callable[[Field, str], str]]] = {
    "token": lambda field, raw: clean_token(raw),
    "base64key": _clean_base64key,
    "pem": _clean_pem,
    "text": _clean_text,
}

_MEANINGS: t.Final[dict[str, t.Callable[[str], t.Any]]] = {
    "token": str,
    "base64key": str,
    "pem": pem_blocks,
    "text": lambda value: value.rstrip("\r\n"),
}
