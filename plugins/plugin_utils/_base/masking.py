# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells ansible-core 2.22 and newer what to mask, in every form that it would not find by itself. Private.

It is a second line: nothing of ours is printed that it would have to mask.
"""

from __future__ import annotations

import base64
import typing as t
from collections.abc import Iterable, Iterator

SHORTEST: t.Final = 8


def register(values: Iterable[str]) -> None:
    """Have these values masked. Older versions of ansible-core have no such thing."""
    try:
        from ansible.module_utils.secrets import register_secret
    except ImportError:
        return
    for value in values:
        for form in sorted(set(_forms(value))):
            register_secret(form)


def _forms(value: str) -> Iterator[str]:
    """The value, its base64 with and without a last newline, and each line of a PEM's body; nothing short or public."""
    if len(value) < SHORTEST or _is_public(value):
        return
    bare = value.rstrip("\n")
    for text in (value, bare, f"{bare}\n"):
        yield text
        yield base64.b64encode(text.encode()).decode()
    for line in value.splitlines():
        if len(line) >= SHORTEST and not line.startswith("-----"):
            yield line


def _is_public(value: str) -> bool:
    return "-----BEGIN CERTIFICATE-----" in value and "PRIVATE KEY-----" not in value
