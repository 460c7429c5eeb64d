# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Would a rebirth find the cluster's state, in Vault and in the anchor? Private."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_home import VaultHome

KEPT, UNBORN, NO_COPY, OTHER_COPY, WAITS, UNREAD = "kept", "unborn", "no_copy", "other_copy", "waits", "unread"
FAILING: t.Final = frozenset({NO_COPY, OTHER_COPY, WAITS, UNREAD})


@dataclass(frozen=True)
class StateHealth:
    """How it stands with one copy of the state."""

    place: str
    state: str
    text: str

    @property
    def failing(self) -> bool:
        return self.state in FAILING

    @property
    def line(self) -> str:
        return f"state: {self.place}: {self.text}"

    def as_dict(self) -> dict[str, t.Any]:
        return {"name": "state", "place": self.place, "state": self.state, "failing": self.failing, "text": self.text}


def state_health(state: State) -> Iterator[StateHealth]:
    """What a rebirth would find. Nothing is told of a state that is kept in its directory alone."""
    home = state.home
    if not isinstance(home, VaultHome):
        return
    place = state.place(SECRETS)
    try:
        if home.away:
            yield StateHealth(place, UNREAD, str(home.away))
            return
        content = state.read(SECRETS)
    except BootstrapError as error:
        yield StateHealth(place, UNREAD, str(error))
        return
    if content is None:
        yield StateHealth(place, UNBORN, "no cluster was born yet")
        return
    if home.unstored.read(SECRETS) is not None:
        yield StateHealth(place, WAITS, "it waits to be stored in Vault; the next run of site.yml does that")
    else:
        yield StateHealth(place, KEPT, "there")
    yield copy_health(home, content)


def copy_health(home: VaultHome, content: bytes) -> StateHealth:
    """Whether the anchor's copy, which is read while Vault is away, is there and the same."""
    command = home.filling()
    try:
        copy = home.copy()
    except BootstrapError as error:
        return StateHealth("the anchor", UNREAD, str(error))
    if copy.content is None:
        text = f"no copy of secrets.yaml, which is read while Vault is away. It is never written here. {command}"
        return StateHealth("the anchor", NO_COPY, text)
    if copy.content.strip() != content.strip():
        return StateHealth(copy.place, OTHER_COPY, f"another secrets.yaml than Vault's. To take Vault's: {command}")
    return StateHealth(copy.place, KEPT, "the same")
