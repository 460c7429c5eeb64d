# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of the example GitOps repository: Flux' components and sync, namespaces, and a chain of Kustomizations.

It has the shape of the repository that the collection is made for. Operators (ESO, VSO, Reloader) are not in it yet:
they belong into C(infrastructure/), before C(configs/), which is where their stores and secrets would go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.binaries import resources, version

Object = dict[str, Any]
NAMESPACE = "flux-system"
BRANCH = "master"
PATH = "clusters/tazlab-k8s"
RELEASE = "v2.7.5"  # the release of Flux whose kustomize-controller this is
CONTROLLERS = ("source-controller", "kustomize-controller")
WITH_HELM = (*CONTROLLERS, "helm-controller")


def repository(url: str, *, branch: str = BRANCH, path: str = PATH, components: bool = True) -> dict[str, str]:
    """The repository's files, path to content. Without C(components) it has no C(flux-system/) of its own."""
    path = path.strip("./")
    files = {
        f"{path}/namespaces.yaml": _dump(_namespaces()),
        f"{path}/infrastructure.yaml": _dump([_kustomization("infrastructure", checks=("coredns", "kube-system"))]),
        f"{path}/configs.yaml": _dump([_kustomization("configs", after="infrastructure", substitute=True)]),
        f"{path}/apps.yaml": _dump([_kustomization("apps", after="configs", substitute=True)]),
        "infrastructure/namespaces.yaml": _dump([_namespace("apps")]),
        "configs/cluster.yaml": _dump([_cluster_info()]),
        "apps/hello.yaml": _dump([_hello()]),
    }
    if components:
        files |= {
            f"{path}/flux-system/gotk-components.yaml": _dump(flux_components()),
            f"{path}/flux-system/gotk-sync.yaml": _dump(flux_sync(url, branch=branch, path=path)),
            f"{path}/flux-system/kustomization.yaml": _dump(
                [
                    {
                        "apiVersion": "kustomize.config.k8s.io/v1beta1",
                        "kind": "Kustomization",
                        "resources": ["gotk-components.yaml", "gotk-sync.yaml"],
                    }
                ]
            ),
        }
    return files


# -- what `flux bootstrap` writes


def flux_components(controllers: Sequence[str] = CONTROLLERS) -> list[Object]:
    """What C(flux install --components=source-controller,kustomize-controller) prints, from the modules' own files."""
    return [
        _labelled(thing)
        for thing in (
            _flux_namespace(),
            *(crd for name in controllers for crd in _load((resources(name) / "config/crd/bases").glob("*.yaml"))),
            *(_service_account(name) for name in controllers),
            *_roles(controllers),
            *_load([resources("source-controller") / "config/manager/service.yaml"]),
            *(_deployment(name) for name in controllers),
        )
    ]


def flux_sync(url: str, *, branch: str = BRANCH, path: str = PATH) -> list[Object]:
    """The GitRepository and the root Kustomization."""
    return [
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": NAMESPACE, "namespace": NAMESPACE},
            "spec": {
                "interval": "1m0s",
                "ref": {"branch": branch},
                "secretRef": {"name": NAMESPACE},
                "url": url,
            },
        },
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": NAMESPACE, "namespace": NAMESPACE},
            "spec": {
                "interval": "10m0s",
                "path": f"./{path.strip('./')}",
                "prune": True,
                "sourceRef": {"kind": "GitRepository", "name": NAMESPACE},
            },
        },
    ]


def _flux_namespace() -> Object:
    return _namespace(NAMESPACE, **{"pod-security.kubernetes.io/warn": "restricted"})


