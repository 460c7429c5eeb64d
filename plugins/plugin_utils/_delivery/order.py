# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must come before what in a repository: Flux Kustomizations by dependsOn, and by who declares whom. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import KUSTOMIZE, ROOT, Repository


class Order:
    """The order of a repository's Kustomizations, with what is C(added) to it: for each, those it has to wait for."""

    def __init__(self, repository: Repository) -> None:
        self.added: dict[str, list[str]] = {}
        self._waits = {label: list(each.depends_on) for label, each in repository.kustomizations.items()}
        self._declared = {
            f"{each.namespace or ROOT}/{each.name}": each.kustomization
            for each in repository.of_kind(KUSTOMIZE, "Kustomization")
        }

    def declare(self, label: str, root: str) -> None:
        """One that is new, and declared by the root."""
        self._declared[label] = root

    def cycles(self) -> Iterator[Problem]:
        """Each cycle of dependsOn that there is already, once."""
        told: set[str] = set()
        for label in self._waits:
            if label not in told and (path := self._path(self._waits[label], label, declared=False)):
                told |= {label, *path}
                what = f"they wait for each other: {' -> '.join((label, *path))}."
                yield Problem("cycle", label, what, "Take one of these out of dependsOn.")

    def need(self, one: str, other: str, why: str) -> Iterator[Problem]:
        """Have one wait for another; what is in the way where that cannot be. C(why) says who needs what."""
        if one == other or other in self._declarers(one):
            what = f"{why}, and {other} applies both, or what is needed and the Kustomization that needs it."
            yield Problem("together", one, what, "Move one of them to a Kustomization of its own.")
        elif path := self._path([*self._after(other)], one, declared=True):
            chain = " -> ".join((one, other, *path))
            what = f"{why}, which would close a circle: {chain}."
            yield Problem("cycle", one, what, "Take one of these out of dependsOn, or move what it needs.")
        elif not self.waits(one, other):
            self.added.setdefault(one, []).append(other)

    def follow(self, one: str, other: str, why: str) -> Iterator[Problem]:
        """As C(need), of something that is there as soon as it is applied."""
        if one != other and other not in self._declarers(one):
            yield from self.need(one, other, why)

    def waits(self, one: str, other: str) -> bool:
        """Whether one is applied only when another is Ready."""
        return bool(self._path(self._waited(one), other, declared=False))

    def _waited(self, label: str) -> list[str]:
        return [*self._waits.get(label, []), *self.added.get(label, [])]

    def _after(self, label: str) -> list[str]:
        """What has to be there for one to be applied."""
        declarer = self._declared.get(label, "")
        return [*self._waited(label), *([declarer] if declarer and declarer != label else [])]

    def _declarers(self, label: str) -> list[str]:
        found: list[str] = []
        while (label := self._declared.get(label, "")) and label not in found:
            found.append(label)
        return found

    def _path(self, begin: Iterable[str], goal: str, *, declared: bool) -> list[str]:
        """A way to the goal, the goal included; nothing where there is none."""
        waiting = [[label] for label in begin]
        seen: set[str] = set()
        while waiting:
            path = waiting.pop(0)
            if path[-1] == goal:
                return path
            if path[-1] not in seen:
                seen.add(path[-1])
                further = self._after(path[-1]) if declared else self._waited(path[-1])
                waiting += [[*path, label] for label in further]
        return []
