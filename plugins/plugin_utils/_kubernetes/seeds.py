# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the table of seeds, which maps Secrets' keys to the bundle's fields, into Kubernetes objects. Private:
other collections must not import it.
"""

from __future__ import annotations

import base64
import re
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem

TABLE = "cluster_seed_objects"
KINDS = ("Secret", "ConfigMap")
KEYS = frozenset({"kind", "namespace", "name", "type", "data", "values", "labels", "optional", "enabled"})
# What Kubernetes allows as an object's name and as a key of data.
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
DATA_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
WRITE_IT: t.Final = (
    "Write it into the bundle or the recovery anchor; or mark the entry as optional in cluster_seed_objects."
)


@dataclass(frozen=True)
class Seeds:
    """What the table asks for: objects, entries that are left out and why, and what is wrong with it.

    C(lacking) tells which entries no source has a value for; C(needed) and C(optional) are the fields that it names.
    """

    objects: list[dict[str, t.Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lacking: list[Problem] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)

    @property
    def namespaces(self) -> list[str]:
        """In the order of first use."""
        return list(dict.fromkeys(each["metadata"]["namespace"] for each in self.objects))


def seeds(table: Sequence[Mapping[str, t.Any]], values: Mapping[str, t.Any]) -> Seeds:
    """Read the table. No message quotes a value.

    An entry is one Secret or ConfigMap: C(data) maps its keys to fields, whose values stand in C(values); its own
    C(values) are literal. An entry that is not enabled is left out silently; one that is optional and lacks a field is
    left out and named; any other that lacks a field is lacking.
    """
    result = Seeds()
    seen: set[tuple[str, str, str]] = set()
    for number, entry in enumerate(table, 1):
        problems = _shape(entry, number)
        if problems:
            result.problems.extend(problems)
            continue
        if not entry.get("enabled", True):
            continue
        key = (str(entry["kind"]), str(entry["namespace"]), str(entry["name"]))
        label = "{} {}/{}".format(*key)
        if key in seen:
            twice = Problem("duplicate", label, "stands twice in cluster_seed_objects.", "Write it as one entry.")
            result.problems.append(twice)
            continue
        seen.add(key)
        names = [str(name) for name in (entry.get("data") or {}).values()]
        (result.optional if entry.get("optional") else result.needed).extend(names)
        missing = [name for name in names if not _present(values.get(name))]
        if not missing:
            result.objects.append(_object(entry, values))
        elif entry.get("optional"):
            why = f"it is optional, and {_and(missing)} {_has(missing)} no value"
            result.skipped.append({**dict(zip(("kind", "namespace", "name"), key, strict=True)), "skipped": why})
        else:
            what = f"{_and(missing)} {_has(missing)} no value in any source."
            result.lacking.append(Problem("missing", label, what, WRITE_IT))
    return result


def _shape(entry: t.Any, number: int) -> list[Problem]:
    """Everything that is wrong with the form of an entry."""
    if not isinstance(entry, Mapping):
        what = f"entry {number} is not a dictionary."
        return [Problem("malformed", TABLE, what, "Give it kind, namespace, name and data.")]
    subject = f"{TABLE}: entry {number} ({entry.get('name') or 'without a name'})"
    return [Problem("malformed", subject, what, step) for what, step in _wrong(entry)]


def _wrong(entry: Mapping[str, t.Any]) -> Iterator[tuple[str, str]]:
    if entry.get("kind") not in KINDS:
        yield f"its kind must be {' or '.join(KINDS)}.", ""
    for key in ("namespace", "name"):
        if not NAME.fullmatch(str(entry.get(key) or "")):
            yield f"{key} is missing or not a Kubernetes name: lower case letters, digits, - and dots.", ""
    unknown = sorted(str(key) for key in set(entry) - KEYS)
    if unknown:
        yield f"does not know {_and(unknown)}.", f"Known are {', '.join(sorted(KEYS))}."
    sources = [entry.get(key) or {} for key in ("data", "values")]
    if not all(isinstance(each, Mapping) for each in sources):
        yield "data and values must be dictionaries.", ""
        return
    if entry.get("enabled", True) and not any(sources):
        yield "has neither data nor values.", "Map its keys to fields in data."
    for key in (key for each in sources for key in each if not DATA_KEY.fullmatch(str(key))):
        yield f"{key!r} is not a key that Kubernetes allows: letters, digits, -, _ and dots.", ""
    for key, value in sources[1].items():
        if value is None or isinstance(value, (Mapping, list, tuple)):
            yield f"the value of {key} must be text, a number or true or false.", ""


def _object(entry: Mapping[str, t.Any], values: Mapping[str, t.Any]) -> dict[str, t.Any]:
    content = {str(key): _text(values[name]) for key, name in (entry.get("data") or {}).items()}
    content |= {str(key): _text(value) for key, value in (entry.get("values") or {}).items()}
    metadata: dict[str, t.Any] = {"namespace": str(entry["namespace"]), "name": str(entry["name"])}
    if entry.get("labels"):
        metadata["labels"] = {str(key): _text(value) for key, value in entry["labels"].items()}
    seed: dict[str, t.Any] = {"apiVersion": "v1", "kind": str(entry["kind"]), "metadata": metadata}
    if seed["kind"] == "Secret":
        seed["type"] = str(entry.get("type") or "Opaque")
        # base64 of the very bytes: stringData would do for text, but data is what a reader compares.
        content = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    seed["data"] = content
    return seed


def _present(value: t.Any) -> bool:
    return value is not None and str(value).strip() != ""


def _text(value: t.Any) -> str:
    """A value as Kubernetes wants it: text, with true and false as YAML writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _has(words: Sequence[str]) -> str:
    return "has" if len(words) == 1 else "have"
