# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods run with the former value of a Secret, and who restarts them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.fed import Feed
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.restarts import AUTO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.running import (
    Changed,
    Consumer,
    consumers,
    when,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
ENV = {"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]}
ALL = {"envFrom": [{"secretRef": {"name": "db"}}]}
FILES = {"volumeMounts": [{"name": "v"}]}


def at(seconds: int) -> str:
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(
    container: dict[str, Any],
    started: int | None = -5,
    *,
    owner: str = "",
    kind: str = "ReplicaSet",
    volume: dict[str, Any] | None = None,
    name: str = "p",
    init: bool = False,
    **status: Any,
) -> dict[str, Any]:
    ready = [{"type": "Ready", "status": "True"}]
    how = "terminated" if init else "running"
    state = {how: {"startedAt": at(started)}} if started is not None else {"waiting": {"reason": "CrashLoopBackOff"}}
    owners = [{"kind": kind, "name": owner, "uid": owner, "controller": True}] if owner else []
    part = "initContainer" if init else "container"
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "apps", "uid": name, "ownerReferences": owners},
        "spec": {f"{part}s": [{"name": "main", **container}], "volumes": [{"name": "v", **(volume or {})}]},
        "status": {"conditions": ready, f"{part}Statuses": [{"name": "main", "state": state}], **status},
    }


def feed(**more: Any) -> Feed:
    made = {"apiVersion": "secrets.hashicorp.com/v1beta1", "kind": "VaultStaticSecret"}
    return Feed(Object({**made, "metadata": {"namespace": "apps"}}, "", ""), VSO, "db", {"password": True}, **more)


def found(one: dict[str, Any], *, earlier: frozenset[str] | None = None, **more: Any) -> list[Consumer]:
    return consumers(Changed(feed(**more), NOW, earlier), [one], OWNERS, lambda _pod: "it crashes")


def owner(kind: str, uid: str, above: str = "", **annotations: str) -> dict[str, Any]:
    owners = [{"kind": "Deployment", "name": above, "uid": above, "controller": True}] if above else []
    metadata = {"name": uid, "namespace": "apps", "uid": uid, "annotations": annotations, "ownerReferences": owners}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {}}


OWNERS = {
    "rs": owner("ReplicaSet", "rs", "web"),
    "web": owner("Deployment", "web"),
    "told": owner("StatefulSet", "told", **{AUTO: "true"}),
}


@pytest.mark.parametrize(
    ("one", "files"),
    [
        (pod(ENV), False),
        (pod(ALL), False),
        (pod(ENV, init=True), False),
        (pod(FILES, volume={"secret": {"secretName": "db"}}), True),
        (pod(FILES, volume={"projected": {"sources": [{"secret": {"name": "db"}}]}}), True),
        (pod({"volumeMounts": [{"name": "v", "subPath": "x"}]}, volume={"secret": {"secretName": "db"}}), False),
    ],
)
def test_a_pod_that_read_it_before_the_change_runs_with_the_old_one(one: dict[str, Any], files: bool) -> None:
    assert found(one) == [Consumer("Pod", "apps", "p", "db", ("p",), files=files)]


@pytest.mark.parametrize(
    "one",
    [
        pod({}),
        pod({"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "user"}}}]}),
        pod({"envFrom": [{"secretRef": {"name": "other"}}]}),
        pod(FILES, volume={"secret": {"secretName": "db", "items": [{"key": "user", "path": "u"}]}}),
        pod({}, volume={"secret": {"secretName": "db"}}),
        pod(ENV, phase="Succeeded"),
    ],
)
def test_who_reads_something_else_or_has_ended_is_no_consumer(one: dict[str, Any]) -> None:
    assert found(one) == []


def test_a_secret_of_which_no_key_is_known_is_read_by_all_who_read_any() -> None:
    assert found(pod({"env": [{"valueFrom": {"secretKeyRef": {"name": "db", "key": "user"}}}]}), loose=True)


@pytest.mark.parametrize(
    ("started", "earlier", "old"),
    [
        (-1, None, True),
        (1, None, False),
        (0, None, True),  # in the same second: before or after
        (0, frozenset({"p"}), True),
        (0, frozenset(), False),
        (1, frozenset({"p"}), False),  # its container was started again
        (None, None, False),  # it does not run
    ],
)
def test_times_tell_who_is_old_and_what_was_seen_where_they_are_the_same(
    started: int | None, earlier: frozenset[str] | None, old: bool
) -> None:
    (one,) = found(pod(ENV, started), earlier=earlier)
    assert bool(one.old) is old


@pytest.mark.parametrize(
    ("mark", "made", "old"), [("STAKATER_DB_SECRET", 0, False), ("STAKATER_DB_SECRET", -9, True), ("X", 0, True)]
)
def test_in_the_same_second_a_pod_that_was_made_for_the_change_is_new(mark: str, made: int, old: bool) -> None:
    one = pod({"env": [*ENV["env"], {"name": mark, "value": "digest"}]}, 0)
    one["metadata"]["creationTimestamp"] = at(made)
    assert bool(found(one)[0].old) is old


def test_pods_that_are_new_and_not_ready_are_told_with_the_reason() -> None:
    (one,) = found(pod(ENV, 1, conditions=[]))
    assert (one.old, one.coming) == ((), ("p: it crashes",))


@pytest.mark.parametrize(
    ("one", "restarts", "label", "by"),
    [
        (pod(ENV, owner="rs"), (), "Deployment apps/web", ""),
        (pod(ENV, owner="rs"), (("Deployment", "web"),), "Deployment apps/web", "VSO"),
        (pod(ENV, owner="told", kind="StatefulSet"), (), "StatefulSet apps/told", "Reloader"),
        (pod(ENV, owner="pg", kind="Cluster"), (), "Cluster apps/pg", ""),
    ],
)
def test_who_restarts_a_workload_is_known(
    one: dict[str, Any], restarts: tuple[tuple[str, str], ...], label: str, by: str
) -> None:
    (made,) = found(one, restarts=restarts)
    assert (made.label, made.by) == (label, by)


def test_a_secret_changed_when_its_data_was_set_last() -> None:
    entries = [
        {"manager": "eso", "time": at(3), "fieldsV1": {"f:data": {}}},
        {"manager": "kubectl", "time": at(9), "fieldsV1": {"f:metadata": {}}},
        {"manager": "old", "time": at(1), "fieldsV1": {"f:data": {}}},
    ]
    made = {"metadata": {"creationTimestamp": at(-9), "managedFields": entries}}
    assert when(made) == NOW + timedelta(seconds=3)
    assert when({"metadata": {"creationTimestamp": at(-9)}}) == NOW - timedelta(seconds=9)
    assert when(None) is None
