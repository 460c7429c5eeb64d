# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a field of the bundle, found in the picture of the system: site.yml and its variables. Pure, private."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.seed_entry import label, namespaces, uses

SEED_ROLE: t.Final = "cluster_seed"


@dataclass(frozen=True)
class Consumer:
    """A phase that uses the field, and what in it."""

    phase: str
    what: str

    @property
    def command(self) -> str:
        return f"ansible-playbook -i INVENTORY tazlab.bootstrap.site --tags {self.phase}"


def role_phases(plays: Sequence[Mapping[str, t.Any]], role_of: Callable[[str], str] = str) -> dict[str, str]:
    """Each phase's role and tag, as the plays of site.yml have them. C(role_of) gives a role's name for a template."""
    found = {}
    for task in _tasks([task for play in plays for task in play.get("tasks") or ()]):
        role = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role")
        tags = [tag for tag in task.get("tags") or () if tag != "always"]
        if isinstance(role, Mapping) and role.get("tasks_from", "main") == "main" and tags:
            found[role_of(str(role["name"])).rpartition(".")[2]] = str(tags[0])
    return found


def _tasks(tasks: Sequence[Mapping[str, t.Any]]) -> Iterator[Mapping[str, t.Any]]:
    for task in tasks:
        yield task
        yield from _tasks([inner for part in ("block", "rescue", "always") for inner in task.get(part) or ()])


def consumers(
    field: str,
    variables: Sequence[str],
    value_of: Callable[[str], t.Any],
    marker: str,
    phases: Mapping[str, str],
    seeds: Sequence[Mapping[str, t.Any]],
) -> list[Consumer]:
    """The phases whose roles get the marker, which stands in the field's place while their variables are looked at."""
    found = []
    for role, phase in phases.items():
        if role == SEED_ROLE:
            found += [
                Consumer(phase, f"{label(seed, namespace)}, key {key}")
                for seed in seeds
                for key, names in uses(seed).items()
                if field in names
                for namespace in namespaces(seed)
            ]
            continue
        names = [name for name in variables if name.startswith(f"{role}_") and _holds(value_of(name), marker)]
        found += [Consumer(phase, f"role {role}, variable {name}") for name in sorted(names)]
    return found


def _holds(value: t.Any, marker: str) -> bool:
    if isinstance(value, Mapping):
        return any(_holds(item, marker) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds(item, marker) for item in value)
    return isinstance(value, str) and marker in value
