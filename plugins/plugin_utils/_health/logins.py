# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do the cluster's service accounts get into Vault? Tried with its own signing key, before it exists, too. Private."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.keys import SigningKey
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.vault import VaultTokens
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import accounts_key
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.login import LOGIN_REFUSED
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.jwt import Logins, Role, try_login

WORKS, REFUSED, UNKNOWN = "works", "refused", "unknown"
_UNMADE: t.Final = (
    "the cluster's secrets are not made yet, and its service accounts' key with them: tazlab.bootstrap.publish makes "
    "them ahead"
)


@dataclass(frozen=True)
class LoginHealth:
    """How it stands with the logins of a role: C(state) in a word, C(text) in a sentence."""

    place: str
    role: str
    state: str
    text: str

    @property
    def failing(self) -> bool:
        """What cannot be told, as while Vault is away or the secrets are not made, is not a failure."""
        return self.state == REFUSED

    @property
    def line(self) -> str:
        return f"login {self.place} as {self.role}: {'' if self.state == WORKS else f'{self.state}: '}{self.text}"

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "name": f"login {self.role}",
            "place": self.place,
            "state": self.state,
            "failing": self.failing,
            "text": self.text,
        }


def login_health(vault: VaultTokens, logins: Logins, state: State) -> Iterator[LoginHealth]:
    """Try each role once."""
    key, why = _key(state)
    for role in logins.roles:
        place = f"auth/{logins.mount} of {role.accounts[0]}"
        if key is None:
            yield LoginHealth(place, role.name, UNKNOWN, why)
            continue
        try:
            text = vault.ask(partial(try_login, logins=logins, role=role, key=key))
            yield LoginHealth(place, role.name, WORKS, text)
        except BootstrapError as error:
            yield _failed(place, role, error)


def _key(state: State) -> tuple[SigningKey | None, str]:
    """The cluster's key, or why it is not known. A state that cannot be read says nothing of a login."""
    try:
        content = state.read(SECRETS)
        return (accounts_key(content, state.place(SECRETS)), "") if content is not None else (None, _UNMADE)
    except BootstrapError as error:
        return None, str(error)


def _failed(place: str, role: Role, error: BootstrapError) -> LoginHealth:
    if error.code != "other_policies" and error.status not in LOGIN_REFUSED:
        return LoginHealth(place, role.name, UNKNOWN, str(error))
    text = (
        f"{error}. To set it up: tazlab.bootstrap.publish --tags jwt" if error.code == "login_refused" else str(error)
    )
    return LoginHealth(place, role.name, REFUSED, text)
