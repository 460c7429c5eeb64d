# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine configuration says, in both of its forms. Pure.

Up to contract v1.13 nearly all of it is one document, with C(machine) and C(cluster). From v1.14 on most of that stands
in documents of a kind of its own, and Talos refuses to have it in both places.
Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import documents
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import numbers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import VERSION

# The first contract of the newer form.
DOCUMENTS = (1, 14)

CONTROL_PLANE_TAINT = "node-role.kubernetes.io/control-plane"

# What the older form says in the main document -> the document that says it in the newer one. Read in talosctl 1.14.1.
MOVED: Mapping[str, str] = {
    "cluster.aescbcEncryptionSecret": "KubeEtcdEncryptionConfig",
    "cluster.aggregatorCA": "KubeAggregatorCAConfig",
    "cluster.allowSchedulingOnControlPlanes": "KubeNodeConfig",
    "cluster.allowSchedulingOnMasters": "KubeNodeConfig",
    "cluster.apiServer": "KubeAPIServerConfig",
    "cluster.ca": "KubeAPIServerCAConfig",
    "cluster.clusterName": "KubeClusterConfig",
    "cluster.controlPlane": "KubeClusterConfig",
    "cluster.controllerManager": "KubeControllerManagerConfig",
    "cluster.coreDNS": "KubeCoreDNSConfig",
    "cluster.discovery": "DiscoveryServiceConfig",
    "cluster.id": "DiscoveryIdentityConfig",
    "cluster.network": "KubeNetworkConfig and KubeFlannelCNIConfig",
    "cluster.proxy": "KubeProxyConfig",
    "cluster.scheduler": "KubeSchedulerConfig",
    "cluster.secret": "DiscoveryIdentityConfig",
    "cluster.secretboxEncryptionSecret": "KubeEtcdEncryptionConfig",
    "cluster.serviceAccount": "KubeServiceAccountConfig",
    "machine.controlPlane": "KubeControllerManagerConfig and KubeSchedulerConfig",
    "machine.features.hostDNS": "ResolverConfig",
    "machine.features.kubePrism": "KubePrismConfig",
    "machine.features.kubernetesTalosAPIAccess": "KubeTalosAPIAccessConfig",
    "machine.install": "UnattendedInstallConfig",
    "machine.kubelet": "KubeletConfig",
    "machine.network.disableSearchDomain": "ResolverConfig",
    "machine.network.kubespan": "KubeSpanConfig",
    "machine.network.nameservers": "ResolverConfig",
    "machine.network.searchDomains": "ResolverConfig",
    "machine.nodeAnnotations": "KubeNodeConfig",
    "machine.nodeLabels": "KubeNodeConfig",
    "machine.nodeTaints": "KubeNodeConfig",
}

# Of these documents Talos before v1.14 knows none, though a newer talosctl takes them.
_NEW_KINDS = frozenset(
    kind
    for kinds in MOVED.values()
    for kind in kinds.split(" and ")
    if kind not in ("ResolverConfig", "KubeSpanConfig")
)

# Where a configuration names the images of Kubernetes, whose tags carry its version.
_KUBERNETES = (
    ("machine", "kubelet"),
    ("cluster", "apiServer"),
    ("cluster", "controllerManager"),
    ("cluster", "scheduler"),
    ("cluster", "proxy"),
)
_KUBERNETES_KINDS = (
    "KubeletConfig",
    "KubeAPIServerConfig",
    "KubeControllerManagerConfig",
    "KubeSchedulerConfig",
    "KubeProxyConfig",
)
_DEVICE = re.compile(r'\s*disk\.dev_path\s*==\s*"([^"]+)"\s*')


def has_documents(contract: str) -> bool:
    """Whether a contract, like v1.14, is of the newer form."""
    return numbers(contract)[:2] >= DOCUMENTS


def hostname_patch(contract: str, name: str) -> dict[str, t.Any]:
    """What gives a machine its name. A document of its own from v1.12 on."""
    if numbers(contract)[:2] >= (1, 12):
        return {"apiVersion": "v1alpha1", "kind": "HostnameConfig", "auto": "off", "hostname": name}
    return {"machine": {"network": {"hostname": name}}}


