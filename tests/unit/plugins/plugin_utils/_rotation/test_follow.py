# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A value is followed to its end by looks at a cluster that answers as VSO, Reflector and ESO would have it.

Both operators are run for real in tests/integration/test_secret_rotation.py.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.fed import REFLECTS, Asked, Feed, fed, mirrors
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation import follow as _follow
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.cluster import Cluster
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.follow import Follower
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.seen import Followed
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.told import complaint, verdict

PATH = "tazlab-k8s/static/web/TOKEN"
OLD, NEW = "the-old-token", "the-new-token"
NOW = 1_780_000_000  # when Vault got the new value


class World:
    """A cluster; C(turns) are what happens in it before each look but the first."""

    kubeconfig = "/k"

    def __init__(self, *turns: Callable[[World], None], seconds: float = 30) -> None:
        self.deadline = Deadline(seconds)
        self.secrets: dict[str, dict[str, Any]] = {}
        self.made: dict[str, dict[str, Any]] = {}
        self.all_pods: list[dict[str, Any]] = []
        self.all_owners: dict[str, dict[str, Any]] = {}
        self.forced: list[str] = []
        self.warned: list[dict[str, Any]] = []
        self.refusals = 0  # how often the API server will not take a change
        self._turns: list[Callable[[World], None]] = [lambda _world: None, *turns]

    def pods(self, _namespace: str) -> list[dict[str, Any]]:
        if self._turns:
            self._turns.pop(0)(self)
        else:  # nothing will happen any more
            self.deadline = Deadline(0)
        return self.all_pods

    def owners(self, _namespace: str) -> dict[str, dict[str, Any]]:
        return self.all_owners

    def secret(self, feed: Feed) -> dict[str, Any] | None:
        return self.secrets.get(feed.secret)

    def maker(self, feed: Feed) -> dict[str, Any]:
        return self.made.get(feed.object.name, {})

    def warnings(self, _feed: Feed) -> list[dict[str, Any]]:
        return self.warned

    def force(self, feed: Feed, stamp: str) -> None:
        assert stamp.isdecimal()
        if self.refusals:
            self.refusals -= 1
            raise Unanswered("Kubernetes API: asked for a change, it answered 503.")
        self.forced.append(feed.secret)

    def set(self, name: str, after: int, **values: str) -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        entry = {"manager": "operator", "time": at(after), "fieldsV1": {"f:data": {}}}
        self.secrets[name] = {"metadata": {"managedFields": [entry]}, "data": data}

    def run_pod(self, name: str, after: int) -> None:
        container = {"name": "main", "envFrom": [{"secretRef": {"name": "web"}}]}
        owner = {"kind": "Deployment", "name": "web", "uid": "web", "controller": True}
        status = {"name": "main", "state": {"running": {"startedAt": at(after)}}}
        self.all_pods = [
            {
                "metadata": {"name": name, "uid": name, "ownerReferences": [owner]},
                "spec": {"containers": [container]},
                "status": {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [status]},
            }
        ]


