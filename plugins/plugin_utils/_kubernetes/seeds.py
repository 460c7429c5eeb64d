# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the table of seeds, which maps Secrets' keys to the bundle's fields, into Kubernetes objects. Private:
other collections must not import it.
"""

from __future__ import annotations

import base64
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.seed_entry import (
    NAMESPACE,
    TABLE,
    Entry,
    label,
    namespaces,
    problems,
    text,
    uses,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.seed_template import BadTemplate, Template

WRITE_IT: t.Final = (
    "Write it into the bundle or the recovery anchor; or mark the entry as optional in cluster_seed_objects."
)


@dataclass(frozen=True)
class Seeds:
    """What the table asks for: objects, entries that are left out and why, and what is wrong with it.

    C(namespaces) are those that the objects need and those of the table itself, with their labels; C(create_only), as
    KIND/NAMESPACE/NAME, the objects that are left alone once they are there, and C(held_fields) the fields in them.
    C(lacking) tells which entries no source has a value for; C(needed) and C(optional) are the fields that it names.
    """

    objects: list[dict[str, t.Any]] = field(default_factory=list)
    namespaces: list[dict[str, t.Any]] = field(default_factory=list)
    create_only: list[str] = field(default_factory=list)
    held_fields: list[str] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lacking: list[Problem] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)
    optional: list[str] = field(default_factory=list)


def seeds(table: Sequence[Mapping[str, t.Any]], values: Mapping[str, t.Any]) -> Seeds:
    """Read the table. No message quotes a value.

    An entry is one Namespace, Secret or ConfigMap, or one in each of its C(namespaces): C(keys) maps its keys to
    fields, whose values stand in C(values); C(template) has fields inside of text or data; its own C(values) are
    literal. An entry that is not enabled is left out silently; one that is optional and lacks a field is left out and
    named; any other that lacks a field is lacking.
    """
    result = Seeds()
    seen: set[str] = set()
    made: dict[str, dict[str, t.Any]] = {}
    for number, entry in enumerate(table, 1):
        wrong = problems(entry, number)
        result.problems.extend(wrong)
        if wrong or not entry.get("enabled", True):
            continue
        labels = {namespace: label(entry, namespace) for namespace in namespaces(entry)}
        twice = [each for each in labels.values() if each in seen]
        seen.update(labels.values())
        for name in twice:
            what = f"stands twice in {TABLE}."
            result.problems.append(Problem("duplicate", name, what, "Write it as one entry."))
        if twice:
            continue
        if entry["kind"] == NAMESPACE:
            made[str(entry["name"])] = _namespace(str(entry["name"]), entry)
            continue
        objects = _read(entry, labels, values, result)
        for each in objects:
            namespace = each["metadata"]["namespace"]
            made.setdefault(namespace, _namespace(namespace, {}))
        result.objects.extend(objects)
    result.namespaces.extend(made.values())
    return result


def _read(
    entry: Entry, labels: Mapping[str, str], values: Mapping[str, t.Any], result: Seeds
) -> list[dict[str, t.Any]]:
    """The objects of an entry of the right form; what keeps them from being made is noted in the result."""
    names = list(dict.fromkeys(name for fields in uses(entry).values() for name in fields))
    (result.optional if entry.get("optional") else result.needed).extend(names)
    missing = [name for name in names if not _present(values.get(name))]
    if not missing:
        try:
            content = _content(entry, values)
        except BadTemplate as error:
            step = f"Correct it in {TABLE}."
            result.problems.extend(Problem("malformed", each, f"{error}.", step) for each in labels.values())
            return []
        if entry.get("create_only"):
            result.create_only.extend(f"{entry['kind']}/{namespace}/{entry['name']}" for namespace in labels)
            result.held_fields.extend(names)
        return [_object(entry, namespace, content) for namespace in labels]
    if entry.get("optional"):
        why = f"it is optional, and {_and(missing)} {_has(missing)} no value"
        result.skipped.extend(
            {"kind": str(entry["kind"]), "namespace": namespace, "name": str(entry["name"]), "skipped": why}
            for namespace in labels
        )
    else:
        what = f"{_and(missing)} {_has(missing)} no value in any source."
        result.lacking.extend(Problem("missing", each, what, WRITE_IT) for each in labels.values())
    return []


def _content(entry: Entry, values: Mapping[str, t.Any]) -> dict[str, str]:
    content = {str(key): text(values[name]) for key, name in (entry.get("keys") or {}).items()}
    for key, template in (entry.get("template") or {}).items():
        try:
            content[str(key)] = Template(template).fill(values)
        except BadTemplate as error:
            raise BadTemplate(f"the template of {key} cannot be filled: {error}") from None
    return content | {str(key): text(value) for key, value in (entry.get("values") or {}).items()}


def _object(entry: Entry, namespace: str, content: Mapping[str, str]) -> dict[str, t.Any]:
    metadata = {"namespace": namespace, "name": str(entry["name"]), **_marks(entry)}
    seed: dict[str, t.Any] = {"apiVersion": "v1", "kind": str(entry["kind"]), "metadata": metadata}
    if seed["kind"] == "Secret":
        seed["type"] = str(entry.get("type") or "Opaque")
        # base64 of the very bytes: stringData would do for text, but data is what a reader compares.
        content = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    seed["data"] = content
    return seed


def _namespace(name: str, entry: Entry) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": NAMESPACE, "metadata": {"name": name, **_marks(entry)}}


def _marks(entry: Entry) -> dict[str, t.Any]:
    """Its labels and annotations, each where there is any."""
    return {
        kind: {str(key): text(value) for key, value in entry[kind].items()}
        for kind in ("labels", "annotations")
        if entry.get(kind)
    }


def _present(value: t.Any) -> bool:
    return value is not None and str(value).strip() != ""


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _has(words: Sequence[str]) -> str:
    return "has" if len(words) == 1 else "have"
