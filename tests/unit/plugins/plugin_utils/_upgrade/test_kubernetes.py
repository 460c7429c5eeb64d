# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes moves: which images its parts get, and what is done where talosctl fails."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Answer, Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import Host
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Cluster, Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Nodes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import (
    Failure,
    Private,
    Talosctl,
    TalosctlError,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.versions import VANILLA
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.kubernetes import Kubernetes, images, staged
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import Bounds, Rolling

CP = Node("cp-1", "192.0.2.11", "control_plane")
WORKER = Node("worker-1", "192.0.2.21", "worker")
OLDER = b"""machine: {kubelet: {image: "ghcr.io/siderolabs/kubelet:v1.35.4-slim"}}
cluster:
  apiServer: {image: "registry.k8s.io/kube-apiserver:v1.35.4"}
  controllerManager: {image: "mirror.example.net:5000/kube-controller-manager:v1.35.4"}
  scheduler: {image: "registry.k8s.io/kube-scheduler:v1.35.4"}
  proxy: {image: "registry.k8s.io/kube-proxy:v1.35.4"}
"""
NEWER = b"""machine: {type: controlplane}
---
{apiVersion: v1alpha1, kind: KubeletConfig, image: "ghcr.io/siderolabs/kubelet:v1.35.4"}
---
{apiVersion: v1alpha1, kind: KubeAPIServerConfig, image: "registry.k8s.io/kube-apiserver:v1.35.4"}
"""


def test_the_images_are_those_of_the_configurations_in_both_forms() -> None:
    assert images({CP: OLDER, WORKER: b"machine: {}"}, "1.35.4") == {
        "kubelet": "ghcr.io/siderolabs/kubelet",
        "apiserver": "registry.k8s.io/kube-apiserver",
        "controller-manager": "mirror.example.net:5000/kube-controller-manager",
        "scheduler": "registry.k8s.io/kube-scheduler",
        "proxy": "registry.k8s.io/kube-proxy",
    }
    assert images({CP: NEWER}, "1.35.4") == {
        "kubelet": "ghcr.io/siderolabs/kubelet",
        "apiserver": "registry.k8s.io/kube-apiserver",
    }


def test_a_worker_runs_a_kubelet_alone() -> None:
    worker = b'cluster: {proxy: {image: "elsewhere.example.net/kube-proxy:v1.30.0"}}'
    assert images({CP: NEWER, WORKER: worker}, "1.35.4") == images({CP: NEWER}, "1.35.4")


@pytest.mark.parametrize(
    "image",
    [
        "registry.k8s.io/kube-apiserver:v1.35.3",
        "registry.k8s.io/kube-apiserver:v1.35.4@sha256:00",
        "registry.k8s.io/kube-apiserver:latest",
        "registry.k8s.io/kube-apiserver",
        "registry.k8s.io/kube-apiserver:v1.35.4-patched",
        "registry.k8s.io/kube-apiserver:v1.35.4-slim",
        "registry.k8s.io/kube-apiserver:1.35.4",
    ],
)
def test_an_image_that_would_stay_another_one_is_refused(image: str) -> None:
    with pytest.raises(BootstrapError, match=r"cp-1: cluster\.apiServer\.image .* Kubernetes 1\.35\.4 is wanted"):
        images({CP: f'cluster: {{apiServer: {{image: "{image}"}}}}'.encode()}, "1.35.4")


def test_all_nodes_have_their_images_from_one_place() -> None:
    mirrored = b'machine: {kubelet: {image: "mirror.example.net/kubelet:v1.35.4"}}'
    with pytest.raises(BootstrapError, match="worker-1 and cp-1 have their kubelet from different places"):
        images({CP: OLDER, WORKER: mirrored}, "1.35.4")


def test_a_change_that_waits_for_the_next_boot_is_seen() -> None:
    assert staged(OLDER, NEWER)
    assert not staged(OLDER, OLDER + b"# a comment\n")


AWAY = TalosctlError(Failure.UNREACHABLE, "cp-1: it does not answer.", "connection refused")
REMOVED = """
NODE        COMPONENT        REMOVED FEATURE GATE
192.0.2.11  kube-apiserver   SizeMemoryBackedVolumes
"""
KINDS = """
REMOVED RESOURCE                          COUNT
podgroups.v1alpha2.scheduling.k8s.io      3
"""


class Scripted(Talosctl):
    """A client of which each move ends as scripted; its dry runs find nothing."""

    def __init__(self, *ends: TalosctlError | None, dry: TalosctlError | None = None) -> None:
        super().__init__()
        self.__dict__.update(ends=list(ends), dry=dry, words=[])

    def run(self, *arguments: str | Private, timeout: float = 1.0, target: str = "", heard: t.Any = None) -> bytes:
        words = [argument for argument in arguments if isinstance(argument, str)]
        if words[0] == "get":
            return b"spec: {running: true, healthy: true}"
        self.__dict__["words"].append(words)
        end = self.__dict__["dry"] if "--dry-run" in words else self.__dict__["ends"].pop(0)
        if end is not None:
            if heard is not None:
                heard('updating "kube-scheduler" to version "1.35.4"')
                heard(' > "192.0.2.11": starting update')
                heard("token-secret: canary")
            raise end
        return b""


class Well(Rolling):
    """All nodes are well."""

    def missing(self, nodes: list[Node], asked: Node | None = None) -> tuple[dict[Node, str], Host | None]:
        return {}, None


class Served(Api):
    """A Kubernetes with two nodes."""

    def __init__(self) -> None:
        self.server = "https://x"

    def get(self, path: str, query: t.Any = None, seconds: float = 1.0) -> Answer:
        info = {"kubeletVersion": "v1.35.4"}
        items = [{"metadata": {"name": node.name}, "status": {"nodeInfo": info}} for node in (CP, WORKER)]
        return Answer(200, {"items": items})


def moved(talosctl: Scripted) -> tuple[list[str], list[str]]:
    """What was said and noted while Kubernetes moved."""
    said: list[str] = []
    noted: list[str] = []
    cluster = Cluster("home", "https://x", (CP, WORKER), "v1.14.1", "1.35.4", VANILLA, "i", "nocloud", False, "v1.14")
    rolling = Well(Nodes(talosctl, b""), Served(), cluster, Bounds(5, 5, drain=True), said.append)
    try:
        Kubernetes(rolling, {"kubelet": "x/kubelet"}).move("1.34.3", "1.35.4", lambda: noted.append("begun"))
    except BootstrapError as error:
        said.append(f"failed: {error}")
    return said, noted


def test_it_is_asked_again_where_the_api_server_was_away() -> None:
    talosctl = Scripted(AWAY, None)
    said, noted = moved(talosctl)
    assert not any(line.startswith("failed") for line in said)
    assert noted == ["begun"] * 2
    assert "canary" not in "".join(said)
    assert "Kubernetes 1.35.4: kube-scheduler of cp-1" in said
    words = talosctl.__dict__["words"][-1]
    assert words[:5] == ["upgrade-k8s", "--to", "1.35.4", "--with-docs=false", "--with-examples=false"]
    assert words[5:8] == ["--from", "1.34.3", "--kubelet-image=x/kubelet"]


def test_it_is_not_asked_again_for_ever() -> None:
    said, _noted = moved(Scripted(AWAY, AWAY, AWAY, None))
    assert said[-1].startswith(
        "failed: cp-1: it does not answer. It had come to kube-scheduler of cp-1. Run this again"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (REMOVED, "does not have any more: SizeMemoryBackedVolumes of kube-apiserver"),
        (KINDS, "does not serve any more: podgroups.v1alpha2.scheduling.k8s.io"),
        ("unsupported upgrade path 1.30->1.35", "It knows no way there"),
        ("version of Kubernetes 1.36.0 is too new to be used with Talos 1.12.6", "Talos does not run that version"),
        (
            'apply dry run failed for Deployment/kube-system/coredns: Deployment.apps "coredns" is invalid: canary',
            "Deployment/kube-system/coredns is there, and Talos cannot make it its own",
        ),
        (
            'Deployment.apps "coredns" is invalid: spec.selector: Invalid value: canary: field is immutable',
            "Deployment coredns is there, and Talos cannot make it its own",
        ),
        ("failed to detect lowest Kubernetes version", "No pod tells which version runs"),
        (
            "inventory policy check failure for object v1.ConfigMap/x, inventory policy prevented actuation",
            "another inventory's",
        ),
        ("failed pre-pulling images: canary", "An image cannot be pulled"),
    ],
)
def test_what_asking_again_does_not_mend_is_told_before_anything_is_noted(text: str, words: str) -> None:
    talosctl = Scripted(dry=TalosctlError(Failure.UNREACHABLE, "cp-1: talosctl upgrade-k8s failed.", text))
    said, noted = moved(talosctl)
    assert noted == []
    assert words in said[-1]
    assert "Kubernetes was not moved by this run." in said[-1]
    assert "canary" not in said[-1]
    assert len(talosctl.__dict__["words"]) == 1
