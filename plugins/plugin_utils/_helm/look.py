# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a release out of Helm's storage, and of a cluster what would go with its CRDs: of Secrets their names alone.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm.outlive import KIND, Item, Living
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm.release import Crd, Release, Unreadable, release_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import (
    METADATA_LIST,
    Answer,
    Api,
    require,
)

_CRDS: t.Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_PAGE: t.Final = "500"
_TYPE: t.Final = "type=helm.sh/release.v1"


def stored(api: Api, namespace: str, name: str, deadline: Deadline) -> Release:
    """The newest revision of a release, by which Helm uninstalls it."""
    place = f"/api/v1/namespaces/{namespace}/secrets"
    subject = f"Helm release {namespace}/{name}"
    revisions: dict[int, str] = {}
    others: set[str] = set()
    query = {"labelSelector": "owner=helm", "fieldSelector": _TYPE}
    for metadata in _listed(api, place, "Helm's Secrets", deadline, query):
        labels = metadata.get("labels") or {}
        if labels.get("name") != name:
            others.add(str(labels.get("name")))
        elif str(labels.get("version")).isdecimal():
            revisions[int(labels["version"])] = str(metadata["name"])
    if not revisions:
        known = f"There are {few(sorted(others))}." if others else "It has none at all."
        raise BootstrapError(
            f"{subject}: the namespace has no Secret of Helm for it. {known} Name the release and the namespace as "
            "`terraform state show` or `helm list -A` has them. Releases that Helm stores elsewhere than in Secrets "
            "are not read.",
            code="no_release",
            subject=subject,
        )
    newest = revisions[max(revisions)]
    answer = _get(api, f"{place}/{newest}", f"Secret {namespace}/{newest}", deadline)
    try:
        return release_of(str((answer.body.get("data") or {}).get("release") or ""))
    except Unreadable as error:
        raise BootstrapError(
            f"{subject}: its Secret {newest} cannot be read: {error}. Nothing can be said of what an uninstall would "
            "delete: do not run one.",
            code="unreadable",
            subject=subject,
        ) from None


def look(api: Api, groups: Collection[str], deadline: Deadline) -> Living:
    """The CRDs of these groups, their objects, and the Secrets that belong to one of them."""
    crds: dict[str, Crd] = {}
    going: list[Item] = []
    for metadata in _listed(api, _CRDS, "every CRD", deadline):
        crd = Crd.of({"metadata": metadata})
        if crd.group in groups:
            crds[crd.name] = crd
            going += _going(KIND, metadata)
    objects: dict[str, list[Item]] = {}
    owners: dict[str, str] = {}
    for group in sorted({each.group for each in crds.values()}):
        for name, kind, path in _served(api, group, deadline):
            if name in crds:
                listed = list(_listed(api, path, f"every {kind}", deadline))
                objects[name] = [_item(kind, each) for each in listed]
                going += [item for each in listed for item in _going(kind, each)]
                owners |= {each.uid: name for each in objects[name]}
    secrets: dict[str, list[Item]] = defaultdict(list)
    for metadata in _listed(api, "/api/v1/secrets", "the names of all Secrets", deadline) if owners else ():
        for reference in metadata.get("ownerReferences") or []:
            if owned := owners.get(str(reference.get("uid"))):
                secrets[owned].append(_item("Secret", metadata))
                going += _going("Secret", metadata)
    return Living(crds, objects, dict(secrets), list(dict.fromkeys(going)))


def _served(api: Api, group: str, deadline: Deadline) -> Iterator[tuple[str, str, str]]:
    """The kinds of a group: the name of its CRD, the kind, and the path of all its objects in one version."""
    seen: set[str] = set()
    answer = api.get(f"/apis/{group}", seconds=_seconds(deadline))
    if answer.status == 404:  # none of its CRDs is served
        return
    require(answer, api.server, f"what {group} offers")
    for version in answer.body.get("versions") or []:
        root = f"/apis/{version['groupVersion']}"
        for each in _get(api, root, f"what {version['groupVersion']} offers", deadline).body.get("resources") or []:
            if "/" not in each["name"] and each["name"] not in seen:
                seen.add(each["name"])
                yield f"{each['name']}.{group}", str(each["kind"]), f"{root}/{each['name']}"


def _listed(
    api: Api, path: str, what: str, deadline: Deadline, query: Mapping[str, str] | None = None
) -> Iterator[dict[str, t.Any]]:
    """The metadata of each object of a list."""
    after = ""
    while True:
        asked = {"limit": _PAGE, **(query or {}), **({"continue": after} if after else {})}
        answer = _get(api, path, what, deadline, asked, METADATA_LIST)
        for each in answer.body.get("items") or []:
            yield each["metadata"]
        after = str((answer.body.get("metadata") or {}).get("continue") or "")
        if not after:
            return


def _get(
    api: Api,
    path: str,
    what: str,
    deadline: Deadline,
    query: Mapping[str, str] | None = None,
    accept: str = "application/json",
) -> Answer:
    answer = api.request("GET", path, query=query, accept=accept, seconds=_seconds(deadline))
    require(answer, api.server, what)
    return answer


def _seconds(deadline: Deadline) -> float:
    if not deadline.left:
        raise BootstrapError(f"The cluster was not looked at in full in {deadline.seconds:.0f} s. Give it more time.")
    return deadline.left


def _item(kind: str, metadata: Mapping[str, t.Any]) -> Item:
    namespace, name, uid = (str(metadata.get(key) or "") for key in ("namespace", "name", "uid"))
    return Item(kind, namespace, name, uid)


def _going(kind: str, metadata: Mapping[str, t.Any]) -> list[Item]:
    """The object, if its deletion was asked for."""
    return [_item(kind, metadata)] if metadata.get("deletionTimestamp") else []
