# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Flux has applied what it has fetched. Private: other collections must not import it."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.living import changes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.repository import Document
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.apply import Applied
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.ready import Seen


def behind(seen: Sequence[Seen]) -> list[Seen]:
    """The same, but a Kustomization of Flux is ready only when it has applied what its GitRepository has fetched.

    It counts where both are waited for. Until Flux tells it of a new revision, it says Ready of the one before.
    """
    fetched = {
        (each.wanted.namespace, each.name): str((each.status.get("artifact") or {}).get("revision") or "")
        for each in seen
        if each.wanted.kind == "GitRepository"
    }
    return [_not_behind(each, fetched.get((each.wanted.namespace, _source(each)), "")) for each in seen]


MANAGER: t.Final = "flux"  # the field manager of what the role flux_bootstrap declares

# The field of a spec that each setting stands for.
FIELDS: t.Final = {"url": "url", "branch": "ref", "path": "path", "source": "sourceRef"}


class Held:
    """Judges like C(behind), and declares again what something has made to follow something else meanwhile.

    A controller that is at an apply of the old revision when Flux is moved puts back what that revision says of the
    GitRepository and the Kustomization. It would look ready then: on the old revision.
    """

    def __init__(self, sync: Sequence[Document], declare: Callable[[Document], Applied]) -> None:
        self._sync = {(each["kind"], each["metadata"]["name"]): each for each in sync}
        self._declare = declare

    def __call__(self, seen: Sequence[Seen]) -> list[Seen]:
        return [self._held(each) for each in behind(seen)]

    def _held(self, seen: Seen) -> Seen:
        wanted = self._sync.get((seen.wanted.kind, seen.name))
        moves = list(changes(seen.item, wanted)) if wanted and seen.item else []
        if not wanted or not moves:
            return seen
        applied = self._declare(wanted)
        outcome = f"declaring it again failed: {applied.problem}" if applied.problem else "it is declared again"
        said = "; ".join(
            f"{move.setting} is {move.found}, although {move.wanted} was declared ({_writers(seen.item, move.setting)} "
            "set it so)"
            for move in moves
        )
        return replace(seen, ready=False, why=f"{said}; {outcome}")


def _writers(item: Mapping[str, t.Any], setting: str) -> str:
    """The field managers of what a setting stands for."""
    entries = (item.get("metadata") or {}).get("managedFields") or []
    owned = [(each, (each.get("fieldsV1") or {}).get("f:spec") or {}) for each in entries]
    return ", ".join(str(each.get("manager")) for each, spec in owned if f"f:{FIELDS[setting]}" in spec) or "somebody"


def _not_behind(seen: Seen, fetched: str) -> Seen:
    applied = seen.status.get("lastAppliedRevision")
    if seen.wanted.kind != "Kustomization" or not seen.ready or not fetched or applied == fetched:
        return seen
    return replace(seen, ready=False, why=f"it has applied {applied or 'nothing'}, and {fetched} is fetched")


def _source(kustomization: Seen) -> str:
    """The name of what it applies."""
    return str(((kustomization.item.get("spec") or {}).get("sourceRef") or {}).get("name") or "")
