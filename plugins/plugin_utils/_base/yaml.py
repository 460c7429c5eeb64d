# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and writes YAML that may hold secrets: what is wrong with it is told by its place, never by its text.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t

from ansible.module_utils.common.yaml import HAS_YAML, yaml_dump, yaml_load_all

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError


class NotYaml(Exception):
    """The text is not YAML. The message names the line at most."""


def documents(content: bytes) -> list[t.Any]:
    """The documents of a YAML text, empty ones included as None."""
    require()
    try:
        return list(yaml_load_all(content))
    except Exception as error:  # noqa: BLE001  # every error of the library quotes the text
        mark = getattr(error, "problem_mark", None)
        raise NotYaml("it cannot be read" if mark is None else f"line {mark.line + 1}") from None


def mapping(content: bytes) -> dict[str, t.Any]:
    """The one mapping that a YAML text holds."""
    found = documents(content)
    if len(found) != 1 or not isinstance(found[0], dict):
        raise NotYaml("it is not a mapping")
    return found[0]


def dump(value: t.Any) -> bytes:
    """A value as YAML, its keys in the order they have."""
    require()
    text: str = yaml_dump(value, sort_keys=False, default_flow_style=False)
    return text.encode()


def require() -> None:
    """Raise where the library is not there."""
    if not HAS_YAML:
        raise BootstrapError(
            "The Python package PyYAML is not installed for the Python that runs ansible-playbook. "
            "Install it there: pip install PyYAML"
        )
