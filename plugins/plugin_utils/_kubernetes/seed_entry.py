# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of the table of seeds: its form is checked, and what it maps to which fields is told. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.seed_template import BadTemplate, Template

TABLE = "cluster_seed_objects"
NAMESPACE = "Namespace"
KINDS = ("Secret", "ConfigMap", NAMESPACE)
CONTENT = ("keys", "values", "template")
KNOWN = (
    *("kind", "name", "namespace", "namespaces", "type", *CONTENT),
    *("labels", "annotations", "create_only", "optional", "enabled"),
)
OF_A_NAMESPACE = frozenset({"kind", "name", "labels", "annotations", "enabled"})
# What Kubernetes allows as an object's name, as a key of data, as a label's or annotation's key, as a label's value.
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
DATA_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_WORD = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
MARK_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_WORD}")
LABEL = re.compile(rf"({_WORD})?")

Entry = Mapping[str, t.Any]


def problems(entry: t.Any, number: int) -> list[Problem]:
    """Everything that is wrong with the form of an entry."""
    if not isinstance(entry, Mapping):
        what = f"entry {number} is not a dictionary."
        return [Problem("malformed", TABLE, what, "Give it kind, namespace, name and keys.")]
    subject = f"{TABLE}: entry {number} ({entry.get('name') or 'without a name'})"
    return [Problem("malformed", subject, what, step) for what, step in _wrong(entry)]


def namespaces(entry: Entry) -> list[str]:
    """Where its objects are: in one namespace, or one in each of several. A Namespace is in none."""
    if entry["kind"] == NAMESPACE:
        return [""]
    return [str(name) for name in entry.get("namespaces") or [entry.get("namespace")]]


def label(entry: Entry, namespace: str) -> str:
    return f"{entry['kind']} {namespace}/{entry['name']}" if namespace else f"{entry['kind']} {entry['name']}"


def uses(entry: Entry) -> dict[str, list[str]]:
    """The fields that each of its keys needs."""
    keys = {str(key): [str(field)] for key, field in (entry.get("keys") or {}).items()}
    return keys | {str(key): Template(content).fields() for key, content in (entry.get("template") or {}).items()}


def text(value: t.Any) -> str:
    """A value as Kubernetes wants it: text, with true and false as YAML writes them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _wrong(entry: Entry) -> Iterator[tuple[str, str]]:
    if entry.get("kind") not in KINDS:
        yield f"its kind must be one of {', '.join(KINDS)}.", ""
        return
    unknown = sorted(str(key) for key in set(entry) - set(KNOWN))
    if unknown:
        yield f"does not know {', '.join(unknown)}.", f"Known are {', '.join(KNOWN)}."
    yield from _places(entry)
    sources = [entry.get(key) or {} for key in CONTENT]
    if not all(isinstance(each, Mapping) for each in sources):
        yield "keys, values and template must be dictionaries.", ""
    elif entry["kind"] == NAMESPACE:
        surplus = [key for key in KNOWN if key in entry and key not in OF_A_NAMESPACE]
        if surplus:
            yield f"a Namespace has no {', '.join(surplus)}.", "It may have labels and annotations."
    else:
        yield from _content(entry, sources)
    yield from _marks(entry)


def _places(entry: Entry) -> Iterator[tuple[str, str]]:
    if not _is_name(entry.get("name")):
        yield "name is missing or not a Kubernetes name: lower case letters, digits, - and dots.", ""
    if entry["kind"] == NAMESPACE:
        return
    several = entry.get("namespaces")
    if several and entry.get("namespace"):
        yield "has namespace and namespaces.", "Write one of them."
    elif several and (isinstance(several, str) or not isinstance(several, Sequence)):
        yield "namespaces must be a list.", ""
    elif not all(map(_is_name, several or [entry.get("namespace")])):
        yield "a namespace is missing or not a Kubernetes name: lower case letters, digits, - and dots.", ""


def _is_name(value: t.Any) -> bool:
    return NAME.fullmatch(str(value or "")) is not None


def _content(entry: Entry, sources: Sequence[Mapping[str, t.Any]]) -> Iterator[tuple[str, str]]:
    if entry.get("enabled", True) and not any(sources):
        yield "has neither keys nor values nor a template.", "Map its keys to fields in keys."
    names = [str(key) for each in sources for key in each]
    for key in dict.fromkeys(key for key in names if not DATA_KEY.fullmatch(key)):
        yield f"{key!r} is not a key that Kubernetes allows: letters, digits, -, _ and dots.", ""
    for key in sorted({key for key in names if names.count(key) > 1}):
        yield f"{key} stands in more than one of keys, values and template.", "Write it once."
    for key, value in sources[1].items():
        if value is None or isinstance(value, (Mapping, list, tuple)):
            yield f"the value of {key} must be text, a number or true or false.", ""
    for key, content in sources[2].items():
        try:
            if not Template(content).fields():
                yield f"the template of {key} names no field.", "Name one like ${GITHUB_TOKEN}, or write it in values."
        except BadTemplate as error:
            yield f"the template of {key} cannot be read: {error}.", "A field is named like ${GITHUB_TOKEN}."


def _marks(entry: Entry) -> Iterator[tuple[str, str]]:
    for kind in ("labels", "annotations"):
        given = entry.get(kind) or {}
        if not isinstance(given, Mapping):
            yield f"{kind} must be a dictionary.", ""
            continue
        for key, value in given.items():
            if not MARK_KEY.fullmatch(str(key)):
                yield f"{key!r} is not a key that Kubernetes allows among {kind}.", "It is like app or example.net/app."
            elif value is None or isinstance(value, (Mapping, list, tuple)):
                yield f"{kind}: {key} must be text, a number or true or false.", ""
            elif kind == "labels" and not LABEL.fullmatch(text(value)):
                yield f"label {key} has a value that Kubernetes does not allow.", "63 letters, digits, -, _ and dots."
