# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Secrets a path of Vault feeds, by which of their keys, and whether one holds a value. Pure.

What cannot be told of an object's keys is taken for fed: a Secret too many is waited for, never one too few.
Private: other collections must not import it.
"""

from __future__ import annotations

import base64
import enum
import json
import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import EXTERNAL, KINDS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.template import (
    NAME,
    BadTemplate,
    actions,
    from_secrets,
    names,
    one_value,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object, mapping, mappings

MIRROR: t.Final = "mirror"  # a copy that Reflector keeps
REFLECTS: t.Final = "reflector.v1.k8s.emberstack.com/reflects"

SHORT: t.Final = 8  # a shorter value may stand in a text by chance
_COMPARED_EVERY: t.Final = 60.0  # seconds; VSO's own, where it compares and no refreshAfter is said
_DURATION: t.Final = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS: t.Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
# What may take any value of a template without its name: all of them at once, a variable, a key. Texts are passed over.
_ANY: t.Final = re.compile(
    r"\"(?:[^\"\\]|\\.)*\"|`[^`]*`|'(?:[^'\\]|\\.)+'|(?P<any>(?<!\w)\.(?!\w)|\$|\b(?:index|get)\b)"
)


@dataclass(frozen=True)
class Asked:
    """A property of a secret in Vault. C(mounts): of each store of ESO, the mount that it reads; None: no Vault."""

    path: str
    property: str
    mount: str = "secret"
    mounts: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Feed:
    """How the value comes into a Secret. C(keys): whether each holds the value itself, or something made of it.

    C(loose): it may be in others, too. C(stays): why the Secret keeps what it has. C(restarts): whom VSO restarts.
    C(ignored): whom it is told to restart, and does not.
    """

    object: Object
    writer: str
    secret: str
    keys: Mapping[str, bool]
    loose: bool = False
    stays: str = ""
    refresh: float = 0.0  # seconds after which VSO reads Vault again by itself, for this or what this is a copy of
    restarts: tuple[tuple[str, str], ...] = ()
    ignored: tuple[tuple[str, str], ...] = ()

    @property
    def namespace(self) -> str:
        return self.object.namespace

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.secret}"

    @property
    def source(self) -> str:
        """The Secret of which this is a copy."""
        return _reflects(self.object)

    @property
    def by(self) -> str:
        """Who makes the Secret."""
        if self.writer == MIRROR:
            return f"Reflector, from {self.source}"
        return f"{self.object.kind} {self.object.namespace}/{self.object.name}"


def bare(path: str, mount: str) -> str:
    """A path without its mount, as ESO takes it with and without."""
    text = path.strip("/")
    if text.startswith(f"{mount}/"):
        text = text.removeprefix(f"{mount}/").removeprefix("data/")
    return text


def fed(objects: Iterable[Object], asked: Asked) -> list[Feed]:
    """What the path feeds by ExternalSecrets and VaultStaticSecrets."""
    read = {KINDS[ESO]: _external, KINDS[VSO]: _static}
    found = (read[each.group, each.kind](each, asked) for each in objects if (each.group, each.kind) in read)
    return [feed for feed in found if feed]


def mirrors(secrets: Iterable[Object], feeds: Iterable[Feed]) -> list[Feed]:
    """The copies that Reflector keeps of fed Secrets."""
    sources = {feed.label: feed for feed in feeds}
    found = []
    for each in secrets:
        source = sources.get(_reflects(each))
        if source and f"{each.namespace}/{each.name}" != source.label:
            found.append(Feed(each, MIRROR, each.name, source.keys, source.loose, source.stays, source.refresh))
    return found


def _reflects(each: Object) -> str:
    return str(mapping(mapping(each.document.get("metadata")).get("annotations")).get(REFLECTS) or "")


def paths(objects: Iterable[Object], mount: str) -> set[str]:
    """Every path that feeds anything."""
    found = set()
    for each in objects:
        if (each.group, each.kind) == KINDS[VSO]:
            found.add(str(each.spec.get("path") or ""))
        elif (each.group, each.kind) == KINDS[ESO]:
            for entry in (*mappings(each.spec.get("data")), *mappings(each.spec.get("dataFrom"))):
                reference = mapping(entry.get("remoteRef") or entry.get("extract"))
                found.add(bare(str(reference.get("key") or ""), mount))
    return found - {""}


def mounts(stores: Iterable[Object]) -> dict[str, str | None]:
    """Which mount of Vault each store of ESO reads; None for one that reads something else."""
    found: dict[str, str | None] = {}
    for each in stores:
        if each.group == EXTERNAL and each.kind in ("ClusterSecretStore", "SecretStore"):
            vault = mapping(each.spec.get("provider")).get("vault")
            mount = str(mapping(vault).get("path") or "").strip("/") if vault else None
            found[_store(each.kind, each.name, each.namespace)] = mount
    return found


def _store(kind: str, name: str, namespace: str) -> str:
    return f"{kind} {name}" if kind == "ClusterSecretStore" else f"{kind} {namespace}/{name}"


# ------------------------------------------------------------------------------------------------ ExternalSecrets


def _external(each: Object, asked: Asked) -> Feed | None:
    spec = each.spec
    target = mapping(spec.get("target"))
    if target.get("creationPolicy") == "None":
        return None
    known: dict[str, bool] = {}  # by what the object calls them: whether it is the value itself
    loose = False
    pinned: set[str] = set()
    for entry in mappings(spec.get("data")):
        reference = mapping(entry.get("remoteRef"))
        exact = _of_property(str(reference.get("property") or ""), asked.property)
        if exact is None or not _reads(each, entry, reference, asked):
            continue
        known[str(entry.get("secretKey"))] = exact
        pinned |= {str(reference["version"])} if reference.get("version") else set()
    for entry in mappings(spec.get("dataFrom")):
        extract, search = mapping(entry.get("extract")), mapping(entry.get("find"))
        if extract and _reads(each, entry, extract, asked):
            inner = str(extract.get("property") or "")
            if not inner and not entry.get("rewrite"):
                known[re.sub(r"[^-._a-zA-Z0-9]", "_", asked.property)] = True
            elif not inner or _of_property(inner, asked.property) is not None:
                loose = True
        loose = loose or bool(search and _finds(each, entry, search, asked))
    if not known and not loose:
        return None
    keys, loose = _templated(mapping(target.get("template")), known, loose=loose)
    return Feed(each, ESO, str(target.get("name") or each.name), keys, loose, _stays(spec, pinned))


def _reads(each: Object, entry: Mapping[str, t.Any], reference: Mapping[str, t.Any], asked: Asked) -> bool:
    return _from_vault(each, entry, asked) and bare(str(reference.get("key") or ""), asked.mount) == asked.path


def _from_vault(each: Object, entry: Mapping[str, t.Any], asked: Asked) -> bool:
    """Whether an entry reads our mount. A store that is not known may."""
    own = mapping(mapping(entry.get("sourceRef")).get("storeRef"))
    store = own or mapping(each.spec.get("secretStoreRef"))
    label = _store(str(store.get("kind") or "SecretStore"), str(store.get("name")), each.namespace)
    return asked.mounts.get(label, asked.mount) in (asked.mount, "")


def _of_property(named: str, wanted: str) -> bool | None:
    """Whether what a reference names is the property itself, has it or is a part of it; None where it is another."""
    if named == wanted:
        return True
    return False if not named or named.startswith(f"{wanted}.") else None


def _finds(each: Object, entry: Mapping[str, t.Any], search: Mapping[str, t.Any], asked: Asked) -> bool:
    """Whether a search may find the path. By tags nobody can tell from here."""
    if not _from_vault(each, entry, asked):
        return False
    below = bare(str(search.get("path") or ""), asked.mount)
    if below and not f"{asked.path}/".startswith(f"{below}/"):
        return False
    pattern = str(mapping(search.get("name")).get("regexp") or "")
    try:
        return re.search(pattern, asked.path) is not None
    except re.error:
        return True


def _templated(
    template: Mapping[str, t.Any], known: Mapping[str, bool], *, loose: bool
) -> tuple[dict[str, bool], bool]:
    """What becomes of the values: the keys of the Secret."""
    texts = mapping(template.get("data"))
    if not texts and not template.get("templateFrom"):
        return dict(known), loose
    keys = dict(known) if template.get("mergePolicy") == "Merge" else {}
    loose = loose or bool(template.get("templateFrom"))
    for key, text in texts.items():
        used = _used(str(text), known)
        if used:
            keys[str(key)] = known.get(one_value(str(text)) or "", False)
    return keys, loose or not keys  # in a way that is not seen here, perhaps


def _used(text: str, known: Iterable[str]) -> list[str]:
    """Which of the values a template names, or may take without their names."""
    try:
        named = names(text)
        if any(found["any"] for action in actions(text) for found in _ANY.finditer(action)):
            return list(known)
    except BadTemplate:
        return list(known)
    return [each for each in known if each in named or (not NAME.fullmatch(each) and each in text)]


def _stays(spec: Mapping[str, t.Any], pinned: Iterable[str]) -> str:
    if pinned:
        return f"it asks for version {', '.join(sorted(pinned))} of the path"
    return "it is made once, and keeps what it has" if made_once(spec) else ""


def made_once(spec: Mapping[str, t.Any]) -> bool:
    """Whether ESO makes the Secret of an ExternalSecret and then leaves it as it is."""
    policy, interval = spec.get("refreshPolicy") or "Periodic", spec.get("refreshInterval")
    never = policy == "Periodic" and interval is not None and not seconds(str(interval))
    return bool(policy == "CreatedOnce" or never)


# ---------------------------------------------------------------------------------------------- VaultStaticSecrets


def _static(each: Object, asked: Asked) -> Feed | None:
    spec = each.spec
    if (str(spec.get("mount") or "").strip("/"), str(spec.get("path") or "").strip("/")) != (asked.mount, asked.path):
        return None
    destination = mapping(spec.get("destination"))
    transformation = mapping(destination.get("transformation"))
    keys, loose = _in_templates(mapping(transformation.get("templates")), asked.property)
    loose = loose or not transformation.get("excludeRaw") or bool(transformation.get("transformationRefs"))
    excludes = transformation.get("excludes") or ()
    if not excludes and not transformation.get("includes"):
        keys.setdefault(asked.property, True)
    elif ".*" not in excludes or not keys:  # which properties become keys is not told here
        loose = True
    version = spec.get("version")
    targets = tuple((str(one.get("kind")), str(one.get("name"))) for one in mappings(spec.get("rolloutRestartTargets")))
    return Feed(
        each,
        VSO,
        str(destination.get("name") or each.name),
        keys,
        loose,
        f"it asks for version {version} of the path" if version else _unread(spec),
        0.0 if _is_told(spec) else _refresh(spec),
        targets if _compares(spec) else (),
        () if _compares(spec) else targets,
    )


def _unread(spec: Mapping[str, t.Any]) -> str:
    """Why VSO does not read the path again; nothing where it does."""
    if _is_told(spec) or _refresh(spec):
        return ""
    return "it has hmacSecretData false and no refreshAfter, so VSO does not read Vault again"


def _refresh(spec: Mapping[str, t.Any]) -> float:
    """After how many seconds VSO reads the path again by itself; 0 where it never does."""
    return seconds(str(spec.get("refreshAfter") or "")) or (_COMPARED_EVERY if _compares(spec) else 0.0)


def _compares(spec: Mapping[str, t.Any]) -> bool:
    """Whether VSO compares the Secret with Vault, as it does by default. Else it never sees a change to restart for."""
    return spec.get("hmacSecretData") is not False


def _is_told(spec: Mapping[str, t.Any]) -> bool:
    """Whether Vault tells VSO at once that the path has changed."""
    return bool(mapping(spec.get("syncConfig")).get("instantUpdates"))


def _in_templates(templates: Mapping[str, t.Any], wanted: str) -> tuple[dict[str, bool], bool]:
    """The keys that are made of a property, and whether others may be."""
    keys: dict[str, bool] = {}
    loose = False
    for key, template in templates.items():
        text = str(mapping(template).get("text") or "")
        try:
            found = from_secrets(text)
        except BadTemplate:
            found = None
        if found and wanted in found[1].values():
            keys[str(key)] = found[1].get(one_value(found[0]) or "") == wanted
        elif not found:
            loose = True
            if wanted in text:
                keys[str(key)] = False
    return keys, loose


def seconds(duration: str) -> float:
    """A duration of Go, like 1h30m."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration))


