# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine configuration says, in both of its forms. Pure.

Up to contract v1.13 nearly all of it is one document, with C(machine) and C(cluster). From v1.14 on most of that stands
in documents of a kind of its own, and Talos refuses to have it in both places.
Private: other collections must not import it.
"""

from __future__ import annotations

import base64
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
KUBERNETES_IMAGES: t.Final = frozenset(
    [f"{'.'.join(path)}.image" for path in _KUBERNETES] + [f"{kind}.image" for kind in _KUBERNETES_KINDS]
)
# What of the main document takes effect while a machine runs. Talos up to v1.13 refuses to change the rest without a
# boot, later ones keep it and do not apply it. Read in the servers of talosctl 1.12.6 and 1.14.1.
_LIVE_MACHINE: t.Final = frozenset(
    (
        *("acceptedCAs", "ca", "certSANs", "controlPlane", "install", "kernel", "kubelet", "logging", "network"),
        *("nodeAnnotations", "nodeLabels", "nodeTaints", "pods", "registries", "seccompProfiles", "sysctls", "sysfs"),
        "time",
    )
)
_LIVE_FEATURES: t.Final = frozenset(
    ("hostDNS", "imageCache", "kubePrism", "kubernetesTalosAPIAccess", "nodeAddressSortAlgorithm")
)
# Of the rest, what a service reads only when it starts: Talos says nothing of that.
_AT_BOOT: t.Final = ("cluster.etcd.", "EnvironmentConfig", "SecurityProfileConfig")
# Modules of the kernel are loaded while it runs; with other parameters, or not at all, only by the next one.
_MODULES: t.Final = ("machine.kernel.modules", "KernelModuleConfig")
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


def hostname(config: bytes) -> str:
    """The name that a configuration gives the machine."""
    name = _of_kind(config, "HostnameConfig").get("hostname")
    return str(name or _at(main_document(config), "machine", "network", "hostname") or "")


def endpoint(config: bytes) -> str:
    """Where a machine looks for the Kubernetes API, as a URL."""
    url = _at(main_document(config), "cluster", "controlPlane", "endpoint")
    return str(url or _at(_of_kind(config, "KubeClusterConfig"), "endpoint") or "")


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
    tags = [image.partition("@")[0].rpartition(":")[2] for image in kubernetes_images(config).values()]
    return frozenset(tag for tag in tags if VERSION.fullmatch(tag))


def kubernetes_images(config: bytes) -> dict[str, str]:
    """The images of Kubernetes' parts, by the paths at which a configuration names them."""
    main = main_document(config)
    found = {".".join((*path, "image")): _at(main, *path, "image") for path in _KUBERNETES}
    found |= {f"{kind}.image": _at(_of_kind(config, kind), "image") for kind in _KUBERNETES_KINDS}
    return {path: str(image) for path, image in found.items() if image}


def allows_scheduling(config: bytes) -> bool:
    """Whether a control plane with this configuration runs ordinary pods."""
    if _at(main_document(config), "cluster", "allowSchedulingOnControlPlanes") is True:
        return True
    node = _of_kind(config, "KubeNodeConfig")
    taint = str(_at(node, "taints", CONTROL_PLANE_TAINT) or "")
    return bool(node) and taint.rpartition(":")[2] not in ("NoSchedule", "NoExecute")


def needs_boot(marked: str) -> bool:
    """Whether a change at this path, marked as added, removed or changed, takes effect only when the machine boots."""
    mark, _blank, path = marked.partition(" ")
    if path.startswith(_AT_BOOT) or (mark != "+" and path.startswith(_MODULES)):
        return True
    document, _dot, rest = path.partition(".")
    if document == "machine":
        part, _dot, inner = rest.partition(".")
        return inner.partition(".")[0] not in _LIVE_FEATURES if part == "features" else part not in _LIVE_MACHINE
    return document in ("persist", "version")


def machine_type(config: bytes) -> str:
    """What a machine is: controlplane or worker."""
    return str(_at(main_document(config), "machine", "type") or "")


def worker_identity(config: bytes) -> dict[str, t.Any]:
    """By which a worker and its cluster know each other. What says nothing is left out."""
    main, discovery = main_document(config), _of_kind(config, "DiscoveryIdentityConfig")
    found = {
        "Talos' CA": _at(main, "machine", "ca", "crt"),
        "machine.token": _at(main, "machine", "token"),
        "cluster.token": _at(main, "cluster", "token"),
        "the cluster's id": _at(main, "cluster", "id") or discovery.get("clusterID"),
        "the cluster's secret": _at(main, "cluster", "secret") or discovery.get("clusterSecret"),
    }
    return {name: value for name, value in found.items() if value}


def kubernetes_authorities(config: bytes) -> frozenset[str]:
    """The CAs of Kubernetes that a machine accepts, as PEM."""
    main, document = main_document(config), _of_kind(config, "KubeAPIServerCAConfig")
    older = [
        _at(main, "cluster", "ca", "crt"),
        *(each.get("crt") for each in _at(main, "cluster", "acceptedCAs") or []),
    ]
    found = [_decoded(str(each)) for each in older if each]
    found += [_at(document, "issuingCA", "cert"), *(document.get("acceptedCAs") or [])]
    return frozenset(str(each).strip() for each in found if each)


def encryption_keys(config: bytes) -> frozenset[tuple[str, str]]:
    """The names and values of the keys with which the newer form encrypts what etcd holds. A name is part of that."""
    resources = _at(_of_kind(config, "KubeEtcdEncryptionConfig"), "config", "resources") or []
    return frozenset(
        (str(key.get("name")), str(key.get("secret")))
        for resource in resources
        for provider in resource.get("providers") or []
        for settings in provider.values()
        for key in (settings or {}).get("keys") or []
    )


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return text


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