def _service_account(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def _roles(controllers: Sequence[str]) -> list[Object]:
    """What the controllers may do: with their own kinds, with leases, and those that apply with everything."""
    rights = (
        ([f"{name.removesuffix('-controller')}.toolkit.fluxcd.io" for name in controllers], ["*"], ["*"]),
        ([""], ["namespaces", "secrets", "configmaps", "serviceaccounts"], ["get", "list", "watch"]),
        ([""], ["events"], ["create", "patch"]),
        ([""], ["serviceaccounts/token"], ["create"]),
        (["coordination.k8s.io"], ["leases"], ["get", "list", "watch", "create", "update", "patch", "delete"]),
    )
    rules: list[Object] = [{"apiGroups": groups, "resources": kinds, "verbs": verbs} for groups, kinds, verbs in rights]
    rules.append({"nonResourceURLs": ["/livez/ping"], "verbs": ["head"]})
    name = f"crd-controller-{NAMESPACE}"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": rules,
    }
    return [
        role,
        _binding(name, name, controllers),
        _binding(f"cluster-reconciler-{NAMESPACE}", "cluster-admin", controllers[1:]),
    ]


def _binding(name: str, role: str, accounts: Iterable[str]) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE} for account in accounts],
    }


def _deployment(name: str) -> Object:
    """The module's Deployment with what C(flux install) adds: account, priority, node selector, released image."""
    deployment = _load([resources(name) / "config/manager/deployment.yaml"])[0]
    pod = deployment["spec"]["template"]["spec"]
    pod["serviceAccountName"] = name
    pod["priorityClassName"] = "system-cluster-critical"
    pod["nodeSelector"] = {"kubernetes.io/os": "linux"}
    container = pod["containers"][0]
    container["image"] = f"ghcr.io/fluxcd/{name}:{version(name)}"
    container["args"].insert(0, "--events-addr=")
    if name == "kustomize-controller":
        # Flux' default is 30 s for each link of a dependsOn chain that missed its parent's event.
        container["args"].append("--requeue-dependency=3s")
    return deployment


def _labelled(thing: Object) -> Object:
    """Put a component into Flux' namespace, with the labels by which it is known as one."""
    meta = thing["metadata"]
    if thing["kind"] in ("ServiceAccount", "Service", "Deployment"):
        meta["namespace"] = NAMESPACE
    meta["labels"] = {
        **meta.get("labels", {}),
        "app.kubernetes.io/instance": NAMESPACE,
        "app.kubernetes.io/part-of": "flux",
        "app.kubernetes.io/version": RELEASE,
    }
    if thing["kind"] == "Deployment":
        meta["labels"]["app.kubernetes.io/component"] = meta["name"]
    return thing


# -- what the cluster's owner writes


def _namespaces() -> list[Object]:
    return [
        _namespace("external-secrets"),
        _namespace("tailscale", **{"pod-security.kubernetes.io/enforce": "restricted"}),
    ]


def _namespace(name: str, **labels: str) -> Object:
    metadata: Object = {"name": name}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _kustomization(
    name: str, *, after: str = "", substitute: bool = False, checks: tuple[str, str] | None = None
) -> Object:
    spec: Object = {
        "interval": "10m0s",
        "retryInterval": "30s",
        "timeout": "2m0s",
        "path": f"./{name}",
        "prune": True,
        "wait": checks is None,
        "sourceRef": {"kind": "GitRepository", "name": NAMESPACE},
    }
    if after:
        spec["dependsOn"] = [{"name": after}]
    if checks:
        target, namespace = checks
        spec["healthChecks"] = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": target, "namespace": namespace}]
    if substitute:
        spec["postBuild"] = {"substituteFrom": [{"kind": "ConfigMap", "name": "cluster-vars", "optional": False}]}
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def _cluster_info() -> Object:
    """What makes the substituted variables visible in the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cluster-info", "namespace": "apps"},
        "data": {
            "cluster": "${cluster_name}",
            "dashboard": "https://dashboard.${domain}",
            "ingress": "${traefik_lb_ip}",
            "contact": "${ADMIN_EMAIL}",
        },
    }


def _hello() -> Object:
    labels = {"app": "hello"}
    container = {
        "name": "hello",
        "image": "registry.example/hello:1.0.0",
        "env": [{"name": "PUBLIC_URL", "value": "https://hello.${domain}"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "hello", "namespace": "apps"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _load(paths: Iterable[Path]) -> list[Object]:
    return [thing for path in sorted(paths) for thing in yaml.safe_load_all(path.read_text()) if thing]


def _dump(things: list[Object]) -> str:
    return yaml.safe_dump_all(things, sort_keys=False, explicit_start=True, width=120)
