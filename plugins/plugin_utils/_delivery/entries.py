# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of tazlab_workload_secrets: their form is checked, all of it told together. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import (
    ESO,
    PROPERTY,
    REFRESH,
    VSO,
    Consumer,
    Declared,
    Key,
    Value,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.template import (
    NAME,
    BadTemplate,
    has_own_scopes,
    is_plain,
    names,
    takes_all,
)

TABLE: t.Final = "tazlab_workload_secrets"
KINDS: t.Final = ("Deployment", "StatefulSet", "DaemonSet")
KNOWN: t.Final = (
    *("name", "namespace", "namespaces", "writer", "type", "keys", "all_of", "consumers", "refresh"),
    *("labels", "annotations", "create_only", "through", "file"),
)
# What Kubernetes allows: as a namespace, as an object's name, as a key of data, as a key of labels, as a label.
LABEL_NAME: t.Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
OBJECT_NAME: t.Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
DATA_KEY: t.Final = re.compile(r"[A-Za-z0-9._-]{1,253}")
_WORD: t.Final = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
MARK_KEY: t.Final = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_WORD}")
MARK: t.Final = re.compile(rf"({_WORD})?")
_PATH: t.Final = re.compile(r"[^/\s\x00-\x1f?#]+(/[^/\s\x00-\x1f?#]+)*")
_DURATION: t.Final = re.compile(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+")
_THROUGH: t.Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*/)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")

Entry = Mapping[str, t.Any]
Wrong = Iterator[tuple[str, str]]


