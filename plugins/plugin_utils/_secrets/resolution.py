# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which source wins, field by field, and where the recovery anchor disagrees with Vault. Pure but for the providers.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import clean, same

NOTHING: t.Final = "nothing"  # the code of the one problem that stands for every field's


@dataclass(frozen=True)
class Provenance:
    """Where a value comes from. Never the value, and nothing it could be guessed from."""

    source: str
    place: str
    label: str
    age: int | None = None
    version: int | None = None

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "source": self.source,
            "place": self.place,
            "label": self.label,
            "age": self.age,
            "version": self.version,
        }


@dataclass(frozen=True)
class Found:
    """A cleaned value with its provenance."""

    value: str = field(repr=False)
    provenance: Provenance


@dataclass(frozen=True)
class Attempt:
    """What one place had to say. C(problem): something is there that cannot be used, and why."""

    provenance: Provenance
    raw: str | None = field(default=None, repr=False)
    problem: str | None = None
    note: str = "nothing there"
    warning: str | None = None


class Provider(t.Protocol):
    """A fallback source."""

    is_anchor: t.ClassVar[bool]

    def attempts(self, field: Field) -> Iterator[Attempt]:
        """Look into one place after the other, lazily: the next one is asked only when this one had nothing."""

    def missing_anchor(self) -> str | None:
        """The anchor's place, if that place itself does not exist."""

    def lacks(self) -> str:
        """Why an anchor has no value for any field, its place first; empty for another source."""


@dataclass(frozen=True)
class Drift:
    """A field that Vault gave and that the anchor has otherwise, or not; without a name, the anchor as a whole."""

    name: str
    place: str
    state: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return {"field": self.name, "place": self.place, "state": self.state, "message": self.message}


@dataclass
class Resolution:
    """The outcome for all fields."""

    found: dict[str, Found] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    invalid: list[Problem] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def accept(fields: Iterable[Field], raw: Mapping[str, t.Any], provenance: Mapping[str, Provenance]) -> Resolution:
    """Clean what is known already. A blank value is missing; one that is not text, or not of its kind, is invalid.

    An C(InvalidValue) in a value's place says why it cannot be had.
    """
    result = Resolution()
    register(value for value in raw.values() if isinstance(value, str))
    for known in fields:
        value = raw.get(known.name)
        if value is None:
            result.missing.append(known.name)
            continue
        try:
            cleaned = clean(known, _text(value))
        except InvalidValue as error:
            result.invalid.append(_invalid(known, provenance[known.name].label, error))
            continue
        if cleaned is None:
            result.missing.append(known.name)
        else:
            result.found[known.name] = Found(cleaned, provenance[known.name])
    return result


def _text(value: t.Any) -> str:
    if isinstance(value, InvalidValue):
        raise value
    if not isinstance(value, str):
        raise InvalidValue("is not a text")
    return value


def resolve(fields: Sequence[Field], known: Mapping[str, Found], providers: Sequence[Provider]) -> Resolution:
    """Give each field the first value that a source has. What is known wins and is only compared with the anchor."""
    result = Resolution()
    tried: dict[str, list[str]] = {}
    for wanted in fields:
        if wanted.name in known:
            result.found[wanted.name] = known[wanted.name]
            continue
        places = tried[wanted.name] = []
        _ask(wanted, providers, result, places)
    given = [wanted for wanted in fields if wanted.name in known and known[wanted.name].provenance.source == "vault"]
    for anchor in (provider for provider in providers if provider.is_anchor and given):
        gone = anchor.missing_anchor()
        if gone:
            message = f"no anchor can be read at {gone}; make it, or declare providers without type file"
            result.drift.append(Drift("", gone, "absent", message))
            continue
        for wanted in given:
            result.drift += _anchor_drift(wanted, known[wanted.name].value, anchor.attempts(wanted), result.warnings)
    result.problems = [
        _missing(wanted, tried[wanted.name]) for wanted in fields if wanted.required and wanted.name in result.missing
    ]
    if len(result.problems) > 1 and not result.found and not result.invalid:
        result.problems = [_nothing(fields, providers, tried[result.problems[0].subject])]
    return result