def without_coredns(contract: str) -> dict[str, t.Any]:
    """What keeps Talos from running its own CoreDNS."""
    if has_documents(contract):
        return {"apiVersion": "v1alpha1", "kind": "KubeCoreDNSConfig", "enabled": False}
    return {"cluster": {"coreDNS": {"disabled": True}}}


def scheduling_advice(contract: str) -> str:
    """The patch that lets control planes run ordinary pods, for a person to write."""
    if has_documents(contract):
        return "{apiVersion: v1alpha1, kind: KubeNodeConfig, taints: {$patch: delete}}"
    return "cluster: {allowSchedulingOnControlPlanes: true}"


def moved(patch: bytes) -> Iterator[tuple[str, str]]:
    """What a patch says in the older form, by its path, and the document that says it in the newer one."""
    main = main_document(patch)
    for path, kind in MOVED.items():
        if _at(main, *path.split(".")) is not None:
            yield path, kind


def too_new(patch: bytes, talos: str) -> list[str]:
    """The kinds of a patch's documents that this version of Talos does not know."""
    if numbers(talos)[:2] >= DOCUMENTS:
        return []
    return [str(each["kind"]) for each in _mappings(patch) if each.get("kind") in _NEW_KINDS]


def main_document(config: bytes) -> Mapping[str, t.Any]:
    """The document of a configuration that says what the machine is."""
    return next((each for each in _mappings(config) if "kind" not in each), {})


def cluster_name(config: bytes) -> str:
    """The name of the cluster that a configuration makes the machine part of."""
    name = _at(main_document(config), "cluster", "clusterName")
    return str(name or _at(_of_kind(config, "KubeClusterConfig"), "clusterName") or "")


def install_disk(config: bytes) -> str:
    """The disk on which a configured machine was installed; nothing where an expression chooses it."""
    disk = _at(main_document(config), "machine", "install", "disk")
    if disk:
        return str(disk)
    match = _at(_of_kind(config, "UnattendedInstallConfig"), "provisioning", "diskSelector", "match")
    found = _DEVICE.fullmatch(str(match or ""))
    return found[1] if found else ""


def installer(config: bytes) -> str:
    """The image from which a machine installs itself."""
    image = _at(main_document(config), "machine", "install", "image")
    return str(image or _at(_of_kind(config, "UnattendedInstallConfig"), "installer", "image") or "")


def kubernetes(config: bytes) -> frozenset[str]:
    """The versions that the tags of Kubernetes' images carry. A digest behind one pins it; other tags carry none."""
    main = main_document(config)
    images = [_at(main, *path, "image") for path in _KUBERNETES]
    images += [_at(_of_kind(config, kind), "image") for kind in _KUBERNETES_KINDS]
    tags = [str(image).partition("@")[0].rpartition(":")[2] for image in images if image]
    return frozenset(tag for tag in tags if VERSION.fullmatch(tag))


def allows_scheduling(config: bytes) -> bool:
    """Whether a control plane with this configuration runs ordinary pods."""
    if _at(main_document(config), "cluster", "allowSchedulingOnControlPlanes") is True:
        return True
    node = _of_kind(config, "KubeNodeConfig")
    taint = str(_at(node, "taints", CONTROL_PLANE_TAINT) or "")
    return bool(node) and taint.rpartition(":")[2] not in ("NoSchedule", "NoExecute")


def _mappings(config: bytes) -> Iterator[Mapping[str, t.Any]]:
    return (each for each in documents(config) if isinstance(each, Mapping))


def _of_kind(config: bytes, kind: str) -> Mapping[str, t.Any]:
    return next((each for each in _mappings(config) if each.get("kind") == kind), {})


def _at(document: t.Any, *path: str) -> t.Any:
    """What stands at a path; None where nothing does."""
    for key in path:
        if not isinstance(document, Mapping) or key not in document:
            return None
        document = document[key]
    return document