# ------------------------------------------------------------------------------------------------------- holding


class Held(enum.Enum):
    """Whether a Secret holds a value. C(HIDDEN): it holds something made of it, in which it cannot be seen."""

    YES = enum.auto()
    NO = enum.auto()
    HIDDEN = enum.auto()


def holds(feed: Feed, secret: Mapping[str, t.Any] | None, value: str) -> tuple[Held, str]:
    """Whether a Secret holds the value by every key that should, and if not, why."""
    if secret is None:
        return Held.NO, "it does not exist"
    data = {str(key): _bytes(each) for key, each in mapping(secret.get("data")).items()}
    hidden = []
    for key, exact in feed.keys.items():
        if key not in data:
            return Held.NO, f"it has no key {key}"
        if exact and data[key] not in _same(value):
            return Held.NO, f"its key {key} holds another value"
        if not exact and not _shows(data[key], value):
            hidden.append(key)
    if hidden:
        return Held.HIDDEN, f"whether its key {', '.join(hidden)} holds the value cannot be seen"
    if feed.loose and not feed.keys and not any(_shows(each, value) for each in data.values()):
        return Held.HIDDEN, "the value cannot be seen in it"
    return Held.YES, ""


def _bytes(encoded: t.Any) -> bytes:
    return base64.b64decode(str(encoded or ""))


def _same(value: str) -> Iterator[bytes]:
    """The value, and what ESO's decodingStrategy makes of it."""
    plain = value.encode()
    yield plain
    for decode in (base64.b64decode, base64.urlsafe_b64decode):
        try:
            yield decode(plain)
        except ValueError:
            continue


def _shows(data: bytes, value: str) -> bool:
    """Whether a text contains the value as templates write it."""
    return len(value) >= SHORT and any(form.encode() in data for form in forms(value))


def forms(value: str) -> tuple[str, ...]:
    """A value as it is, quoted, and in base64."""
    return value, json.dumps(value)[1:-1], quote(value, safe=""), base64.b64encode(value.encode()).decode()
