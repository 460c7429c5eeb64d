# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes files of others in place: comments, order, quotes and every other document stay as they are. Pure.

A document that cannot be written again as it stands is refused, never rewritten.
Private: other collections must not import it.
"""

from __future__ import annotations

import io
import re
import typing as t
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops import yaml as _yaml

try:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    HAS_RUAMEL = True
except ImportError:
    HAS_RUAMEL = False

_BETWEEN: t.Final = re.compile(r"^---(?=[ \t]|$).*\n?", re.MULTILINE)
# How lists may stand below their key: the blanks of mappings, of lists, and before a dash.
_INDENTS: t.Final = ((2, 2, 0), (2, 4, 2), (4, 4, 0), (4, 4, 2), (4, 6, 4), (2, 3, 1))
# What an owner may have said beside a declaration, and what stays where a declaration does not say it.
_STAYS: t.Final = frozenset(
    (
        *("creationPolicy", "deletionPolicy", "immutable", "engineVersion", "mergePolicy", "refreshPolicy"),
        *("conversionStrategy", "decodingStrategy", "metadataPolicy", "hmacSecretData", "overwrite", "excludeRaw"),
    )
)

Document = dict[str, t.Any]
Identity = tuple[str, str, str, str]  # group, kind, namespace, name


class Unkept(Exception):
    """A file cannot be changed with all else of it kept. The text tells why."""


def rendered(document: Mapping[str, t.Any]) -> bytes:
    """A new file."""
    return f"---\n{_yaml.dump(document)}".encode()


def appended(content: bytes, document: Mapping[str, t.Any]) -> bytes:
    """A file with one document more."""
    text = content.decode()
    return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}---\n{_yaml.dump(document)}".encode()


def replaced(
    content: bytes, identity: Identity, document: Mapping[str, t.Any], before: Mapping[str, t.Any] | None = None
) -> bytes:
    """A file in which one object says what C(document) says in its apiVersion and spec.

    With C(before), only what differs between the two is changed.
    """

    def change(found: t.Any) -> None:
        if before is None or before["apiVersion"] != document["apiVersion"]:
            found["apiVersion"] = _as_written(found["apiVersion"], document["apiVersion"])
        _into(found["spec"], document["spec"], None if before is None else before["spec"])

    return _changed(content, identity, change)


def document_of(content: bytes, identity: Identity) -> Document:
    """An object as a file says it."""
    for _before, text in _parts(content.decode()):
        if _is(text, identity):
            (found,) = _yaml.manifests(text.encode())
            return dict(found)
    return {}


def annotated(content: bytes, identity: Identity, key: str, value: str) -> bytes:
    """A file in which an object has an annotation more."""

    def change(found: t.Any) -> None:
        if not found["metadata"].get("annotations"):
            found["metadata"]["annotations"] = {}
        found["metadata"]["annotations"][key] = value

    return _changed(content, identity, change)


def post_rendered(content: bytes, identity: Identity, renderer: Mapping[str, t.Any]) -> bytes:
    """A file in which a HelmRelease has a post-renderer more."""

    def change(found: t.Any) -> None:
        if not found["spec"].get("postRenderers"):
            found["spec"]["postRenderers"] = []
        found["spec"]["postRenderers"].append(_blocks(renderer))

    return _changed(content, identity, change)


def listed(content: bytes, resource: str) -> bytes:
    """A kustomization that lists a resource more."""

    def change(found: t.Any) -> None:
        if not found.get("resources"):
            found["resources"] = []
        if resource not in found["resources"]:
            found["resources"].append(resource)

    return _of_one(content, change)


def unlisted(content: bytes, resource: str) -> bytes:
    """A kustomization that lists a resource less. Its list stays, as Flux refuses a kustomization that says nothing."""
    return _of_one(content, lambda found: found["resources"].remove(resource))


def without(content: bytes, identity: Identity) -> bytes | None:
    """A file without one object; None where nothing is left in it but comments."""
    parts = list(_parts(content.decode()))
    kept = [(before, text) for before, text in parts if not _is(text, identity)]
    if len(kept) != len(parts) - 1:
        raise Unkept(f"{identity[1]} {identity[3]} does not stand in it once under this name")
    if not any(_yaml.manifests(text.encode()) not in ([], [None]) for _before, text in kept):
        return None
    return "".join(begin + each for begin, each in kept).encode()


def _of_one(content: bytes, change: Callable[[t.Any], None]) -> bytes:
    """A file of one document, changed."""
    parts = list(_parts(content.decode()))
    places = [number for number, (_before, text) in enumerate(parts) if text.strip()]
    if len(places) != 1:
        raise Unkept("it is not one document")
    return _joined(parts, places[0], change)


def _changed(content: bytes, identity: Identity, change: Callable[[t.Any], None]) -> bytes:
    parts = list(_parts(content.decode()))
    for number, (_before, text) in enumerate(parts):
        if _is(text, identity):
            return _joined(parts, number, change)
    raise Unkept(f"{identity[1]} {identity[3]} does not stand in it under this name")


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """The documents of a text, each with the line that begins it."""
    begun, before = 0, ""
    for found in _BETWEEN.finditer(text):
        yield before, text[begun : found.start()]
        begun, before = found.end(), found[0]
    yield before, text[begun:]


def _is(text: str, identity: Identity) -> bool:
    """Whether a document is this object. One that names no namespace gets it on its way."""
    try:
        found = _yaml.manifests(text.encode())
    except NotYaml:
        return False
    document = found[0] if len(found) == 1 else None
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        return False
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    metadata = document["metadata"]
    namespace = metadata.get("namespace") or identity[2]
    return (group, document.get("kind"), namespace, metadata.get("name")) == identity


def _joined(parts: list[tuple[str, str]], number: int, change: Callable[[t.Any], None]) -> bytes:
    before, text = parts[number]
    changed = [*parts[:number], (before, _again(text, change)), *parts[number + 1 :]]
    return "".join(begin + each for begin, each in changed).encode()


def _again(text: str, change: Callable[[t.Any], None]) -> str:
    """A document that was changed, written as it was written."""
    if not HAS_RUAMEL:
        raise BootstrapError(
            "The Python package ruamel.yaml is not installed for the Python that runs ansible-playbook. "
            "Install it there: pip install ruamel.yaml"
        )
    ended = text if text.endswith("\n") else f"{text}\n"
    for indents in _INDENTS:
        yaml = _round_trip(*indents)
        try:
            document = yaml.load(ended)
            if _written(yaml, document) != ended:
                continue
            change(document)
            return _written(yaml, document)
        except YAMLError:
            raise Unkept("it is YAML that is not written here") from None
    raise Unkept("it is indented or written in several ways at once")


def _round_trip(mapping: int, sequence: int, offset: int) -> t.Any:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1 << 30
    yaml.brace_single_entry_mapping_in_flow_sequence = True  # [{name: a}] stays what it is
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)
    return yaml


def _written(yaml: t.Any, document: t.Any) -> str:
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def _into(old: t.Any, new: Mapping[str, t.Any], before: t.Any = None) -> None:
    """Have a mapping say what another one says, and leave what is equal as it stands."""
    known = before if isinstance(before, Mapping) else None
    for key in [key for key in old if key not in new and (key not in _STAYS if known is None else key in known)]:
        del old[key]
    for key, value in new.items():
        if known is not None and key in known and known[key] == value:
            continue
        if key not in old and known is not None and isinstance(known.get(key), Mapping) and isinstance(value, Mapping):
            old[key] = {}
            _into(old[key], value, known[key])
        elif key not in old:
            old[key] = _blocks(value)
        elif old[key] != value:
            if isinstance(old[key], dict) and isinstance(value, Mapping):
                _into(old[key], value, None if known is None else known.get(key))
            elif isinstance(old[key], list) and isinstance(value, list):
                _into_list(old[key], value)
            else:
                old[key] = _as_written(old[key], value)


def _into_list(old: t.Any, new: list[t.Any]) -> None:
    for number, (before, after) in enumerate(zip_longest(list(old), new)):
        if number >= len(new):
            del old[len(new) :]
            return
        if number >= len(old):
            old.append(_blocks(after))
        elif isinstance(before, dict) and isinstance(after, Mapping):
            _into(before, after)
        elif before != after:
            old[number] = _as_written(before, after)


def _as_written(old: t.Any, value: t.Any) -> t.Any:
    """A value in the quotes of that which it replaces."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, SingleQuotedScalarString

    quoted = isinstance(old, (DoubleQuotedScalarString, SingleQuotedScalarString))
    return type(old)(value) if quoted and isinstance(value, str) and "\n" not in value else _blocks(value)


def _blocks(value: t.Any) -> t.Any:
    """A value of which texts with several lines are written as blocks."""
    from ruamel.yaml.scalarstring import LiteralScalarString

    if isinstance(value, Mapping):
        return {key: _blocks(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_blocks(each) for each in value]
    return LiteralScalarString(value) if isinstance(value, str) and "\n" in value else value
