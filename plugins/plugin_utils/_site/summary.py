# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary at the end of a run, as lines of text. It shows where a secret came from, never a secret.

Private: other collections must not import it.
"""

from __future__ import annotations

import enum
import shlex
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted, few, table, wrapped
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.changes import Changes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import PHASES, PREFLIGHT, Timing

RULE = "-" * 78
MANY: t.Final = 5  # of more objects of a kind the first are named


class Tone(enum.Enum):
    """What a line is, for whoever gives it a colour."""

    PLAIN = "plain"
    GOOD = "good"
    CHANGE = "change"
    ATTENTION = "attention"
    BAD = "bad"


@dataclass(frozen=True)
class Line:
    """A line of the summary. One that is C(whole) may hold a command and is never broken."""

    text: str
    tone: Tone = Tone.PLAIN
    whole: bool = False


def _table(rows: Iterable[Sequence[str]]) -> list[Line]:
    return [Line(text) for text in table(rows, "  ")]


def secrets(
    sources: Mapping[str, t.Any], vault: Mapping[str, t.Any], missing: Sequence[str], *, given: bool
) -> list[Line]:
    """Each field with its source; then what Vault said and what is missing. C(given): Vault gave the bundle."""
    lines = _table([name, source.get("label", "?")] for name, source in sources.items())
    lines += [Line(f"  {name}  MISSING", Tone.ATTENTION) for name in missing]
    if given:
        token = vault.get("token") or {}
        if token.get("expires_at"):
            lines.append(Line(f"  The bootstrap token dies on {token['expires_at']} unless it is renewed."))
    elif vault:
        lines.append(Line(f"  VAULT GAVE NO BUNDLE: {vault.get('reason', 'unknown')}", Tone.ATTENTION))
    return lines


def vms(found: Sequence[Mapping[str, t.Any]]) -> list[Line]:
    """Each VM with its state and what was done to it."""
    return _table(
        [
            vm["name"],
            *([str(vm["vmid"]), vm["node"]] if vm.get("vmid") else [vm.get("address", "")]),
            vm["status"],
            ", ".join(vm.get("actions", [])) or "unchanged",
        ]
        for vm in found
    )


def nodes(talos: Mapping[str, t.Any]) -> list[Line]:
    """Each node of the cluster, and where its kubeconfig lies."""
    lines = _table([node["name"], node["address"], node["state"]] for node in talos.get("nodes", []))
    if talos.get("kubeconfig"):
        lines.append(Line(f"  kubeconfig: {talos['kubeconfig']}"))
    return lines


def seeds(objects: Sequence[Mapping[str, t.Any]], check_mode: bool) -> list[Line]:
    """Each seeded object; what was skipped is named with the reason."""
    would = "would be " if check_mode else ""
    return _table(
        [
            entry["kind"],
            "/".join(filter(None, [entry.get("namespace"), entry["name"]])),
            f"skipped: {entry['skipped']}"
            if entry.get("skipped")
            else f"{would if entry.get('changed') else ''}{entry.get('change')}",
        ]
        for entry in objects
    )


def flux(status: Mapping[str, t.Any]) -> list[Line]:
    """The revision that Flux has applied, and whether it is Ready."""
    if not status:
        return []
    return _table([["revision", str(status.get("revision"))], ["ready", str(status.get("ready"))]])


def waits_for_vault(objects: Sequence[Mapping[str, t.Any]]) -> list[Line]:
    """What could not be ready, since it reads from Vault, with its own reason."""
    rows = [[each["kind"], "/".join(filter(None, [each["namespace"], each["name"]])), each["why"]] for each in objects]
    return [Line(line.text, Tone.ATTENTION) for line in _table(rows)]


def times(spent: Sequence[Timing]) -> list[Line]:
    """The seconds of each phase and of them all."""
    rows = [[timing.phase, f"{timing.seconds:7.1f} s"] for timing in spent]
    return _table([*rows, ["all", f"{sum(timing.seconds for timing in spent):7.1f} s"]])


def done(changes: Changes, check_mode: bool) -> list[Line]:
    """A line for each that was created, changed and removed, or would be; then how many there are."""
    words = ("create", "change", "remove") if check_mode else ("created", "changed", "removed")
    lists = (changes.create, changes.change, changes.remove)
    lines = [
        Line(f"  {word}  {text}", Tone.CHANGE)
        for word, texts in zip(words, lists, strict=True)
        for text in _grouped(texts)
    ]
    to = "to " if check_mode else ""
    counts = [f"{len(texts)} {to}{word}" for texts, word in zip(lists, words, strict=True)]
    return [*lines, Line(f"  {', '.join(counts)}")]


def _grouped(texts: Sequence[str]) -> Iterable[str]:
    """The texts, but only the first of many objects of one kind."""
    kinds: dict[str, list[str]] = {}
    for text in texts:
        kind, _blank, name = text.partition(" ")
        kinds.setdefault(kind, []).append(name)
    for kind, names in kinds.items():
        yield from [f"{kind} {name}" for name in names] if len(names) <= MANY else [f"{kind} {few(names, 2)}"]


def waiting(changes: Changes) -> list[Line]:
    """What is left as it is until somebody decides."""
    lines = []
    for text in changes.waiting:
        words, *commands = text.splitlines()
        lines += [Line(f"  {words}", Tone.ATTENTION), *(Line(f"  {each}", whole=True) for each in commands)]
    return lines


def verdict(
    begun: Sequence[str], complete: bool, check_mode: bool, consoles: str = "", birth: str = "", waits: int = 0
) -> Line:
    """One line: whether every phase holds, and otherwise in which one the run ended, and where to look.

    C(birth) is how long a birth took; C(waits), how many objects wait for Vault.
    """
    if complete and check_mode:
        return Line("Check mode: nothing was changed.", Tone.GOOD)
    if complete:
        if waits:
            return Line(f"From the anchor: all but {counted(waits, 'object')}, which wait for Vault.", Tone.ATTENTION)
        took = f" {birth[0].upper()}{birth[1:]}." if birth else ""
        return Line(f"Every phase holds: {', '.join(name for name in begun if name in PHASES)}.{took}", Tone.GOOD)
    last = begun[-1]
    if last == PREFLIGHT:
        return Line("FAILED in the preflight. Nothing was changed.", Tone.BAD)
    look = f" The machines' consoles are {consoles}." if consoles and last == "talos" else ""
    return Line(f"FAILED in phase {last}. What is above holds; the run can be repeated.{look}", Tone.BAD)


def problem(failure: str) -> list[Line]:
    """What ended the run, as the task said it. Commands in it are to be pasted."""
    return [Line(f"  {text}", Tone.BAD, whole=True) for text in failure.splitlines()]


@dataclass(frozen=True)
class Caller:
    """How the run was started, for the commands that come next.

    C(inventories) as they were given, C(health) the playbook of that name, and whether there were C(more) options that
    decide what is played, such as variables, which may be secrets and are not repeated.
    """

    inventories: Sequence[str]
    health: str
    site: str
    more: bool = False


def following(
    changes: Changes, begun: Sequence[str], check_mode: bool, kubeconfig: str, caller: Caller, *, waits: bool = False
) -> list[Line]:
    """What somebody runs after a run that is complete; C(waits): when Vault is back."""
    if check_mode:
        planned = changes.create or changes.change or changes.remove
        return [Line("  the same command without --check")] if planned else []
    lines = []
    if "flux" in begun and kubeconfig:
        lines.append(f"kubectl --kubeconfig {shlex.quote(kubeconfig)} get kustomizations -A")
    if set(PHASES) <= set(begun):
        inventory = "".join(f" -i {shlex.quote(name)}" for name in caller.inventories)
        if waits:
            lines.append("(when Vault is back, which finishes the birth)")
        lines.append(f"ansible-playbook{inventory} {shlex.quote(caller.site if waits else caller.health)}")
        if caller.more:
            lines.append("(with this run's variables and passwords)")
    return [Line(f"  {line}", whole=True) for line in lines]


def render(
    cluster: str, sections: Mapping[str, Sequence[Line]], end: Line, after: Mapping[str, Sequence[Line]]
) -> list[Line]:
    """The whole summary, in 80 columns; a section without lines is left out. C(after) are those below the verdict."""
    rule = Line(RULE)
    lines = [
        rule,
        Line(f"Cluster {cluster}"),
        rule,
        *_sections(sections),
        rule,
        end,
        rule,
        *_sections(after),
    ]
    return [part for line in lines for part in _fitted(line)]


def _sections(sections: Mapping[str, Sequence[Line]]) -> Iterable[Line]:
    for title, body in sections.items():
        if body:
            yield Line(title)
            yield from body


def _fitted(line: Line) -> list[Line]:
    return [line] if line.whole else [Line(text, line.tone) for text in wrapped(line.text)]
