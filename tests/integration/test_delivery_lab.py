# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab delivers for real: what is written to Vault arrives in the cluster by the operators' own programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery import pieces
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import (
    VSO,
    Consumer,
    Declared,
    Key,
    Value,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import Operators, manifest
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import OPERATORS, Jwt, Login, Store
from lab.delivery import API, STORE, thing
from lab.delivery import Delivery as Cluster
from lab.operators import ESO, VSO_NAMESPACE, install, reloader, scale, vault_secrets
from lab.process import wait_until
from lab.vault import ESO_POLICY, MOUNT

pytestmark = pytest.mark.kube

ISSUER = "https://kubernetes.default.svc.cluster.local"
STATIC = "tazlab-k8s/static/apps"


class Delivery(Cluster):
    """The cluster, with stores and workloads of the tests'."""

    def trust_accounts(self) -> None:
        """Have Vault trust the key of the cluster's service accounts, as it is told before the cluster exists."""
        place = self.control_plane.directory / "pki" / "service-accounts.crt"
        public = x509.load_pem_x509_certificate(place.read_bytes()).public_key()
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = public.public_bytes(serialization.Encoding.PEM, kind).decode()
        self.vault.client.sys.enable_auth_method("jwt")
        self.vault.client.auth.jwt.configure(jwt_validation_pubkeys=[pem], bound_issuer=ISSUER)

    def trust(self, role: str, account: str) -> None:
        """Let a service account log in with this role: it reads what ESO reads."""
        self.vault.client.auth.jwt.create_role(
            role,
            role_type="jwt",
            allowed_redirect_uris=[],
            user_claim="sub",
            bound_audiences=["vault"],
            bound_subject=f"system:serviceaccount:{account}",
            token_policies=[ESO_POLICY],
        )

    def store(self, name: str, auth: Mapping[str, Any]) -> None:
        vault = {
            "server": self.vault.url,
            "path": MOUNT,
            "version": "v2",
            "caProvider": {"type": "Secret", "name": "vault-ca-cert", "namespace": ESO, "key": "ca.crt"},
            "auth": auth,
        }
        self.client.apply(thing(API, "ClusterSecretStore", name, spec={"provider": {"vault": vault}}))

    def external(self, name: str, store: str, keys: Mapping[str, str], template: Mapping[str, str]) -> None:
        """An ExternalSecret that makes a Secret of its name from keys in Vault by a template."""
        data = [
            {"secretKey": known, "remoteRef": {"key": f"{STATIC}/{key}", "property": "value"}}
            for known, key in keys.items()
        ]
        spec = {
            "refreshInterval": "1s",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": store},
            "target": {"name": name, "template": {"data": dict(template)}},
            "data": data,
        }
        self.client.apply(thing(API, "ExternalSecret", name, "default", spec=spec))

    def deploy(self, name: str, secret: str, annotations: Mapping[str, str]) -> None:
        """A Deployment that has the Secret in its environment, and these annotations of its own."""
        labels = {"app": name}
        container = {"name": "main", "image": "example.net/app:1", "envFrom": [{"secretRef": {"name": secret}}]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        made = thing(
            "apps/v1", "Deployment", name, "default", spec={"selector": {"matchLabels": labels}, "template": template}
        )
        made["metadata"]["annotations"] = dict(annotations)
        self.client.apply(made)

    def settled(self, name: str, generation: int) -> None:
        """Wait until the Deployment was set so often, and its pods are those that it says."""

        def holds() -> bool:
            found = self.client.get("apps/v1", "Deployment", name, "default")
            status = found.get("status", {})
            pods = [pod for pod in self.client.list("v1", "Pod", "default") if pod["metadata"]["labels"]["app"] == name]
            counts = [status.get(key) for key in ("replicas", "updatedReplicas", "readyReplicas")]
            return found["metadata"]["generation"] == status["observedGeneration"] == generation and (
                [*counts, len(pods)] == [1, 1, 1, 1]
            )

        wait_until(holds, f"{name} runs as it was set {generation} times", 60)

    def condition(self, kind: str, name: str) -> tuple[str, str]:
        """Status and reason of the object's condition Ready."""
        found = self.client.get(API, kind, name, "default").get("status", {}).get("conditions", [])
        return next(((each["status"], each["reason"]) for each in found if each["type"] == "Ready"), ("", ""))

    def refreshed(self, name: str) -> float:
        """How many seconds ago the ExternalSecret was refreshed."""
        moment = self.client.get(API, "ExternalSecret", name, "default")["status"]["refreshTime"]
        return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    with Delivery(tmp_path_factory.mktemp("delivery")) as made:
        made.trust_accounts()
        yield made


def test_several_values_arrive_in_one_secret_and_so_do_their_rotations(delivery: Delivery) -> None:
    user, password = delivery.rotate(f"{STATIC}/db/USER"), delivery.rotate(f"{STATIC}/db/PASSWORD")
    keys = {"user": "db/USER", "password": "db/PASSWORD"}
    delivery.external("db", STORE, keys, {"url": "postgres://{{ .user }}:{{ .password }}@db", "user": "{{ .user }}"})
    delivery.wait("db", {"url": f"postgres://{user}:{password}@db", "user": user})
    synced = ("True", "SecretSynced")
    wait_until(lambda: delivery.condition("ExternalSecret", "db") == synced, "the operator says so", 30)

    rotated = delivery.rotate(f"{STATIC}/db/PASSWORD")
    delivery.wait("db", {"url": f"postgres://{user}:{rotated}@db", "user": user})

    logs = "".join(log.read_text() for log in delivery.pods.rglob("*.log"))
    assert "reconciled secret" in logs
    assert not [value for value in (user, password, rotated) if value in logs]


def test_nothing_arrives_while_the_operator_is_stopped(delivery: Delivery) -> None:
    first = delivery.rotate(f"{STATIC}/late/KEY")
    delivery.external("late", STORE, {"key": "late/KEY"}, {"key": "{{ .key }}"})
    delivery.wait("late", {"key": first})

    scale(delivery.client, ESO, ESO, 0)
    second = delivery.rotate(f"{STATIC}/late/KEY")
    # While it runs, it refreshes every second or two.
    wait_until(lambda: delivery.refreshed("late") > 5, "the last refresh is past", 30)
    assert delivery.data("late") == {"key": first}
    scale(delivery.client, ESO, ESO, 1)
    delivery.wait("late", {"key": second})


@pytest.mark.sweep
@pytest.mark.parametrize("fault", ["sealed", "revoked"])
def test_what_breaks_is_told_by_the_condition_keeps_the_secret_and_heals(delivery: Delivery, fault: str) -> None:
    token = delivery.vault.eso_token()
    delivery.client.apply(thing("v1", "Secret", f"own-{fault}", ESO, stringData={"token": token}))
    delivery.store(fault, {"tokenSecretRef": {"name": f"own-{fault}", "namespace": ESO, "key": "token"}})
    first = delivery.rotate(f"{STATIC}/{fault}/KEY")
    delivery.external(fault, fault, {"key": f"{fault}/KEY"}, {"key": "{{ .key }}"})
    delivery.wait(fault, {"key": first})
    if fault == "sealed":
        delivery.vault.seal()
    else:
        delivery.vault.client.auth.token.revoke(token)
    told = ("False", "SecretSyncedError")
    wait_until(lambda: delivery.condition("ExternalSecret", fault) == told, f"{fault}: it is told", 60)
    assert delivery.data(fault) == {"key": first}, "what was delivered stays"
    if fault == "sealed":
        delivery.vault.unseal()
    else:
        again = {"token": delivery.vault.eso_token()}
        delivery.client.apply(thing("v1", "Secret", f"own-{fault}", ESO, stringData=again))
    second = delivery.rotate(f"{STATIC}/{fault}/KEY")
    delivery.wait(fault, {"key": second})
    wait_until(
        lambda: delivery.condition("ExternalSecret", fault) == ("True", "SecretSynced"), f"{fault}: it is healed", 60
    )


def test_it_logs_in_with_a_token_of_a_service_account_that_vaults_role_names(delivery: Delivery) -> None:
    delivery.trust("eso", f"{ESO}:reader")
    for account in ("reader", "other"):
        login = Jwt("eso", account, audiences=("vault",))
        for piece in pieces.store(Store(delivery.vault.url, name=account, mount=MOUNT, login=login), OPERATORS["eso"]):
            delivery.client.apply(piece.document)
    value = delivery.rotate(f"{STATIC}/jwt/KEY")
    delivery.external("by-jwt", "reader", {"key": "jwt/KEY"}, {"key": "{{ .key }}"})
    delivery.wait("by-jwt", {"key": value})
    assert "auth/jwt/login" in delivery.vault.requests()

    wait_until(
        lambda: delivery.condition("ClusterSecretStore", "other") == ("False", "InvalidProviderConfig"),
        "another account's store is refused",
        30,
    )


def test_a_rotation_restarts_the_workload_with_the_annotation_and_nobody_else(delivery: Delivery) -> None:
    install(delivery.client, reloader())
    first = delivery.rotate(f"{STATIC}/app/KEY")
    delivery.deploy("a-plain", "app", {})
    delivery.deploy("b-annotated", "app", {"reloader.stakater.com/auto": "true"})
    delivery.external("app", STORE, {"key": "app/KEY"}, {"key": "{{ .key }}"})
    delivery.wait("app", {"key": first})
    for name in ("a-plain", "b-annotated"):
        delivery.settled(name, 1)  # the Secret's creation has restarted nobody

    second = delivery.rotate(f"{STATIC}/app/KEY")
    delivery.settled("b-annotated", 2)
    assert delivery.data("app") == {"key": second}
    delivery.settled("a-plain", 1)  # its turn came before
    log = next(delivery.pods.rglob("reloader.log")).read_text().splitlines()
    assert log[2:] == ["Reloader STAND-IN: Secret default/app has changed: Deployment b-annotated restarts"]


@pytest.mark.seldom
def test_the_vault_secrets_operator_delivers_too_and_restarts_its_targets_itself(delivery: Delivery) -> None:
    client = delivery.client
    install(client, vault_secrets())
    delivery.trust("vso", "default:vso-reader")
    client.apply(
        thing("v1", "Secret", "vault-ca-cert", VSO_NAMESPACE, stringData={"ca.crt": delivery.authority.ca_pem})
    )
    login = Login(delivery.vault.url, Jwt("vso", "vso-reader", audiences=("vault",)), auth="vault")
    for piece in pieces.login(login, OPERATORS["vso"], ["default"]):
        client.apply(piece.document)

    first = delivery.rotate(f"{STATIC}/vso/KEY")
    delivery.deploy("by-vso", "by-vso", {})
    value = Value(f"{STATIC}/vso/KEY")
    declared = Declared(
        "by-vso",
        "default",
        VSO,
        keys={"token": Key.plain(value), "line": Key({"it": value}, "token={{ .it }};\n")},
        refresh="1s",
        labels={"made-by": "vso"},
        consumers=(Consumer("Deployment", "by-vso"),),
    )
    client.apply(manifest(declared, Operators(auth=f"{VSO_NAMESPACE}/vault", mount=MOUNT)))
    delivery.wait("by-vso", {"token": first, "line": f"token={first};\n"})
    assert client.get("v1", "Secret", "by-vso", "default")["metadata"]["labels"]["made-by"] == "vso"
    delivery.settled("by-vso", 1)

    second = delivery.rotate(f"{STATIC}/vso/KEY")
    delivery.wait("by-vso", {"token": second, "line": f"token={second};\n"})
    delivery.settled("by-vso", 2)
