# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flux's substitution of variables after a build: the subset of the shell's that its C(envsubst) knows. Pure.

Like Flux it works on the text of each object, so a value may become a number, a list or a mapping.
Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.yaml import dump, replaced

SWITCH: t.Final = "kustomize.toolkit.fluxcd.io/substitute"  # label or annotation; disabled leaves an object as it is
NAME: t.Final = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")

# How large a text may become, how deep expressions may nest, and how long a value may be that a pattern cuts.
LARGEST: t.Final = 16 * 2**20
DEEPEST: t.Final = 50
LONGEST: t.Final = 1000

Lookup = Callable[[str], "str | None"]


class BadSubstitution(Exception):
    """An expression that Flux refuses, or one after which an object is no YAML. The text quotes no value."""


def substituted(document: Mapping[str, t.Any], variables: Mapping[str, str], *, whole: bool) -> dict[str, t.Any]:
    """An object with its variables replaced. Not C(whole): there are others, not known here, which stay as they are."""
    metadata = document.get("metadata")
    marks = [metadata.get(key) for key in ("labels", "annotations")] if isinstance(metadata, Mapping) else []
    switches = [each.get(SWITCH) for each in marks if isinstance(each, Mapping)]
    if "disabled" in switches or (whole and not variables):
        return dict(document)
    for name in variables:
        if not NAME.fullmatch(name):
            raise BadSubstitution(f"{name!r} is not a name of a variable")
    known = {name: value.replace("\n", "") for name, value in variables.items()}
    text = evaluated(dump(document), lambda name: known.get(name, "" if whole else None))
    try:
        result = replaced(text)
    except NotYaml:
        raise BadSubstitution("it is not YAML any more with its variables replaced") from None
    if not isinstance(result, dict):
        raise BadSubstitution("it is not an object any more with its variables replaced")
    return result


def evaluated(text: str, lookup: Lookup) -> str:
    """A text with its expressions replaced. C(lookup) gives None for a variable that is not known: that one stays."""
    return _Scanner(text, lookup).text()


class _Scanner:
    """Reads a text from left to right, as Flux does."""

    def __init__(self, text: str, lookup: Lookup) -> None:
        self._text = text
        self._at = 0
        self._lookup = lookup
        self._depth = 0

    def text(self) -> str:
        """All of the text."""
        parts = []
        size = 0
        while self._at < len(self._text):
            if self._take("${"):
                parts.append(self._expression())
                size += len(parts[-1])
                if size > LARGEST:
                    raise BadSubstitution(f"it becomes larger than {LARGEST // 2**20} MiB")
            elif self._take("$$"):
                parts.append("$")
            else:
                parts.append(self._text[self._at])
                self._at += 1
        return "".join(parts)

    def _take(self, word: str) -> bool:
        if self._text.startswith(word, self._at):
            self._at += len(word)
            return True
        return False

    def _while(self, accepts: Callable[[str], bool]) -> str:
        begin = self._at
        while self._at < len(self._text) and accepts(self._text[self._at]):
            self._at += 1
        return self._text[begin : self._at]

    def _name(self) -> str:
        name = self._while(lambda each: each.isalnum() or each == "_")
        if not name:
            raise BadSubstitution("an expression has no name")
        return name

    def _close(self) -> None:
        if not self._take("}"):
            raise BadSubstitution("an expression is not closed")

    def _expression(self) -> str:
        """What stands for an expression whose C(${) was read."""
        begin = self._at - 2
        self._depth += 1
        if self._depth > DEEPEST:
            raise BadSubstitution(f"expressions are nested deeper than {DEEPEST}")
        try:
            return self._evaluated(begin)
        finally:
            self._depth -= 1

    def _evaluated(self, begin: int) -> str:
        if self._take("#"):
            name = self._name()
            self._close()
            return self._replaced(name, begin, lambda value: str(len(value.encode())))
        name = self._name()
        change = self._change()
        return self._replaced(name, begin, change)

    def _replaced(self, name: str, begin: int, change: Callable[[str], str]) -> str:
        value = self._lookup(name)
        result = self._text[begin : self._at] if value is None else change(value)
        if len(result) > LARGEST:
            raise BadSubstitution(f"it becomes larger than {LARGEST // 2**20} MiB")
        return result

    def _change(self) -> Callable[[str], str]:
        """What is done to the variable's value: the rest of an expression."""
        for operators, rest in (
            ((":=", ":-", ":?", ":+", "="), self._default),
            ((":",), self._part),
            ((",,", ",", "^^", "^"), self._case),
            (("//", "/#", "/%", "/"), self._replace),
            (("##", "#", "%%", "%"), self._cut),
        ):
            for operator in operators:
                if self._take(operator):
                    return rest(operator)
        self._close()
        return lambda value: value

    def _argument(self, ends: str, escapes: bool = False) -> str:
        """One argument: an expression, or text up to one of these characters."""
        if self._take("${"):
            return self._expression()
        parts = []
        while self._at < len(self._text) and self._text[self._at] not in ends:
            if self._text.startswith("${", self._at):
                break
            if escapes and (self._text.startswith(("$$", "\\/", "\\\\"), self._at)):
                self._at += 1
            parts.append(self._text[self._at])
            self._at += 1
        if not parts:
            raise BadSubstitution("an expression lacks an argument")
        return "".join(parts)

    def _default(self, _operator: str) -> Callable[[str], str]:
        parts = []
        while not self._text.startswith("}", self._at):
            parts.append(self._argument("}"))
        self._close()
        default = "".join(parts)
        return lambda value: value or default

    def _part(self, _operator: str) -> Callable[[str], str]:
        begin = self._argument(":}")
        length = None
        if self._while(lambda each: each == ":"):
            length = self._argument("}")
        self._close()
        return lambda value: _part(value, begin, length)

    def _case(self, operator: str) -> Callable[[str], str]:
        self._close()
        change = str.lower if operator.startswith(",") else str.upper
        if len(operator) == 2:
            return change
        return lambda value: change(value[:1]) + value[1:]

    def _replace(self, operator: str) -> Callable[[str], str]:
        old = self._argument("/", escapes=True)
        if not self._while(lambda each: each == "/"):
            raise BadSubstitution("an expression lacks what stands for a part")
        new = None if self._text.startswith("}", self._at) else self._argument("}", escapes=True)
        self._close()
        return lambda value: _replaced(value, operator, old, new)

    def _cut(self, operator: str) -> Callable[[str], str]:
        pattern = self._argument("}")
        self._close()
        return lambda value: _cut(value, operator, pattern)


