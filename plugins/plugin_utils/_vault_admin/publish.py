# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What publishing the bundle would change, field by field, and the write that loses nobody's change. Private.

The plan is pure; only C(update_bundle) talks, to whatever reads and writes the bundle.
"""

from __future__ import annotations

import enum
import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import clean, same
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found

ATTEMPTS: t.Final = 2
# Seconds between two looks at a standby that does not show yet what was written.
LAGS: t.Final = (0.25, 0.5, 1.0, 2.0)
# How many older versions are searched for values that publishing would roll back.
LOOKED_AT: t.Final = 20
# What makes a new version. The other states are equal, kept (Vault's value stays), missing and absent.
CHANGES: t.Final = frozenset({"new", "changed", "removed"})
INVALID: t.Final = "Vault's own value is not valid, and nothing is lost with it"
# Why a version has no data: it can be undeleted, or it cannot.
DELETED: t.Final = "deleted"
DESTROYED: t.Final = "destroyed"


class LostRace(Exception):
    """Somebody else wrote between our read and our write."""


@dataclass(frozen=True)
class StoredBundle:
    """A version of the bundle, by default the newest. Version 0: nothing was ever written.

    C(gone) says why a version has no data. C(deletion) is when Vault deleted it, or will by itself.
    """

    version: int = 0
    data: Mapping[str, t.Any] = field(default_factory=dict, repr=False)
    mounted: bool = True
    created: float | None = None
    gone: str = ""
    deletion: datetime | None = None


@dataclass(frozen=True)
class FieldChange:
    """What becomes of one field. Never its value."""

    name: str
    state: str
    source: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state, "source": self.source, "note": self.note}


@dataclass(frozen=True)
class Plan:
    """The bundle as it should be, and how that differs from what is there."""

    data: Mapping[str, t.Any] = field(repr=False)
    changes: tuple[FieldChange, ...]

    @property
    def changed(self) -> bool:
        return any(change.state in CHANGES for change in self.changes)


def plan_present(
    fields: Sequence[Field],
    wanted: Mapping[str, Found],
    stored: Mapping[str, t.Any],
    keep: Sequence[str] = (),
    declared: Sequence[str] = (),
) -> Plan:
    """Put the wanted values into the bundle. What is stored and not wanted stays, whether its field is known or not.

    Of the fields in C(keep) Vault's own value stays as long as it has one. C(declared) are other fields that are known.
    """
    data = dict(stored)
    changes = []
    for known in fields:
        note = ""
        found = wanted.get(known.name)
        there = _cleaned(known, stored.get(known.name))
        if found is None:
            state, source = ("kept" if there is not None else "missing"), ""
        elif there is not None and same(known, there, found.value):
            state, source = "equal", found.provenance.label
        elif there is not None and known.name in keep:
            note = f"{found.provenance.label} holds another value, which is not published"
            changes.append(FieldChange(known.name, "kept", note=note))
            continue
        else:
            state, source = ("new" if stored.get(known.name) is None else "changed"), found.provenance.label
            note = INVALID if state == "changed" and there is None else ""
            data[known.name] = found.value
        changes.append(FieldChange(known.name, state, source, note))
    names = {known.name for known in fields}
    changes += [
        FieldChange(name, "kept", note="" if name in declared else "not declared")
        for name in sorted(stored)
        if name not in names
    ]
    return Plan(data, tuple(changes))


class Undoes(enum.Enum):
    """What publishing a field would undo: another value, its absence, or perhaps what a deleted version holds."""

    VALUE = enum.auto()
    ABSENCE = enum.auto()
    DELETED = enum.auto()


@dataclass(frozen=True)
class Undone:
    """A field that publishing would set back behind what Vault holds, or held in C(version).

    C(newest): that is the newest version. C(same): the anchor holds what that version holds. C(untold): Vault keeps no
    version from before the anchor's file, so whether the file is the older one cannot be told.
    """

    name: str
    undoes: Undoes
    version: int
    newest: bool = False
    same: bool = False
    untold: bool = False


def history(
    edge: BundleEdge, stored: StoredBundle, known: dict[int, StoredBundle], over: int | None, doing: str
) -> list[StoredBundle]:
    """The bundle's versions, the newest first, as far as Vault keeps them, and no more than C(LOOKED_AT) older ones.

    C(known): those that were read already. C(over): a deleted version that is given up, with all before it.
    """
    versions = [stored]
    for number in range(stored.version - 1, max(0, stored.version - 1 - LOOKED_AT), -1):
        if number not in known:
            known[number] = edge.bundle(doing, number)
        older = known[number]
        if not older.version or (older.gone and number == over):
            break
        versions.append(older)
    return versions


def outdated(
    fields: Sequence[Field],
    plan: Plan,
    wanted: Mapping[str, Found],
    versions: Sequence[StoredBundle],
    now: float,
) -> list[Undone]:
    """The fields of which publishing would roll back a value or a removal. C(versions): the newest first.

    C(now) is the time by Vault's clock, which dates its versions; a file's age is the same by any clock.
    """
    if versions[0].gone:  # given up by name
        return []
    states = {change.name: change.state for change in plan.changes}
    found = [
        _undone(known, wanted[known.name], versions, now)
        for known in fields
        if states.get(known.name) in ("changed", "new") and known.name in wanted
    ]
    return [undone for undone in found if undone is not None]


def _undone(known: Field, found: Found, versions: Sequence[StoredBundle], now: float) -> Undone | None:
    age = found.provenance.age
    written = None if age is None else now - age  # unknown where the value is in no file
    values = [_cleaned(known, version.data.get(known.name)) for version in versions]
    first = next((n for n, value in enumerate(values) if value is not None or versions[n].gone == DELETED), None)
    if first is None:
        return None
    there, before = versions[first], [value for value in values[first + 1 :] if value is not None]
    again = any(same(known, value, found.value) for value in before)
    value = values[first]
    if value is None:  # a deleted version: what it holds cannot be told
        undoes = bool(before) if written is None else _after(there, written)
        return Undone(known.name, Undoes.DELETED, there.version) if undoes or again else None
    equal = same(known, value, found.value)
    if versions[0].data.get(known.name) is None:
        if written is not None and not _after(versions[first - 1], written):
            return None
        return Undone(known.name, Undoes.ABSENCE, there.version, same=equal)
    if equal:  # what was written since then is not valid: a repair
        return None
    since = first
    while since + 1 < len(versions) and _equal(known, values[since + 1], value):
        since += 1
    later = written is not None and _after(versions[since], written)
    if not later and not again:
        return None
    untold = not again and since + 1 == len(versions) and versions[since].version > 1
    return Undone(known.name, Undoes.VALUE, there.version, newest=first == 0, untold=untold)


def _after(version: StoredBundle, written: float) -> bool:
    return version.created is not None and version.created > written


def _equal(known: Field, one: str | None, other: str) -> bool:
    return one is not None and same(known, one, other)


def plan_absent(names: Sequence[str], stored: Mapping[str, t.Any]) -> Plan:
    """Take the named fields out of the bundle, and nothing else."""
    data = {name: value for name, value in stored.items() if name not in names}
    changes = [FieldChange(name, "removed" if name in stored else "absent") for name in names]
    changes += [FieldChange(name, "kept") for name in sorted(data)]
    return Plan(data, tuple(changes))


def _cleaned(known: Field, value: t.Any) -> str | None:
    """A stored value as its field's kind wants it; what is not of its kind counts as not there."""
    try:
        return clean(known, value) if isinstance(value, str) else None
    except InvalidValue:
        return None


