# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task or lookup was given: options from its arguments and from variables, without Ansible's tags; and its run.

Kept small: Ansible compiles it anew in each process of a task. Private: other collections must not import it.
"""

from __future__ import annotations

import multiprocessing
import os
import typing as t
from collections.abc import Callable, Iterable, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import variable_names


def plain(value: t.Any) -> t.Any:
    """The value without Ansible's tags, which HTTP libraries and JSON encoders refuse."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def from_variables(
    options: Iterable[str], variables: Mapping[str, t.Any], template: Callable[[t.Any], t.Any]
) -> dict[str, t.Any]:
    """The options that variables of Ansible give: tazlab_vault_<option>, tazlab_fields, tazlab_anchor; templated."""
    given = {}
    for option in options:
        for name in variable_names(option):
            if name in variables:
                value = template(variables[name])
                if value is not None:
                    given[option] = value
                    break
    return given


def run_root() -> int:
    """The process of this run that every task's process is forked from."""
    parent = multiprocessing.parent_process()
    return parent.pid if parent is not None and parent.pid is not None else os.getpid()
