# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation asks of a cluster, and the one thing that it changes there: an annotation that has ESO sync.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.fed import Feed, mirrors
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import VERSIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.running import WORKLOADS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, label, require

FORCE: t.Final = "force-sync"  # any annotation has ESO sync when its value changes; this one is what ESO documents
MANAGER: t.Final = "tazlab.bootstrap"
_MERGE: t.Final = "application/merge-patch+json"
# The kinds that deliver, with the versions of their API, the newest first; a cluster may lack any of them.
_DELIVER: t.Final = (
    ("ExternalSecret", VERSIONS[ESO]),
    ("ClusterSecretStore", VERSIONS[ESO]),
    ("SecretStore", VERSIONS[ESO]),
    ("VaultStaticSecret", VERSIONS[VSO]),
)
_OWNERS: t.Final = (*(("apps/v1", kind) for kind in ("ReplicaSet", *WORKLOADS)), ("batch/v1", "Job"))
_NO_RELEASES: t.Final = {"fieldSelector": "type!=helm.sh/release.v1"}  # which are many, large, and nobody's copies

Item = dict[str, t.Any]


class Cluster:
    """A cluster, asked within a deadline."""

    def __init__(self, api: Api, deadline: Deadline) -> None:
        self._api = api
        self.deadline = deadline

    @property
    def kubeconfig(self) -> str:
        return self._api.kubeconfig

    def delivering(self) -> list[Object]:
        """Every ExternalSecret and VaultStaticSecret, and every store of ESO."""
        found = []
        for kind, versions in _DELIVER:
            version = next((each for each in versions if self._api.kind(each, kind, self._seconds)), None)
            if version:
                found += [Object(item, "", "") for item in self._list(version, kind)]
        return found

    def copies(self, feeds: Iterable[Feed]) -> list[Feed]:
        """The copies that Reflector keeps of what is fed."""
        feeds = list(feeds)
        if not feeds:
            return []
        return mirrors((Object(item, "", "") for item in self._list("v1", "Secret", query=_NO_RELEASES)), feeds)

    def secret(self, feed: Feed) -> Item | None:
        return self._get("v1", "Secret", feed.namespace, feed.secret)

    def maker(self, feed: Feed) -> Item:
        """The object that makes a Secret, as it is now."""
        made = feed.object
        return self._get(str(made.document["apiVersion"]), made.kind, made.namespace, made.name) or {}

    def warnings(self, feed: Feed) -> list[Item]:
        """The events that warn of what makes a Secret, the last one at the end; none where they may not be read."""
        made = feed.object
        known = self._api.kind("v1", "Event", self._seconds)
        if known is None:
            return []
        query = {"fieldSelector": f"type=Warning,involvedObject.kind={made.kind},involvedObject.name={made.name}"}
        answer = self._api.get(known.path(made.namespace, None), query, self._seconds)
        found = (answer.body.get("items") or []) if answer.status == 200 else []
        return sorted(found, key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime") or ""))

    def force(self, feed: Feed, stamp: str) -> None:
        """Have ESO sync an ExternalSecret now."""
        made = feed.object
        kind = self._api.kind(str(made.document["apiVersion"]), made.kind, self._seconds)
        if kind is None:
            return
        answer = self._api.request(
            "PATCH",
            kind.path(made.namespace, made.name),
            query={"fieldManager": MANAGER},
            body={"metadata": {"annotations": {FORCE: stamp}}},
            content_type=_MERGE,
            seconds=self._seconds,
        )
        require(answer, self._api.server, f"a change of {label(made.kind, made.namespace, made.name)}")

    def pods(self, namespace: str) -> list[Item]:
        return self._list("v1", "Pod", namespace)

    def owners(self, namespace: str) -> dict[str, Item]:
        """What may have made pods, by its uid."""
        found = (item for version, kind in _OWNERS for item in self._list(version, kind, namespace))
        return {str(item["metadata"]["uid"]): item for item in found}

    @property
    def _seconds(self) -> float:
        return max(1.0, self.deadline.left)

    def _get(self, api_version: str, kind: str, namespace: str, name: str) -> Item | None:
        known = self._api.kind(api_version, kind, self._seconds)
        if known is None:
            return None
        answer = self._api.get(known.path(namespace, name), seconds=self._seconds)
        if answer.status == 404:
            return None
        require(answer, self._api.server, label(kind, namespace, name))
        return answer.body

    def _list(
        self, api_version: str, kind: str, namespace: str | None = None, query: Mapping[str, str] | None = None
    ) -> list[Item]:
        known = self._api.kind(api_version, kind, self._seconds)
        if known is None:
            return []
        answer = self._api.get(known.path(namespace, None), query, self._seconds)
        require(answer, self._api.server, f"every {kind}")
        # A list's items have no kind of their own.
        return [{"apiVersion": api_version, "kind": kind, **item} for item in answer.body.get("items") or []]
