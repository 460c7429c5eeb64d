# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Vault says of a token, asked with that token itself or by the operator. Private."""

from __future__ import annotations

import enum
import typing as t
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.causes import VaultFailure
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import TokenFacts, token_facts

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

LOOKUP: t.Final = "auth/token/lookup"


class Life(enum.Enum):
    """Whether a token lives, as far as Vault tells. The values are what users compare."""

    ALIVE = "alive"
    TOO_NARROW = "too narrow"  # it lives, and may not look itself up
    REFUSED = "dead"
    ABSENT = "absent"


@dataclass(frozen=True)
class Look:
    """What came of a look at a token."""

    life: Life
    facts: TokenFacts | None = None

    @property
    def alive(self) -> bool:
        return self.life in (Life.ALIVE, Life.TOO_NARROW)

    @property
    def text(self) -> str:
        return self.facts.says if self.facts else _TEXTS[self.life]


_TEXTS: t.Final = {
    Life.TOO_NARROW: "lives, since it reads the bundle, but may not look itself up: nobody can tell when it dies",
    Life.REFUSED: "is refused by Vault: it has died, was revoked, or may neither look itself up nor read the bundle",
    Life.ABSENT: "is not there",
}


class CannotTell(BootstrapError):
    """Nobody who asks may look a token up: it may be dead, or alive."""


def look_up(vault: VaultAdmin, token: str, source: str) -> TokenFacts | None:
    """What Vault says of a token, asked with that token itself; None where that is refused: dead, or too narrow."""
    with vault.as_token(token, source) as own:
        try:
            data = own.request(lambda client: client.auth.token.lookup_self()).get("data")
        except VaultFailure as failure:
            if failure.reason == "forbidden":
                return None
            raise own.error(failure, f"Looking up the token of {source}", "read auth/token/lookup-self") from None
    return _facts(data)


def reads_bundle(vault: VaultAdmin, token: str, source: str, path: str | None = None) -> bool:
    """Whether a token that may not look itself up lives after all: it may read what it is for (the bundle)."""
    place = path or vault.settings.secret_path
    with vault.as_token(token, source) as own:
        try:
            own.request(lambda client: client.read(place))
        except VaultFailure as failure:
            if failure.reason not in ("forbidden", "not_found"):
                raise own.error(failure, f"Reading with the token of {source}", f"read {place}") from None
            return failure.reason == "not_found"
    return True


def look_at(
    vault: VaultAdmin,
    token: str,
    source: str,
    work: Callable[[VaultAdmin, str, str], TokenFacts | None] = look_up,
) -> Look:
    """Look at a token with itself; C(work) may renew it first. One that Vault refuses is tried on the bundle."""
    facts = work(vault, token, source)
    if facts is not None:
        return Look(Life.ALIVE, facts)
    return Look(Life.TOO_NARROW if reads_bundle(vault, token, source) else Life.REFUSED)


def find(vault: VaultAdmin, token: str, source: str) -> TokenFacts | None:
    """As C(look_up), and the operator asks where the token may not. None: Vault does not know it."""
    facts = look_up(vault, token, source)
    if facts is not None:
        return facts
    if vault.capabilities([LOOKUP])[LOOKUP].isdisjoint({"update", "root"}):
        raise CannotTell(
            f"Whether the token of {source} lives cannot be told: Vault refuses to let it look itself up, and the "
            f"operator's token ({vault.settings.token_source}) lacks update on {LOOKUP}."
        )
    try:
        data = vault.request(lambda client: client.write_data(LOOKUP, data={"token": token})).get("data")
    except VaultFailure as failure:
        if failure.reason in ("forbidden", "not_found"):
            return None
        raise vault.error(failure, f"Looking up the token of {source}", f"write {LOOKUP}") from None
    return _facts(data)


def _facts(data: t.Any) -> TokenFacts | None:
    return token_facts(data if isinstance(data, dict) else {}, datetime.now(UTC))


def renew(vault: VaultAdmin, token: str, source: str) -> TokenFacts | None:
    """Renew a token with itself, and look it up again."""
    with vault.as_token(token, source) as own:
        try:
            own.request(lambda client: client.auth.token.renew_self())
        except VaultFailure as failure:
            doing = f"Renewing the token of {source}"
            raise own.error(failure, doing, "write auth/token/renew-self") from None
    facts = look_up(vault, token, source)
    return replace(facts, health=replace(facts.health, renewed=True)) if facts else None
