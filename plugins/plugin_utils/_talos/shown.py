# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How two machine configurations differ, as a person sees it: values only where they are no secret. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterator, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import differences, flat

# Values that are no secret, by the beginning of their path. What may carry one (files, environments, manifests,
# annotations, registries, whole lists of documents) is not among them.
_SHOWN: t.Final = (
    "cluster.allowSchedulingOnControlPlanes",
    "cluster.apiServer.certSANs",
    "cluster.apiServer.extraArgs",
    "cluster.apiServer.image",
    "cluster.clusterName",
    "cluster.controlPlane",
    "cluster.controllerManager.extraArgs",
    "cluster.controllerManager.image",
    "cluster.coreDNS",
    "cluster.discovery",
    "cluster.etcd.advertisedSubnets",
    "cluster.etcd.extraArgs",
    "cluster.etcd.image",
    "cluster.network.cni.name",
    "cluster.network.dnsDomain",
    "cluster.network.podSubnets",
    "cluster.network.serviceSubnets",
    "cluster.proxy",
    "cluster.scheduler.extraArgs",
    "cluster.scheduler.image",
    "machine.certSANs",
    "machine.controlPlane",
    "machine.features",
    "machine.install.disk",
    "machine.install.image",
    "machine.install.wipe",
    "machine.kernel",
    "machine.kubelet.clusterDNS",
    "machine.kubelet.extraArgs",
    "machine.kubelet.image",
    "machine.kubelet.nodeIP",
    "machine.network.hostname",
    "machine.network.nameservers",
    "machine.network.searchDomains",
    "machine.nodeLabels",
    "machine.nodeTaints",
    "machine.sysctls",
    "machine.sysfs",
    "machine.time",
    "machine.type",
    "machine.udev",
    "HostnameConfig",
    "KubeAPIServerConfig.certExtraSANs",
    "KubeAPIServerConfig.extraArgs",
    "KubeAPIServerConfig.image",
    "KubeClusterConfig",
    "KubeControllerManagerConfig.extraArgs",
    "KubeControllerManagerConfig.image",
    "KubeCoreDNSConfig",
    "KubeFlannelCNIConfig",
    "KubeNetworkConfig",
    "KubeNodeConfig.labels",
    "KubeNodeConfig.taints",
    "KubePrismConfig",
    "KubeProxyConfig",
    "KubeSchedulerConfig.extraArgs",
    "KubeSchedulerConfig.image",
    "KubeletConfig.clusterDNS",
    "KubeletConfig.extraArgs",
    "KubeletConfig.image",
    "ResolverConfig",
    "TimeSyncConfig",
    "UnattendedInstallConfig",
)


# Among those, a kernel's setting that is a key, and a URL with a user or a query.
_SECRET: t.Final = re.compile(r"(?i)(key|secret|token|password)$")
_CREDENTIALS: t.Final = re.compile(r"://.*[@?]")


def shown(before: bytes, after: bytes) -> Iterator[str]:
    """Each path at which configurations differ, with both values where they are no secret."""
    old, new = flat(before), flat(after)
    for marked in differences(before, after):
        path = marked[2:]
        if not _is_shown(path, old, new):
            yield marked
        elif marked[0] == "~":
            yield f"{marked}: {_text(old[path])} -> {_text(new[path])}"
        else:
            yield f"{marked}: {_text((old if marked[0] == '-' else new)[path])}"


def had_by(path: str, wanted: bytes, others: Mapping[str, bytes]) -> list[str]:
    """Who of the others has what is wanted at a marked path: their names."""
    bare, missing = path[2:], object()
    value = flat(wanted).get(bare, missing)
    return [name for name, config in others.items() if flat(config).get(bare, missing) == value]


def _is_shown(path: str, *values: Mapping[str, t.Any]) -> bool:
    found = [each[path] for each in values if path in each]
    items = [item for value in found for item in (value if isinstance(value, list) else [value])]
    if not all(item is None or isinstance(item, str | bool | int | float) for item in items):
        return False
    if _SECRET.search(path) or any(_CREDENTIALS.search(str(item)) for item in items):
        return False
    return any(path == start or path.startswith((f"{start}.", f"{start}/")) for start in _SHOWN)


def _text(value: t.Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
