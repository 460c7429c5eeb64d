# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter seeds: the table of seeds as Kubernetes objects."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.seeds import seeds


def as_dictionary(table: Sequence[Mapping[str, t.Any]], values: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """C(seeds) in plain data, as templates want it."""
    found = seeds(table, values)
    return {
        "objects": found.objects,
        "namespaces": found.namespaces,
        "create_only": found.create_only,
        "held_fields": found.held_fields,
        "skipped": found.skipped,
        "problems": [problem.as_dict() for problem in found.problems],
        "lacking": [problem.as_dict() for problem in found.lacking],
        "needed": found.needed,
        "optional": found.optional,
    }


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"seeds": as_dictionary}