def _nothing(fields: Sequence[Field], providers: Sequence[Provider], tried: Sequence[str]) -> Problem:
    """One problem where each field would be one of its own, all of one cause."""
    anchors = ", and ".join(filter(None, (provider.lacks() for provider in providers)))
    return Problem(
        NOTHING,
        "The recovery anchor" if anchors else "The fallback sources",
        f"{f'{anchors}. N' if anchors else 'n'}o source has a value for any of the {len(fields)} fields; for "
        f"{fields[0].name} these were tried: {'; '.join(tried) or 'none, since no provider is declared'}.",
        "Give the directory that holds their files as anchor (site.yml: tazlab_anchor), or let Vault answer.",
    )


def _missing(wanted: Field, tried: Sequence[str]) -> Problem:
    places = "; ".join(tried) or "nothing, since no provider is declared"
    return Problem(
        "missing",
        wanted.name,
        f"no source has a value. Tried: {places}.",
        "Put it into one of these places, or set required: false for it.",
    )


def _invalid(known: Field, label: str, error: InvalidValue) -> Problem:
    return invalid(known.name, f"the value from {label} {error}.")


def invalid(name: str, what: str) -> Problem:
    """A value that is there and cannot be used, wherever it was found."""
    return Problem(
        "invalid",
        name,
        what,
        "A value that is there but wrong is never skipped: correct it, or empty it so that the next source is asked.",
    )


def _ask(wanted: Field, providers: Sequence[Provider], result: Resolution, places: list[str]) -> None:
    for provider in providers:
        for attempt in provider.attempts(wanted):
            label = attempt.provenance.label
            try:
                value = _usable(wanted, attempt)
            except InvalidValue as error:
                result.invalid.append(_invalid(wanted, label, error))
                return
            if value is None:
                places.append(f"{label} ({attempt.note if attempt.raw is None else 'empty'})")
                continue
            if attempt.warning and not is_public(wanted, value):
                result.warnings.append(attempt.warning)
            result.found[wanted.name] = Found(value, attempt.provenance)
            return
    result.missing.append(wanted.name)


def _usable(wanted: Field, attempt: Attempt) -> str | None:
    """The cleaned value of an attempt, None if there is none; raises InvalidValue for one that cannot be used."""
    if attempt.problem:
        raise InvalidValue(attempt.problem)
    if attempt.raw is None:
        return None
    register([attempt.raw])
    return clean(wanted, attempt.raw)


def is_public(wanted: Field, value: str) -> bool:
    """Whether nothing needs to hide the value: certificates without a key."""
    return wanted.kind == "pem" and "PRIVATE KEY-----" not in value


def _anchor_drift(wanted: Field, value: str, attempts: Iterable[Attempt], warnings: list[str]) -> Iterator[Drift]:
    name = wanted.name
    for attempt in attempts:
        place, label = attempt.provenance.place, attempt.provenance.label
        try:
            other = _usable(wanted, attempt)
        except InvalidValue as error:
            yield Drift(name, place, "invalid", f"{name}: {label} {error}")
            return
        if other is None:
            continue
        if attempt.warning and not is_public(wanted, other):
            warnings.append(attempt.warning)
        if not same(wanted, value, other):
            yield Drift(name, place, "differs", f"{name}: {label} holds another value than Vault")
        return
    yield Drift(name, wanted.file_names[0], "absent", f"{name}: the anchor has no value for it")


def refuse_invalid(found: Sequence[Problem]) -> None:
    """Raise one error for all values that are there and cannot be used: they are never skipped."""
    if found:
        told = " ".join(f"{problem.subject}: {problem.what}" for problem in found)
        raise BootstrapError(
            f"{told} {found[0].step}", code="invalid", subject=", ".join(problem.subject for problem in found)
        )