def _part(value: str, begin: str, length: str | None) -> str:
    content = value.encode()
    try:
        first = int(begin)
        count = None if length is None else int(length)
    except ValueError:
        return value
    if first < 0:
        first = max(0, len(content) + first)
    part = content[first:] if count is None or first + count >= len(content) else content[first : first + count]
    try:
        return part.decode()
    except UnicodeDecodeError:  # it counts bytes, as Flux does
        raise BadSubstitution("a part of a value ends in the middle of a letter") from None


def _replaced(value: str, operator: str, old: str, new: str | None) -> str:
    match operator:
        case "//":
            return value.replace(old, new or "")
        case "/":
            return value.replace(old, new or "", 1)
        case "/#":
            return value.replace(old, new, 1) if new is not None and value.startswith(old) else value
        case _:
            return value.removesuffix(old) + new if new is not None and value.endswith(old) else value


def _cut(value: str, operator: str, pattern: str) -> str:
    """The value without the shortest (one sign) or longest (two) beginning or end that fits a pattern."""
    back = operator.startswith("%")
    text, wanted = (value[::-1], pattern[::-1]) if back else (value, pattern)
    if not set(wanted) & set("*?[\\"):
        found = len(wanted) if text.startswith(wanted) else 0
    else:
        if max(len(text), len(wanted)) > LONGEST:
            raise BadSubstitution(f"a value or a pattern is longer than {LONGEST} letters")
        fits = _pattern(wanted)
        if fits is None:
            return value
        lengths = range(len(text), 0, -1) if len(operator) == 2 else range(1, len(text) + 1)
        found = next((length for length in lengths if fits.fullmatch(text[:length])), 0)
    return text[found:][::-1] if back else text[found:]


def _pattern(glob: str) -> re.Pattern[str] | None:
    """A shell's pattern; None where it is not one. What stands between two stars is taken where it comes first."""
    pieces: list[list[str]] = [[]]
    at = 0
    while at < len(glob):
        sign = glob[at]
        at += 1
        if sign == "*":
            pieces.append([])
        elif sign == "?":
            pieces[-1].append(".")
        elif sign == "[":
            end = glob.find("]", at + 1)
            if end < 0:
                return None
            inside = glob[at:end].replace("\\", "\\\\").replace("[", "\\[")
            pieces[-1].append(f"[{inside}]")
            at = end + 1
        elif sign == "\\":
            if at == len(glob):
                return None
            pieces[-1].append(re.escape(glob[at]))
            at += 1
        else:
            pieces[-1].append(re.escape(sign))
    first, *others = ("".join(piece) for piece in pieces)
    middle = "".join(f"(?>.*?{piece})" for piece in others[:-1] if piece)
    last = f".*{others[-1]}" if others else ""
    try:
        return re.compile(f"{first}{middle}{last}", re.DOTALL)
    except re.error:
        return None
