# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What role cluster_seed leaves in a real API server is exactly what Terraform owned, and nothing of others is lost."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.seed_entry import KNOWN
from lab.kube import ControlPlane
from lab.kubeclient import MERGE, Client, KubeError
from lab.kubelet import KubeletStandIn
from lab.leaks import Canaries, Watch
from lab.playbook import Run
from lab.process import wait_until
from lab.tls import Authority

pytestmark = pytest.mark.kube

# The layer that Terraform owned: namespace, name, type, key -> field.
SECRETS = (
    ("external-secrets", "vault-ca-cert", "Opaque", {"ca.crt": "VAULT_CA_CRT"}),
    ("external-secrets", "vault-eso-token", "Opaque", {"token": "ESO_READER_TOKEN"}),
    (
        "tailscale",
        "tailscale-operator-oauth",
        "Opaque",
        {"clientId": "TAILSCALE_OPERATOR_CLIENT_ID", "clientSecret": "TAILSCALE_OPERATOR_CLIENT_SECRET"},
    ),
)
VSO_SECRET = ("vso-system", "vault-ca-cert", "Opaque", {"ca.crt": "VAULT_CA_CRT"})
VARIABLES = {
    "domain": "lab.example",
    "cluster_name": "lab",
    "traefik_lb_ip": "192.0.2.10",
    "ADMIN_EMAIL": "a@lab.example",
}


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass
class Cluster:
    """A cluster with a node on which CoreDNS can seem to run."""

    kubeconfig: Path
    client: Client
    kubelet: KubeletStandIn
    values: dict[str, str]
    control_plane: ControlPlane

    def variables(self, **more: Any) -> dict[str, Any]:
        return {
            "cluster_seed_kubeconfig": str(self.kubeconfig),
            "cluster_seed_values": self.values,
            "cluster_seed_cluster_vars": VARIABLES,
            "cluster_seed_timeout": 60,
            **more,
        }

    def secret(self, namespace: str, name: str) -> dict[str, Any]:
        return self.client.get("v1", "Secret", name, namespace)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("seeds")
    values = {
        "TAILSCALE_OPERATOR_CLIENT_ID": "canary-tailscale-id-4711",
        "TAILSCALE_OPERATOR_CLIENT_SECRET": "canary-tailscale-secret-4712",
        "ESO_READER_TOKEN": "canary-eso-token-4713",
        # Text before the first line, CRLF within, and no last newline: a PEM as somebody stored it.
        "VAULT_CA_CRT": "subject=the lab\r\n" + Authority(directory / "vault-ca").ca_pem.replace("\n", "\r\n").rstrip(),
    }
    with (
        ControlPlane(directory / "kube") as control_plane,
        KubeletStandIn(control_plane.kubeconfig, directory / "pods") as kubelet,
    ):
        kubelet.add_node("lab-worker", "127.0.0.2")
        yield Cluster(control_plane.kubeconfig, control_plane.client(), kubelet, values, control_plane)


@pytest.fixture
def seed(ansible_playbook: Callable[..., Run], cluster: Cluster) -> Callable[..., Run]:
    """Run the role as site.yml does: its preflight, then the role; the facts are printed."""

    def run(*arguments: str, **more: Any) -> Run:
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {
                "ansible_connection": "local",
                "ansible_pipelining": True,
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            },
            "tasks": [
                {"import_role": {"name": "tazlab.bootstrap.cluster_seed", "tasks_from": "preflight"}},
                {"debug": {"msg": "PROBLEMS {{ cluster_seed_problems }}"}},
                {"import_role": {"name": "tazlab.bootstrap.cluster_seed"}},
                {"debug": {"msg": "RESULT {{ cluster_seed_result }}"}},
            ],
        }
        return ansible_playbook([play], variables=cluster.variables(**more), arguments=arguments)

    return run


def data(item: dict[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in item["data"].items()}


def managers(item: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["manager"], each["operation"]) for each in item["metadata"]["managedFields"]}


def test_check_mode_before_the_cluster_exists_contacts_nothing(seed: Callable[..., Run], tmp_path: Path) -> None:
    run = seed("--check", "--diff", cluster_seed_pending=True, cluster_seed_kubeconfig=str(tmp_path / "there-is-none"))
    assert run.returncode == 0, run.output
    assert "Secret tailscale/tailscale-operator-oauth would be made" in run.output
    assert "Deployment kube-system/coredns would be made" in run.output


