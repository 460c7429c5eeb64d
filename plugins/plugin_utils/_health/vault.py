# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the health report asks of Vault: how the tokens that it issues fare, and whether they may do what they are for.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, Untried
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.report import (
    ALIVE,
    DEAD,
    NOT_RENEWED,
    TOO_WIDE,
    UNKNOWN,
    TokenState,
    judged,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK, Outcome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import IN_ANCHOR, NoVault, VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import TokenFacts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import WARN_BELOW, vault_time
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_look import (
    Life,
    look_at,
    look_up,
    renew,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_stores import FileStore

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

_Result = t.TypeVar("_Result")
# What is said of a Vault that cannot be asked about the ESO reader's token, in a cell of the report's table.
_CLOSED: t.Final = {"sealed": "Vault is sealed", "not_initialised": "Vault is not initialised"}


@dataclass(frozen=True)
class VaultTokens:
    """The tokens that Vault issues: the bootstrap token, the ESO reader's, and that of a state in Vault."""

    settings: VaultSettings | NoVault
    outcome: Outcome  # of reading the bundle
    timeout: float
    renew: bool

    def states(self, eso_field: str, eso: Found | None) -> list[TokenState]:
        """The kind and the life of both tokens; renewed when that was asked for."""
        settings = self.settings
        if isinstance(settings, NoVault):
            return [TokenState("bootstrap token", UNKNOWN, settings.message)]
        if settings.login:
            state = ALIVE if self.outcome.reason == OK else UNKNOWN
            text = "it opens the bundle" if state == ALIVE else self.outcome.message
            states = [TokenState(f"bootstrap {settings.token_source}", state, text)]
        else:
            states = [self._state(f"bootstrap token ({settings.token_source})", settings.token, is_bootstrap=True)]
        if eso:
            states.append(self._state(f"ESO reader's token ({eso_field})", eso.value))
        return states

    def of_the_state(self, settings: VaultSettings) -> TokenState:
        """The same for the token with which the cluster's state is read and written, which C(settings) have."""
        return self._state(f"state token ({settings.token_source})", settings.token)

    def _state(self, name: str, token: str, is_bootstrap: bool = False) -> TokenState:
        def work(vault: VaultAdmin) -> TokenState:
            facts, failure = None, ""
            if self.renew:
                try:
                    facts = renew(vault, token, name)
                except BootstrapError as error:
                    failure = str(error)
            facts = facts or look_up(vault, token, name)
            powers = _powers(vault, token, name) if is_bootstrap else []
            if powers and not (facts and "root" in facts.health.policies):
                text = f"{failure} it may also {'; '.join(powers)}. Use the scoped token.".strip()
                return TokenState(name, TOO_WIDE, text, facts)
            if facts is not None:
                return judged(name, facts, failure)
            look = look_at(vault, token, name, lambda *_unused: None)
            if is_bootstrap and look.life is Life.TOO_NARROW:
                return TokenState(name, NOT_RENEWED if failure else UNKNOWN, f"{failure} it {look.text}".strip())
            return TokenState(name, DEAD, f"it {look.text}. Rotate it.")

        try:
            return self.ask(work)
        except BootstrapError as error:
            return TokenState(name, NOT_RENEWED if self.renew else UNKNOWN, str(error))

    def eso_reader(self, path: str, field: str, token: str) -> str:
        """The ESO reader's token looks itself up and may read what it is for, below the path."""
        settings = self.settings
        if isinstance(settings, NoVault):
            raise Untried(settings.message)
        proof = f"{settings.mount_point}/data/{path}/proof"

        def work(vault: VaultAdmin) -> TokenFacts | None:
            facts = look_up(vault, token, field)
            if facts is not None:
                with vault.as_token(token, field) as own:
                    own.read(proof, "Reading as the ESO reader")
            return facts

        try:
            facts = self.ask(work)
        except BootstrapError as error:
            if error.status == 403:
                raise
            answered = f"Vault answered with HTTP {error.status}" if error.status else "Vault does not answer"
            raise Untried(_CLOSED.get(error.code, answered)) from None
        if facts is None:
            raise BootstrapError(
                f"Vault at {settings.address} refuses this token (403): it has died, was revoked, is of another Vault, "
                "or may not look itself up, by which ESO validates its store. Rotate it: tazlab.bootstrap.rotate with "
                f"tazlab_rotate={field}.",
                code="forbidden_token",
                status=403,
            )
        return facts.says

    def copy_drift(self, anchor: Path) -> list[str]:
        """How the anchor's own copy of the bootstrap token differs from the one in use, as after every rotation."""
        token = FileStore(anchor / IN_ANCHOR).read()
        if isinstance(self.settings, NoVault) or self.settings.login or token == self.settings.token:
            return []
        if token is None:
            return [f"bootstrap token: the anchor has no usable copy of it ({IN_ANCHOR})"]
        try:
            life = f"; it {self.ask(lambda vault: look_at(vault, token, IN_ANCHOR)).text}"
        except BootstrapError:
            life = ""  # the report says already that Vault does not answer
        return [f"bootstrap token: file {IN_ANCHOR} holds another one than {self.settings.token_source}{life}"]

    def ask(self, work: Callable[[VaultAdmin], _Result]) -> _Result:
        """Let the work ask Vault, unless it has given no answer before."""
        if isinstance(self.settings, NoVault) or not (self.outcome.reachable or self.outcome.reason == OK):
            raise BootstrapError(self.outcome.message, code=self.outcome.reason)
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded

        return bounded(self.settings, self.timeout, work)


def _powers(vault: VaultAdmin, token: str, name: str) -> list[str]:
    """What the bootstrap token may do beside its purpose. One that may not even ask is narrow."""
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.bundle import excess, telling_paths

    try:
        with vault.as_token(token, name) as own:
            return excess(vault.settings, own.capabilities(telling_paths(vault.settings)))
    except BootstrapError:
        return []


def ending(outcome: Outcome, now: datetime | None = None) -> str:
    """Whether Vault will delete the bundle by itself while nobody looks; as for tokens, a week is soon."""
    end = vault_time(outcome.deletion_time)
    if end is None or (end - (now or datetime.now(UTC))).total_seconds() >= WARN_BELOW:
        return ""
    return f"Vault will delete version {outcome.version} by itself on {outcome.deletion_time}"
