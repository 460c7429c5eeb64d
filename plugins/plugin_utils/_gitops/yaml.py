# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML as Flux' programs read and write it, which is neither YAML 1.1 nor 1.2: what a plain word means decides.

kustomize reads manifests so that C(yes) is a word, C(1.0) a whole number and C(2026-01-01) a time stamp's text; after
its variables were replaced, Flux reads a text so that C(yes) is true. Neither knows numbers to the base of 60.
Private: other collections must not import it.
"""

from __future__ import annotations

import datetime
import functools
import math
import re
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, require

_WORDS: t.Final = "true True TRUE false False FALSE"
_MORE_WORDS: t.Final = "y Y yes Yes YES on On ON n N no No NO off Off OFF"
_TRUE: t.Final = frozenset(["true", "yes", "on", "y"])
_TAGS: t.Final = {
    "null": r"~|null|Null|NULL|",
    "int": r"[-+]?(?:0b[01_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)",
    "float": r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "timestamp": r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]| +)[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]*)?"
    r"(?: *(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?)?",
    "merge": r"<<",
}
# What the documents of one text may be worth at most: a point for each value, and for so many characters.
MOST_WORTH: t.Final = 1_000_000
CHARACTERS: t.Final = 200
DEEPEST: t.Final = 100

_LARGEST: t.Final = 2**64  # from here on a number loses its last digits


@dataclass(frozen=True)
class Lined:
    """A document and the line at which it begins; C(items) are those of what it lists under this key."""

    value: t.Any
    line: int
    items: tuple[int, ...] = ()


def manifests(content: bytes) -> list[t.Any]:
    """The documents of a file of manifests, empty ones included as None."""
    return [each.value for each in lined(content)]


def lined(content: bytes) -> list[Lined]:
    """The same, each with its line."""
    return _documents(content, more_words=False)


def replaced(text: str) -> t.Any:
    """The one document of a text in which variables were replaced."""
    found = _documents(text.encode(), more_words=True)
    if len(found) != 1:
        raise NotYaml("it is not one document")
    return found[0].value


def dump(value: t.Any) -> str:
    """A value as the text in which variables are replaced: several lines as a block, whose lines stand as they are."""
    require()
    import yaml

    text: str = yaml.dump(
        value, Dumper=_dumper(), sort_keys=False, default_flow_style=False, allow_unicode=True, width=1 << 30
    )
    return text


def _documents(content: bytes, *, more_words: bool) -> list[Lined]:
    require()
    try:
        slow = _repeats_anchors(content)
        loader = _loader(more_words, quick=not slow)(content)
        try:
            found = list(_composed(loader))
        finally:
            loader.dispose()
    except Exception as error:  # noqa: BLE001  # every error of the library quotes the text
        mark = getattr(error, "problem_mark", None)
        raise NotYaml("it cannot be read" if mark is None else f"line {mark.line + 1}") from None
    left = [MOST_WORTH]
    for each in found:
        _weigh(each.value, left)
    return found


def _composed(loader: t.Any) -> Iterator[Lined]:
    """The documents that a loader reads."""
    import yaml

    while loader.check_node():
        node = loader.get_node()
        value = loader.construct_document(node)
        keys = {key.value: each for key, each in node.value} if isinstance(value, dict) and "items" in value else {}
        items = keys.get("items")
        entries = items.value if isinstance(items, yaml.SequenceNode) else []
        yield Lined(value, node.start_mark.line + 1, tuple(each.start_mark.line + 1 for each in entries))


def _repeats_anchors(content: bytes) -> bool:
    """Whether a document has an anchor twice, which YAML allows and the quick loader refuses."""
    if b"&" not in content:
        return False
    import yaml

    known: set[str] = set()
    for event in yaml.parse(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        if isinstance(event, yaml.events.DocumentStartEvent):
            known.clear()
        anchor = getattr(event, "anchor", None)
        if anchor and not isinstance(event, yaml.events.AliasEvent):
            if anchor in known:
                return True
            known.add(anchor)
    return False


def _weigh(value: t.Any, left: list[int], depth: int = 0) -> None:
    """Raise where a value is larger or deeper than manifests are: an alias counts each time."""
    left[0] -= 1 + (len(value) // CHARACTERS if isinstance(value, str) else 0)
    if left[0] < 0 or depth > DEEPEST:
        raise NotYaml("it is larger or deeper than manifests are")
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise NotYaml("a key is not a text")
            _weigh(key, left, depth + 1)
            _weigh(each, left, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _weigh(each, left, depth + 1)


@functools.cache
def _loader(more_words: bool, *, quick: bool) -> t.Any:
    """A loader of such texts."""
    import yaml

    base = getattr(yaml, "CSafeLoader", yaml.SafeLoader) if quick else yaml.SafeLoader
    resolvers = _resolvers(_MORE_WORDS if more_words else "")

    class Loader(base):  # type: ignore[misc,valid-type]
        """With words, numbers and time stamps of its own."""

        yaml_implicit_resolvers = resolvers

        def compose_node(self, parent: t.Any, index: t.Any) -> t.Any:
            """Forget an anchor that is about to be there again."""
            if not quick:
                event = self.peek_event()
                anchor = getattr(event, "anchor", None)
                if anchor and not isinstance(event, yaml.events.AliasEvent):
                    self.anchors.pop(anchor, None)
            return super().compose_node(parent, index)

    for tag, construct in (
        ("int", _int),
        ("float", _float),
        ("bool", _bool),
        ("timestamp", _time),
        ("binary", _binary),
    ):
        Loader.add_constructor(f"tag:yaml.org,2002:{tag}", construct)
    return Loader


@functools.cache
def _dumper() -> t.Any:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        """What would not be a text any more is quoted; what is there twice is written twice."""

        yaml_implicit_resolvers = _resolvers(_MORE_WORDS)

        def ignore_aliases(self, _data: t.Any) -> bool:
            return True

    def text(dumper: t.Any, content: str) -> t.Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", content, style="|" if "\n" in content else None)

    Dumper.add_representer(str, text)
    return Dumper


def _resolvers(more_words: str) -> dict[str | None, list[tuple[str, re.Pattern[str]]]]:
    """Which tag a plain word has, by its first character as PyYAML wants it."""
    words = "|".join(f"{_WORDS} {more_words}".split())
    patterns = {tag: re.compile(rf"(?:{pattern})\Z") for tag, pattern in {"bool": words, **_TAGS}.items()}
    firsts = {
        "bool": {word[0] for word in words.split("|")},
        "null": {"~", "n", "N", ""},
        "int": set("-+0123456789"),
        "float": set("-+0123456789."),
        "timestamp": set("0123456789"),
        "merge": {"<"},
    }
    found: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}
    for tag in ("bool", "null", "timestamp", "int", "float", "merge"):
        for first in firsts[tag]:
            found.setdefault(first, []).append((f"tag:yaml.org,2002:{tag}", patterns[tag]))
    return found


def _bool(loader: t.Any, node: t.Any) -> bool:
    return str(loader.construct_scalar(node)).lower() in _TRUE


def _int(loader: t.Any, node: t.Any) -> t.Any:
    text = str(loader.construct_scalar(node)).replace("_", "")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    bases: Mapping[str, int] = {"0b": 2, "0o": 8, "0x": 16}
    base = bases.get(digits[:2].lower())
    if base:
        return sign * int(digits[2:] or "0", base)
    if len(digits) > 1 and digits.startswith("0") and not set(digits) - set("01234567"):
        return sign * int(digits, 8)
    number = sign * int(digits)
    return number if abs(number) < _LARGEST else float(number)


def _float(loader: t.Any, node: t.Any) -> t.Any:
    text = str(loader.construct_scalar(node))
    plain = text.replace("_", "").lower()
    if plain.lstrip("+-").startswith((".i", ".n")):
        raise ValueError("not a number that JSON has")
    number = float(plain)
    if math.isinf(number):
        return text
    return int(number) if number.is_integer() and abs(number) < _LARGEST else number


def _time(loader: t.Any, node: t.Any) -> str:
    found = loader.construct_yaml_timestamp(node)
    if not isinstance(found, datetime.datetime):
        found = datetime.datetime(found.year, found.month, found.day, tzinfo=datetime.UTC)
    if found.tzinfo is None:
        found = found.replace(tzinfo=datetime.UTC)
    return str(found.isoformat()).replace("+00:00", "Z")


def _binary(loader: t.Any, node: t.Any) -> str:
    content: bytes = loader.construct_yaml_binary(node)
    return content.decode(errors="replace")