def test_a_seeded_cluster_has_what_terraform_owned(cluster: Cluster, seed: Callable[..., Run]) -> None:
    canaries = Canaries(cluster.values)

    checked = seed("--check", "--diff")
    assert checked.returncode == 0, checked.output
    assert "Secret external-secrets/vault-ca-cert would be made" in checked.output
    assert cluster.client.find("v1", "Namespace", "external-secrets") is None

    first = seed("-vvvvv", "--diff")
    assert first.returncode == 0, first.output
    assert canaries.names_in(first.output.encode()) == set()
    assert "'cluster_seed_problems': []" in first.output or "PROBLEMS []" in first.output
    order = ["Namespace tailscale made", "Secret tailscale/tailscale-operator-oauth made", "Secret external-secrets/"]
    places = [first.output.index(words) for words in order]
    assert places == sorted(places)

    for namespace, name, kind, keys in SECRETS:
        secret = cluster.secret(namespace, name)
        assert secret["type"] == kind
        assert data(secret) == {key: cluster.values[field] for key, field in keys.items()}
        assert ("Terraform", "Apply") in managers(secret)
    assert cluster.client.find("v1", "Namespace", "vso-system") is None
    assert cluster.client.get("v1", "ConfigMap", "cluster-vars", "flux-system")["data"] == VARIABLES
    namespace = cluster.client.get("v1", "Namespace", "tailscale")
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "tailscale"}

    second = seed()
    assert second.returncode == 0, second.output
    assert second.stats()["changed"] == 0, second.output

    older = {name: f"older-{value}" for name, value in cluster.values.items()}
    kept = seed(cluster_seed_keep_secrets=True, cluster_seed_values=older)
    assert kept.returncode == 0, kept.output
    assert kept.stats()["changed"] == 0, kept.output
    assert "left as they are" in kept.output
    assert data(cluster.secret("external-secrets", "vault-eso-token")) == {"token": cluster.values["ESO_READER_TOKEN"]}


def test_coredns_has_the_names_that_flux_checks(cluster: Cluster, seed: Callable[..., Run]) -> None:
    run = seed(cluster_seed_tailnet_zone="tail1234.ts.net")
    assert run.returncode == 0, run.output
    deployment = cluster.client.get("apps/v1", "Deployment", "coredns", "kube-system")
    assert deployment["spec"]["replicas"] == 2
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.k8s.io/coredns/coredns:v1.13.2"
    available = [each["status"] for each in deployment["status"]["conditions"] if each["type"] == "Available"]
    assert available == ["True"]
    service = cluster.client.get("v1", "Service", "kube-dns", "kube-system")
    assert service["spec"]["clusterIP"] == "10.96.0.10"
    assert service["metadata"]["labels"]["k8s-app"] == "kube-dns"
    corefile = cluster.client.get("v1", "ConfigMap", "coredns", "kube-system")["data"]["Corefile"]
    assert "forward . 10.96.0.101" in corefile
    assert "lameduck 5s" in corefile
    assert "100.100.100.100" not in corefile
    assert r"name regex (.*)\.tail1234\.ts\.net {1}.tailscale.svc.cluster.local" in corefile
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        assert cluster.client.find("rbac.authorization.k8s.io/v1", kind, "system:coredns")
    assert cluster.client.find("v1", "ServiceAccount", "coredns", "kube-system")


def test_what_others_set_stays_and_what_terraform_made_is_taken_over(
    cluster: Cluster, seed: Callable[..., Run]
) -> None:
    restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
    seed(cluster_seed_coredns=False)
    path = cluster.client.path("v1", "Namespace", name="tailscale")
    cluster.client.request("PATCH", path, {"metadata": {"labels": restricted}}, content_type=MERGE)
    # As Terraform's typed resources, kubectl create and kubectl apply leave them; and a controller's key, which is its.
    for manager in ("HashiCorp", "kubectl-create", "kubectl-client-side-apply", "reflector"):
        cluster.client.delete("v1", "Secret", "vault-eso-token", "external-secrets")
        cluster.client.request(
            "POST",
            cluster.client.path("v1", "Secret", "external-secrets"),
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "vault-eso-token",
                    "labels": {"owner": "somebody"},
                    "annotations": {LAST_APPLIED: "canary"} if manager == "kubectl-client-side-apply" else {},
                },
                "data": {"token": base64.b64encode(b"old").decode(), "more": "bW9yZQ=="},
            },
            query={"fieldManager": manager},
        )
        checked = seed("--check", cluster_seed_coredns=False)
        run = seed(cluster_seed_coredns=False)
        assert run.returncode == 0, run.output
        for each in (checked, run):
            assert (f"{{'key': 'more', 'manager': '{manager}'}}" in each.output) == (manager != "reflector")
            assert (LAST_APPLIED in each.output) == (manager == "kubectl-client-side-apply")
            assert "canary" not in each.output
        secret = cluster.secret("external-secrets", "vault-eso-token")
        assert data(secret) == {"token": cluster.values["ESO_READER_TOKEN"], "more": "more"}
        assert secret["metadata"]["labels"] == {"owner": "somebody"}
        assert ("Terraform", "Apply") in managers(secret)
        assert seed(cluster_seed_coredns=False).stats()["changed"] == 0
    exact: dict[str, Any] = {"cluster_seed_coredns": False, "cluster_seed_exact": ["external-secrets/vault-eso-token"]}
    assert seed("--check", **exact).stats()["changed"] == 1
    assert "more" in cluster.secret("external-secrets", "vault-eso-token")["data"]
    assert seed(**exact).stats()["changed"] == 1
    secret = cluster.secret("external-secrets", "vault-eso-token")
    assert set(secret["data"]) == {"token"}
    exact["cluster_seed_exact"] = "external-secrets/vault-eso-token"  # as -e gives it
    assert seed(**exact).stats()["changed"] == 0
    labels = cluster.client.get("v1", "Namespace", "tailscale")["metadata"]["labels"]
    assert labels.items() >= restricted.items()


