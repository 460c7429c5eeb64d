# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's control plane is a real one, and its kubelet stand-in makes waits for Ready and Available real waits."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.kube import ControlPlane
from lab.kubeclient import Client, KubeError
from lab.kubelet import KubeletStandIn
from lab.process import wait_until

pytestmark = pytest.mark.kube


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    key = base64.b64encode(os.urandom(32)).decode()
    with ControlPlane(tmp_path_factory.mktemp("kube"), secretbox_key=key) as running:
        yield running


@pytest.fixture
def client(control_plane: ControlPlane) -> Client:
    return control_plane.client()


@pytest.fixture
def kubelet(control_plane: ControlPlane, tmp_path: Path) -> Iterator[KubeletStandIn]:
    with KubeletStandIn(control_plane.kubeconfig, tmp_path) as running:
        running.add_node("lab-cp", "127.0.0.1", "control_plane")
        running.add_node("lab-worker", "127.0.0.2")
        yield running


@pytest.fixture
def namespace(client: Client, request: pytest.FixtureRequest) -> str:
    name = "test-" + request.node.name.removeprefix("test_").replace("_", "-")[:50].rstrip("-")
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    wait_until(lambda: client.find("v1", "ServiceAccount", "default", name), "the service account exists", 20)
    return name


def config_map(namespace: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "shared", "namespace": namespace},
        "data": data,
    }


def deployment(namespace: str, *, image: str = "registry.example/app:1", replicas: int = 2) -> dict[str, Any]:
    labels = {"app": "app"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "app", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "app", "image": image}]},
            },
        },
    }


def condition(thing: dict[str, Any], kind: str) -> str:
    found = [entry["status"] for entry in thing.get("status", {}).get("conditions", []) if entry["type"] == kind]
    return found[0] if found else "absent"


def available(client: Client, namespace: str) -> bool:
    return condition(client.get("apps/v1", "Deployment", "app", namespace), "Available") == "True"


def waiting(client: Client, namespace: str) -> set[str]:
    statuses = [pod.get("status", {}).get("containerStatuses", []) for pod in client.list("v1", "Pod", namespace)]
    return {status["state"].get("waiting", {}).get("reason", "") for found in statuses for status in found}


def test_server_side_apply_knows_its_field_managers(client: Client, namespace: str) -> None:
    client.apply(config_map(namespace, domain="a", other="x"), "Terraform")
    with pytest.raises(KubeError) as refused:
        client.apply(config_map(namespace, domain="b"), "flux", force=False)
    assert refused.value.status == 409
    assert '"Terraform"' in str(refused.value)
    assert ".data.domain" in str(refused.value)

    shared = client.apply(config_map(namespace, domain="b"), "flux")
    assert shared["data"] == {"domain": "b", "other": "x"}
    assert {entry["manager"] for entry in shared["metadata"]["managedFields"]} == {"Terraform", "flux"}


def test_kubectl_talks_to_it_with_the_kubeconfig(control_plane: ControlPlane) -> None:
    done = subprocess.run(
        ["kubectl", "--kubeconfig", control_plane.kubeconfig, "get", "service", "kubernetes", "-o", "name"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout.strip(), done.stderr) == ("service/kubernetes", "")
    assert control_plane.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_etcd_holds_secrets_encrypted_with_the_given_key(
    control_plane: ControlPlane, client: Client, namespace: str
) -> None:
    client.apply(config_map(namespace, value="canary-in-clear"))
    client.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "hidden", "namespace": namespace},
            "stringData": {"value": "canary-encrypted"},
        }
    )
    clear = control_plane.etcd_values(f"/registry/configmaps/{namespace}/shared")
    hidden = control_plane.etcd_values(f"/registry/secrets/{namespace}/hidden")
    assert all(b"canary-in-clear" in value for value in clear.values())
    assert clear.keys() == {f"/registry/configmaps/{namespace}/shared"}
    assert [value.startswith(b"k8s:enc:secretbox:v1:key2:") for value in hidden.values()] == [True]
    assert not any(b"canary-encrypted" in value for value in hidden.values())


def test_it_keeps_its_objects_when_it_restarts(tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "kube") as running:
        client = running.client()
        client.apply(config_map("default", kept="yes"))
        running.stop()
        assert not running.running
        running.start()
        assert client.get("v1", "ConfigMap", "shared", "default")["data"] == {"kept": "yes"}


def test_a_deployment_becomes_available_on_the_worker(client: Client, kubelet: KubeletStandIn, namespace: str) -> None:
    client.apply(deployment(namespace))
    wait_until(lambda: available(client, namespace), "the Deployment is Available", 30)
    pods = list(client.list("v1", "Pod", namespace))
    assert [pod["spec"]["nodeName"] for pod in pods] == ["lab-worker", "lab-worker"]
    client.delete("apps/v1", "Deployment", "app", namespace)
    wait_until(lambda: not list(client.list("v1", "Pod", namespace)), "the pods are gone", 30)


def test_an_image_that_cannot_be_pulled_is_told_and_heals(
    client: Client, kubelet: KubeletStandIn, namespace: str
) -> None:
    kubelet.missing_image("*/broken:*")
    client.apply(deployment(namespace, image="registry.example/broken:1"))
    wait_until(lambda: waiting(client, namespace) == {"ImagePullBackOff"}, "the pull fails", 30)
    assert not available(client, namespace)
    kubelet.heal()
    wait_until(lambda: available(client, namespace), "the Deployment is Available", 30)


def test_a_pod_that_never_gets_ready_keeps_the_deployment_unavailable(
    client: Client, kubelet: KubeletStandIn, namespace: str
) -> None:
    kubelet.never_ready(f"{namespace}/*")
    client.apply(deployment(namespace, replicas=1))
    wait_until(
        lambda: [pod.get("status", {}).get("phase") for pod in client.list("v1", "Pod", namespace)] == ["Running"],
        "the pod runs",
        30,
    )
    assert condition(next(client.list("v1", "Pod", namespace)), "Ready") == "False"
    assert not available(client, namespace)


def test_a_pod_waits_for_the_config_map_that_it_mounts(client: Client, kubelet: KubeletStandIn, namespace: str) -> None:
    wanted = deployment(namespace, replicas=1)
    wanted["spec"]["template"]["spec"]["volumes"] = [{"name": "config", "configMap": {"name": "shared"}}]
    client.apply(wanted)
    wait_until(lambda: waiting(client, namespace) == {"ContainerCreating"}, "the pod waits", 30)
    client.apply(config_map(namespace, some="thing"))
    wait_until(lambda: available(client, namespace), "the Deployment is Available", 30)


def test_pods_wait_until_a_node_is_ready(client: Client, kubelet: KubeletStandIn, namespace: str) -> None:
    kubelet.set_node_ready("lab-worker", False)
    client.apply(deployment(namespace, replicas=1))
    wait_until(
        lambda: [condition(pod, "PodScheduled") for pod in client.list("v1", "Pod", namespace)] == ["False"],
        "the pod cannot be scheduled",
        30,
    )
    assert condition(client.get("v1", "Node", "lab-worker"), "Ready") == "False"
    kubelet.set_node_ready("lab-worker", True)
    wait_until(lambda: available(client, namespace), "the Deployment is Available", 30)
