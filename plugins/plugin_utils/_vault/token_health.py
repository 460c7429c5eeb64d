# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long Vault's token lives, whether it should be renewed now, and when renewing will not save it. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import isnan

DAY: t.Final = 86400
WARN_BELOW: t.Final = 7 * DAY
# Vault's and OpenBao's own max_lease_ttl; a server or mount may be set otherwise, and the token cannot ask which.
DEFAULT_MAX_TTL: t.Final = 768 * 3600
# Longer than anybody waits, and what a date can still hold.
LONGEST: t.Final = 1000 * 365 * DAY


@dataclass(frozen=True)
class TokenHealth:
    """What C(lookup-self) said. All times are seconds; points in time are UTC."""

    ttl: int
    creation_ttl: int
    period: int
    renewable: bool
    policies: tuple[str, ...]
    uses: int
    expires_at: datetime | None
    dies_at: datetime | None
    dies_by: str
    renewed: bool = False

    @property
    def span(self) -> int:
        """For how long a renewal lasts: a shorter TTL than the period means that something caps the period."""
        return min(self.period, self.creation_ttl) if self.period and self.creation_ttl else self.creation_ttl

    @property
    def renewal_due(self) -> bool:
        """Less than half of the period, or of the TTL it was made with, is left."""
        return self.renewable and 0 < self.ttl < self.span / 2


def token_health(data: Mapping[str, t.Any], now: datetime) -> TokenHealth | None:
    """Read the answer of C(lookup-self); None where it is none."""
    ttl, creation_ttl = _seconds(data.get("ttl")), _seconds(data.get("creation_ttl"))
    if ttl is None or creation_ttl is None:
        return None
    period = _seconds(data.get("period")) or 0
    explicit = _seconds(data.get("explicit_max_ttl")) or 0
    policies = data.get("policies")
    expires_at = now + timedelta(seconds=ttl) if ttl else None
    issued = _seconds(data.get("creation_time"))
    dies_at, dies_by = None, ""
    if expires_at and data.get("renewable") is not True:
        dies_at, dies_by = expires_at, "it cannot be renewed"
    elif issued is not None and explicit:
        dies_at, dies_by = _moment(issued + explicit), "its maximum TTL ends"
    elif issued is not None and expires_at and not period:
        dies_at = max(_moment(issued + DEFAULT_MAX_TTL), expires_at)
        # A period that only the token's role sets is not shown by lookup-self.
        unknown = "unless its token role makes it periodic" if data.get("role") else "it is not periodic, and"
        dies_by = f"{unknown} Vault's default maximum TTL of 768 h ends"
    return TokenHealth(
        ttl=ttl,
        creation_ttl=creation_ttl,
        period=period,
        renewable=data.get("renewable") is True,
        policies=tuple(str(policy) for policy in policies) if isinstance(policies, list) else (),
        uses=_seconds(data.get("num_uses")) or 0,
        expires_at=expires_at,
        dies_at=dies_at,
        dies_by=dies_by,
    )


def renewed(health: TokenHealth, auth: Mapping[str, t.Any], now: datetime) -> TokenHealth:
    """The health after C(renew-self), which answers with the new TTL.

    A shorter one than asked for proves the end, unless the token is periodic: a cap on its period comes each time.
    """
    ttl = _seconds(auth.get("lease_duration")) or health.ttl
    expires_at = now + timedelta(seconds=ttl)
    dies_at, dies_by = health.dies_at, health.dies_by
    periodic = health.period and health.dies_at is None
    if not periodic and ttl < health.creation_ttl:
        dies_at, dies_by = expires_at, "Vault did not renew it for its whole TTL, since its maximum TTL ends"
    elif dies_at:
        dies_at = max(dies_at, expires_at)
    return replace(health, ttl=ttl, expires_at=expires_at, dies_at=dies_at, dies_by=dies_by, renewed=True)


def health_warnings(health: TokenHealth, now: datetime) -> list[str]:
    """What a person should know before it is too late."""
    warnings = []
    if "root" in health.policies:
        warnings.append("Vault's token is a root token: it may do everything. Use the scoped token.")
    if health.uses:
        warnings.append(f"Vault's token serves {health.uses} more requests, then it is gone.")
    if health.dies_at and (health.dies_at - now).total_seconds() < WARN_BELOW:
        warnings.append(
            f"Vault's token dies on {iso(health.dies_at)}, renewed or not: {health.dies_by}. Rotate it now."
        )
    elif health.expires_at and health.ttl < WARN_BELOW and not (health.renewable and _soon_renewed(health)):
        warnings.append(f"Vault's token dies on {iso(health.expires_at)} unless it is renewed before.")
    return warnings


def _soon_renewed(health: TokenHealth) -> bool:
    """A token whose whole life is shorter than the warning's limit would be warned about at each start."""
    return health.span <= WARN_BELOW and not health.renewal_due


def vault_time(value: t.Any) -> datetime | None:
    """A time as Vault writes it: to the nanosecond, of which whole seconds are kept, in the server's zone."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC).replace(microsecond=0) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def iso(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _seconds(value: t.Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, float) and isnan(value)):
        return None
    return int(max(-LONGEST, min(value, LONGEST)))


def _moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
