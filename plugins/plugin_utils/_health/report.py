# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Could the cluster be reborn right now? The verdict over every credential of each source, and how it is said. Private.

Pure: what uses a credential is given from outside.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, Untried
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import table
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import same
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import TokenFacts

ALIVE: t.Final = "alive"
UNKNOWN: t.Final = "unknown"
DEAD: t.Final = "dead"
DYING: t.Final = "dying"
TOO_WIDE: t.Final = "too wide"
NOT_RENEWED: t.Final = "not renewed"

YES: t.Final = "yes"
NO: t.Final = "NO"
UNTRIED: t.Final = "not tried"

# The statuses of HTTP by which a server refuses a credential.
REFUSALS: t.Final = (401, 403)


@dataclass(frozen=True)
class Verdict:
    """What came of using a credential: C(short) for a cell, C(about) for what is wrong, C(text) for the rest."""

    state: str
    short: str
    about: str = ""
    text: str = ""

    @property
    def reason(self) -> str:
        return f"{self.about} {self.short}".strip()


@dataclass(frozen=True)
class Source:
    """A place that all values come from: Vault or the anchor.

    C(why): it gave nothing at all. C(ends): what it gives now will soon be gone.
    """

    name: str
    values: Mapping[str, Found] = field(repr=False)
    invalid: Mapping[str, Problem]
    why: str = ""
    ends: str = ""


@dataclass(frozen=True)
class Check:
    """A system, the fields one logs in there with, and what uses them once, reading only."""

    name: str
    fields: tuple[Field, ...]
    use: Callable[[Mapping[str, str]], str] = field(repr=False)


@dataclass(frozen=True)
class Row:
    """A check and what came of it with each source's values."""

    name: str
    verdicts: Mapping[str, Verdict]


@dataclass(frozen=True)
class TokenState:
    """How a token fares that Vault issues, in one word and in a sentence."""

    name: str
    state: str
    text: str
    facts: TokenFacts | None = None

    @property
    def failing(self) -> bool:
        """Somebody has to act, or the token will soon be of no use. What cannot be told is not a failure."""
        return self.state not in (ALIVE, UNKNOWN)

    @property
    def line(self) -> str:
        return f"{self.name}: {'' if self.state == ALIVE else f'{self.state}: '}{self.text}"

    def as_dict(self) -> dict[str, t.Any]:
        token = self.facts.as_dict() if self.facts else None
        return {"name": self.name, "state": self.state, "failing": self.failing, "text": self.text, "token": token}


def judged(name: str, facts: TokenFacts, failure: str = "") -> TokenState:
    """The state of a token that may look itself up. C(failure): why it was not renewed."""
    kind = "periodic" if facts.periodic else "NOT periodic"
    text = f"{kind}, {facts.says}"
    if "root" in facts.health.policies:
        return TokenState(name, TOO_WIDE, "it is a root token, which may do everything. Use the scoped token.", facts)
    if failure:
        return TokenState(name, NOT_RENEWED, f"{failure} It is {text}.", facts)
    if facts.dying:
        return TokenState(name, DYING, f"{text}. Rotate it now.", facts)
    return TokenState(name, ALIVE, f"{'renewed; ' if facts.health.renewed else ''}{text}", facts)


