# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Flux has applied what it has fetched."""

from __future__ import annotations

from typing import Any

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.ready import Held, behind
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.apply import Applied
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.ready import Seen, Wanted


def test_a_root_that_is_behind_its_source_is_not_ready() -> None:
    def seen(kind: str, status: dict[str, Any], source: str = "") -> Seen:
        item = {"status": status, "spec": {"sourceRef": {"name": source}}}
        return Seen(Wanted("x/v1", kind, "flux-system", "flux-system"), "flux-system", True, True, "", item)

    repository = seen("GitRepository", {"artifact": {"revision": "main@sha1:new"}})
    old = seen("Kustomization", {"lastAppliedRevision": "main@sha1:old"}, "flux-system")
    new = seen("Kustomization", {"lastAppliedRevision": "main@sha1:new"}, "flux-system")
    other = seen("Kustomization", {"lastAppliedRevision": "main@sha1:old"}, "another")
    assert [each.ready for each in behind([repository, old, new, other])] == [True, False, True, True]
    assert behind([repository, old])[1].why == "it has applied main@sha1:old, and main@sha1:new is fetched"


def test_what_follows_something_else_than_declared_is_declared_again() -> None:
    wanted = {
        "kind": "GitRepository",
        "metadata": {"name": "flux-system"},
        "spec": {"url": "u", "ref": {"branch": "b"}},
    }
    owner = {"manager": "kustomize-controller", "fieldsV1": {"f:spec": {"f:ref": {"f:branch": {}}}}}
    declared: list[dict[str, Any]] = []
    problem = ""

    def declare(document: dict[str, Any]) -> Applied:
        declared.append(document)
        return Applied("x/v1", "GitRepository", "flux-system", "flux-system", "changed", problem)

    def seen(branch: str) -> Seen:
        item = {"spec": {"url": "u", "ref": {"branch": branch}}, "metadata": {"managedFields": [owner]}}
        return Seen(Wanted("x/v1", "GitRepository", "flux-system", "flux-system"), "flux-system", True, True, "", item)

    judge = Held([wanted], declare)
    assert judge([seen("b")])[0].ready
    assert not declared
    (late,) = judge([seen("old")])
    assert declared == [wanted]
    assert not late.ready
    assert late.why == "branch is old, although b was declared (kustomize-controller set it so); it is declared again"
    problem = "the API answered 403 (Forbidden)"
    (refused,) = judge([seen("old")])
    assert refused.why.endswith("; declaring it again failed: the API answered 403 (Forbidden)")