def test_the_table_is_data(cluster: Cluster, seed: Callable[..., Run], tmp_path: Path) -> None:
    table = [
        {
            "kind": "Secret",
            "namespace": "vso-system",
            "name": "vault-ca-cert",
            "keys": {"ca.crt": "VAULT_CA_CRT"},
        },
        {
            "kind": "Secret",
            "namespace": "apps",
            "name": "registry",
            "type": "kubernetes.io/dockerconfigjson",
            "keys": {".dockerconfigjson": "REGISTRY_AUTH"},
        },
        {
            "kind": "Secret",
            "namespace": "flux-system",
            "name": "sops-age",
            "keys": {"age.agekey": "SOPS_AGE_KEY"},
            "optional": True,
        },
    ]
    values = {**cluster.values, "REGISTRY_AUTH": '{"auths":{}}'}
    run = seed(cluster_seed_objects=table, cluster_seed_values=values, cluster_seed_coredns=False)
    assert run.returncode == 0, run.output
    assert data(cluster.secret("apps", "registry")) == {".dockerconfigjson": '{"auths":{}}'}
    namespace, name, _kind, keys = VSO_SECRET
    assert data(cluster.secret(namespace, name)) == {key: values[field] for key, field in keys.items()}
    assert "Secret flux-system/sops-age is left out: it is optional, and SOPS_AGE_KEY has no value." in run.output


EXAMPLE = Path(__file__).resolve().parents[2] / "playbooks" / "inventory" / "example.yml"


def seeds_of_the_example() -> dict[str, Any]:
    """What the example inventory shows of seeds, in comments, as variables."""
    lines = re.findall(r"(?m)^    # ((?:cluster_seed_objects|my_seeds|  ).*)$", EXAMPLE.read_text())
    found: dict[str, Any] = yaml.safe_load("\n".join(lines[lines.index("cluster_seed_objects: >-") :]))
    return found


