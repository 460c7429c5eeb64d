# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Flux of a living cluster follows, and what it would delete if it were made to follow something else.

A root with prune deletes whatever its former path, branch or repository had made and the new one does not declare.
Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted, few
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.repository import Document, normal, same_url
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, label, require

# Flux' own operator writes Flux' components and what they follow, and would take ours back.
INSTANCES = ("fluxcd.controlplane.io/v1", "FluxInstance")

# The kinds with which most else would go: they are named first.
WEIGHTIEST = ("Kustomization", "HelmRelease", "Namespace")

NAMED = 10

# How a GitRepository names what it checks out. Where several are given, the first of these wins.
REFERENCES = ("commit", "name", "semver", "tag", "branch")


@dataclass(frozen=True)
class Move:
    """One setting that would change, as C(url), C(branch), C(path) or C(source)."""

    setting: str
    found: str
    wanted: str

    def confirmed_by(self, given: Sequence[str]) -> bool:
        return any(_same(self.setting, each, self.wanted) for each in given)


@dataclass(frozen=True)
class Living:
    """The Flux of a living cluster: what it would be moved from, what that has made, and who governs it."""

    server: str
    moves: tuple[Move, ...] = ()
    made: tuple[str, ...] = ()  # the objects in the root's inventory, as labels
    prunes: bool = False
    governors: tuple[str, ...] = ()
    keeps_itself: bool = False  # Flux' own components are among what the root has made

    def refused(self, confirmed: Sequence[str]) -> tuple[Move, ...]:
        """The moves that nobody has confirmed."""
        return tuple(move for move in self.moves if not move.confirmed_by(confirmed))


def look(api: Api, sync: Sequence[Document], seconds: float) -> Living:
    """Compare what a cluster's Flux follows with the GitRepository and Kustomization that it is to follow."""
    pairs = [(each, _found(api, each, seconds)) for each in sync]
    moves = [move for wanted, found in pairs if found for move in changes(found, wanted)]
    roots = [found for wanted, found in pairs if found and wanted["kind"] == "Kustomization"]
    for wanted, found in pairs:
        if wanted["kind"] == "Kustomization" and not found:
            roots += _other_roots(api, wanted, seconds)
            moves += [Move("root", root["metadata"]["name"], wanted["metadata"]["name"]) for root in roots]
    made = tuple(sorted((each for root in roots for each in inventory(root)), key=_weight))
    return Living(
        server=api.server,
        moves=tuple(moves),
        made=made,
        prunes=any((root.get("spec") or {}).get("prune") for root in roots),
        governors=tuple(_governors(api, seconds)),
        keeps_itself=any(each in made for each in map(_label, roots)),
    )


def inventory(root: Mapping[str, t.Any]) -> Iterator[str]:
    """The objects that a Kustomization has made, as its own status lists them: C(namespace_name_group_kind)."""
    for entry in ((root.get("status") or {}).get("inventory") or {}).get("entries") or []:
        namespace, _sign, rest = str(entry["id"]).partition("_")
        name, _sign, kind = rest.rpartition("_")
        # The API writes a colon in a name, as those of RBAC have it, as two underscores.
        yield label(kind, namespace or None, name.rpartition("_")[0].replace("__", ":"))


def governed(living: Living) -> str:
    """What to say where something else governs Flux."""
    return (
        f"Flux of the cluster at {living.server} is governed by {', '.join(living.governors)}: its operator would undo "
        "what is applied here. Nothing was changed. Leave this phase out (--skip-tags flux), or remove that object "
        "first, as the operator's documentation tells."
    )


def homeless(living: Living) -> str:
    """What to say where Flux would delete itself: the root keeps Flux' components, and the new place has none."""
    changes = "; ".join(f"{move.setting} is {move.found} and would become {move.wanted}" for move in living.moves)
    return (
        f"Flux of the cluster at {living.server} keeps itself from the place that it follows, and the new one has no "
        f"flux-system/ of its own ({changes}): Flux would delete its own controllers. Nothing was changed. Put "
        "flux-system/ with the components and gotk-sync.yaml into the new place first."
    )


def refusal(living: Living, moves: Sequence[Move]) -> str:
    """What to say of moves that nobody has confirmed: what was found, what it would do, and the next step."""
    changes = "; ".join(f"{move.setting} is {move.found} and would become {move.wanted}" for move in living.moves)
    return (
        f"Flux of the cluster at {living.server} follows something else: {changes}. {consequence(living, 'would')} "
        "Nothing was changed. If this is another cluster than you mean, correct tazlab_flux or the state directory. To "
        f"move this cluster's Flux, name the new {' and '.join(move.setting for move in moves)} in flux_bootstrap_move "
        f"(site.yml: -e tazlab_flux_move={','.join(move.wanted for move in living.moves)})."
    )


