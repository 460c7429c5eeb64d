# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flux' real helm-controller installs charts that the lab packs and serves, and upgrades what it has installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.charts import ChartRepository
from lab.flux import flux_programs
from lab.gitops import NAMESPACE, flux_components
from lab.kube import ControlPlane
from lab.kubeclient import Client
from lab.kubelet import KubeletStandIn
from lab.operators import install
from lab.process import wait_until
from lab.tls import Authority

pytestmark = [pytest.mark.kube, pytest.mark.seldom]

RELEASE = "helm.toolkit.fluxcd.io/v2", "HelmRelease"
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-config"}
data: {greeting: "{{ .Values.greeting }}"}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: "{{ .Release.Name }}"}
spec:
  selector: {matchLabels: {app: hello}}
  template:
    metadata: {labels: {app: hello}}
    spec: {containers: [{name: main, image: "example.net/hello:{{ .Chart.Version }}"}]}
"""


@dataclass
class Helm:
    """A cluster in which HelmReleases are reconciled, and the repository of their charts."""

    client: Client
    charts: ChartRepository

    def release(self, chart: str, values: Mapping[str, Any]) -> None:
        source = {"kind": "HelmRepository", "name": "lab"}
        spec = {
            "interval": "1h",
            "timeout": "1m",
            "chart": {"spec": {"chart": chart, "version": "1.x", "sourceRef": source, "interval": "1h"}},
            "values": dict(values),
        }
        self.client.apply(thing(*RELEASE, chart, spec=spec))

    def wait(self, name: str, status: str, reason: str) -> str:
        """Wait for the release's condition Ready; returns its message."""
        seen = ("", "", "")

        def holds() -> bool:
            nonlocal seen
            found = self.client.get(*RELEASE, name, NAMESPACE)
            for entry in found.get("status", {}).get("conditions", []):
                if entry["type"] == "Ready" and entry["observedGeneration"] == found["metadata"]["generation"]:
                    seen = (entry["status"], entry["reason"], entry["message"])
            return seen[:2] == (status, reason)

        wait_until(holds, f"{name} is {status} for {reason}, and not {seen}", 60)
        return seen[2]


def thing(api_version: str, kind: str, name: str, **content: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **content}


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    directory: Path = tmp_path_factory.mktemp("helm")
    authority = Authority(directory / "ca")
    with (
        ChartRepository(authority) as charts,
        ControlPlane(directory / "kube") as control_plane,
        KubeletStandIn(
            control_plane.kubeconfig, directory / "pods", programs=flux_programs(control_plane.kubeconfig, helm=True)
        ) as kubelet,
    ):
        kubelet.add_node("lab-worker", "127.0.0.2")
        client = control_plane.client()
        install(client, flux_components(("source-controller", "helm-controller")))
        charts.add("hello", "1.0.0", {"config.yaml": CONFIG, "app.yaml": DEPLOYMENT}, {"greeting": "unknown"})
        charts.add("broken", "1.0.0", {"app.yaml": '{{ required "a host is needed" .Values.host }}'}, {})
        client.apply(thing("v1", "Secret", "lab-charts", stringData={"ca.crt": authority.ca_pem}))
        spec = {"interval": "1h", "url": charts.url, "certSecretRef": {"name": "lab-charts"}}
        client.apply(thing("source.toolkit.fluxcd.io/v1", "HelmRepository", "lab", spec=spec))
        yield Helm(client, charts)


def test_a_chart_is_installed_and_upgraded_and_its_objects_are_there(helm: Helm) -> None:
    helm.release("hello", {"greeting": "first"})
    assert "hello@1.0.0" in helm.wait("hello", "True", "InstallSucceeded")
    assert helm.client.get("v1", "ConfigMap", "hello-config", NAMESPACE)["data"] == {"greeting": "first"}
    deployment = helm.client.get("apps/v1", "Deployment", "hello", NAMESPACE)
    assert deployment["status"]["readyReplicas"] == 1, "the release waits for it"
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "example.net/hello:1.0.0"

    helm.release("hello", {"greeting": "second"})
    helm.wait("hello", "True", "UpgradeSucceeded")
    assert helm.client.get("v1", "ConfigMap", "hello-config", NAMESPACE)["data"] == {"greeting": "second"}


def test_a_chart_that_lacks_a_value_says_so(helm: Helm) -> None:
    helm.release("broken", {})
    assert "a host is needed" in helm.wait("broken", "False", "InstallFailed")