def test_the_example_shows_each_key_and_what_others_change_later_stays(
    cluster: Cluster, seed: Callable[..., Run]
) -> None:
    variables = {**seeds_of_the_example(), "cluster_seed_coredns": False}
    assert {key for entry in variables["my_seeds"] for key in entry} == set(KNOWN)
    values = {**cluster.values, "GITHUB_TOKEN": "canary-github-4714"}
    run = seed("-vvvvv", "--diff", **variables, cluster_seed_values=values)
    assert run.returncode == 0, run.output
    assert Canaries(values).names_in(run.output.encode()) == set()
    for namespace in ("databases", "apps"):
        registry = cluster.secret(namespace, "registry")
        assert registry["type"] == "kubernetes.io/dockerconfigjson"
        [(host, login)] = json.loads(data(registry)[".dockerconfigjson"])["auths"].items()
        assert (host, login["password"]) == ("ghcr.io", "canary-github-4714")
        assert base64.b64decode(login["auth"]).decode() == "me:canary-github-4714"
    metadata = cluster.client.get("v1", "Namespace", "databases")["metadata"]
    assert metadata["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert metadata["annotations"] == {"example.net/owner": "platform"}
    user = cluster.secret("databases", "app-user")
    assert data(user) == {"username": "app", "verifier": ""}
    assert user["metadata"]["labels"] == {"cnpg.io/reload": "true"}
    assert cluster.secret("external-secrets", "vault-ca-cert"), "the standard objects are there as well"

    # The database's operator fills its Secret, and Flux relaxes the namespace: both field managers keep what is theirs.
    path = cluster.client.path("v1", "Secret", "databases", "app-user")
    verifier = base64.b64encode(b"SCRAM").decode()
    theirs = {"data": {"verifier": verifier, "password": verifier}, "metadata": {"labels": {"cnpg.io/reload": None}}}
    cluster.client.request("PATCH", path, theirs, content_type=MERGE, query={"fieldManager": "operator"})
    labels = {"pod-security.kubernetes.io/enforce": "baseline", "flux": "yes"}
    head = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "databases", "labels": labels}}
    cluster.client.apply(head, manager="kustomize-controller")
    path = cluster.client.path("v1", "ConfigMap", "apps", "repository")
    cluster.client.request("PATCH", path, {"data": {"url": "other"}}, content_type=MERGE, query={"fieldManager": "x"})
    again = seed(**variables, cluster_seed_values=values)
    assert again.returncode == 0, again.output
    assert again.stats()["changed"] == 1, "the ConfigMap is ours, the others were left"
    assert "'key': 'pod-security.kubernetes.io/enforce', 'manager': 'kustomize-controller'" in again.output
    user = cluster.secret("databases", "app-user")
    assert data(user) == {"username": "app", "verifier": "SCRAM", "password": "SCRAM"}
    assert "labels" not in user["metadata"]
    found = cluster.client.get("v1", "Namespace", "databases")["metadata"]["labels"]
    assert found.items() >= labels.items()
    repository = cluster.client.get("v1", "ConfigMap", "repository", "apps")
    assert repository["data"] == {"url": "https://github.com/example/apps"}


def test_a_missing_field_is_named_before_anything_is_changed(cluster: Cluster, seed: Callable[..., Run]) -> None:
    version = cluster.secret("external-secrets", "vault-ca-cert")["metadata"]["resourceVersion"]
    values = {key: value for key, value in cluster.values.items() if key != "ESO_READER_TOKEN"} | {"VAULT_CA_CRT": "x"}
    run = seed(cluster_seed_values=values)
    assert run.returncode != 0
    assert "Secret external-secrets/vault-eso-token: ESO_READER_TOKEN has no value in any source." in run.output
    assert cluster.secret("external-secrets", "vault-ca-cert")["metadata"]["resourceVersion"] == version


def test_a_coredns_that_does_not_come_up_is_told_with_its_reason(cluster: Cluster, seed: Callable[..., Run]) -> None:
    cluster.client.delete("apps/v1", "Deployment", "coredns", "kube-system")
    cluster.kubelet.missing_image("*broken*")
    try:
        run = seed(cluster_seed_coredns_image="registry.example.net/broken", cluster_seed_timeout=5)
    finally:
        cluster.kubelet.heal()
    assert run.returncode != 0
    assert "Deployment kube-system/coredns: Available is False (MinimumReplicasUnavailable" in run.output
    assert re.search(r"; pod coredns-\S+: (ErrImagePull|ImagePullBackOff): \S+", run.output), run.output
    assert seed().returncode == 0


def test_whoever_may_not_do_it_is_told_at_once_with_verb_resource_and_user(
    cluster: Cluster, seed: Callable[..., Run]
) -> None:
    kubeconfig = cluster.control_plane.make_kubeconfig("jane")
    begun = time.monotonic()
    run = seed(cluster_seed_kubeconfig=str(kubeconfig), cluster_seed_timeout=300)
    assert run.returncode != 0
    assert time.monotonic() - begun < 60, "not until the time is up"
    assert 'User "jane" cannot get resource "namespaces" in API group "" in the namespace "tailscale"' in run.output
    assert "Grant that to the user, or use the kubeconfig of one who may." in run.output


@pytest.mark.parametrize("mode", [[], ["--check"]], ids=["run", "check"])
def test_a_field_that_cannot_be_changed_is_told_with_the_way(
    cluster: Cluster, seed: Callable[..., Run], mode: list[str]
) -> None:
    namespace, name = "external-secrets", "vault-eso-token"
    assert seed().returncode == 0
    cluster.client.delete("v1", "Secret", name, namespace)
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}
    cluster.client.create({**head, "type": "example.net/other", "data": {"token": "b2xk"}})
    run = seed(*mode)
    assert run.returncode != 0
    assert f"Secret {namespace}/{name}: the API answered 422 (Invalid): type cannot be changed." in run.output
    found = re.search(rf"(kubectl \S+ \S+ delete secret {name} --namespace {namespace}) \(until", run.output)
    assert found, run.output
    subprocess.run(["sh", "-c", found[1]], check=True, capture_output=True, timeout=60)
    assert seed().returncode == 0
    assert cluster.secret(namespace, name)["type"] == "Opaque"


