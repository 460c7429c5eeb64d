# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Flux has applied what it has fetched. Private: other collections must not import it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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


def _not_behind(seen: Seen, fetched: str) -> Seen:
    applied = seen.status.get("lastAppliedRevision")
    if seen.wanted.kind != "Kustomization" or not seen.ready or not fetched or applied == fetched:
        return seen
    return replace(seen, ready=False, why=f"it has applied {applied or 'nothing'}, and {fetched} is fetched")


def _source(kustomization: Seen) -> str:
    """The name of what it applies."""
    return str(((kustomization.item.get("spec") or {}).get("sourceRef") or {}).get("name") or "")