class BundleEdge(t.Protocol):
    """Reads and writes the bundle."""

    def bundle(self, doing: str, version: int | None = None, over: int | None = None) -> StoredBundle:
        """A version, by default the newest, which is refused if it is deleted, unless C(over) is its number."""

    def write_bundle(self, values: Mapping[str, t.Any], after: int, doing: str) -> int:
        """Write, if the newest version is still the one we read; the new version's number."""


def _newer(edge: BundleEdge, version: int, doing: str, over: int | None) -> StoredBundle:
    """What is stored after C(version), which a write has met. A performance standby may show it a little later."""
    for pause in (0.0, *LAGS):
        time.sleep(pause)
        stored = edge.bundle(doing, over=over)
        if stored.version != version:
            return stored
    raise BootstrapError(
        f"{doing}: a write found a newer version of the bundle, and reads still show version {version}, "
        f"{sum(LAGS):g} s later: the server that answers is a standby that lags behind. Nothing was written. Give the "
        "active server's address as url."
    )


@dataclass(frozen=True)
class Updated:
    """What became of the bundle, and between which versions."""

    plan: Plan
    before: int
    after: int


def update_bundle(
    edge: BundleEdge,
    decide: Callable[[StoredBundle], Plan],
    *,
    check_mode: bool,
    stored: StoredBundle | None = None,
    doing: str = "Publishing the bundle",
    over: int | None = None,
) -> Updated:
    """Decide on what is stored and write with check-and-set; after a lost race once more, on fresh data.

    What is unchanged is not written. C(over): the number of a deleted version that may be written over.
    """
    stored = stored or edge.bundle(doing, over=over)
    for _attempt in range(ATTEMPTS):
        plan = decide(stored)
        if check_mode or not plan.changed:
            return Updated(plan, stored.version, stored.version)
        try:
            return Updated(plan, stored.version, edge.write_bundle(plan.data, stored.version, doing))
        except LostRace:
            stored = _newer(edge, stored.version, doing, over)
    raise BootstrapError(
        f"{doing}: somebody else wrote the bundle between our read and our write, {ATTEMPTS} times; the newest version "
        f"is {stored.version}. Nothing of theirs was overwritten and nothing of ours was written. Run this again."
    )
