# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as moving a living cluster's Flux, and what its inventory says that it has made."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.living import Move, inventory, look, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.repository import Wanted, rendered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Answer, Kind

SYNC = rendered(Wanted("https://git.example.net/you/cluster", "main", "./clusters/home"))


class FakeApi:
    """An API server with one GitRepository and one Kustomization, as C(change) leaves them."""

    server = "https://192.0.2.11:6443"

    def __init__(self, source: dict[str, Any], root: dict[str, Any]) -> None:
        specs = [each["spec"] for each in SYNC]
        metadata = SYNC[0]["metadata"]
        self.found = {
            "GitRepository": {"metadata": metadata, "spec": {**specs[0], **source}},
            "Kustomization": {"metadata": metadata, "spec": {**specs[1], **root}},
        }

    def kind(self, api_version: str, kind: str, _seconds: float) -> Kind | None:
        return None if kind == "FluxInstance" else Kind(api_version, kind, namespaced=True)

    def get(self, path: str, *, seconds: float) -> Answer:
        return Answer(200, self.found[path.split("/")[-2]])


@pytest.mark.parametrize(
    ("source", "root", "moves"),
    [
        ({}, {}, []),
        ({"url": "https://GIT.example.net/you/cluster.git"}, {"path": "clusters/home/"}, []),
        ({"ref": {"name": "refs/heads/main"}}, {}, []),
        ({"url": "ssh://git@git.example.net/you/cluster"}, {}, ["url"]),
        ({"url": "https://git.example.net/you/other"}, {"path": "./clusters/other"}, ["url", "path"]),
        ({"ref": {"branch": "next"}}, {}, ["branch"]),
        ({"ref": {"branch": "main", "commit": "6dcb09b"}}, {}, ["branch"]),
        ({"ref": {"tag": "main"}}, {}, ["branch"]),
        ({"ref": None}, {}, ["branch"]),
        ({}, {"path": None}, ["path"]),
        ({}, {"sourceRef": {"kind": "OCIRepository", "name": "flux-system"}}, ["source"]),
    ],
)
def test_another_address_branch_path_or_source_is_a_move(
    source: dict[str, Any], root: dict[str, Any], moves: list[str]
) -> None:
    living = look(FakeApi(source, root), SYNC, 1.0)  # type: ignore[arg-type]
    assert [move.setting for move in living.moves] == moves


def test_an_address_that_holds_a_login_is_told_without_it() -> None:
    url = "https://git:ghp_canary@git.example.net/you/other"
    living = look(FakeApi({"url": url}, {}), SYNC, 1.0)  # type: ignore[arg-type]
    assert [move.found for move in living.moves] == ["https://git.example.net/you/other"]
    assert "canary" not in refusal(living, living.moves) + repr(living)


def test_a_move_is_confirmed_by_its_new_value_alone() -> None:
    move = Move("path", "./clusters/home", "./clusters/new")
    assert move.confirmed_by(["clusters/new/"])
    assert not move.confirmed_by([])
    assert not move.confirmed_by(["../x", "/"])
    assert not Move("url", "https://a.example", "https://b.example").confirmed_by(["http://[x"])
    assert not move.confirmed_by(["./clusters/home", "./clusters/new/apps"])


def test_an_inventory_names_objects_of_every_scope_and_group() -> None:
    entries = ["_apps__Namespace", "apps_hello_apps_Deployment", "apps_settings__ConfigMap", "_a__b_rbac.x_ClusterRole"]
    root = {"status": {"inventory": {"entries": [{"id": each, "v": "v1"} for each in entries]}}}
    assert list(inventory(root)) == [
        "Namespace apps",
        "Deployment apps/hello",
        "ConfigMap apps/settings",
        "ClusterRole a:b",
    ]
    assert list(inventory({})) == []