def test_a_namespace_that_is_being_deleted_is_told_with_what_holds_it(
    cluster: Cluster, seed: Callable[..., Run]
) -> None:
    assert seed().returncode == 0
    before = cluster.secret("external-secrets", "vault-ca-cert")["metadata"]["resourceVersion"]
    metadata = {"name": "holder", "namespace": "tailscale", "finalizers": ["example.net/held"]}
    holder = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    cluster.client.create(holder)
    cluster.client.delete("v1", "Namespace", "tailscale")

    def holds() -> bool:
        return "example.net/held" in str(cluster.client.get("v1", "Namespace", "tailscale").get("status"))

    wait_until(holds, "what holds the namespace is known", 60)
    run = seed(cluster_seed_values={**cluster.values, "VAULT_CA_CRT": cluster.values["VAULT_CA_CRT"] + "\n"})
    assert run.returncode != 0
    assert "Namespace tailscale: it is being deleted, so nothing can be made in it. What holds it: " in run.output
    assert "example.net/held in 1 resource instances" in run.output
    assert cluster.secret("external-secrets", "vault-ca-cert")["metadata"]["resourceVersion"] == before
    path = cluster.client.path("v1", "ConfigMap", "tailscale", "holder")
    cluster.client.request("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)
    wait_until(lambda: cluster.client.find("v1", "Namespace", "tailscale") is None, "the namespace is gone", 60)
    assert seed().returncode == 0


def test_a_webhook_that_cannot_be_asked_is_named(cluster: Cluster, seed: Callable[..., Run]) -> None:
    name = "canary.hooks.example.net"
    hook = {
        "name": name,
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["secrets"]}],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    api, kind = "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"
    cluster.client.create({"apiVersion": api, "kind": kind, "metadata": {"name": "hooks"}, "webhooks": [hook]})
    try:
        wait_until(lambda: not may_make_a_secret(cluster), "the webhook is asked", 20)
        values = {**cluster.values, "ESO_READER_TOKEN": "canary-another"}
        run = seed(cluster_seed_values=values, cluster_seed_timeout=3)
    finally:
        cluster.client.delete(api, kind, "hooks")
    assert run.returncode != 0
    assert f"the admission webhook {name} could not be asked" in run.output
    assert "canary-another" not in run.output
    wait_until(lambda: may_make_a_secret(cluster), "the webhook is gone", 20)


def may_make_a_secret(cluster: Cluster) -> bool:
    try:
        metadata = {"name": "probe", "namespace": "default"}
        cluster.client.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
    except KubeError:
        return False
    return True


@pytest.mark.parametrize("place", ["token", "tokenFile", "exec"])
def test_a_token_may_end_with_a_newline(cluster: Cluster, tmp_path: Path, place: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "someone", "namespace": "default"}}
    cluster.client.apply(account)
    path = "/api/v1/namespaces/default/serviceaccounts/someone/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = cluster.client.request("POST", path, body)["status"]["token"] + "\n"
    (tmp_path / "token").write_text(token)
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    credential = {"kind": "ExecCredential", "status": {"token": token}}
    (tmp_path / "credential").write_text(json.dumps(credential))
    config["users"][0]["user"] = {
        "token": {"token": token},
        "tokenFile": {"tokenFile": str(tmp_path / "token")},
        "exec": {"exec": {"command": "cat", "args": [str(tmp_path / "credential")], "apiVersion": "v1"}},
    }[place]
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    with Api(str(tmp_path / "kubeconfig")) as api:
        answer = api.get("/api/v1/namespaces/default/secrets")
    assert answer.status == 403
    assert "system:serviceaccount:default:someone" in answer.message, "that is who asks"


def test_no_secret_leaves_memory(cluster: Cluster, seed: Callable[..., Run], tmp_path: Path) -> None:
    home = tmp_path / "home"
    watch = Watch(
        Canaries(cluster.values), (home,), allowed_files=frozenset({home / "extra-vars.json"}), environments=True
    )
    with watch:
        run = seed("-vvvvv", "--diff")
    assert run.returncode == 0, run.output
    assert any("playbook" in program for program in watch.programs)
    assert watch.leaks == set()
    assert list((home / "tmp").rglob("tazlab-*")) == []
