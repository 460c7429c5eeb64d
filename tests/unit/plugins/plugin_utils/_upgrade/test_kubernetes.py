# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which images Kubernetes' parts get when it moves."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.kubernetes import images, staged

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
