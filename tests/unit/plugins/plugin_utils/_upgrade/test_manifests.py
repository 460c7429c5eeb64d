# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dry run of talosctl upgrade-k8s says, and whose an object is."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.manifests import (
    CHANGED,
    MADE,
    PRUNED,
    changes,
    owner,
)

# As talosctl prints it with Talos 1.13 and newer, then with older Talos.
NEWER = """updating manifests (dry run)
 < Pruned Deployment/kube-system/coredns
--- a/apps/v1.Deployment/kube-system/coredns
+++ b/apps/v1.Deployment/kube-system/coredns
@@ -1,3 +0,0 @@
-apiVersion: apps/v1
-kind: Deployment
-metadata: {}

 < configured ClusterRole/system:coredns
--- a/rbac.authorization.k8s.io/v1.ClusterRole/system:coredns
+++ b/rbac.authorization.k8s.io/v1.ClusterRole/system:coredns
@@ -1,5 +1,6 @@
 apiVersion: rbac.authorization.k8s.io/v1
@@ -10,0 +11,2 @@
+  a: b
 < unchanged DaemonSet/kube-system/kube-proxy
"""
OLDER = """updating manifests
 > processing manifest v1.Secret/kube-system/bootstrap-token-abc
--- a/v1.Secret/kube-system/bootstrap-token-abc
+++ b/v1.Secret/kube-system/bootstrap-token-abc
@@ -0,0 +1,12 @@
+stringData:
+  token-secret: canary

 < dry run, change skipped
 > processing manifest v1.ConfigMap/kube-system/kubeconfig-in-cluster
 < no changes
"""


def test_only_what_differs_is_a_change() -> None:
    found = [(each.change, each.api_version, each.label) for each in changes(NEWER + OLDER)]
    assert found == [
        (PRUNED, "apps/v1", "Deployment kube-system/coredns"),
        (CHANGED, "rbac.authorization.k8s.io/v1", "ClusterRole system:coredns"),
        (MADE, "v1", "Secret kube-system/bootstrap-token-abc"),
    ]
    assert changes("updating manifests\nnothing\n") == []


def test_each_is_named_as_talos_inventory_does() -> None:
    entries = [each.entry for each in changes(NEWER + OLDER)]
    assert entries == [
        "kube-system_coredns_apps_Deployment",
        "_system__coredns_rbac.authorization.k8s.io_ClusterRole",
        "kube-system_bootstrap-token-abc__Secret",
    ]


@pytest.mark.parametrize(
    "output",
    [
        " < configured DaemonSet/kube-system/cilium\n",
        "--- a/strange\n+++ b/strange\n@@ -1,3 +1,4 @@\n",
    ],
)
def test_what_cannot_be_read_is_an_error(output: str) -> None:
    with pytest.raises(BootstrapError, match="cannot be read"):
        changes(NEWER + output)


def entry(manager: str, operation: str, subresource: str = "") -> dict[str, Any]:
    return {"manager": manager, "operation": operation, **({"subresource": subresource} if subresource else {})}


@pytest.mark.parametrize(
    ("metadata", "whose"),
    [
        ({}, ""),
        ({"managedFields": [entry("talos", "Apply"), entry("kube-controller-manager", "Update", "status")]}, ""),
        ({"managedFields": [entry("kubectl-edit", "Update")]}, ""),
        ({"managedFields": [entry("Terraform", "Apply")]}, "a seed, or Terraform (field manager Terraform)"),
        ({"managedFields": [entry("HashiCorp", "Update")]}, "HashiCorp"),
        (
            {"managedFields": [entry("terraform-provider-helm_v2.17.0_x5", "Update")]},
            "terraform-provider-helm_v2.17.0_x5",
        ),
        ({"managedFields": [entry("argocd-controller", "Update")]}, "argocd-controller"),
        (
            {
                "annotations": {"meta.helm.sh/release-name": "cilium", "meta.helm.sh/release-namespace": "kube-system"},
                "managedFields": [entry("cilium", "Update")],
            },
            "Helm (release kube-system/cilium)",
        ),
        ({"managedFields": [entry("argocd-controller", "Apply")]}, "argocd-controller"),
        ({"managedFields": [entry("somebody", "Apply", "status")]}, ""),
        (
            {"labels": {"helm.toolkit.fluxcd.io/name": "cilium", "helm.toolkit.fluxcd.io/namespace": "kube-system"}},
            "Flux (HelmRelease kube-system/cilium)",
        ),
    ],
)
def test_whose_an_object_is(metadata: dict[str, Any], whose: str) -> None:
    assert owner({"metadata": metadata}) == whose
