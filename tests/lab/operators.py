# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators that deliver secrets, as their charts would set them: the kubelet stand-in starts their programs.

They are real but for Reloader, which is a stand-in. Their webhooks are left out: nobody serves them here. Each may do
what its chart's role allows, as far as it is run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import yaml

from lab.accounts import account_kubeconfig
from lab.binaries import binary, resources, version
from lab.flux import answers
from lab.kubeclient import MERGE, Client, Object
from lab.kubelet import Program
from lab.process import Process, free_port, wait_until

ESO = "external-secrets"
RELOADER = "reloader"
VSO = "vault-secrets-operator"
VSO_NAMESPACE = "vso-system"
NAME = "app.kubernetes.io/name"
READ = ["get", "list", "watch"]
CHANGE = ["create", "update", "patch", "delete"]


def operator_programs(kubeconfig: Path) -> dict[str, Program]:
    """The programs for C(lab.kubelet.KubeletStandIn), by pattern of the image; C(kubeconfig) is the administrator's."""
    return {
        f"*/{ESO}:*": partial(_external_secrets, kubeconfig),
        f"*/{VSO}:*": partial(_vault_secrets, kubeconfig),
        f"*/{RELOADER}:*": partial(_reloader, kubeconfig),
    }


def external_secrets() -> Iterator[Object]:
    """The External Secrets Operator: its kinds, and it in a namespace of its own."""
    group = f"{ESO}.io"
    stores = ["secretstores", "clustersecretstores", "externalsecrets"]
    yield from _kinds(ESO, "config/crds/bases")
    yield from _deployed(
        ESO,
        ESO,
        f"oci.external-secrets.io/external-secrets/{ESO}:{version(ESO)}",
        _rules(
            ([group], stores, READ),
            ([group], [f"{kind}{part}" for kind in stores for part in ("", "/status", "/finalizers")], CHANGE[1:3]),
            ([group], [f"{kind}/status" for kind in stores], ["get"]),
            ([""], ["serviceaccounts", "namespaces", "configmaps"], READ),
            ([""], ["secrets"], [*READ, *CHANGE]),
            ([""], ["serviceaccounts/token"], ["create"]),
            ([""], ["events"], ["create", "patch"]),
        ),
    )


def vault_secrets() -> Iterator[Object]:
    """The Vault Secrets Operator, with the role that its sources bring."""
    role = yaml.safe_load((resources(VSO) / "config/rbac/role.yaml").read_text())
    image = f"docker.io/hashicorp/{VSO}:{version(VSO).removeprefix('v')}"
    yield from _kinds(VSO, "config/crd/bases")
    yield from _deployed(VSO, VSO_NAMESPACE, image, role["rules"])


def reloader() -> Iterator[Object]:
    """Reloader, watching all namespaces. STAND-IN: what runs is C(lab.reloader)."""
    yield from _deployed(
        RELOADER,
        RELOADER,
        f"ghcr.io/stakater/{RELOADER}:v1.2.1",
        _rules(
            ([""], ["secrets", "configmaps"], READ),
            (["apps"], ["deployments", "daemonsets", "statefulsets"], ["list", "get", "update", "patch"]),
        ),
    )


def install(client: Client, objects: Iterable[Object]) -> None:
    """Apply an operator's objects, and wait until its kinds are served and it runs."""
    for thing in objects:
        client.apply(thing, "helm")
        kind, name = thing["kind"], thing["metadata"]["name"]
        waited = {"CustomResourceDefinition": "Established", "Deployment": "Available"}.get(kind)
        if waited:
            where = (thing["apiVersion"], kind, name, thing["metadata"].get("namespace", ""))
            wait_until(partial(_holds, client, where, waited), f"{kind} {name} is {waited}", 60)


def scale(client: Client, namespace: str, name: str, replicas: int) -> None:
    """Let so many pods of the Deployment run, from none on, and wait until all others have ended."""
    path = client.path("apps/v1", "Deployment", namespace, name)
    client.request("PATCH", f"{path}/scale", {"spec": {"replicas": replicas}}, content_type=MERGE)

    def settled() -> bool:
        ready = client.get("apps/v1", "Deployment", name, namespace).get("status", {}).get("readyReplicas", 0)
        pods = (pod for pod in client.list("v1", "Pod", namespace) if pod["metadata"]["labels"].get(NAME) == name)
        return bool(ready == replicas == sum(1 for _ in pods))

    wait_until(settled, f"of the Deployment {name} run {replicas}", 60)


def _kinds(program: str, directory: str) -> Iterator[Object]:
    """The custom kinds that are kept beside a program."""
    for file in sorted((resources(program) / directory).glob("*.yaml")):
        loaded = yaml.safe_load(file.read_text())
        if loaded["kind"] == "CustomResourceDefinition":
            yield loaded


def _rules(*rights: tuple[list[str], list[str], list[str]]) -> list[Object]:
    """A role's rules: of which groups and kinds may be done what."""
    return [{"apiGroups": groups, "resources": kinds, "verbs": verbs} for groups, kinds, verbs in rights]


def _deployed(name: str, namespace: str, image: str, rules: list[Object]) -> Iterator[Object]:
    """An operator in its namespace, with an account for which these rules hold in the whole cluster."""
    rbac = "rbac.authorization.k8s.io"
    labels = {NAME: name}
    place = {"name": name, "namespace": namespace}
    pod = {"serviceAccountName": name, "containers": [{"name": name, "image": image}]}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place}
    yield {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
    yield {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", **place}],
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**place, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _external_secrets(kubeconfig: Path, pod: Object, directory: Path) -> Process:
    probe = f"127.0.0.1:{free_port()}"
    return _controller(ESO, [f"--health-addr={probe}"], probe, kubeconfig, pod, directory)


def _vault_secrets(kubeconfig: Path, pod: Object, directory: Path) -> Process:
    probe = f"127.0.0.1:{free_port()}"
    options = [f"--health-probe-bind-address={probe}", "--metrics-bind-address=0", "--leader-elect=false"]
    return _controller(VSO, options, probe, kubeconfig, pod, directory)


def _controller(name: str, options: list[str], probe: str, kubeconfig: Path, pod: Object, directory: Path) -> Process:
    directory.mkdir(parents=True, exist_ok=True)
    return Process(
        [binary(name), *options],
        log=directory / f"{name}.log",
        environment={
            "HOME": str(directory),
            "KUBECONFIG": str(account_kubeconfig(kubeconfig, pod, directory)),
            "OPERATOR_NAMESPACE": pod["metadata"]["namespace"],
            "OPERATOR_POD_UID": pod["metadata"]["uid"],
        },
        cwd=directory,
        ready=lambda: answers(f"http://{probe}/readyz"),
        timeout=60,
    )


def _reloader(kubeconfig: Path, pod: Object, directory: Path) -> Process:
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / f"{RELOADER}.log"
    return Process(
        [sys.executable, "-m", "lab.reloader", account_kubeconfig(kubeconfig, pod, directory)],
        name="Reloader's stand-in",
        log=log,
        environment={"HOME": str(directory), "PYTHONPATH": str(Path(__file__).parents[1])},
        cwd=directory,
        ready=lambda: log.read_text().count(": watches ") >= 2,
    )


def _holds(client: Client, where: tuple[str, str, str, str], condition: str) -> bool:
    conditions = client.get(*where).get("status", {}).get("conditions", [])
    return any(entry["type"] == condition and entry["status"] == "True" for entry in conditions)
