# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes of a living cluster moves, by the real talosctl upgrade-k8s; its API server and etcd are real.

The kubelets and the static pods are the lab's, and so is what Talos makes in Kubernetes: see lab.nodes.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from typing import Any

import pytest

from lab.binaries import version
from lab.kubeclient import MERGE
from lab.living import LivingWorld
from lab.process import wait_until

OLDEST, BETWEEN, NEWEST = version("talosctl"), "v1.13.8", version("talosctl-1.14")
BEFORE, AFTER = "1.34.3", "1.35.4"
PATCH = '{"machine": {"sysctls": {"vm.swappiness": "1"}}}'
INVENTORY = "talos-bootstrap-manifests-inventory"


def kubelets(made: LivingWorld) -> set[str]:
    return {made.node_object(node["name"])["status"]["nodeInfo"]["kubeletVersion"] for node in made.nodes}


def images(made: LivingWorld) -> set[str]:
    """The versions of the static pods."""
    pods = made.client().list("v1", "Pod", "kube-system")
    found = [pod for pod in pods if "kubernetes.io/config.mirror" in pod["metadata"].get("annotations", {})]
    return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in found}


def objects(made: LivingWorld) -> dict[str, str]:
    """What is there of Talos' objects, each with its version."""
    found = {}
    kinds = {"ConfigMap": "v1", "Secret": "v1", "DaemonSet": "apps/v1", "Deployment": "apps/v1"}
    for kind, api_version in kinds.items():
        for each in made.client().list(api_version, kind, "kube-system"):
            found[f"{kind}/{each['metadata']['name']}"] = each["metadata"]["resourceVersion"]
    return found


def applied(made: LivingWorld, name: str, manager: str, app: str = "kube-dns", **metadata: Any) -> None:
    """A Deployment that somebody declares."""
    made.client().apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "kube-system", **metadata},
            "spec": {
                "selector": {"matchLabels": {"k8s-app": app}},
                "template": {
                    "metadata": {"labels": {"k8s-app": app}},
                    "spec": {"containers": [{"name": "kube-dns", "image": "example.net/dns:1"}]},
                },
            },
        },
        manager,
    )


@pytest.mark.kube
@pytest.mark.parametrize(
    "made",
    [
        pytest.param((3, 1, NEWEST, BEFORE), id="newest", marks=pytest.mark.sweep("a living cluster")),
        pytest.param((1, 1, OLDEST, BEFORE), id="oldest", marks=pytest.mark.sweep("a living cluster")),
        pytest.param((5, 1, BETWEEN, BEFORE), id="five", marks=pytest.mark.sweep("a living cluster")),
    ],
    indirect=True,
)
def test_kubernetes_moves_on_all_nodes(made: LivingWorld) -> None:
    """The API server itself moves meanwhile; what would be done shows first, without the Secret that is part of it."""
    made.options["kubernetes_version"] = AFTER
    assert (kubelets(made), images(made)) == ({f"v{BEFORE}"}, {f"v{BEFORE}"})
    stands = objects(made)
    check = made.play("--check", "-vvvvv", "--diff")
    assert check.returncode == 0, check.output
    assert f"Kubernetes {BEFORE} -> {AFTER}" in check.output
    (shown,) = re.findall(r"Talos' objects in Kubernetes that would be made: ([^\n]*?)(?:\\n|\n|\")", check.output)
    assert "DaemonSet kube-system/kube-proxy" in shown
    (secret,) = re.findall(r"Secret kube-system/(bootstrap-token-\w+)", shown)
    assert (kubelets(made), images(made)) == ({f"v{BEFORE}"}, {f"v{BEFORE}"})
    assert objects(made) == stands
    assert not (made.directory / "backups").exists()

    run = made.play("-vvvvv", "--diff")
    assert run.returncode == 0, run.output
    assert (kubelets(made), images(made)) == ({f"v{AFTER}"}, {f"v{AFTER}"})
    told = re.findall(r"Kubernetes 1\.35\.4: (kube-apiserver|kubelet) of (\S+?)[\\\s\"]", run.output)
    names = [node["name"] for node in made.nodes]
    assert list(dict.fromkeys(told)) == [
        *(("kube-apiserver", name) for name in names if name.startswith("cp")),
        *(("kubelet", name) for name in names),
    ]
    assert len(list((made.directory / "backups").iterdir())) == 1
    assert "DaemonSet/kube-proxy" in objects(made)
    token = made.client().get("v1", "Secret", secret, "kube-system")["data"]["token-secret"]
    for output in (check.output, run.output):
        assert made.key not in output
        assert token not in output
        assert "token-secret" not in output

    again = made.play()
    assert again.returncode == 0, again.output
    assert "Every node runs the Talos and the Kubernetes of the inventory." in again.output
    assert "changed=0" in again.output
    # What it has put into the machine configurations is what the inventory says, and nobody else's.
    config = made.results("talos_config")["talos_config"]
    assert not config["changed"]
    assert {node["configuration"] for node in config["nodes"]} == {"unchanged"}


