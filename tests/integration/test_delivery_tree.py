# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planned tree is applied by Flux' real controllers: nothing comes before its kind is served, and ESO moves to v1.

Charts are not installed here: the test stands in for helm-controller, and brings the kinds that each chart brings.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.operators import plan_tree
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import (
    OPERATORS,
    Jwt,
    Login,
    Store,
    Wanted,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Repository, read
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree
from lab import deliverytree, gitops, kinds
from lab.flux import flux_programs
from lab.git import GitServer
from lab.gitopscorpus import Case
from lab.kinds import Kinds
from lab.kube import ControlPlane
from lab.kubeclient import MERGE, Client, KubeError, Object
from lab.kubelet import KubeletStandIn
from lab.process import wait_until
from lab.tls import Authority

pytestmark = pytest.mark.kube

GUIDE = Path(__file__).parents[2] / "docs" / "docsite" / "rst" / "guide_delivery.rst"
TOKEN = "canary-token-of-the-git-host"
GIT = "source.toolkit.fluxcd.io/v1", "GitRepository"
KUSTOMIZATION = "kustomize.toolkit.fluxcd.io/v1", "Kustomization"
DONE = "ReconciliationSucceeded"
WORKS = ("Progressing", DONE)
RELEASE = "helm.toolkit.fluxcd.io/v2", "HelmRelease"
VAULT = "https://vault.example.net:8200"
WANTED = Wanted(OPERATORS, Store(VAULT), Login(VAULT, Jwt("vso", "vault"), namespaces=("auth",)))
SEVENTEEN = replace(WANTED, operators={**OPERATORS, "eso": replace(OPERATORS["eso"], version="0.17.0")})
SIXTEEN = replace(WANTED, operators={**OPERATORS, "eso": replace(OPERATORS["eso"], version="0.16.2")})
OTHER = Store("https://other.example.net", login=Jwt("eso", "eso"))
# Of a repository's owner: a Kustomization that waits for nothing, with a health check.
APPS = {
    f"{gitops.PATH}/apps.yaml": f"""{deliverytree.KUSTOMIZATION.format(name="apps", path="apps")}\
  retryInterval: 5s
  healthChecks:
    - {{apiVersion: external-secrets.io/v1beta1, kind: ExternalSecret, name: wildcard, namespace: vso-system}}
""",
    "apps/secret.yaml": deliverytree.CERTIFICATE,
}
KINDS: Mapping[str, Kinds] = {"external-secrets": kinds.ESO, "vault-secrets-operator": kinds.VSO}


def model(tree: Tree) -> Repository:
    return read(Builder(tree, Deadline(120)), gitops.PATH)


def plan(root: Path, files: Mapping[str, str], wanted: Wanted) -> dict[str, str]:
    planned = plan_tree(Tree(Case(files).write(root)), model, wanted)
    assert planned.problems == []
    return {file: content.decode() for file, content in planned.files.items()}


@dataclass
class Cluster:
    """A cluster with Flux' controllers, without helm-controller, and what its Kustomizations have ever said."""

    client: Client
    git: GitServer
    kubeconfig: Path
    said: list[tuple[str, str, str]] = field(default_factory=list)  # name, reason and message

    def note(self, each: Object) -> None:
        for condition in each.get("status", {}).get("conditions", []):
            if condition["type"] == "Ready":
                self.said.append((each["metadata"]["name"], condition["reason"], condition["message"]))

    def first(self, name: str, *reasons: str) -> int:
        """When a Kustomization first gave such a reason, as its place among all that was said."""
        return next(place for place, said in enumerate(self.said) if said[0] == name and said[1] in reasons)

    def push(self, files: Mapping[str, str]) -> str:
        revision = self.git.commit(files)
        asked = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": str(time.time())}}}
        path = self.client.path(*GIT, "flux-system", "flux-system")
        self.client.request("PATCH", path, asked, content_type=MERGE)
        return revision

    def ready(self, name: str) -> tuple[str, str]:
        """Status and reason of a Kustomization's condition Ready."""
        found = self.client.find(*KUSTOMIZATION, name, "flux-system") or {}
        for condition in found.get("status", {}).get("conditions", []):
            if condition["type"] == "Ready":
                return condition["status"], condition["reason"]
        return "absent", ""

    def await_ready(self, *names: str, revision: str) -> None:
        for name in names:
            wait_until(partial(self._is_at, name, revision), f"{name} is Ready at {revision}", 90)

    def _is_at(self, name: str, revision: str) -> bool:
        found = self.client.find(*KUSTOMIZATION, name, "flux-system") or {}
        at = str(found.get("status", {}).get("lastAppliedRevision", ""))
        return self.ready(name)[0] == "True" and revision in at

    def await_reason(self, name: str, reason: str) -> None:
        wait_until(lambda: self.ready(name)[1] == reason, f"{name} says {reason}", 60)

    def paste(self, begins: str) -> str:
        """What a command of the guide says."""
        text = GUIDE.read_text().replace("\\\n", " ")
        (command,) = re.findall(rf"^ +\$ ({re.escape(begins)}.*)$", text, re.MULTILINE)
        home = str(self.kubeconfig.parent)  # for kubectl's cache
        own = {"KUBECONFIG": str(self.kubeconfig), "PATH": os.environ.get("PATH", os.defpath), "HOME": home}
        return subprocess.run(
            ["sh", "-c", command], env=own, check=True, capture_output=True, text=True, timeout=90
        ).stdout

    def restart(self, name: str) -> None:
        """Have a controller be another process."""
        old = self._pods(name)
        self.paste("kubectl -n flux-system delete pod")
        wait_until(lambda: self._pods(name).isdisjoint(old), f"{name} is another one", 60)
        wait_until(lambda: self._pods(name) and available(self.client, name), f"{name} is Available", 60)

    def _pods(self, name: str) -> set[str]:
        pods = self.client.list("v1", "Pod", "flux-system")
        return {pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"].startswith(f"{name}-")}

    # -- the test as helm-controller

    def install(self, name: str, namespace: str, served: Kinds | None) -> None:
        """Bring the kinds of a chart, and have its release be Ready as it is asked for now."""
        wait_until(lambda: self.client.find(*RELEASE, name, namespace) is not None, f"{name} is applied", 60)
        for crd in served.crds() if served else ():
            self.client.apply(crd, "helm-controller")
            wait_until(partial(self._is_established, crd["metadata"]["name"]), "its kind is served", 60)
        self.set_ready(*RELEASE, name, namespace)

    def _is_established(self, name: str) -> bool:
        found = self.client.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
        conditions = found.get("status", {}).get("conditions", [])
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    def set_ready(self, api: str, kind: str, name: str, namespace: str = "") -> None:
        generation = self.client.get(api, kind, name, namespace)["metadata"]["generation"]
        condition = {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "as the test says"}
        condition |= {"observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"}
        status = {"observedGeneration": generation, "conditions": [condition]}
        path = f"{self.client.path(api, kind, namespace, name)}/status"
        self.client.request("PATCH", path, {"status": status}, content_type=MERGE)


def exists(client: Client, api: str, kind: str, name: str, namespace: str = "") -> bool:
    """Whether an object is there; also false where its kind is not served."""
    try:
        return client.find(api, kind, name, namespace) is not None
    except KubeError as error:
        return error.status != 404


def available(client: Client, name: str) -> bool:
    conditions = client.get("apps/v1", "Deployment", name, "flux-system").get("status", {}).get("conditions", [])
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory: Path = tmp_path_factory.mktemp("operators")
    authority = Authority(directory / "ca")
    with (
        ControlPlane(directory / "kube") as control_plane,
        GitServer(directory / "git", authority, TOKEN, branch=gitops.BRANCH) as git,
        KubeletStandIn(
            control_plane.kubeconfig, directory / "pods", programs=flux_programs(control_plane.kubeconfig)
        ) as kubelet,
    ):
        client = control_plane.client()
        kubelet.add_node("lab-worker", "127.0.0.2")
        for thing in (*gitops.flux_components(), *kinds.HELM.crds()):
            client.apply(thing, "flux")
        for name in gitops.CONTROLLERS:
            wait_until(partial(available, client, name), f"{name} is Available", 60)
        secret = {"username": "git", "password": TOKEN, "ca.crt": authority.ca_pem}
        metadata = {"name": "flux-system", "namespace": "flux-system"}
        client.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret}, "flux")
        found = Cluster(client, git, control_plane.kubeconfig)
        watch = client.watch(client.path(*KUSTOMIZATION, "flux-system"))
        watching = threading.Thread(
            target=watch.run,
            args=(lambda items: [found.note(each) for each in items], lambda _type, each: found.note(each)),
        )
        watching.start()
        try:
            yield found
        finally:
            watch.stop()
            watching.join(30)


