# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the stand-ins for machines and kubelets need to know of a machine configuration, in both of its forms."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import yaml

TAINT = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True)
class MachineConfig:
    """A configuration's settings. C(authority) is the certificate and, on control planes, the key of Kubernetes' CA."""

    control_plane: bool
    hostname: str
    cluster: str
    endpoint: str
    authority: tuple[str, str] = field(repr=False)
    names: tuple[str, ...]
    secretbox_key: str = field(repr=False)
    takes_pods: bool
    networked: bool
    kubernetes: str


def read(text: str) -> MachineConfig | None:
    """The settings; None while there is no configuration."""
    documents = [document for document in yaml.safe_load_all(text) if document]
    main = next((document for document in documents if "machine" in document), None)
    if main is None:
        return None
    kinds = {str(document.get("kind")): document for document in documents}
    return _of_documents(main, kinds) if "KubeClusterConfig" in kinds else _of_one(main, kinds)


def _of_one(main: dict[str, Any], kinds: dict[str, Any]) -> MachineConfig:
    """Up to contract v1.13."""
    machine, cluster = main["machine"], main["cluster"]
    hostname = kinds.get("HostnameConfig", {}).get("hostname") or machine.get("network", {}).get("hostname")
    flannel = cluster.get("network", {}).get("cni", {}).get("name", "flannel") != "none"
    return MachineConfig(
        control_plane=machine["type"] == "controlplane",
        hostname=str(hostname or ""),
        cluster=str(cluster.get("clusterName", "lab")),
        endpoint=str(cluster["controlPlane"]["endpoint"]),
        authority=(_text(cluster["ca"]["crt"]), _text(cluster["ca"].get("key") or "")),
        names=tuple(cluster.get("apiServer", {}).get("certSANs", ())),
        secretbox_key=str(cluster.get("secretboxEncryptionSecret") or ""),
        takes_pods=bool(cluster.get("allowSchedulingOnControlPlanes")),
        networked=flannel or bool(cluster.get("inlineManifests") or cluster.get("externalManifests")),
        kubernetes=_tag(machine.get("kubelet", {})),
    )


def _of_documents(main: dict[str, Any], kinds: dict[str, Any]) -> MachineConfig:
    """From contract v1.14 on."""
    machine, cluster, authority = main["machine"], kinds["KubeClusterConfig"], kinds["KubeAPIServerCAConfig"]
    control_plane = machine["type"] == "controlplane"
    issuing = authority.get("issuingCA") or {}
    pods = bool({"KubeFlannelCNIConfig", "KubeInlineManifestConfig", "KubeExternalManifestConfig"} & kinds.keys())
    return MachineConfig(
        control_plane=control_plane,
        hostname=str(kinds.get("HostnameConfig", {}).get("hostname") or ""),
        cluster=str(cluster["clusterName"]),
        endpoint=str(cluster["endpoint"]),
        authority=(
            str(issuing.get("cert") or authority["acceptedCAs"][0]).strip() + "\n",
            str(issuing.get("key") or ""),
        ),
        names=tuple(kinds.get("KubeAPIServerConfig", {}).get("certExtraSANs", ())),
        secretbox_key=_secretbox(kinds.get("KubeEtcdEncryptionConfig", {})),
        takes_pods=TAINT not in (kinds.get("KubeNodeConfig", {}).get("taints") or {}),
        networked=pods or not control_plane,  # the control planes bring it
        kubernetes=_tag(kinds.get("KubeletConfig", {})),
    )


def _secretbox(encryption: dict[str, Any]) -> str:
    for resource in encryption.get("config", {}).get("resources", ()):
        for provider in resource["providers"]:
            for key in provider.get("secretbox", {}).get("keys", ()):
                return str(key["secret"])
    return ""


def _tag(kubelet: dict[str, Any]) -> str:
    return str(kubelet.get("image", "")).rpartition(":")[2] or "v1.35.4"


def _text(encoded: str) -> str:
    text = base64.b64decode(encoded).decode().strip()
    return f"{text}\n" if text else ""
