# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Secrets that a GitOps repository has made already, and what each is declared to be. Pure.

Nothing is guessed: one that says more than a declaration can is named with the reason, and left to its file.
Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import (
    ESO,
    REFRESH,
    VSO,
    Consumer,
    Declared,
    Key,
    Value,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.fed import bare, made_once
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import KINDS, Operators
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.template import (
    BadTemplate,
    from_secrets,
    has_own_scopes,
    names,
    one_value,
    takes_all,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import (
    Object,
    Repository,
    mapping,
    mappings,
)

# What an object may say so that a declaration says all of it. Of some, one value alone: the one by default.
_SPEC: t.Final[Mapping[str, frozenset[str]]] = {
    ESO: frozenset(("refreshInterval", "refreshPolicy", "secretStoreRef", "target", "data", "dataFrom")),
    VSO: frozenset(
        (
            *("vaultAuthRef", "mount", "type", "path", "refreshAfter", "hmacSecretData", "destination"),
            "rolloutRestartTargets",
        )
    ),
}
_TARGET: t.Final = frozenset(("name", "creationPolicy", "deletionPolicy", "immutable", "template"))
_TEMPLATE: t.Final = frozenset(("engineVersion", "type", "metadata", "data", "mergePolicy"))
_DESTINATION: t.Final = frozenset(("name", "create", "overwrite", "type", "labels", "annotations", "transformation"))
_TRANSFORMATION: t.Final = frozenset(("excludeRaw", "excludes", "templates"))
_REFERENCE: t.Final = frozenset(("key", "property", "conversionStrategy", "decodingStrategy", "metadataPolicy"))
_BY_DEFAULT: t.Final[Mapping[str, t.Any]] = {
    "conversionStrategy": "Default",
    "decodingStrategy": "None",
    "metadataPolicy": "None",
    "creationPolicy": "Owner",
    "deletionPolicy": "Retain",
    "immutable": False,
    "engineVersion": "v2",
    "mergePolicy": "Replace",
    "hmacSecretData": True,
    "create": True,
}


class Undeclared(Exception):
    """It says more than a declaration can. The text tells what."""


@dataclass(frozen=True)
class Written:
    """An object that has a Secret made, and its declaration; where there is none, C(why)."""

    object: Object
    writer: str
    label: str  # of the Secret
    declared: Declared | None = None
    why: str = ""

    @property
    def shown(self) -> str:
        return f"{self.object.kind} {self.object.namespace}/{self.object.name} ({self.object.place})"


def secrets(repository: Repository, operators: Operators) -> list[Written]:
    """What the repository's ExternalSecrets and VaultStaticSecrets make."""
    found = []
    for each in repository.objects:
        for writer, identity in KINDS.items():
            if (each.group, each.kind) == identity:
                found.append(written(each, writer, operators))
    return found


def secret_name(each: Object, writer: str) -> str:
    """The name of the Secret that an object of a writer makes."""
    target = mapping(each.spec.get("target" if writer == ESO else "destination"))
    return str(target.get("name") or each.name)


def written(each: Object, writer: str, operators: Operators) -> Written:
    """What one object of a writer makes."""
    name = secret_name(each, writer)
    label = f"{each.namespace}/{name}"
    read: Callable[[Object, str, Operators], Declared] = _external if writer == ESO else _static
    try:
        return Written(each, writer, label, read(each, name, operators))
    except Undeclared as error:
        return Written(each, writer, label, why=str(error))


def _only(what: str, given: Mapping[str, t.Any], known: frozenset[str]) -> None:
    """Refuse what a declaration does not say."""
    more = [key for key in given if key not in known]
    more += [key for key in given if key in known and _is_other(key, given[key])]
    if more:
        raise Undeclared(f"{what} has {', '.join(sorted(more))}")


def _is_other(key: str, value: t.Any) -> bool:
    return key in _BY_DEFAULT and value not in (None, "", _BY_DEFAULT[key])


def _external(each: Object, name: str, operators: Operators) -> Declared:
    """What an ExternalSecret makes."""
    spec = each.spec
    target = mapping(spec.get("target"))
    template = mapping(target.get("template"))
    metadata = mapping(template.get("metadata"))
    _only("it", spec, _SPEC[ESO])
    _only("its target", target, _TARGET)
    _only("its template", template, _TEMPLATE)
    _only("its template's metadata", metadata, frozenset(("labels", "annotations")))
    policy = spec.get("refreshPolicy")
    if policy not in (None, "", "Periodic", "CreatedOnce"):
        raise Undeclared(f"its refreshPolicy is {policy}")
    data = mappings(spec.get("data"))
    through = _store(mapping(spec.get("secretStoreRef")), operators)
    mount = operators.mount if not through else ""
    values: Mapping[str, Value] = {str(entry.get("secretKey")): _reference(entry, mount) for entry in data}
    all_of = tuple(_whole(entry, mount) for entry in mappings(spec.get("dataFrom")))
    texts = {str(key): str(text) for key, text in mapping(template.get("data")).items()}
    if texts and all_of:
        values, all_of = _named(texts, values, all_of), ()
    elif texts and (spare := sorted(set(values) - {name for text in texts.values() for name in _names(text)})):
        raise Undeclared(f"no template names its {', '.join(spare)}")
    refresh = str(spec.get("refreshInterval") or REFRESH)
    once = made_once(spec)
    return Declared(
        name,
        each.namespace,
        ESO,
        keys={key: _templated(text, values) for key, text in texts.items()}
        or {key: Key.plain(value) for key, value in values.items()},
        all_of=all_of,
        type=str(template.get("type") or "Opaque"),
        refresh=REFRESH if once else refresh,
        labels=_texts(metadata.get("labels")),
        annotations=_texts(metadata.get("annotations")),
        create_only=once,
        through=through,
    )


def _named(texts: Mapping[str, str], values: Mapping[str, Value], all_of: tuple[str, ...]) -> Mapping[str, Value]:
    """The values of templates that name properties of the one path of which they have all."""
    if len(all_of) > 1:
        raise Undeclared("its template is over the properties of several paths")
    used = {name for text in texts.values() for name in _names(text)}
    if not used or any(map(has_own_scopes, texts.values())):
        raise Undeclared("its template does more than name properties of its path")
    return {**{name: Value(all_of[0], name) for name in sorted(used)}, **values}


def _store(reference: Mapping[str, t.Any], operators: Operators) -> str:
    store = f"{reference.get('kind') or 'SecretStore'}/{reference.get('name')}"
    return "" if store == operators.store else store


def _reference(data: Mapping[str, t.Any], mount: str) -> Value:
    """Where a value of an ExternalSecret comes from."""
    _only("data", data, frozenset(("secretKey", "remoteRef")))
    reference = mapping(data.get("remoteRef"))
    _only("a remoteRef", reference, _REFERENCE)
    if not reference.get("key") or not reference.get("property"):
        raise Undeclared("a remoteRef names no property")
    return Value(_path(str(reference["key"]), mount), str(reference["property"]))


def _whole(source: Mapping[str, t.Any], mount: str) -> str:
    _only("dataFrom", source, frozenset(("extract",)))
    extract = mapping(source.get("extract"))
    _only("extract", extract, _REFERENCE - {"property"})
    return _path(str(extract.get("key")), mount)


def _path(key: str, mount: str) -> str:
    """A path in our mount without it; in another store, the key as it stands there."""
    return bare(key, mount) if mount else key


def _templated(text: str, values: Mapping[str, Value]) -> Key:
    """A key that a template of ESO makes."""
    used = _names(text)
    one = one_value(text)
    if one and one in values:
        return Key.plain(values[one])
    return Key({name: values[name] for name in used if name in values}, template=text)


def _names(text: str) -> tuple[str, ...]:
    """The values that a template names, when it is one that takes them by their names."""
    try:
        used = names(text)
    except BadTemplate as error:
        raise Undeclared(f"a template cannot be read: {error}") from None
    if not text or takes_all(text):
        raise Undeclared(f"a template {'takes all values at once' if text else 'is empty'}")
    return used


def _static(each: Object, name: str, operators: Operators) -> Declared:
    """What a VaultStaticSecret makes."""
    spec = each.spec
    destination = mapping(spec.get("destination"))
    transformation = mapping(destination.get("transformation"))
    _only("it", spec, _SPEC[VSO])
    _only("its destination", destination, _DESTINATION)
    _only("its transformation", transformation, _TRANSFORMATION)
    if spec.get("type") != "kv-v2":
        raise Undeclared(f"its type is {spec.get('type')}")
    if spec.get("mount") != operators.mount:
        raise Undeclared(f"its mount is {spec.get('mount')}, not {operators.mount}")
    if not destination.get("create"):
        raise Undeclared("somebody else makes the Secret")
    if lacking := [key for key in ("vaultAuthRef", "refreshAfter") if not spec.get(key)]:
        raise Undeclared(f"it has no {' and no '.join(lacking)}")
    path = str(spec.get("path") or "")
    excludes = [str(entry) for entry in transformation.get("excludes") or []]
    if excludes not in ([], [".*"]):
        raise Undeclared("it takes some properties of its path by a pattern")
    templates = mapping(transformation.get("templates"))
    auth = str(spec.get("vaultAuthRef") or "")
    return Declared(
        name,
        each.namespace,
        VSO,
        keys={str(key): _of_secret(str(mapping(text).get("text") or ""), path) for key, text in templates.items()},
        all_of=() if excludes else (path,),
        type=str(destination.get("type") or "Opaque"),
        refresh=str(spec.get("refreshAfter") or ""),
        labels=_texts(destination.get("labels")),
        annotations=_texts(destination.get("annotations")),
        consumers=tuple(
            Consumer(str(entry.get("kind")), str(entry.get("name")))
            for entry in mappings(spec.get("rolloutRestartTargets"))
        ),
        through="" if auth == operators.auth else auth,
    )


def _of_secret(text: str, path: str) -> Key:
    """A key that a template of VSO makes."""
    try:
        found = from_secrets(text)
    except BadTemplate as error:
        raise Undeclared(f"a template cannot be read: {error}") from None
    if found is None or not text:
        raise Undeclared("a template does more than put in properties" if text else "a template is empty")
    template, properties = found
    values = {name: Value(path, each) for name, each in properties.items()}
    one = one_value(template)
    return Key.plain(values[one]) if one else Key(values, template=template)


def readers(repository: Repository, label: str) -> Iterator[Object]:
    """The workloads of the repository whose pods read a Secret."""
    namespace, _slash, name = label.partition("/")
    for each in workloads(repository):
        pod = mapping(mapping(each.spec.get("template")).get("spec"))
        if each.namespace == namespace and name in set(_read(pod)):
            yield each


def workloads(repository: Repository) -> Iterable[Object]:
    kinds = ("Deployment", "StatefulSet", "DaemonSet")
    return (each for each in repository.objects if each.group == "apps" and each.kind in kinds)


def _read(pod: Mapping[str, t.Any]) -> Iterator[str]:
    """The names of the Secrets that a pod mounts or has in its environment."""
    for volume in mappings(pod.get("volumes")):
        yield str(mapping(volume.get("secret")).get("secretName"))
        for source in mappings(mapping(volume.get("projected")).get("sources")):
            yield str(mapping(source.get("secret")).get("name"))
    for container in (*mappings(pod.get("containers")), *mappings(pod.get("initContainers"))):
        for source in mappings(container.get("envFrom")):
            yield str(mapping(source.get("secretRef")).get("name"))
        for variable in mappings(container.get("env")):
            yield str(mapping(mapping(variable.get("valueFrom")).get("secretKeyRef")).get("name"))


def _texts(value: t.Any) -> dict[str, str]:
    return {str(name): str(each) for name, each in mapping(value).items()}
