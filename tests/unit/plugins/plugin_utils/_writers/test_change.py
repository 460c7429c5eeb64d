# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of writer asks a cluster for, and what it does to it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import METADATA_ALONE, Answer, Kind
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._writers.change import (
    CHANGED,
    PROTECTED,
    WAITING,
    Changer,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._writers.steps import MARK, PRUNE, Asked

HELD = {"status": {"inventory": {"entries": [{"id": "apps_web_external-secrets.io_ExternalSecret", "v": "v1"}]}}}
PLURALS = {"ExternalSecret": "externalsecrets", "VaultStaticSecret": "vaultstaticsecrets", "Kustomization": "ks"}


def thing(name: str, kind: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "apps", "uid": f"of-{name}", "resourceVersion": "7", "generation": 1}
    target = {"target": {"name": "web", **more.pop("target", {})}, "destination": {"name": "web"}}
    return {"kind": kind, "metadata": {**metadata, **more.pop("metadata", {})}, "spec": target, **more}


class FakeApi:
    """A cluster with one Secret and what makes it. C(changes) has what was done to it."""

    server = "https://api.example.net:6443"
    kubeconfig = "home.yml"

    def __init__(self, *items: dict[str, Any], owners: tuple[str, ...] = (), type_: str = "Opaque") -> None:
        self.items, self.type = items, type_
        self.secret = {"metadata": {"uid": "same", "ownerReferences": [{"uid": each} for each in owners]}}
        self.changes: list[tuple[str, str, Any]] = []

    def kind(self, api_version: str, kind: str, seconds: float) -> Kind:
        return Kind(api_version, PLURALS[kind], True)

    def get(self, path: str, seconds: float) -> Answer:
        kind = next(kind for kind, plural in PLURALS.items() if path.endswith(f"/{plural}"))
        return Answer(200, {"items": [each for each in self.items if each["kind"] == kind]})

    def request(self, method: str, path: str, **how: Any) -> Answer:
        if method != "GET":
            self.changes.append((method, path, how["body"]))
            for each in self.items:
                if path.endswith(f"/{each['metadata']['name']}"):
                    given = {**each["metadata"].get("annotations", {}), **how["body"]["metadata"]["annotations"]}
                    each["metadata"]["annotations"] = {key: value for key, value in given.items() if value}
            return Answer(200, {})
        if "as=Table" in how["accept"]:
            columns = [{"name": name} for name in ("Name", "Type", "Data", "Age")]
            return Answer(200, {"columnDefinitions": columns, "rows": [{"cells": ["web", self.type, 1, "1m"]}]})
        assert how["accept"] == METADATA_ALONE, "never its data"
        return Answer(200, self.secret)


def changer(api: FakeApi) -> Changer:
    return Changer(api, Deadline(0.1), lambda _line: None)  # type: ignore[arg-type]


def test_a_secret_of_another_type_is_refused_for_vso_and_nothing_is_marked() -> None:
    old, flux = thing("web", "ExternalSecret"), {"kind": "Kustomization", "metadata": {"name": "apps"}, **HELD}
    api = FakeApi(old, flux, owners=("of-web",), type_="kubernetes.io/tls")
    with pytest.raises(BootstrapError, match=r"Secret apps/web: it is of type kubernetes.io/tls in the cluster"):
        changer(api).protect([Asked("apps", "web", "vso")])
    assert api.changes == []
    (done,) = changer(api).protect([Asked("apps", "web", "vso", "kubernetes.io/tls")])
    assert (done.state, done.changed, len(api.changes)) == (PROTECTED, True, 1)


def test_of_several_new_objects_it_is_the_one_that_owns_the_secret() -> None:
    several = [thing(name, "ExternalSecret") for name in ("first", "web")]
    api = FakeApi(*several, owners=("of-web",))
    found = changer(api).look(Asked("apps", "web", "eso"))
    assert found.new is not None
    assert found.new["metadata"]["name"] == "web"


@pytest.mark.parametrize(("owners", "state"), [(("of-web",), CHANGED), ((), WAITING)])
def test_it_is_told_to_be_changed_only_where_the_new_one_owns_it(owners: tuple[str, ...], state: str) -> None:
    api = FakeApi(thing("web", "ExternalSecret"), owners=owners)
    (done,) = changer(api).protect([Asked("apps", "web", "eso")])
    assert (done.state, bool(done.why), api.changes) == (state, state == WAITING, [])


def test_the_mark_of_a_change_that_was_turned_back_is_taken_off() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    marks = {MARK: "same", PRUNE: "disabled", "mine": "stays"}
    item = thing("web", "ExternalSecret", metadata={"annotations": marks}, status=ready)
    api = FakeApi(item, owners=("of-web",))
    changing = Changer(api, Deadline(30), lambda _line: None)  # type: ignore[arg-type]
    (done,) = changing.finish([Asked("apps", "web", "eso")], pushed=True)
    ((method, path, body),) = api.changes
    assert (done.state, done.changed, method) == (CHANGED, True, "PATCH")
    assert path.endswith("/namespaces/apps/externalsecrets/web")
    assert body["metadata"] == {
        "uid": "of-web",
        "resourceVersion": "7",
        "annotations": {MARK: None, PRUNE: None},
    }
    assert item["metadata"]["annotations"] == {"mine": "stays"}


def test_one_that_only_adds_to_the_secret_has_not_to_be_kept() -> None:
    merges = thing("other", "ExternalSecret", target={"creationPolicy": "Merge"})
    found = changer(FakeApi(merges, thing("web", "VaultStaticSecret"))).look(Asked("apps", "web", "vso"))
    assert (found.old, found.new is None) == ([], False)
