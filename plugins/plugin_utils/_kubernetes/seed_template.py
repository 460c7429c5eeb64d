# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates over the bundle's fields: a registry's pull secret, a URL with a token in it.

C(${FIELD}) stands for a field's value and C(${FIELD | b64encode}) for its base64; whatever stands between the braces is
an expression of Jinja, in its sandbox. What is given as data instead of text becomes JSON, each value quoted as JSON
wants it. Private: other collections must not import it.
"""

from __future__ import annotations

import base64
import json
import typing as t
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from jinja2 import StrictUndefined, TemplateSyntaxError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment


class BadTemplate(Exception):
    """Why a template cannot be read or filled. Its text quotes no value."""


@dataclass(frozen=True)
class Template:
    """A text, or data whose texts are templates."""

    content: t.Any

    def fields(self) -> list[str]:
        """The fields that it names, each once, in the order of their names."""
        return sorted({name for text in _texts(self.content) for name in _named(text)})

    def fill(self, values: Mapping[str, t.Any]) -> str:
        """The text with the fields' values in it; data as JSON, as Terraform's jsonencode writes it."""
        plain = {name: str(values[name]) for name in self.fields()}

        def filled(text: str) -> str:
            try:
                return _environment().from_string(text).render(plain)
            except Exception:  # noqa: BLE001  # whatever an expression may raise, whose text quotes values
                raise BadTemplate("an expression in it fails") from None

        if isinstance(self.content, str):
            return filled(self.content)
        return json.dumps(_mapped(self.content, filled), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        variable_start_string="${",
        variable_end_string="}",
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["b64encode"] = lambda text: base64.b64encode(str(text).encode()).decode()
    return environment


def _named(text: str) -> set[str]:
    environment = _environment()
    try:
        tree = environment.parse(text)
        environment.compile(tree)  # names filters that there are not
    except TemplateSyntaxError as error:
        raise BadTemplate(f"{(error.message or 'it cannot be read').rstrip('.')}") from None
    return meta.find_undeclared_variables(tree) - set(environment.globals)


def _texts(content: t.Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _texts(value)
    elif isinstance(content, (list, tuple)):
        for value in content:
            yield from _texts(value)


def _mapped(content: t.Any, filled: Callable[[str], str]) -> t.Any:
    if isinstance(content, str):
        return filled(content)
    if isinstance(content, Mapping):
        return {str(key): _mapped(value, filled) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_mapped(value, filled) for value in content]
    return content
