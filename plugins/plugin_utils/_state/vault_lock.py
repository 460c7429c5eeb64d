# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the run that is at work on a cluster, in Vault: for runs on other machines, beside the local one.

One secret of KV v2 with a single version, written by check-and-set. The run that holds it writes it anew now and then,
so that its age, by Vault's own clock, tells whether that run lives. Private: other collections must not import it.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import duration
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.run_record import (
    RunRecord,
    Standing,
    process_start,
    standing,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import LostRace

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

LOCK: t.Final = "lock"  # below the state's own path
RECORD: t.Final = "run"
BEAT: t.Final = 20.0  # seconds between two signs of life
STALE: t.Final = 180.0  # seconds after which whoever gives none may be taken for dead, by somebody who says so


def lock_settings(settings: VaultSettings) -> VaultSettings:
    """Vault as the state's token sees it, at the lock's path."""
    return replace(settings, path=f"{settings.path}/{LOCK}")


@dataclass(frozen=True)
class Held:
    """The record that is there, its version, and how long ago it was written."""

    record: RunRecord | None
    version: int
    age: float


@dataclass(frozen=True)
class VaultLock:
    """The place of the record of one cluster. C(taken_from): the user says that its holder, who is stale, is dead."""

    cluster: str
    vault: VaultAdmin = field(repr=False)  # at the lock's own path
    taken_from: str = ""

    def look(self, here: RunRecord) -> tuple[RunRecord, str] | None:
        """Another run that holds it, and why this one must not go on; changes nothing."""
        held = self._held("Looking at the cluster's lock")
        found = self._refusal(held, here)
        return (held.record, found) if found and held.record else None

    def take(self, here: RunRecord) -> RunRecord | None:
        """Put our record there, or raise who else is at work. Returns the record of a run that ended without going."""
        doing = "Taking the cluster's lock"
        while True:
            held = self._held(doing)
            refusal = self._refusal(held, here)
            if refusal:
                raise BootstrapError(f"{refusal} Nothing was changed.", code="locked")
            if not held.version:
                self._only_one_version(doing)
            try:
                self.write(here, held.version)
            except LostRace:
                continue  # somebody else was faster: the next look tells who
            ours = held.record is None or standing(held.record, here, process_start) is Standing.OURS
            return None if ours else held.record

    def free(self, here: RunRecord) -> None:
        """Take our record away, if it is ours."""
        while True:
            held = self._held("Giving the cluster's lock back")
            if held.record is None or standing(held.record, here, process_start) is not Standing.OURS:
                return
            try:
                self.write(None, held.version)
            except LostRace:  # our own sign of life came in between
                continue
            return

    def beat(self, here: RunRecord) -> bool:
        """Show that we live. False where the record is not ours any more."""
        held = self._held("Holding the cluster's lock")
        if held.record is None or standing(held.record, here, process_start) is not Standing.OURS:
            return False
        try:
            self.write(here, held.version)
        except LostRace:
            return self.beat(here)
        return True

    def write(self, record: RunRecord | None, after: int) -> None:
        values = {RECORD: record.to_line()} if record else {}
        self.vault.write_bundle(values, after, "Writing the cluster's lock")

    def _held(self, doing: str) -> Held:
        stored = self.vault.stored(doing)
        line = str(stored.data.get(RECORD) or "")
        record = RunRecord.from_line(line) if line else None
        if line and record is None:
            raise BootstrapError(
                f"{self._place} does not hold what a run writes there. Make sure that no run is at work on cluster "
                f"{self.cluster}, and delete it there. Nothing was changed."
            )
        return Held(record, stored.version, max(0.0, self.vault.now - (stored.created or self.vault.now)))

    def _refusal(self, held: Held, here: RunRecord) -> str:
        """Why this run must not go on; empty where it may."""
        if held.record is None:
            return ""
        found = standing(held.record, here, process_start)
        # Machines that are clones of one look like the same one after a reboot: there only the time tells.
        seen_gone = found is Standing.GONE and (held.record.boot == here.boot or held.age >= STALE)
        if found is Standing.OURS or seen_gone:
            return ""
        who = f"cluster {self.cluster}: another run is at work on it: {held.record.description(time.time())}"
        if found is Standing.LIVES or held.age < STALE:
            return f"{who}; its last sign of life came {duration(held.age)} ago. Wait until it has ended."
        if self.taken_from == self.cluster:
            return ""
        return (
            f"{who}; its last sign of life came {duration(held.age)} ago, so it is probably dead. Make sure of that, "
            f"and take the lock from it: -e tazlab_take_lock={self.cluster}"
        )

    def _only_one_version(self, doing: str) -> None:
        """Who held it before is of no interest, and nobody may write without looking."""
        settings = self.vault.settings
        path = f"{settings.mount_point}/metadata/{settings.path}"
        self.vault.write(path, {"max_versions": 1, "cas_required": True}, doing)

    @property
    def _place(self) -> str:
        return f"{self.vault.settings.mount_point}/{self.vault.settings.path} in Vault"
