# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(./dev demo --delivery) shows: a workload's Secret out of Vault through ESO, and a rotation to its end.

Nothing brings it but what site.yml has seeded and what the lab's Git repository holds. ESO is the real one, and stands
there as its chart would set it up; Reloader is a STAND-IN.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import hvac
import yaml

from lab.delivery import API, STORE, store, thing
from lab.gitops import NAMESPACE, Object
from lab.kubeclient import Client
from lab.operators import external_secrets, reloader
from lab.process import wait_until
from lab.vault import MOUNT

APP, SPACE = "greeter", "apps"
PATH = "tazlab-k8s/static/apps/greeter/WORD"
REFRESH = "10s"
SECONDS = 180


def files(cluster: str, vault_url: str) -> dict[str, str]:
    """What the example repository has more: the operators, the store, and an app with its ExternalSecret."""
    operators = [each for each in (*external_secrets(), *reloader()) if not _is_declared(each)]
    steps = (("operators", ""), ("store", "operators"), ("delivered", "store"))
    return {
        f"{cluster}/delivery.yaml": _dump(_kustomization(name, after) for name, after in steps),
        "operators/operators.yaml": _dump(operators),
        "store/store.yaml": _dump([store(vault_url)]),
        "delivered/greeter.yaml": _dump([_external(), _workload()]),
    }


def write(client: hvac.Client) -> str:
    """Write a new random value into Vault; returns it."""
    value = secrets.token_hex(16)
    client.secrets.kv.v2.create_or_update_secret(PATH, {"value": value}, mount_point=MOUNT)
    return value


def show(environment: Mapping[str, str], token: str, say: Callable[[str], None]) -> None:
    """Wait for the Secret, rotate its value in Vault, and tell how long it took to the restarted workload.

    C(environment) is what the lab has one export, C(token) an administrator's for its Vault.
    """
    client = Client(Path(environment["KUBECONFIG"]))
    vault = hvac.Client(url=environment["VAULT_ADDR"], token=token, verify=environment["VAULT_CACERT"])
    stored = vault.secrets.kv.v2.read_secret_version(PATH, mount_point=MOUNT, raise_on_deleted_version=True)
    value = stored["data"]["data"]["value"]
    wait_until(lambda: _word(client) == value, f"the Secret {SPACE}/{APP} has what Vault holds", SECONDS)
    wait_until(lambda: _generation(client) > 0, f"the Deployment {SPACE}/{APP} runs", SECONDS)
    say(f"Secret {SPACE}/{APP} came from {PATH} in Vault, by the real External Secrets Operator out of Git")
    before = _generation(client)
    begun = time.monotonic()
    value = write(vault)
    wait_until(lambda: _word(client) == value, "the Secret has the new value", SECONDS)
    arrived = time.monotonic() - begun
    wait_until(lambda: _generation(client) > before, "the Deployment has restarted", SECONDS)
    say(
        f"rotated in Vault: {arrived:.1f} s to the Secret (ESO asks each {REFRESH}), "
        f"{time.monotonic() - begun:.1f} s to the restarted Deployment (Reloader is a STAND-IN)"
    )


def _is_declared(each: Object) -> bool:
    """Whether another Kustomization of the example repository has it already."""
    return bool(each["kind"] == "Namespace" and each["metadata"]["name"] == "external-secrets")


def _word(client: Client) -> str:
    found = client.find("v1", "Secret", APP, SPACE) or {}
    return base64.b64decode(found.get("data", {}).get("word", "")).decode()


def _generation(client: Client) -> int:
    """How often the Deployment was set, if all its pods are those that it says; else 0."""
    found = client.find("apps/v1", "Deployment", APP, SPACE) or {}
    status = found.get("status", {})
    settled = status.get("observedGeneration") == found.get("metadata", {}).get("generation")
    counts = [status.get(key) for key in ("replicas", "updatedReplicas", "readyReplicas")]
    return int(status["observedGeneration"]) if settled and counts == [1, 1, 1] else 0


def _kustomization(name: str, after: str) -> Object:
    spec: Object = {
        "interval": "10m0s",
        "retryInterval": "10s",
        "timeout": "2m0s",
        "path": f"./{name}",
        "prune": True,
        "wait": True,
        "sourceRef": {"kind": "GitRepository", "name": NAMESPACE},
    }
    if after:
        spec["dependsOn"] = [{"name": after}]
    return thing("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, NAMESPACE, spec=spec)


def _external() -> Object:
    spec = {
        "refreshInterval": REFRESH,
        "secretStoreRef": {"kind": "ClusterSecretStore", "name": STORE},
        "target": {"name": APP},
        "data": [{"secretKey": "word", "remoteRef": {"key": PATH, "property": "value"}}],
    }
    return thing(API, "ExternalSecret", APP, SPACE, spec=spec)


def _workload() -> Object:
    labels = {"app": APP}
    container = {"name": "main", "image": "registry.example/greeter:1.0.0", "envFrom": [{"secretRef": {"name": APP}}]}
    template: dict[str, Any] = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    made = thing("apps/v1", "Deployment", APP, SPACE, spec=spec)
    made["metadata"]["annotations"] = {"reloader.stakater.com/auto": "true"}
    return made


def _dump(things: Iterable[Object]) -> str:
    return yaml.safe_dump_all(list(things), sort_keys=False, explicit_start=True, width=120)