def declared(made: LivingWorld, name: str) -> tuple[Any, set[str]]:
    """What a Deployment is to be, and who has said so by server-side apply."""
    found = made.client().get("apps/v1", "Deployment", name, "kube-system")
    entries = found["metadata"]["managedFields"]
    return found["spec"], {entry["manager"] for entry in entries if entry["operation"] == "Apply"}


def reconfigured(made: LivingWorld, **options: Any) -> None:
    """Give the nodes what the inventory says, and want the newer Kubernetes."""
    made.options |= {**options, "kubernetes_version": BEFORE}
    made.results("talos_config")
    made.options["kubernetes_version"] = AFTER


MOMENTS = {
    "begun": "Kubernetes 1.35.4: kube-apiserver of cp-1",
    "scheduler": "Kubernetes 1.35.4: kube-scheduler of cp-1",
    "first kubelet": "Kubernetes 1.35.4: kubelet of cp-1",
    "last kubelet": "Kubernetes 1.35.4: kubelet of worker-1",
    "objects": "Kubernetes 1.35.4: Talos' objects in Kubernetes",
}


@pytest.mark.kube
@pytest.mark.sweep
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize("made", [(1, 1, NEWEST, BEFORE)], indirect=True, ids=[""])
def test_a_move_that_is_killed_goes_on(made: LivingWorld, moment: str) -> None:
    made.options["kubernetes_version"] = AFTER
    with made.started("talos_upgrade") as process:
        wait_until(lambda: moment in (made.home / "said").read_text(), moment, 120)
        os.killpg(process.pid, signal.SIGKILL)
    again = made.results("talos_upgrade")["talos_upgrade"]
    assert again["changed"], "also where all that is left are Talos' objects"
    assert (kubelets(made), images(made)) == ({f"v{AFTER}"}, {f"v{AFTER}"})
    assert "DaemonSet/kube-proxy" in objects(made)
    assert not made.results("talos_upgrade")["talos_upgrade"]["changed"]


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1, NEWEST, BEFORE)], indirect=True)
def test_what_is_somebody_elses_is_neither_pruned_nor_overwritten(made: LivingWorld) -> None:
    # Talos makes CoreDNS, and a seed does.
    reconfigured(made, coredns=True)
    applied(made, "coredns", "Terraform", app="another")
    made.refused("Deployment/kube-system/coredns is there, and Talos cannot make it its own", "KubeCoreDNSConfig")
    made.client().delete("apps/v1", "Deployment", "coredns", "kube-system")
    wait_until(lambda: "Deployment/coredns" not in objects(made), "it is gone", 20)
    applied(made, "coredns", "Terraform")
    before = declared(made, "coredns")
    for arguments in (["--check"], []):
        made.refused(
            "Deployment kube-system/coredns: Talos makes it and would overwrite it",
            "a seed, or Terraform",
            "KubeCoreDNSConfig",
            arguments=arguments,
        )
    assert declared(made, "coredns") == before
    assert kubelets(made) == {f"v{BEFORE}"}

    # It has made it once and does not any more, and Flux does.
    reconfigured(made, coredns=False)
    labels = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    applied(made, "coredns", "kustomize-controller", labels=labels)
    entry = {"data": {"kube-system_coredns_apps_Deployment": ""}}
    path = f"/api/v1/namespaces/kube-system/configmaps/{INVENTORY}"
    made.client().request("PATCH", path, entry, content_type=MERGE)
    said = made.refused("would be pruned", "Flux (Kustomization flux-system/apps)", "kubectl --kubeconfig")
    (command,) = re.findall(r"(kubectl --kubeconfig .*? -p '\[.*?\]')", said.replace('\\"', '"'))
    subprocess.run(["sh", "-c", command], check=True, timeout=60, capture_output=True)
    made.results("talos_upgrade")
    assert kubelets(made) == {f"v{AFTER}"}
    assert declared(made, "coredns")[1] == {"Terraform", "kustomize-controller"}


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1, NEWEST, BEFORE)], indirect=True)
def test_what_keeps_kubernetes_from_moving_is_told_before_anything_is_changed(made: LivingWorld) -> None:
    # A flag that the wanted version has not any more.
    gates = {"feature-gates": "SizeMemoryBackedVolumes=true"}
    made.nodes[0]["patches"] = [{"apiVersion": "v1alpha1", "kind": "KubeAPIServerConfig", "extraArgs": gates}]
    reconfigured(made)
    for arguments in (["--check"], []):
        words = ("SizeMemoryBackedVolumes of kube-apiserver", "This run has changed nothing")
        made.refused(*words, arguments=arguments)
    # An image of another version, which the inventory would still have afterwards.
    pinned = {"apiVersion": "v1alpha1", "kind": "KubeSchedulerConfig", "image": "example.net/s:v1.34.3"}
    made.nodes[0]["patches"] = [pinned]
    made.refused("cp-1: KubeSchedulerConfig.image of its configuration is example.net/s:v1.34.3")
    made.nodes[0]["patches"] = []
    # A change that waits for a boot.
    made.talosctl(2, "patch", "machineconfig", "--mode", "staged", "--patch", PATCH)
    made.refused("worker-1", "waits for its next boot, and Kubernetes' move would drop it")
    assert (kubelets(made), images(made)) == ({f"v{BEFORE}"}, {f"v{BEFORE}"})


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1, BETWEEN, BEFORE)], indirect=True)
def test_talos_and_kubernetes_move_in_one_run(made: LivingWorld) -> None:
    """A change that waits for the next boot is no hindrance, as Talos boots its node before."""
    made.talosctl(2, "patch", "machineconfig", "--mode", "staged", "--patch", PATCH)
    made.options |= {"version": NEWEST, "kubernetes_version": AFTER}
    mirrored = {"cluster": {"scheduler": {"image": f"mirror.example.net:5000/kube-scheduler:v{AFTER}"}}}
    made.patches = {"control_plane": [mirrored]}
    check = made.play("--check")
    assert check.returncode == 0, check.output
    assert "what becomes of Talos' objects in Kubernetes shows when it is its turn" in check.output
    run = made.play()
    assert run.returncode == 0, run.output
    steps = re.findall(r"(\S+): runs Talos \S+ and is Ready|every node runs (Kubernetes \S+)", run.output)
    assert ["".join(step) for step in steps] == ["cp-1", "worker-1", f"Kubernetes {AFTER}"]
    assert (kubelets(made), images(made)) == ({f"v{AFTER}"}, {f"v{AFTER}"})
    assert {runs for runs, _schematic in made.runs().values()} == {NEWEST}
    pod = made.client().get("v1", "Pod", "kube-scheduler-cp-1", "kube-system")
    assert pod["spec"]["containers"][0]["image"] == mirrored["cluster"]["scheduler"]["image"]
    assert "vm.swappiness" in made.talosctl(2, "get", "machineconfig", "--output", "yaml")
    assert "changed=0" in made.play().output


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1, NEWEST, "1.33.7")], indirect=True)
def test_a_kubelet_that_does_not_come_is_waited_for_with_a_bound(made: LivingWorld) -> None:
    """And minor versions are passed one by one."""
    made.options["kubernetes_version"] = AFTER
    (kubelet,) = made.talos.kubelets()
    kubelet.hold_kubelet("worker-1", held=True)
    made.rolling = {"timeout": 12}
    said = made.refused("upgrade-k8s was not through within", "It had come to kubelet of worker-1", "Run this again")
    assert "Kubernetes 1.34.0: kubelet of worker-1" in said
    assert "does not answer" not in said
    kubelet.hold_kubelet("worker-1", held=False)
    made.rolling = {}
    told = made.results("talos_upgrade")["talos_upgrade"]
    assert [(step["from"], step["to"]) for step in told["kubernetes"]][-1] == ("1.34.0", AFTER)
    assert (kubelets(made), images(made)) == ({f"v{AFTER}"}, {f"v{AFTER}"})
