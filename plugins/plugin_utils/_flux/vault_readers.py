# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What in a cluster reads from Vault by itself, and waits while Vault is away: stores and secrets of ESO and VSO.

Only their status is looked at, and no Secret. Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, label, require
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.ready import Seen

# API group -> the kinds that hold a connection to Vault, then those that read through one.
STORES: t.Final = {
    "external-secrets.io": ("ClusterSecretStore", "SecretStore"),
    "secrets.hashicorp.com": ("VaultConnection", "VaultAuth"),
}
READERS: t.Final = {
    "external-secrets.io": ("ExternalSecret", "ClusterExternalSecret"),
    "secrets.hashicorp.com": ("VaultStaticSecret", "VaultDynamicSecret", "VaultPKISecret"),
}
WAITS: t.Final = "it waits for Vault"


@dataclass(frozen=True)
class Waiting:
    """An object that waits for Vault, and what its controller says."""

    kind: str
    namespace: str
    name: str
    why: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @property
    def label(self) -> str:
        return label(self.kind, self.namespace or None, self.name)


def waiting(api: Api, seconds: float) -> list[Waiting]:
    """The stores that are not ready, and what reads through stores and is not ready; none where every store is."""
    stores = [each for group, kinds in STORES.items() for each in _unready(api, group, kinds, seconds)]
    if not stores:
        return []
    return stores + [each for group, kinds in READERS.items() for each in _unready(api, group, kinds, seconds)]


def excused(seen: Sequence[Seen], waits: Sequence[Waiting]) -> list[Seen]:
    """The same, but a root that was applied and waits for what waits for Vault counts as ready: nobody can do more."""
    return [
        replace(each, ready=True, why=WAITS) if waits and not each.ready and _applied(each) else each for each in seen
    ]


def _applied(seen: Seen) -> bool:
    """Whether a Kustomization has tried a revision: what it declares is in the cluster."""
    return seen.wanted.kind == "Kustomization" and bool(seen.status.get("lastAttemptedRevision"))


def _unready(api: Api, group: str, kinds: Sequence[str], seconds: float) -> Iterator[Waiting]:
    answer = api.get(f"/apis/{group}", seconds=seconds)
    if answer.status == 404:
        return
    require(answer, api.server, f"what {group} offers")
    version = str((answer.body.get("preferredVersion") or {}).get("groupVersion") or "")
    for name in kinds:
        kind = api.kind(version, name, seconds) if version else None
        if kind is None:
            continue
        listed = api.get(kind.path(None, None), seconds=seconds)
        if listed.status == 404:
            continue
        require(listed, api.server, f"every {name}")
        for item in listed.body.get("items") or []:
            why = _why(item)
            if why is not None:
                metadata = item["metadata"]
                yield Waiting(name, str(metadata.get("namespace") or ""), str(metadata["name"]), why)


def _why(item: Mapping[str, t.Any]) -> str | None:
    """Why an object is not ready; None where it is. ESO sets a condition, VSO's connections a field of their own."""
    status = item.get("status") or {}
    if status.get("valid") is True or status.get("secretMAC"):
        return None
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Ready":
            if condition.get("status") == "True":
                return None
            return str(condition.get("reason") or "not ready")
    return "its operator has not said anything of it yet"
