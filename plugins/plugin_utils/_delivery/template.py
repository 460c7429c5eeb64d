# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates over values, in the notation of Go's text/template, as ESO and VSO take them. Pure.

They are not run here. What is looked at: that each action and block ends, and which values are named.
Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator

_ACTION: t.Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_TEXT: t.Final = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`|'(?:[^'\\\n]|\\.)+'")
_NAME: t.Final = re.compile(r"(?<![\w.)\]])\.([A-Za-z_]\w*)")
_ALL: t.Final = re.compile(r"(?<![\w.)\]$])\.(?![\w.])")  # what stands there, which outside of scopes is all values
_ROOT: t.Final = re.compile(r"\$(?![\w.])")
_SCOPES: t.Final = re.compile(r"(?:with|range|block|define)\b")
_OPENS: t.Final = re.compile(r"(?:if|with|range|block|define)\b")
_PLAIN: t.Final = re.compile(r"\s*\.([A-Za-z_]\w*)(?:\s*\|\s*toString)?\s*")
_OF_SECRET: t.Final = re.compile(
    r"\s*(?:get\s+\.Secrets\s+(?P<text>[\"`])(?P<got>[\w.-]+)(?P=text)|\.Secrets\.(?P<field>\w+)"
    r"|index\s+\.Secrets\s+(?P<quote>[\"`])(?P<index>[\w.-]+)(?P=quote))\s*"
)
NAME: t.Final = re.compile(r"[A-Za-z_]\w*")


class BadTemplate(Exception):
    """It cannot be a template. The text tells what is wrong, and quotes nothing."""


def actions(text: str) -> list[str]:
    """What stands between the braces, without comments. Raises where the braces are no pairs."""
    if "{{" in _ACTION.sub("", text) or "}}" in _ACTION.sub("", text):
        raise BadTemplate("it has braces that begin or end nothing")
    found = [each.removeprefix("-").removesuffix("-").strip() for each in _ACTION.findall(text)]
    return [each for each in found if not (each.startswith("/*") and each.endswith("*/"))]


def names(text: str) -> tuple[str, ...]:
    """The values that a template names. Raises for one that Go would not parse, as far as that is seen here."""
    found: list[str] = []
    depth = 0
    for action in actions(text):
        bare = _TEXT.sub("", action)
        if not action:
            raise BadTemplate("an action is empty")
        if any(mark in bare for mark in "\"`'"):
            raise BadTemplate("a text in an action does not end")
        if bare.count("(") != bare.count(")"):
            raise BadTemplate("an action has brackets that are no pairs")
        if _OPENS.match(bare):
            depth += 1
        elif bare == "end":
            depth -= 1
        if depth < 0:
            raise BadTemplate("an end ends nothing")
        found += _NAME.findall(bare)
    if depth:
        raise BadTemplate("a block has no end")
    return tuple(dict.fromkeys(found))


def has_own_scopes(text: str) -> bool:
    """Whether a name in it may be of something else than the values."""
    return any(re.match(r"(?:with|range|block|define|template)\b", action) for action in actions(text))


def takes_all(text: str) -> bool:
    """Whether a template takes all values at once, and not by their names: C(index . "a"), C(range .), C(toJson .)."""
    scopes: list[bool] = []
    for action in actions(text):
        bare = _TEXT.sub('""', action)
        if _ROOT.search(bare) or (_ALL.search(bare) and not any(scopes)):
            return True
        if _OPENS.match(bare):
            scopes.append(_SCOPES.match(bare) is not None)
        elif bare == "end" and scopes:
            scopes.pop()
    return False


def is_plain(text: str) -> bool:
    """Whether each action puts in one value and does nothing else."""
    return all(_PLAIN.fullmatch(action) for action in actions(text))


def of_secrets(text: str, properties: t.Mapping[str, str]) -> str:
    """A plain template as VSO takes it, which has all properties of its one path in C(.Secrets)."""

    def one(found: re.Match[str]) -> str:
        plain = _PLAIN.fullmatch(found[1].removeprefix("-").removesuffix("-"))
        if plain is None:  # a comment
            return found[0]
        left, right = "-" * found[1].startswith("-"), "-" * found[1].endswith("-")
        return f'{{{{{left} get .Secrets "{properties[plain[1]]}" {right}}}}}'

    return _ACTION.sub(one, text)


def from_secrets(text: str) -> tuple[str, dict[str, str]] | None:
    """A template of VSO as one over values, and the property of each; None where it does more than name properties."""
    found = [_OF_SECRET.fullmatch(action) for action in actions(text)]
    named = [each["got"] or each["field"] or each["index"] for each in found if each]
    if len(named) < len(found):
        return None
    names_of = dict(identifiers(dict.fromkeys(named), ()))

    def one(found: re.Match[str]) -> str:
        inner = _OF_SECRET.fullmatch(found[1].removeprefix("-").removesuffix("-"))
        if inner is None:  # a comment
            return found[0]
        name = names_of[inner["got"] or inner["field"] or inner["index"]]
        left, right = "- " if found[1].startswith("-") else "", " -" if found[1].endswith("-") else ""
        return f"{{{{{left or ' '}.{name}{right or ' '}}}}}"

    return _ACTION.sub(one, text), {alias: name for name, alias in names_of.items()}


def one_value(text: str) -> str | None:
    """The name of the value that is all of a template; None where there is more to it."""
    found = _ACTION.fullmatch(text.strip())
    plain = _PLAIN.fullmatch(found[1].removeprefix("-").removesuffix("-")) if found else None
    return plain[1] if plain and text == text.strip() else None


def _identifier(name: str) -> str:
    return re.sub(r"\W", "_", name)


def identifiers(keys: t.Iterable[str], taken: t.Container[str]) -> Iterator[tuple[str, str]]:
    """For each key a name that a template can have for it, and that is not taken."""
    given: set[str] = set()
    for key in keys:
        name = base = _identifier(key) if not key[:1].isdigit() else f"_{_identifier(key)}"
        number = 1
        while name in taken or name in given:
            number += 1
            name = f"{base}_{number}"
        given.add(name)
        yield key, name