@pytest.fixture(scope="module")
def files(cluster: Cluster) -> dict[str, str]:
    """The repository as its owner has it."""
    flux = {file: text for file, text in gitops.repository(cluster.git.url).items() if "/flux-system/" in file}
    return {**flux, **APPS}


def test_nothing_is_applied_before_its_kind_is_served(cluster: Cluster, files: dict[str, str], tmp_path: Path) -> None:
    cluster.git.commit(files)
    for wanted in gitops.flux_sync(cluster.git.url):
        cluster.client.apply(wanted, "flux")
    cluster.await_reason("apps", "ReconciliationFailed")
    assert any("no matches for kind" in message for name, _reason, message in cluster.said if name == "apps")

    made = plan(tmp_path, files, WANTED)
    files |= made
    revision = cluster.push(made)
    before = "infrastructure-operators-"
    cluster.await_ready(f"{before}namespaces", revision=revision)
    cluster.await_reason("infrastructure-configs", "DependencyNotReady")
    cluster.await_reason("apps", "DependencyNotReady")
    cluster.said.clear()  # what apps said until it waited

    for part, operator in OPERATORS.items():
        assert cluster.ready(f"{before}{part}")[0] != "True", "it waits for the release"
        cluster.install(operator.release, operator.namespace, KINDS.get(operator.release))
        for each in list(cluster.client.list("source.toolkit.fluxcd.io/v1", "HelmRepository", "flux-system")):
            cluster.set_ready("source.toolkit.fluxcd.io/v1", "HelmRepository", each["metadata"]["name"], "flux-system")
        cluster.await_ready(f"{before}{part}", revision=revision)
    cluster.await_ready("infrastructure-configs", f"{before}vso-secrets", "apps", "flux-system", revision=revision)
    served = "external-secrets.io/v1beta1"
    assert exists(cluster.client, served, "ClusterSecretStore", "tazlab-secrets-vault")
    assert exists(cluster.client, served, "ExternalSecret", "wildcard", "vso-system")
    for kind, name, namespace in (
        ("VaultConnection", "vault-connection", "vso-system"),
        ("VaultAuth", "vault-auth", "vso-system"),
    ):
        assert exists(cluster.client, "secrets.hashicorp.com/v1beta1", kind, name, namespace)
    assert exists(cluster.client, "v1", "ServiceAccount", "vault", "auth")
    _assert_nothing_failed(cluster)
    for one, other in (("infrastructure-configs", f"{before}eso"), ("apps", "infrastructure-configs")):
        assert cluster.first(other, DONE) < cluster.first(one, *WORKS)
    assert cluster.first(f"{before}vso", DONE) < cluster.first(f"{before}vso-secrets", *WORKS)


