# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a publication is told: its plan line by line, its differences, and how the anchor takes it over. Private."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted, table
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import FIXED_AT_BIRTH
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import Keeper
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import take, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import iso
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.gone import given_up
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.metadata import Metadata
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
    FieldChange,
    StoredBundle,
    Updated,
)


@dataclass(frozen=True)
class Publication:
    """What was published, or would be in check mode. C(lost) are the versions that Vault then destroys."""

    place: str
    stored: StoredBundle
    updated: Updated
    metadata: Metadata
    lost: Sequence[int]
    check_mode: bool

    def lines(self) -> Iterator[str]:
        """Each field with what becomes of it, then the version."""
        changes = self.updated.plan.changes
        for change, line in zip(changes, table(map(_row, changes)), strict=True):
            yield line
            if change.state == "changed" and change.name in FIXED_AT_BIRTH:
                yield (
                    f"WARNING: {change.name} is fixed at a cluster's birth: the new value serves only a cluster that "
                    "is born anew."
                )
        yield from self._versions()
        if self.metadata.changed:
            verb = "would be set" if self.check_mode else "is set"
            yield f"{self.place}: {' and '.join(sorted(self.metadata.wanted))} {verb}"
        if self.lost:
            yield (
                f"WARNING: {self.place}: with max_versions {self.metadata.wanted['max_versions']} Vault destroys "
                f"{counted(len(self.lost), 'version')} at the next write, unless the mount keeps more: "
                f"{', '.join(map(str, self.lost))}"
            )

    def _versions(self) -> Iterator[str]:
        stored, updated = self.stored, self.updated
        if stored.gone and updated.plan.changed:
            yield f"WARNING: {given_up(self.place, stored)}"
        elif stored.deletion:
            yield (
                f"WARNING: {self.place}: Vault deletes each version by itself after a time, version {stored.version} "
                f"on {iso(stored.deletion)}, since delete_version_after is set on it or on its mount"
            )
        if not updated.plan.changed:
            yield f"{self.place}: version {updated.before} holds all of that already; nothing is written"
        elif self.check_mode:
            yield f"{self.place}: check mode; version {updated.before + 1} would be written"
        else:
            yield f"{self.place}: version {updated.after} is written"

    def differences(self) -> Iterator[tuple[str, str, str]]:
        """The bundle and its metadata, before and after, with a word in place of each value."""
        plan, metadata = self.updated.plan, self.metadata
        if plan.changed:
            lines = [_line(change) for change in plan.changes]
            yield self.place, "".join(before for before, _after in lines), "".join(after for _before, after in lines)
        if metadata.changed:
            before = "".join(f"{key}: {metadata.before.get(key)}\n" for key in sorted(metadata.wanted))
            after = "".join(f"{key}: {value}\n" for key, value in sorted(metadata.wanted.items()))
            yield metadata.path, before, after

    def copies(self, keepers: Mapping[str, Keeper], settings: VaultSettings) -> list[str]:
        """How the anchor's owner takes over what was written and did not come from the anchor."""
        tool = vault_tool()
        written = [change.name for change in self.updated.plan.changes if change.state in ("new", "changed")]
        notes = [
            f"The anchor is never written. To keep a copy of {name} there: {take(tool, settings, name, keepers[name])}"
            for name in written
            if name in keepers
        ]
        return [*notes, tool.note] if notes and tool.note else notes


def _row(change: FieldChange) -> list[str]:
    source = f"  from {change.source}" if change.source else ""
    note = f"  ({change.note})" if change.note else ""
    return [change.name, f"{change.state}{source}{note}"]


def _line(change: FieldChange) -> tuple[str, str]:
    old, new = f"{change.name}: (a value)\n", f"{change.name}: (another value)\n"
    words = {
        "new": ("", f"{change.name}: (a value)\n"),
        "changed": (old, new),
        "removed": (old, ""),
        "missing": ("", ""),
        "absent": ("", ""),
    }
    return words.get(change.state, (old, old))