@dataclass(frozen=True)
class Report:
    """Everything that was found."""

    sources: tuple[Source, ...]
    rows: tuple[Row, ...]

    def reasons(self, source: Source) -> list[str]:
        """Why the cluster could not be reborn from this source."""
        if source.why:
            return [source.why]
        verdicts = [row.verdicts[source.name] for row in self.rows]
        return [reason for reason in (source.ends,) if reason] + [
            verdict.reason for verdict in verdicts if verdict.state == NO
        ]

    def able(self, source: Source) -> bool:
        return not self.reasons(source)

    def lines(self) -> Iterator[str]:
        """The two lines and the table."""
        for source in self.sources:
            reasons = self.reasons(source)
            untried = [row.name for row in self.rows if row.verdicts[source.name].state == UNTRIED]
            note = f" (not tried: {', '.join(untried)})" if untried and not source.why else ""
            yield f"From {_said(source)}: " + (f"NO, {'; '.join(reasons)}{note}" if reasons else f"yes{note}")
        yield ""
        header = ["check", *(f"from {_said(source)}" for source in self.sources)]
        yield from table([header, *self._cells()], header=True)

    def advice(self) -> Iterator[str]:
        """What is wrong in detail, and what there is to do."""
        yield from dict.fromkeys(
            f"{row.name}: {verdict.text}" for row in self.rows for verdict in row.verdicts.values() if verdict.text
        )

    def _cells(self) -> Iterator[list[str]]:
        for row in self.rows:
            verdicts = [row.verdicts[source.name] for source in self.sources]
            yield [row.name, *(f"{verdict.state}: {verdict.short}" for verdict in verdicts)]

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "reborn": {
                source.name: {"able": self.able(source), "reasons": self.reasons(source)} for source in self.sources
            },
            "checks": [
                {
                    "name": row.name,
                    **{
                        name: {"state": verdict.state, "short": verdict.reason, "text": verdict.text}
                        for name, verdict in row.verdicts.items()
                    },
                }
                for row in self.rows
            ],
        }


def _said(source: Source) -> str:
    return "Vault" if source.name == "vault" else f"the {source.name}"


def examine(checks: Sequence[Check], sources: Sequence[Source]) -> Report:
    """Use each credential once. Where two sources hold the same, the second shares the first one's verdict."""
    rows = []
    for check in checks:
        verdicts: dict[str, Verdict] = {}
        tried: list[tuple[Mapping[str, str], Verdict]] = []
        for source in sources:
            verdicts[source.name] = _verdict(check, source, tried)
        rows.append(Row(check.name, verdicts))
    return Report(tuple(sources), tuple(rows))


def _verdict(check: Check, source: Source, tried: list[tuple[Mapping[str, str], Verdict]]) -> Verdict:
    if source.why:
        return Verdict(UNTRIED, "no value")
    wrong = [known for known in check.fields if known.name in source.invalid]
    if wrong:
        text = " ".join(source.invalid[known.name].what for known in wrong)
        return Verdict(NO, f"{_verb(wrong, 'is', 'are')} invalid", _labels(wrong, source), text)
    absent = [known for known in check.fields if known.name not in source.values]
    if absent:
        state = NO if any(known.required for known in absent) else UNTRIED
        return Verdict(state, f"{_verb(absent, 'is', 'are')} missing", _labels(absent, source))
    values = {known.name: source.values[known.name].value for known in check.fields}
    for former, verdict in tried:
        if all(same(known, former[known.name], values[known.name]) for known in check.fields):
            return replace(verdict, about=_labels(check.fields, source)) if verdict.about else verdict
    verdict = _tried(check, source, values)
    tried.append((values, verdict))
    return verdict


def _tried(check: Check, source: Source, values: Mapping[str, str]) -> Verdict:
    try:
        return Verdict(YES, check.use(values))
    except Untried as error:
        return Verdict(UNTRIED, str(error))
    except BootstrapError as error:
        refused = error.status in REFUSALS
        short = f"{_verb(check.fields, 'was', 'were')} refused ({error.status})" if refused else "did not serve"
        return Verdict(NO, short, _labels(check.fields, source), str(error))
    except Exception as error:  # noqa: BLE001  # one check never ends the report; its text could quote a secret
        text = f"Unexpected {type(error).__name__} while it was used. Please report this bug."
        return Verdict(NO, "did not serve", _labels(check.fields, source), text)


def _verb(fields: Sequence[Field], one: str, more: str) -> str:
    return one if len(fields) == 1 else more


def _labels(fields: Sequence[Field], source: Source) -> str:
    return " and ".join(label(known, source) for known in fields)


def label(known: Field, source: Source) -> str:
    """What a field is called at its source: its name in Vault, its file in the anchor."""
    if source.name == "vault":
        return known.name
    found = source.values.get(known.name)
    return PurePath(found.provenance.place).name if found else known.file_names[0]
