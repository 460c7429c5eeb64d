# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of token one is, whether it is the narrow periodic one asked for, and when it dies. Pure, private."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import (
    WARN_BELOW,
    TokenHealth,
    iso,
    token_health,
    vault_time,
)

# A clock that is off by less than this does not matter to anybody.
CLOCK_TOLERANCE: t.Final = timedelta(seconds=60)


@dataclass(frozen=True)
class TokenSpec:
    """What a token has to be: issued through this role, with these policies alone, periodic."""

    role: str
    policies: tuple[str, ...]
    period: int
    proof: str


@dataclass(frozen=True)
class TokenFacts:
    """What Vault says of a token. Points in time are by Vault's own clock, whatever the clock here says."""

    accessor: str
    orphan: bool
    kind: str
    health: TokenHealth
    clock_off: timedelta | None
    role: str = ""

    @property
    def says(self) -> str:
        """When it dies, in one sentence."""
        health = self.health
        if health.expires_at is None:
            return "never dies"
        if not health.renewable:
            return f"dies on {iso(health.expires_at)}, since it cannot be renewed"
        text = f"dies on {iso(health.expires_at)} unless renewed"
        if health.dies_at is not None:
            text += f", and on {iso(health.dies_at)} even if renewed, since {health.dies_by}"
        return text

    @property
    def periodic(self) -> bool:
        return self.health.period > 0 and self.health.dies_at is None

    @property
    def dying(self) -> bool:
        """It dies within a week, renewed or not."""
        health = self.health
        if health.dies_at is None or health.expires_at is None:
            return False
        now = health.expires_at - timedelta(seconds=health.ttl)
        return (health.dies_at - now).total_seconds() < WARN_BELOW

    def issued_for(self, spec: TokenSpec) -> bool:
        """Whether it was issued for what is asked for, fit or not: through that role, or else with those policies."""
        return self.role == spec.role if self.role else set(self.health.policies) == set(spec.policies)

    def unfit(self, spec: TokenSpec) -> list[str]:
        """Why it is not the token that was asked for."""
        health = self.health
        checks = (
            ("root" in health.policies, "it is a root token"),
            (set(health.policies) != set(spec.policies), f"its policies are {', '.join(health.policies) or 'none'}"),
            (not self.orphan, "it has a parent, with which it dies"),
            (health.period <= 0, "it is not periodic"),
            (
                0 < health.period < spec.period,
                f"its period is {health.period} s, and {spec.period} s were asked for",
            ),
            (health.dies_at is not None, "it dies even if renewed"),
            (not health.renewable, "it cannot be renewed"),
            (self.kind != "service", f"it is a {self.kind} token"),
            (health.uses > 0, "the number of its uses is limited"),
        )
        return [reason for wrong, reason in checks if wrong]

    def warnings(self) -> list[str]:
        return [*self._cap(), *self._clock()]

    def _cap(self) -> list[str]:
        """A period that its role or the server shortens is still shown as it was asked for."""
        health = self.health
        if not health.period or health.span >= health.period:
            return []
        warning = (
            f"A token must be renewed within {health.span} s, not {health.period} s: its token role, or the server's "
            "maximum TTL, shortens its period."
        )
        return [warning]

    def _clock(self) -> list[str]:
        if self.clock_off is None or abs(self.clock_off) <= CLOCK_TOLERANCE:
            return []
        seconds = int(abs(self.clock_off).total_seconds())
        direction = "behind" if self.clock_off > timedelta() else "ahead of"
        warning = (
            f"The clock of this machine is {seconds} s {direction} Vault's. Dates here are by Vault's clock; correct "
            "this machine's (TLS certificates depend on it)."
        )
        return [warning]

    def as_dict(self) -> dict[str, t.Any]:
        health = self.health
        return {
            "accessor": self.accessor,
            "orphan": self.orphan,
            "type": self.kind,
            "policies": list(health.policies),
            "ttl": health.ttl,
            "period": health.period,
            "renewable": health.renewable,
            "expires_at": iso(health.expires_at),
            "dies_at": iso(health.dies_at),
            "says": self.says,
        }


def token_facts(data: Mapping[str, t.Any], now: datetime) -> TokenFacts | None:
    """Read the answer of C(lookup-self), received at C(now) by the clock here; None where it is none."""
    server = server_time(data)
    health = token_health(data, server or now)
    if health is None:
        return None
    return TokenFacts(
        accessor=str(data.get("accessor") or ""),
        orphan=data.get("orphan") is True,
        kind=str(data.get("type") or "service"),
        health=health,
        clock_off=None if server is None else server - now,
        role=str(data.get("role") or ""),
    )


def server_time(data: Mapping[str, t.Any]) -> datetime | None:
    """Vault's own time: it says both when the token expires and how many seconds that is away."""
    ttl, expires = data.get("ttl"), vault_time(data.get("expire_time"))
    if expires is None or isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or ttl <= 0:
        return None
    return expires - timedelta(seconds=int(ttl))