def consequence(living: Living, would: str) -> str:
    """What becomes of the objects that were made from the former place. C(would) is that word, or C(will)."""
    if not living.made:
        return "It has made nothing from there yet."
    count = counted(len(living.made), "object")
    if not living.prunes:
        return f"It {would} leave what it has made from there, {count}, and look after them no more (prune is off)."
    return (
        f"It {would} delete what it has made from there and the new place does not declare, of {count}: "
        f"{few(living.made, NAMED)}; with each Kustomization among them goes what that one has made."
    )


def _weight(made: str) -> tuple[int, str]:
    kind = made.partition(" ")[0]
    return (WEIGHTIEST.index(kind) if kind in WEIGHTIEST else len(WEIGHTIEST), made)


def _found(api: Api, wanted: Document, seconds: float) -> dict[str, t.Any] | None:
    kind = api.kind(wanted["apiVersion"], wanted["kind"], seconds)
    if kind is None:
        return None
    namespace, name = wanted["metadata"].get("namespace"), wanted["metadata"]["name"]
    answer = api.get(kind.path(namespace, name), seconds=seconds)
    if answer.status == 404:
        return None
    require(answer, api.server, label(wanted["kind"], namespace, name))
    return answer.body


def _governors(api: Api, seconds: float) -> Iterator[str]:
    kind = api.kind(*INSTANCES, seconds)
    if kind is None:
        return
    answer = api.get(kind.path(None, None), seconds=seconds)
    require(answer, api.server, f"every {INSTANCES[1]}")
    for item in answer.body.get("items") or []:
        yield label(INSTANCES[1], item["metadata"].get("namespace"), item["metadata"]["name"])


def _other_roots(api: Api, wanted: Document, seconds: float) -> list[dict[str, t.Any]]:
    """The Kustomizations of other names in Flux' namespace that keep themselves, as a root does."""
    kind = api.kind(wanted["apiVersion"], wanted["kind"], seconds)
    if kind is None:
        return []
    answer = api.get(kind.path(wanted["metadata"].get("namespace"), None), seconds=seconds)
    require(answer, api.server, "every Kustomization of Flux' namespace")
    return [item for item in answer.body.get("items") or [] if _label(item) in inventory(item)]


def _label(root: Mapping[str, t.Any]) -> str:
    return label("Kustomization", root["metadata"].get("namespace"), root["metadata"]["name"])


def changes(found: Mapping[str, t.Any], wanted: Document) -> Iterator[Move]:
    """How what an object of a cluster follows differs from what is wanted."""
    for setting, read in SETTINGS[wanted["kind"]].items():
        theirs, ours = (read(each.get("spec") or {}) for each in (found, wanted))
        if not _same(setting, theirs, ours):
            yield Move(setting, LOGIN.sub("//", theirs), ours)


def _same(setting: str, one: str, other: str) -> bool:
    same = SAME.get(setting, str)
    try:
        return one == other or same(one) == same(other)
    except (ValueError, BootstrapError):  # not an address, or a path that leads out of the repository
        return False


def _reference(spec: Mapping[str, t.Any]) -> str:
    """What a GitRepository checks out: the branch's name, or how else it is named."""
    given = spec.get("ref") or {"branch": "master"}  # Flux' own default
    used = next((each for each in REFERENCES if given.get(each)), "branch")
    value = str(given.get(used) or "")
    if used == "name" and value.startswith("refs/heads/"):
        used, value = "branch", value.removeprefix("refs/heads/")
    return value if used == "branch" else f"{used} {value}"


def _source(spec: Mapping[str, t.Any]) -> str:
    reference = spec.get("sourceRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


Spec = Mapping[str, t.Any]
SETTINGS: dict[str, dict[str, Callable[[Spec], str]]] = {
    "GitRepository": {"url": lambda spec: str(spec.get("url") or ""), "branch": _reference},
    "Kustomization": {"path": lambda spec: str(spec.get("path") or "./"), "source": _source},
}
LOGIN = re.compile(r"//[^/@]*@")  # in an address that somebody else wrote
SAME: dict[str, Callable[[str], str]] = {"url": same_url, "path": normal}