def read(entries: t.Any) -> tuple[list[Declared], list[Problem]]:
    """The declarations, one for each namespace, and everything that is wrong with the form of the entries."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return [], [Problem("malformed", TABLE, "it is not a list.", "Write a list of mappings.")]
    declared: list[Declared] = []
    problems: list[Problem] = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping):
            what = f"entry {number} is not a mapping."
            problems.append(Problem("malformed", TABLE, what, "Give it name, namespace and keys."))
            continue
        subject = f"{TABLE}: entry {number} ({entry.get('name') or 'without a name'})"
        wrong = [Problem("malformed", subject, what, step) for what, step in _wrong(entry)]
        problems += wrong
        if not wrong:
            declared += _declared(entry)
    seen: set[str] = set()
    for each in declared:
        if each.label in seen:
            what = f"Secret {each.label} is declared twice."
            problems.append(Problem("twice", TABLE, what, "Keep one of them."))
        seen.add(each.label)
    return declared, problems


def _declared(entry: Entry) -> Iterator[Declared]:
    keys = {str(name): _key(given) for name, given in (entry.get("keys") or {}).items()}
    consumers = [
        Consumer(str(each["kind"]), str(each.get("name") or ""), str(each.get("helm_release") or ""))
        for each in entry.get("consumers") or []
    ]
    for namespace in entry.get("namespaces") or [entry["namespace"]]:
        yield Declared(
            str(entry["name"]),
            str(namespace),
            str(entry.get("writer") or ""),
            keys=keys,
            all_of=tuple(map(str, entry.get("all_of") or [])),
            type=str(entry.get("type") or "Opaque"),
            refresh=str(entry.get("refresh") or REFRESH),
            labels={str(key): str(value) for key, value in (entry.get("labels") or {}).items()},
            annotations={str(key): str(value) for key, value in (entry.get("annotations") or {}).items()},
            create_only=bool(entry.get("create_only")),
            consumers=tuple(consumers),
            through=str(entry.get("through") or ""),
            file=str(entry.get("file") or "").format(namespace=namespace, name=entry["name"]),
        )


def _key(given: t.Any) -> Key:
    if isinstance(given, Mapping) and "template" in given:
        values = {str(key): _value(each) for key, each in (given.get("values") or {}).items()}
        return Key(values, str(given["template"]))
    return Key.plain(_value(given))


def _value(given: t.Any) -> Value:
    if isinstance(given, Mapping):
        return Value(str(given["path"]), str(given.get("property") or PROPERTY))
    return Value(str(given))


def _wrong(entry: Entry) -> Wrong:
    if unknown := sorted(str(key) for key in set(entry) - set(KNOWN)):
        yield f"does not know {', '.join(unknown)}.", f"Known are {', '.join(KNOWN)}."
    yield from _places(entry)
    writer = entry.get("writer") or ""
    if writer not in ("", ESO, VSO):
        yield f"writer must be {ESO} or {VSO}.", "Without one it is chosen."
    if entry.get("create_only") and writer == VSO:
        yield "VSO keeps what it has made as Vault has it, so it cannot make a Secret only once.", f"Take {ESO}."
    if not _DURATION.fullmatch(str(entry.get("refresh") or REFRESH)):
        yield "refresh is not a duration.", "It is like 15m or 1h."
    if not _THROUGH.fullmatch(str(entry.get("through") or "x")):
        yield "through is not a name.", "It is like ClusterSecretStore/vault, or NAMESPACE/NAME of a VaultAuth."
    yield from _sources(entry)
    yield from _users(entry.get("consumers"))
    yield from _marks(entry)
    yield from _file(entry)


def _places(entry: Entry) -> Wrong:
    if not OBJECT_NAME.fullmatch(str(entry.get("name") or "")):
        yield "name is missing or not a Kubernetes name.", "Lower case letters, digits, - and dots."
    several = entry.get("namespaces")
    if several and entry.get("namespace"):
        yield "has namespace and namespaces.", "Write one of them."
    elif several and (isinstance(several, str) or not isinstance(several, Sequence)):
        yield "namespaces must be a list.", ""
    else:
        for each in several or [entry.get("namespace")]:
            if not LABEL_NAME.fullmatch(str(each or "")):
                yield "a namespace is missing or not a DNS label.", "Lower case letters, digits and -, 63 at most."


def _sources(entry: Entry) -> Wrong:
    keys, all_of = entry.get("keys") or {}, entry.get("all_of") or []
    if not isinstance(keys, Mapping) or not isinstance(all_of, list):
        yield "keys must be a mapping, and all_of a list.", ""
        return
    if not keys and not all_of:
        yield "has neither keys nor all_of.", "Map its keys to paths in keys."
    for path in all_of:
        if problem := _path_problem(path):
            yield f"all_of: {problem}.", _PATH_STEP
    meanings: dict[str, t.Any] = {}
    for name, given in keys.items():
        if not DATA_KEY.fullmatch(str(name)):
            yield f"{name!r} is not a key that Kubernetes allows.", "Letters, digits, -, _ and dots."
        yield from ((f"key {name}: {what}", step) for what, step in _of_key(given, meanings))


def _of_key(given: t.Any, meanings: dict[str, t.Any]) -> Wrong:
    if not isinstance(given, Mapping) or "template" not in given:
        yield from _of_value(given)
        return
    if unknown := sorted(str(key) for key in set(given) - {"template", "values"}):
        yield f"does not know {', '.join(unknown)}.", "It has template and values."
    values, template = given.get("values") or {}, given["template"]
    if not isinstance(values, Mapping) or not isinstance(template, str):
        yield "template must be text, and values a mapping.", ""
        return
    for name, value in values.items():
        if not NAME.fullmatch(str(name)):
            yield f"{name!r} cannot be named in a template.", "Letters, digits and _."
        if meanings.setdefault(str(name), value) != value:
            yield f"{name} means something else in another key of this Secret.", "Give one of them another name."
        yield from ((f"{name}: {what}", step) for what, step in _of_value(value))
    try:
        named = names(template)
    except BadTemplate as error:
        yield f"its template cannot be read: {error}.", "It is written as Go's templates are: {{ .NAME }}."
        return
    if not template or takes_all(template):
        what = "is empty" if not template else "takes all values at once"
        yield f"its template {what}.", "Name each value, like {{ .NAME }}."
    lacking = [name for name in named if name not in values]
    if lacking and not has_own_scopes(template):
        yield f"no source fills {', '.join(lacking)} of its template.", "Add the path to its values."
    surplus = [str(name) for name in values if name not in named]
    if surplus and is_plain(template):
        yield f"its template does not name {', '.join(surplus)}.", "Take it out of its values."


_PATH_STEP: t.Final = "It is the path of the secret without its mount, like tazlab-k8s/static/web/TOKEN."


def _of_value(given: t.Any) -> Wrong:
    if isinstance(given, Mapping):
        if unknown := sorted(str(key) for key in set(given) - {"path", "property"}):
            yield f"does not know {', '.join(unknown)}.", "It has path and property."
        inner = given.get("property", PROPERTY)
        if not isinstance(inner, str) or not inner or not inner.isprintable():
            yield "property must be text.", ""
        given = given.get("path")
    if problem := _path_problem(given):
        yield f"{problem}.", _PATH_STEP


def _path_problem(path: t.Any) -> str | None:
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        return "its path is missing or not a path in Vault"
    if ".." in path.split("/"):
        return "its path leads elsewhere"
    if path.startswith(("data/", "metadata/")):
        return f"its path begins with {path.partition('/')[0]}/, which is of Vault's API"
    return None


def _users(consumers: t.Any) -> Wrong:
    if not isinstance(consumers or [], list):
        yield "consumers must be a list.", "Each has kind and name."
        return
    for each in consumers or []:
        if not isinstance(each, Mapping) or set(each) - {"kind", "name", "helm_release"}:
            yield "a consumer has kind, and name or helm_release.", ""
            continue
        if each.get("kind") not in KINDS:
            yield f"the kind of a consumer must be one of {', '.join(KINDS)}.", ""
        given = [str(each[key]) for key in ("name", "helm_release") if each.get(key)]
        if not given or not all(map(OBJECT_NAME.fullmatch, given)):
            yield "a consumer has no name that Kubernetes allows.", "Give name, or the HelmRelease that makes it."


def _marks(entry: Entry) -> Wrong:
    for kind in ("labels", "annotations"):
        given = entry.get(kind) or {}
        if not isinstance(given, Mapping):
            yield f"{kind} must be a mapping.", ""
            continue
        for key, value in given.items():
            if not MARK_KEY.fullmatch(str(key)):
                yield f"{key!r} is not a key that Kubernetes allows among {kind}.", "It is like example.net/app."
            elif not isinstance(value, str):
                yield f"{kind}: {key} must be text.", "Quote it, as Kubernetes wants it."
            elif kind == "labels" and not MARK.fullmatch(value):
                yield f"label {key} has a value that Kubernetes does not allow.", "63 letters, digits, -, _ and dots."


def _file(entry: Entry) -> Wrong:
    given = str(entry.get("file") or "")
    try:
        given.format(namespace="a", name="b")
    except (KeyError, IndexError, ValueError):
        yield "file may name {namespace} and {name} alone.", ""
    if given and (given.startswith("/") or ".." in given.split("/") or not given.endswith((".yaml", ".yml"))):
        yield "file is not a manifest inside the repository.", "It is like apps/web/externalsecret-web.yaml."
    several = entry.get("namespaces")
    if given and isinstance(several, list) and len(several) > 1 and "{namespace}" not in given:
        yield "file is one for several namespaces.", "Name {namespace} in it."
