# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state in Vault: one secret of KV v2 at a path of its own, written by check-and-set, and read back.

While Vault is away, the copy in the anchor is read, and what is to be written waits in a private directory until it can
be stored. Nothing is ever written to the anchor. Private: other collections must not import it.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import keeper
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Provider
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import merged
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import (
    BIRTH,
    FACTS,
    KEPT,
    SECRETS,
    Directory,
    State,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import (
    rollback,
    take,
    undelete,
    vault_tool,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
    DELETED,
    LostRace,
    StoredBundle,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

# How the anchor knows the copy of secrets.yaml.
COPY: t.Final = Field("TALOS_SECRETS", kind="text", files=("talos-secrets.yaml",))
# Causes for which Vault may be back later, and until then the anchor answers. Others are mistakes, and told as such.
AWAY: t.Final = frozenset(
    (
        *("unresolved", "unresolved_now", "no_route", "refused", "closed", "timeout", "proxy", "quota"),
        *("sealed", "not_initialised", "unavailable"),
    )
)
SEEN: t.Final = (FACTS, BIRTH)
VERSION: t.Final = "version"  # of the secret in which they were seen
ATTEMPTS: t.Final = 3
LAG: t.Final = (0.1, 0.3, 1.0, 2.0)  # seconds for which a standby may not show yet what was written

# What is to be renewed after a birth with new secrets, in places that nobody here can reach.
REKEY: t.Final = (
    "kubeconfigs and talosconfigs that people or a CI hold are void: give out new ones",
    "auth mounts in Vault that trust the service accounts' key (jwt_validation_pubkeys) need the new one",
    "snapshots of etcd from before hold the old keys: keep them with the old secrets, they do not fit the new cluster",
    "the copy of the state in the anchor, where it turns up again, is of the cluster before: replace it",
)

_Result = t.TypeVar("_Result")


class Ask(t.Protocol):
    """Lets work talk to Vault within a time."""

    def __call__(self, work: Callable[[VaultAdmin], _Result]) -> _Result: ...


@dataclass(frozen=True)
class Copy:
    """What the anchor has of secrets.yaml; without a place, nothing. C(tried): where it was looked for."""

    content: bytes | None = field(default=None, repr=False)
    place: str = ""
    tried: tuple[str, ...] = ()


@dataclass
class VaultHome:
    """The home of one cluster's state. C(new_allowed): a birth with new secrets while no copy can be read is meant.

    C(unstored) holds what waits for Vault, C(seen) what Vault had last of all but the secrets. That is read while Vault
    is away, since what is only not seen must not pass for what is not there.
    """

    cluster: str
    settings: VaultSettings
    ask: Ask = field(repr=False)
    unstored: Directory
    seen: Directory
    anchor: Sequence[Provider] = field(default=(), repr=False)
    new_allowed: bool = False
    _stored: StoredBundle | None = field(default=None, repr=False)
    _away: BootstrapError | None = field(default=None, repr=False)
    _copy: Copy | None = field(default=None, repr=False)

    # ------------------------------------------------------------------------------------------------ reading

    @property
    def away(self) -> BootstrapError | None:
        """Why Vault does not answer, if it does not."""
        self._look()
        return self._away

    def read(self, name: str) -> bytes | None:
        waiting = self.unstored.read(name)
        if waiting is not None:
            return self._caught_up(name, waiting)
        stored = self._look()
        if stored is not None:
            value = stored.data.get(name)
            return str(value).encode() if value else None
        return self.copy().content if name == SECRETS else self.seen.read(name) or None

    def copy(self) -> Copy:
        """What the anchor has of secrets.yaml, asked once: a password store may ask its owner each time."""
        if self._copy is None:
            self._copy = self._found()
        return self._copy

    def _found(self) -> Copy:
        tried = []
        for provider in self.anchor:
            for attempt in provider.attempts(COPY):
                if attempt.problem:
                    raise BootstrapError(
                        f"The anchor's copy of the state, {attempt.provenance.label}: {attempt.problem}."
                    )
                if attempt.raw is not None and attempt.raw.strip():
                    return Copy(attempt.raw.encode(), attempt.provenance.place)
                tried.append(attempt.provenance.place or attempt.provenance.label)
        return Copy(tried=tuple(tried))

    def filling(self) -> str:
        """The command with which the anchor's owner takes the copy, which is never written here."""
        tool = vault_tool()
        return take(tool, self.settings, SECRETS, keeper(self.anchor, COPY.name, COPY.file_names)) + tool.line

    def place(self, name: str) -> str:
        return f"{name} in {self.settings.mount_point}/{self.settings.path} at Vault {self.settings.address}"

    def problem(self, state: State) -> Problem | None:
        """What keeps the state from being known: nobody may take a cluster that lives for one still to be born."""
        try:
            if self.read(SECRETS) is not None:
                return self._conflict()
            away = self.away
        except BootstrapError as error:
            return error.problem
        if away is not None:
            return None if self.new_allowed else self._unknown(away)
        left = Directory(state.directory)
        if left.read(SECRETS) is not None:
            return Problem(
                "not_moved",
                "tazlab_state",
                f"the cluster's state is to be in {self.settings.mount_point}/{self.settings.path} at Vault "
                f"{self.settings.address}, where there is none, and {left.place(SECRETS)} has one.",
                "Move it: ansible-playbook -i INVENTORY tazlab.bootstrap.move_state. Or, if it is not wanted any more, "
                "remove that file.",
            )
        return None

    def only_a_copy(self, state: State) -> Problem | None:
        """Whether the anchor alone still has the cluster's secrets, as where Vault was made anew."""
        if self.new_allowed or self.away is not None or self.copy().content is None:
            return None
        file = Directory(state.directory).place(SECRETS)
        return Problem(
            "only_a_copy",
            "tazlab_state",
            f"there is no {self.place(SECRETS)}, and the anchor ({self.copy().place}) has the cluster's secrets. "
            "Nothing was made: new secrets would lock you out of the machines that have these.",
            f"Put them back: as {file} (mode 0600), then ansible-playbook -i INVENTORY tazlab.bootstrap.move_state. "
            "Or, where no machine of the cluster is left, remove the copy, or say so: "
            f"-e tazlab_new_secrets={self.cluster}",
        )

    # ------------------------------------------------------------------------------------------------ writing

    def create(self, name: str, content: bytes) -> bool:
        if self.away is not None:
            problem = None if self.new_allowed or name != SECRETS else self._unknown(self.away)
            if problem:
                raise BootstrapError(problem.text, code=problem.code)
            self.unstored.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self.unstored.create(name, content)
        return self._store(name, content, only_new=True)

    def replace(self, name: str, content: bytes) -> None:
        if self.away is not None:
            self.unstored.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.unstored.replace(name, content)
        else:
            self._store(name, content)

    def remove(self, name: str) -> None:
        if self.away is not None:
            if self.read(name) is not None:  # what was never seen is not known to be gone
                self.replace(name, b"")  # an empty file says that it is gone
        elif self.read(name) is not None:
            self._store(name, None)

    def catch_up(self) -> list[str]:
        """Store what could not be stored before, and return its names. Nothing is lost where Vault is still away."""
        names = [name for name in KEPT if self.unstored.read(name) is not None]
        if self.away is not None:
            return []
        conflict = self._conflict()
        if conflict:
            raise BootstrapError(conflict.text, code=conflict.code)
        kept = {name: self._caught_up(name, self.unstored.read(name) or b"") for name in names}
        for name, content in kept.items():
            self._store(name, content)
            self.unstored.remove(name)
        self._note_seen()
        return names

    def _note_seen(self) -> None:
        """Keep what Vault has, unless something waits that was noted on the ground of what was kept before."""
        stored = self._look()
        if stored is None or any(self.unstored.read(name) is not None for name in SEEN):
            return
        had = {name: str(stored.data.get(name) or "").encode() for name in SEEN} | {VERSION: b"%d" % stored.version}
        for name, content in had.items():
            if self.seen.read(name) != content:
                self.seen.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.seen.replace(name, content)

    def _caught_up(self, name: str, waiting: bytes) -> bytes | None:
        """What is to be kept of what waits, when Vault has something else by now."""
        stored = self._look()
        if stored is None or name == SECRETS:
            return waiting or None
        before = str(stored.data.get(name) or "").encode()
        if name == FACTS:
            return merged(before, waiting, self.seen.read(name)) if before and waiting else waiting or before or None
        seen = self.seen.read(VERSION)
        if seen is None:
            later = (stored.created or 0.0) > (self.unstored.path / name).stat().st_mtime
        else:
            later = seen != b"%d" % stored.version
        return (before if later else waiting) or None

    def _store(self, name: str, content: bytes | None, *, only_new: bool = False) -> bool:
        """Write one value beside the others; whether that was done. What was written is read back."""
        doing = f"Storing {self.place(name)}"

        def work(vault: VaultAdmin) -> StoredBundle | None:
            for _attempt in range(ATTEMPTS):
                stored = self._whole(vault.stored(doing))
                if only_new and stored.data.get(name):
                    return None
                values = {key: value for key, value in stored.data.items() if key != name}
                values |= {name: content.decode()} if content is not None else {}
                if values == stored.data:
                    return stored
                try:
                    version = vault.write_bundle(values, stored.version, doing)
                except LostRace:
                    continue
                return self._read_back(vault, version, values, doing)
            raise BootstrapError(f"{doing}: somebody else writes there at the same time. Run this again.")

        stored = self.ask(work)
        self._stored = stored or None
        self._note_seen()
        return stored is not None

    def _read_back(self, vault: VaultAdmin, version: int, values: t.Mapping[str, t.Any], doing: str) -> StoredBundle:
        """What was written, once Vault shows it. Who may write and not read would lose the cluster without noticing."""
        for pause in (*LAG, None):
            stored = vault.stored(doing)
            if stored.version >= version or pause is None:
                break
            time.sleep(pause)
        if stored.version != version or stored.data != values:
            raise BootstrapError(f"{doing}: what Vault gives back is not what was written. Run this again.")
        return stored

    # ------------------------------------------------------------------------------------------------ looking

    def _look(self) -> StoredBundle | None:
        """What Vault has, asked once; None while it is away."""
        if self._stored is None and self._away is None:
            try:
                self._stored = self.ask(lambda vault: self._whole(vault.stored("Reading the cluster's state")))
            except BootstrapError as error:
                if error.code not in AWAY:
                    raise
                self._away = error
        return self._stored

    def _whole(self, stored: StoredBundle) -> StoredBundle:
        """Raise where a version was deleted: it may be all that there is of the cluster's identity."""
        place = f"{self.settings.mount_point}/{self.settings.path}"
        if not stored.mounted:
            raise BootstrapError(
                f"There is no secrets engine {self.settings.mount_point}/ in Vault, where the cluster's state is to "
                "be. Correct tazlab_vault_mount_point, or set Vault's side up: ansible-playbook -i INVENTORY "
                "tazlab.bootstrap.publish"
            )
        if stored.gone:
            tool = vault_tool()
            way = undelete(tool, self.settings, stored.version)
            if stored.gone != DELETED:
                way = rollback(tool, self.settings, max(1, stored.version - 1))
            raise BootstrapError(
                f"The newest version of the cluster's state, {stored.version} of {place}, is {stored.gone}. It holds "
                f"the cluster's identity. Bring it back, with a token that may:\n    {way}{tool.line}"
            )
        return stored

    def _conflict(self) -> Problem | None:
        """Two sets of secrets, of which one is the living cluster's."""
        waiting, stored = self.unstored.read(SECRETS), self._look()
        kept = stored.data.get(SECRETS) if stored else None
        if waiting is None or not kept or str(kept).encode() == waiting:
            return None
        return Problem(
            "two_states",
            "tazlab_state",
            f"{self.unstored.place(SECRETS)}, which was made while Vault was away, and {self.place(SECRETS)} are "
            "different secrets. Those with which the machines were born are the cluster's.",
            "If those are in the file, put them into Vault's place yourself, and remove the file; if those are in "
            "Vault, remove the file.",
        )

    def _unknown(self, away: BootstrapError) -> Problem:
        tried = ", ".join(self.copy().tried)
        renewed = "".join(f"\n    - {each}" for each in REKEY)
        return Problem(
            "state_unknown",
            "tazlab_state",
            f"the cluster's state cannot be read: {away} Nor is there a copy of it (tried: {tried or 'no anchor'}). A "
            "cluster that lives cannot be managed without it.",
            "Bring Vault or the copy back. Where no machine of the cluster is left, it can be born with new secrets: "
            f"-e tazlab_new_secrets={self.cluster}. Then:{renewed}",
        )