def at(after: int) -> str:
    return datetime.fromtimestamp(NOW + after, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def thing(kind: str, spec: Any) -> Object:
    group = "secrets.hashicorp.com/v1beta1" if kind == "VaultStaticSecret" else "external-secrets.io/v1"
    metadata = {"name": "web", "namespace": "apps"}
    return Object({"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}, "", "")


def static(**spec: Any) -> list[Feed]:
    base = {"mount": "secret", "path": PATH, "type": "kv-v2", "refreshAfter": "1m", "destination": {"name": "web"}}
    return fed([thing("VaultStaticSecret", {**base, **spec})], Asked(PATH, "value"))


def external(**spec: Any) -> list[Feed]:
    data = [{"secretKey": "value", "remoteRef": {"key": PATH, "property": "value"}}]
    return fed([thing("ExternalSecret", {"data": data, **spec})], Asked(PATH, "value"))


def copied_by_reflector(feeds: list[Feed]) -> list[Feed]:
    metadata = {"name": "copy", "namespace": "apps", "annotations": {REFLECTS: "apps/web"}}
    return mirrors([Object({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}, "", "")], feeds)


def followed(world: World, feeds: list[Feed], *, new: bool = True, wait: float = 30) -> tuple[Followed, list[str]]:
    said: list[str] = []
    follower = Follower(cast(Cluster, world), feeds, NEW, said.append)
    return follower.follow(follower.before(None if new else float(NOW)), float(NOW), new=new, wait=wait), said


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_follow, "POLL_SECONDS", (0.0, 0.0))


def test_vso_is_awaited_and_so_are_the_consumers_that_it_restarts() -> None:
    world = World(
        lambda world: None,
        lambda world: world.set("web", 20, value=NEW),
        lambda world: world.run_pod("new", 25),
    )
    world.set("web", -100, value=OLD)
    world.run_pod("old", -90)
    found, said = followed(world, static(rolloutRestartTargets=[{"kind": "Deployment", "name": "web"}]))
    assert found.done
    assert world.forced == []
    assert said[0].startswith("VaultStaticSecret apps/web reads Vault again by itself, at the latest at ")
    assert "its key value holds another value; VSO reads Vault again within 60 s" in said[1]
    assert "Deployment apps/web: pod old runs with the old value, until VSO ends it" in said[2]
    assert verdict(found, "/k")[0].startswith("The old value may be withdrawn at its issuer now")


def test_what_vso_makes_of_the_value_is_taken_as_made_once_it_was_made_since() -> None:
    template = {"excludes": [".*"], "templates": {"hash": {"text": '{{ htpasswd "a" (get .Secrets "value") }}'}}}
    feeds = static(destination={"name": "web", "transformation": template})
    world = World(lambda world: world.set("web", 9, hash="$2y$other"))
    world.set("web", -9, hash="$2y$one")
    assert followed(world, feeds)[0].done
    world = World()
    world.set("web", -9, hash="$2y$one")
    assert not followed(world, feeds)[0].done


def test_when_the_time_is_up_the_reason_is_told_without_the_value() -> None:
    world = World()
    world.set("web", -9, value=OLD)
    condition = {"type": "Ready", "status": "False", "reason": "Failed", "message": f"cannot put {NEW} there"}
    world.made["web"] = {"status": {"conditions": [condition]}}
    found, _said = followed(world, static())
    text = complaint(found, 30, "secret/x", "/k")
    assert "Secret apps/web by VaultStaticSecret apps/web: its key value holds another value" in text
    assert "Failed: cannot put ******** there" in text
    assert NEW not in text


def test_eso_is_told_and_only_what_it_synced_since_then_counts() -> None:
    def synced(world: World) -> None:
        world.made["web"] = {"status": {"syncedResourceVersion": "1-after"}}

    template = {"template": {"data": {"hash": '{{ htpasswd "a" .value }}'}}}
    world = World(lambda world: None, synced)
    world.made["web"] = {"status": {"syncedResourceVersion": "1-before"}}
    world.set("web", 0, hash="$2y$one")
    found, said = followed(world, external(target=template))
    assert found.done
    assert world.forced == ["web"]
    assert "ESO has not synced it since it was told to" in said[0]


def test_what_holds_the_value_already_is_not_told_to_eso_again() -> None:
    world = World()
    world.set("web", -9, value=NEW)
    found, _said = followed(world, external(), new=False)
    assert (found.done, world.forced) == (True, [])


def test_eso_is_told_once_more_where_it_read_a_server_that_lagged_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_follow, "AGAIN", 0.0)

    def stale(world: World) -> None:
        world.made["web"] = {"status": {"syncedResourceVersion": "1-after"}}

    def fresh(world: World) -> None:
        world.made["web"] = {"status": {"syncedResourceVersion": "1-again"}}
        world.set("web", 3, value=NEW)

    world = World(stale, fresh)
    world.set("web", -9, value=OLD)
    assert followed(world, external())[0].done
    assert world.forced == ["web", "web"]


def test_a_copy_of_reflector_is_awaited_too() -> None:
    def copied(world: World) -> None:
        world.secrets["copy"] = world.secrets["web"]

    feeds = static()
    feeds += copied_by_reflector(feeds)
    world = World(lambda world: world.set("web", 2, value=NEW), lambda world: None, lambda world: None)
    # each look asks for the pods of one namespace once
    world.set("web", -9, value=OLD)
    world.set("copy", -9, value=OLD)
    found, said = followed(world, feeds)
    assert not found.done
    assert "Secret apps/copy by Reflector, from apps/web: Reflector has not copied it yet" in said[-1]
    copied(world)
    world.deadline = Deadline(30)
    assert Follower(cast(Cluster, world), feeds, NEW).follow(found, float(NOW), new=False, wait=30).done


def test_what_vso_makes_has_its_refresh_beyond_the_wait_and_so_have_its_copies_and_consumers() -> None:
    def copied(world: World) -> None:
        world.secrets["copy"] = world.secrets["web"]

    feeds = static(rolloutRestartTargets=[{"kind": "Deployment", "name": "web"}])
    world = World(
        lambda world: None,
        lambda world: world.set("web", 20, value=NEW),
        copied,
        lambda world: world.run_pod("new", 25),
    )
    for name in ("web", "copy"):
        world.set(name, -100, value=OLD)
    world.run_pod("old", -90)
    assert followed(world, feeds + copied_by_reflector(feeds), wait=0)[0].done


def test_what_is_not_of_vso_has_the_wait_alone_however_late_vso_may_be() -> None:
    late = static(destination={"name": "late"})
    world = World(lambda world: world.set("web", 3, value=NEW))
    for name in ("web", "late"):
        world.set(name, -9, value=OLD)
    found, _said = followed(world, [*late, *external()], wait=0)
    assert world.deadline.left > 0
    assert {line.partition(":")[0] for line in found.waiting} == {
        "Secret apps/late by VaultStaticSecret apps/web",
        "Secret apps/web by ExternalSecret apps/web",
    }


HIDDEN = {"transformation": {"excludeRaw": True, "excludes": [".*"], "templates": {"sum": {"text": "{{ sum }}"}}}}


def test_what_hides_the_value_is_awaited_until_vso_has_made_it_anew_be_it_in_the_same_second() -> None:
    world = World(
        lambda world: world.set("web", 0, sum="of the old one"),
        lambda world: world.set("web", 0, sum="of the new one"),
    )
    world.set("web", 0, sum="of the old one")
    found, said = followed(world, static(destination={"name": "web", **HIDDEN}))
    assert found.done
    assert any("reads Vault again by itself, at the latest at" in line for line in said)
    assert any("waiting for Secret apps/web by VaultStaticSecret apps/web" in line for line in said)


def test_what_vso_warns_of_since_the_write_is_told_without_the_value() -> None:
    def event(after: int, message: str) -> dict[str, Any]:
        return {"reason": "VaultClientError", "message": message, "lastTimestamp": at(after)}

    world = World()
    world.set("web", -9, value=OLD)
    world.warned = [event(-5, "an old story"), event(5, f"permission denied, {NEW}")]
    (line,) = followed(world, static(), wait=0)[0].waiting
    assert "VaultClientError: permission denied, ********" in line
    world.warned = [event(-5, "an old story")]
    (line,) = followed(world, static(), wait=0)[0].waiting
    assert "VSO reads Vault again within 60 s" in line
    assert "story" not in line


def test_who_has_vso_ignore_its_targets_is_named_with_the_way_out_and_not_waited_for() -> None:
    targets = [{"kind": "Deployment", "name": "web"}]
    world = World(lambda world: world.set("web", 20, value=NEW))
    world.set("web", -9, value=OLD)
    world.run_pod("old", -90)
    found, _said = followed(world, static(hmacSecretData=False, rolloutRestartTargets=targets))
    assert not found.waiting
    line = verdict(found, "/k")[0]
    assert "runs with the old value of Secret web (old): VSO does not restart what" in line
    assert "hmacSecretData is false" in line
    assert "kubectl --kubeconfig /k --namespace apps rollout restart deployment/web" in line
    assert "must not be withdrawn" in verdict(found, "/k")[-1]


def test_who_has_not_been_restarted_long_after_the_change_is_named_and_not_waited_for() -> None:
    world = World()
    world.set("web", 0, value=NEW)
    world.run_pod("old", -90)
    started = time.monotonic()
    found, said = followed(world, static(rolloutRestartTargets=[{"kind": "Deployment", "name": "web"}]), new=False)
    assert time.monotonic() - started < 5
    assert not found.waiting
    (line,) = said
    assert "VSO should have restarted it and has not. Restart it: kubectl --kubeconfig /k --namespace apps" in line
    assert verdict(found, "/k") == [
        line,
        "The old value must not be withdrawn at its issuer yet. Do that, then run this again: it says when.",
    ]


def test_a_pinned_version_is_named_and_not_waited_for() -> None:
    world = World()
    world.set("web", -9, value=OLD)
    found, said = followed(world, static(version=1))
    assert not found.waiting
    (line,) = said
    assert line == (
        "Secret apps/web keeps the old value: it asks for version 1 of the path (VaultStaticSecret apps/web). "
        "Change that where it is declared."
    )


def test_an_api_that_does_not_answer_for_a_moment_ends_nothing() -> None:
    def silent(_world: World) -> None:
        raise Unanswered("Kubernetes API: it refused the connection.")

    world = World(silent, lambda world: world.set("web", 2, value=NEW))
    world.set("web", -9, value=OLD)
    found, said = followed(world, static())
    assert found.done
    assert any("it refused the connection" in line for line in said)


def test_an_api_that_takes_no_change_for_a_moment_is_told_again_until_all_was_told() -> None:
    def synced(world: World) -> None:
        world.made["web"] = {"status": {"syncedResourceVersion": "1-after"}}
        world.set("web", 3, value=NEW)

    world = World(synced)
    world.refusals = 2
    world.set("web", -9, value=OLD)
    found, said = followed(world, external())
    assert found.done
    assert (world.forced, [feed.secret for feed in found.forced]) == (["web"], ["web"])
    assert any("it answered 503" in line for line in said)
