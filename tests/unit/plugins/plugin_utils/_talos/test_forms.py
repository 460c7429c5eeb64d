# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what a machine configuration says in both of its forms."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import (
    allows_scheduling,
    cluster_name,
    encryption_keys,
    install_disk,
    installer,
    kubernetes,
    kubernetes_authorities,
    moved,
    needs_boot,
    too_new,
    worker_identity,
)

OLD = b"""
machine:
  type: controlplane
  kubelet: {image: "ghcr.io/siderolabs/kubelet:v1.35.4"}
  install: {disk: /dev/sda, image: "factory.talos.dev/nocloud-installer/abc:v1.12.6"}
cluster:
  clusterName: home
  apiServer: {image: "registry.k8s.io/kube-apiserver:v1.34.9@sha256:0123"}
---
apiVersion: v1alpha1
kind: HostnameConfig
hostname: cp-1
"""
NEW = b"""
machine: {type: controlplane}
cluster: {token: a.b}
---
kind: KubeClusterConfig
clusterName: home
---
kind: KubeletConfig
image: ghcr.io/siderolabs/kubelet:v1.35.4
---
kind: KubeAPIServerConfig
image: registry.k8s.io/kube-apiserver:v1.34.9@sha256:0123
---
kind: UnattendedInstallConfig
installer: {image: "factory.talos.dev/nocloud-installer/abc:v1.12.6"}
provisioning: {diskSelector: {match: 'disk.dev_path == "/dev/sda"'}}
"""


@pytest.mark.parametrize("config", [OLD, NEW])
def test_the_same_is_read_in_both_forms(config: bytes) -> None:
    assert cluster_name(config) == "home"
    assert install_disk(config) == "/dev/sda"
    assert installer(config) == "factory.talos.dev/nocloud-installer/abc:v1.12.6"
    assert kubernetes(config) == {"v1.35.4", "v1.34.9"}


def test_a_disk_that_an_expression_chooses_is_not_guessed() -> None:
    assert install_disk(NEW.replace(b'disk.dev_path == "/dev/sda"', b"disk.size > 6u * GiB")) == ""


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        (b"cluster: {allowSchedulingOnControlPlanes: true}", True),
        (b"cluster: {allowSchedulingOnControlPlanes: false}", False),
        (b"kind: X\ncluster: text\n---\ncluster: {allowSchedulingOnControlPlanes: true}", True),
        (b"machine: {}", False),
        (b"kind: KubeNodeConfig\ntaints: {node-role.kubernetes.io/control-plane: NoSchedule}", False),
        (b"kind: KubeNodeConfig\ntaints: {node-role.kubernetes.io/control-plane: 'x:NoSchedule'}", False),
        (b"kind: KubeNodeConfig\ntaints: {other: NoSchedule}", True),
        (b"kind: KubeNodeConfig\nlabels: {a: b}", True),
    ],
)
def test_it_is_known_whether_control_planes_take_ordinary_pods(config: bytes, allowed: bool) -> None:
    assert allows_scheduling(config) is allowed


def test_what_a_patch_says_in_the_older_form_is_named_with_its_document() -> None:
    patch = b"machine: {kubelet: {extraArgs: {v: 2}}, certSANs: [a]}\ncluster: {coreDNS: {disabled: true}}"
    assert dict(moved(patch)) == {"machine.kubelet": "KubeletConfig", "cluster.coreDNS": "KubeCoreDNSConfig"}
    assert dict(moved(b"kind: KubeNodeConfig\ntaints: {}")) == {}


def test_documents_that_an_older_talos_does_not_know_are_named() -> None:
    patch = b"kind: KubeNodeConfig\ntaints: {}\n---\nkind: HostnameConfig\n---\nmachine: {}"
    assert too_new(patch, "v1.13.8") == ["KubeNodeConfig"]
    assert too_new(patch, "v1.14.0") == []


@pytest.mark.parametrize(
    ("path", "boots"),
    [
        ("~ machine.sysctls.vm.swappiness", False),
        ("~ machine.kubelet.extraArgs.v", False),
        ("+ machine.features.hostDNS.enabled", False),
        ("- cluster.apiServer.extraArgs.v", False),
        ("+ KubeletConfig.extraArgs.v", False),
        ("+ machine.kernel.modules", False),
        ("~ machine.kernel.modules", True),
        ("- KernelModuleConfig/drbd.name", True),
        ("- machine.features.rbac", True),
        ("+ machine.files", True),
        ("~ machine.env.HTTP_PROXY", True),
        ("~ EnvironmentConfig.variables.HTTP_PROXY", True),
        ("+ cluster.etcd.extraArgs.v", True),
        ("+ SecurityProfileConfig.workloadIsolation", True),
    ],
)
def test_what_takes_effect_only_at_a_boot_is_known(path: str, boots: bool) -> None:
    assert needs_boot(path) is boots


def test_a_workers_identity_is_the_same_in_both_forms() -> None:
    old = b"""
machine: {type: worker, token: a.b, ca: {crt: YQ==}}
cluster: {token: c.d, id: home, secret: x, ca: {crt: UEVNCg==}}
"""
    new = b"""
machine: {type: worker, token: a.b, ca: {crt: YQ==}}
cluster: {token: c.d}
---
kind: DiscoveryIdentityConfig
clusterID: home
clusterSecret: x
---
kind: KubeAPIServerCAConfig
acceptedCAs: ["PEM", "another"]
"""
    assert worker_identity(old) == worker_identity(new)
    assert len(worker_identity(old)) == 5
    assert kubernetes_authorities(old) == {"PEM"}
    assert kubernetes_authorities(new) == {"PEM", "another"}
    assert worker_identity(new.replace(b"clusterSecret: x", b"clusterSecret: y")) != worker_identity(old)


def test_the_name_of_a_key_of_etcds_encryption_counts() -> None:
    config = b"""
kind: KubeEtcdEncryptionConfig
config:
  resources:
    - resources: [secrets]
      providers: [{secretbox: {keys: [{name: key2, secret: x}]}}, {identity: {}}]
"""
    assert encryption_keys(config) == {("key2", "x")}
    assert encryption_keys(b"{}") == frozenset()