def test_eso_moves_to_v1_in_the_steps_of_the_guide(cluster: Cluster, files: dict[str, str], tmp_path: Path) -> None:
    """On what the first test left: objects that are stored as v1beta1."""
    refused = plan_tree(Tree(Case(files).write(tmp_path / "refused")), model, SEVENTEEN)
    assert [problem.code for problem in refused.problems] == ["steps"]
    cluster.said.clear()
    stored = cluster.paste("kubectl get crd")
    assert "v1beta1" in stored
    assert "v1alpha1" not in stored

    made = plan(tmp_path / "sixteen", files, SIXTEEN)
    files |= made
    revision = cluster.push(made)
    wait_until(partial(_asks_for, cluster, "0.16.2"), "the release asks for 0.16.2", 60)
    assert not exists(cluster.client, "external-secrets.io/v1", "ExternalSecret", "wildcard", "vso-system")
    cluster.install("external-secrets", "external-secrets", kinds.ESO_BOTH)
    cluster.await_ready("infrastructure-operators-eso", revision=revision)
    store = "external-secrets.io/v1", "ClusterSecretStore", "tazlab-secrets-vault"
    cluster.await_ready("infrastructure-configs", "apps", revision=revision)
    assert exists(cluster.client, *store)
    _assert_nothing_failed(cluster)
    assert cluster.first("infrastructure-operators-eso", DONE) < cluster.first("infrastructure-configs", *WORKS)

    cluster.restart("kustomize-controller")  # which would look for v1beta1 in its health checks as long as it runs
    made = plan(tmp_path / "seventeen", files, SEVENTEEN)
    assert list(made) == ["infrastructure/operators/eso/helmrelease.yaml"]
    cluster.said.clear()
    revision = cluster.push(made)
    wait_until(partial(_asks_for, cluster, "0.17.0"), "the release asks for 0.17.0", 60)
    for crd in kinds.ESO_BOTH.crds():
        for version in crd["spec"]["versions"]:
            version["served"] = version["served"] and version["name"] != "v1beta1"
        cluster.client.apply(crd, "helm-controller")
    cluster.install("external-secrets", "external-secrets", None)
    cluster.await_ready("infrastructure-operators-eso", "infrastructure-configs", "apps", revision=revision)
    assert not exists(cluster.client, "external-secrets.io/v1beta1", *store[1:])

    # Flux wrote nothing so far, as v1 says the same; and what it noted of v1beta1 does not keep it from a change.
    made = plan(tmp_path / "other", files | made, replace(SEVENTEEN, store=OTHER))
    revision = cluster.push(made)
    cluster.await_ready("infrastructure-configs", revision=revision)
    vault = cluster.client.get(*store)["spec"]["provider"]["vault"]
    assert (vault["server"], list(vault["auth"])) == (OTHER.url, ["jwt"])
    _assert_nothing_failed(cluster)


def _asks_for(cluster: Cluster, version: str) -> bool:
    release = cluster.client.get(*RELEASE, "external-secrets", "external-secrets")
    return bool(release["spec"]["chart"]["spec"]["version"] == version)


def _assert_nothing_failed(cluster: Cluster) -> None:
    """What Kustomizations may say on their way: that they work, wait, or are done."""
    known = {*WORKS, "ProgressingWithRetry", "DependencyNotReady", "ArtifactFailed"}
    assert [each for each in cluster.said if each[1] not in known] == []
