# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flux' real controllers reconcile the example repository from the lab's Git server, and tell what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lab import gitops
from lab.flux import flux_programs
from lab.git import GitServer
from lab.kube import ControlPlane
from lab.kubeclient import MERGE, Client
from lab.kubelet import KubeletStandIn
from lab.process import wait_until
from lab.tls import Authority

pytestmark = pytest.mark.kube

TOKEN = "canary-token-of-the-git-host"
GIT = "source.toolkit.fluxcd.io/v1", "GitRepository"
KUSTOMIZATION = "kustomize.toolkit.fluxcd.io/v1", "Kustomization"
VARIABLES = {
    "domain": "lab.example",
    "cluster_name": "lab",
    "traefik_lb_ip": "192.0.2.10",
    "ADMIN_EMAIL": "admin@lab.example",
}


@dataclass
class Cluster:
    """A cluster on which Flux' components run, and the Git server of its repository."""

    client: Client
    git: GitServer
    ca_pem: str

    def seed(self, token: str = TOKEN) -> None:
        """What has to be there before Flux: its Secret, the variables, and DNS."""
        secret = {"username": "git", "password": token, "ca.crt": self.ca_pem}
        self.client.apply(thing("v1", "Secret", "flux-system", stringData=secret), "flux")
        self.client.apply(thing("v1", "ConfigMap", "cluster-vars", data=VARIABLES), "Terraform")
        labels = {"k8s-app": "kube-dns"}
        pod = {"containers": [{"name": "coredns", "image": "registry.k8s.io/coredns/coredns:v1.13.1"}]}
        spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
        self.client.apply(thing("apps/v1", "Deployment", "coredns", "kube-system", spec=spec), "Terraform")

    def sync(self, **where: str) -> None:
        for wanted in gitops.flux_sync(self.git.url, **where):
            self.client.apply(wanted, "flux")

    def nudge(self, name: str) -> None:
        """Ask for a reconciliation now, as C(flux reconcile) does."""
        asked = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": str(time.time())}}}
        path = self.client.path(*KUSTOMIZATION, "flux-system", name)
        self.client.request("PATCH", path, asked, content_type=MERGE)

    def condition(self, kind: tuple[str, str], name: str = "flux-system") -> tuple[str, str, str]:
        """Status, reason and message of the object's condition Ready."""
        found = self.client.find(*kind, name, "flux-system") or {}
        for entry in found.get("status", {}).get("conditions", []):
            if entry["type"] == "Ready":
                return entry["status"], entry["reason"], entry["message"]
        return "absent", "", ""

    def wait(self, kind: tuple[str, str], status: str, reason: str, name: str = "flux-system", says: str = "") -> str:
        """Wait for a condition Ready with this reason, and a message that C(says) something; returns the message."""
        seen = self.condition(kind, name)

        def holds() -> bool:
            nonlocal seen
            seen = self.condition(kind, name)
            return seen[:2] == (status, reason) and says in seen[2]

        wait_until(holds, f"{kind[1]} {name} is {status} for {reason}, and not {seen}", 60)
        return seen[2]


def thing(api_version: str, kind: str, name: str, namespace: str = "flux-system", **content: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **content}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory: Path = tmp_path_factory.mktemp("flux")
    authority = Authority(directory / "ca")
    with (
        ControlPlane(directory / "kube") as control_plane,
        GitServer(directory / "git", authority, TOKEN, branch=gitops.BRANCH) as git,
        KubeletStandIn(
            control_plane.kubeconfig, directory / "pods", programs=flux_programs(control_plane.kubeconfig)
        ) as kubelet,
    ):
        git.commit(gitops.repository(git.url))
        client = control_plane.client()
        kubelet.add_node("lab-worker", "127.0.0.2")
        for component in gitops.flux_components():
            client.apply(component, "flux")
        for name in gitops.CONTROLLERS:
            wait_until(partial(available, client, name), f"{name} is Available", 60)
        yield Cluster(client, git, authority.ca_pem)


@pytest.fixture
def cluster(running: Cluster) -> Iterator[Cluster]:
    """The cluster without a sync: each test makes its own, which fails and goes."""
    running.seed()
    yield running
    for kind in (KUSTOMIZATION, GIT):
        running.client.delete(*kind, "flux-system", "flux-system")
        wait_until(partial(gone, running.client, kind), f"the {kind[1]} is gone", 60)


def gone(client: Client, kind: tuple[str, str]) -> bool:
    return not list(client.list(*kind))


def available(client: Client, name: str, namespace: str = "flux-system") -> bool:
    conditions = client.get("apps/v1", "Deployment", name, namespace).get("status", {}).get("conditions", [])
    return any(entry["type"] == "Available" and entry["status"] == "True" for entry in conditions)


def test_flux_reports_a_wrong_token(cluster: Cluster) -> None:
    cluster.seed(token="canary-wrong-token")
    cluster.sync()
    message = cluster.wait(GIT, "False", "GitOperationFailed")
    assert "authentication required" in message
    assert "canary-wrong-token" not in message


def test_flux_reports_a_branch_that_the_repository_lacks(cluster: Cluster) -> None:
    cluster.sync(branch="main")
    assert "couldn't find remote ref" in cluster.wait(GIT, "False", "GitOperationFailed")


def test_flux_reports_a_path_that_the_repository_lacks(cluster: Cluster) -> None:
    cluster.sync(path="clusters/elsewhere")
    cluster.wait(GIT, "True", "Succeeded")
    # At first it has the same reason to say that there is no artifact yet.
    absent = "no such file or directory"
    assert absent in cluster.wait(KUSTOMIZATION, "False", "ArtifactFailed", says=absent)


# The last one, and nothing is cleaned up after it: who deletes the root Kustomization prunes Flux itself.
def test_flux_waits_for_the_variables_and_then_reconciles_the_whole_repository(running: Cluster) -> None:
    cluster = running
    cluster.seed()
    cluster.client.delete("v1", "ConfigMap", "cluster-vars", "flux-system")
    cluster.sync()
    revision = cluster.git.revision()
    assert revision in cluster.wait(GIT, "True", "Succeeded")
    assert "cluster-vars" in cluster.wait(KUSTOMIZATION, "False", "BuildFailed", "configs")
    assert "dependency" in cluster.wait(KUSTOMIZATION, "False", "DependencyNotReady", "apps")

    cluster.seed()
    cluster.nudge("configs")
    for name in ("flux-system", "infrastructure", "configs", "apps"):
        assert revision in cluster.wait(KUSTOMIZATION, "True", "ReconciliationSucceeded", name)

    labels = cluster.client.get("v1", "Namespace", "tailscale")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert cluster.client.get("v1", "ConfigMap", "cluster-info", "apps")["data"] == {
        "cluster": "lab",
        "dashboard": "https://dashboard.lab.example",
        "ingress": "192.0.2.10",
        "contact": "admin@lab.example",
    }
    assert available(cluster.client, "hello", "apps")
    # Flux has adopted its own components: what it applies is what was applied, so nothing restarted.
    for controller in gitops.CONTROLLERS:
        deployment = cluster.client.get("apps/v1", "Deployment", controller, "flux-system")
        assert deployment["metadata"]["generation"] == 1
        assert available(cluster.client, controller)
