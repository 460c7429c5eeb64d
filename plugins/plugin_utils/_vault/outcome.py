# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outcome of asking Vault, success or failure, as it is shared in a run. Private."""

from __future__ import annotations

import json
import typing as t
from dataclasses import asdict, dataclass, field

OK: t.Final = "ok"


@dataclass(frozen=True)
class TokenReport:
    """What a user may know about the token; its value is not among it."""

    source: str
    known: bool = False
    ttl: int | None = None
    expires_at: str | None = None
    dies_at: str | None = None
    renewable: bool | None = None
    period: int | None = None
    policies: tuple[str, ...] = ()
    renewed: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """C(reason) is C(ok), or the name of the failure; C(message) then says what was tried and what to do next."""

    reason: str
    message: str = ""
    reachable: bool = False
    data: dict[str, t.Any] | None = field(default=None, repr=False)
    version: int | None = None
    created: int | None = None
    deletion_time: str | None = None  # when Vault will delete this version by itself
    token: TokenReport | None = None
    warnings: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Outcome:
        fields = json.loads(text)
        token = fields.pop("token")
        if token is not None:
            token = TokenReport(**{**token, "policies": tuple(token["policies"]), "warnings": tuple(token["warnings"])})
        return cls(**{**fields, "warnings": tuple(fields["warnings"])}, token=token)
