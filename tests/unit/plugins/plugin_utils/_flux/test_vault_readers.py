# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for Vault in a cluster, and what is excused for that."""

from __future__ import annotations

from typing import Any

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.vault_readers import Waiting, excused, waiting
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Answer, Kind
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.ready import Seen, Wanted


def thing(name: str, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "here"}, "status": status}


def ready(state: str, reason: str = "Some") -> list[dict[str, str]]:
    return [{"type": "Ready", "status": state, "reason": reason}]


class FakeApi:
    """Serves some kinds with their objects."""

    server = "https://api.example.net"

    def __init__(self, **objects: list[dict[str, Any]]) -> None:
        self.objects = objects

    def kind(self, api_version: str, kind: str, seconds: float) -> Kind | None:
        return Kind(api_version, kind, True) if kind in self.objects else None

    def get(self, path: str, seconds: float) -> Answer:
        name = path.rpartition("/")[2]
        if name in ("external-secrets.io", "secrets.hashicorp.com"):
            return (
                Answer(200, {"preferredVersion": {"groupVersion": f"{name}/v1"}}) if self.objects else Answer(404, {})
            )
        return Answer(200, {"items": self.objects[name]})


def names(**objects: list[dict[str, Any]]) -> list[str]:
    return [each.name for each in waiting(FakeApi(**objects), 5)]  # type: ignore[arg-type]


def test_where_every_store_is_ready_nothing_waits_for_vault() -> None:
    assert names() == []
    assert names(ClusterSecretStore=[thing("s", conditions=ready("True"))], ExternalSecret=[thing("e")]) == []


def test_stores_come_first_and_what_reads_through_them_after() -> None:
    stores = [thing("bad", conditions=ready("False", "InvalidProviderConfig")), thing("new")]
    secrets = [thing("old", conditions=ready("True")), thing("e", conditions=ready("False"))]
    statics = [thing("synced", secretMAC="x"), thing("v")]
    connections = [thing("c", valid=False), thing("good", valid=True)]
    assert names(
        SecretStore=stores, ExternalSecret=secrets, VaultConnection=connections, VaultStaticSecret=statics
    ) == ["bad", "new", "c", "e", "v"]


def test_only_a_root_that_was_applied_is_excused() -> None:
    root = Wanted("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", "flux-system", None, "Ready")
    source = Wanted("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system", "flux-system", None, "Ready")
    applied = Seen(root, "flux-system", True, False, "Progressing", {"status": {"lastAttemptedRevision": "main@1"}})
    fresh = Seen(root, "flux-system", True, False, "Progressing", {"status": {}})
    unfetched = Seen(source, "flux-system", True, False, "no artifact", {"status": {}})
    waits = [Waiting("ClusterSecretStore", "", "vault", "InvalidProviderConfig")]
    assert [each.ready for each in excused([applied, fresh, unfetched], waits)] == [True, False, False]
    assert [each.ready for each in excused([applied], [])] == [False], "then it fails for another reason"
