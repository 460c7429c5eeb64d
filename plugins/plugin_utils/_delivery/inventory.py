# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations as the text of an inventory, in which Ansible leaves what looks like its own templates alone. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import require
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import Declared
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.entries import TABLE

_MARKS: t.Final = ("{{", "{%", "{#")


def text(declared: Iterable[Declared]) -> str:
    """The variable that has these declarations."""
    require()
    import yaml

    class Dumper(yaml.SafeDumper):
        """Has lists below their key further in, and no aliases."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> t.Any:
            return super().increase_indent(flow, False)

        def ignore_aliases(self, data: t.Any) -> bool:
            return True

    Dumper.add_representer(_Unsafe, _represent)
    entries = [_marked(each.declared()) for each in declared]
    dumped: str = yaml.dump(
        {TABLE: entries}, Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=1 << 30
    )
    return f"---\n{dumped}"


class _Unsafe(str):
    """A text that Ansible shall not take for a template."""

    __slots__ = ()


def _represent(dumper: t.Any, content: _Unsafe) -> t.Any:
    return dumper.represent_scalar("!unsafe", str(content), style="|" if "\n" in content else '"')


def _marked(value: t.Any) -> t.Any:
    if isinstance(value, Mapping):
        return {key: _marked(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_marked(each) for each in value]
    return _Unsafe(value) if isinstance(value, str) and any(mark in value for mark in _MARKS) else value
