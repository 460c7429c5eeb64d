# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node is emptied by eviction, within a bound, and given back: what its owner had cordoned stays so.

Private: other collections must not import it.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered, require

# What we note on a node while it is upgraded, so that a run that is killed can be followed by another.
MARK: t.Final = "tazlab.bootstrap/upgrade"
MANAGER: t.Final = "tazlab.bootstrap"
PAUSE: t.Final = 1.0
SAY_EVERY: t.Final = 15.0
SHOWN: t.Final = 4  # pods named in one line
MERGE: t.Final = "application/merge-patch+json"


@dataclass(frozen=True)
class Host:
    """A node as Kubernetes knows it."""

    name: str
    ready: bool
    boot: str  # the id of the boot in which its kubelet registered it
    system: str  # like Talos (v1.12.6)
    kubelet: str  # its version, like v1.35.4
    cordoned: bool
    ours: bool  # it was us who cordoned it, and nobody has decided otherwise since
    marked: bool  # its upgrade began, and no run has ended it
    takes_pods: bool  # it is Ready, not cordoned, and no taint keeps ordinary pods away


def hosts(api: Api, seconds: float) -> dict[str, Host]:
    """Every node, by its name."""
    answer = api.get("/api/v1/nodes", seconds=seconds)
    require(answer, api.server, "the nodes")
    return {host.name: host for host in map(_host, answer.body.get("items") or [])}


def _host(item: Mapping[str, t.Any]) -> Host:
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or [])
    tainted = any(taint.get("effect") in ("NoSchedule", "NoExecute") for taint in spec.get("taints") or [])
    info = status.get("nodeInfo") or {}
    cordoned = bool(spec.get("unschedulable"))
    managers = {
        str(entry.get("manager"))
        for entry in metadata.get("managedFields") or []
        if "f:unschedulable" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    }
    return Host(
        name=str(metadata["name"]),
        ready=ready,
        boot=str(info.get("bootID") or ""),
        system=str(info.get("osImage") or ""),
        kubelet=str(info.get("kubeletVersion") or ""),
        cordoned=cordoned,
        ours=cordoned and managers == {MANAGER},
        marked=MARK in (metadata.get("annotations") or {}),
        takes_pods=ready and not cordoned and not tainted,
    )


def begin(api: Api, host: Host, *, cordon: bool, seconds: float) -> None:
    """Note that the node's upgrade begins, and cordon it in the same moment. Whose cordon it is, Kubernetes notes."""
    body: dict[str, t.Any] = {"metadata": {"annotations": {MARK: "begun"}}}
    if cordon and not host.cordoned:
        body["spec"] = {"unschedulable": True}
    if not host.marked or "spec" in body:
        _patch(api, host.name, body, seconds)


def end(api: Api, host: Host, seconds: float) -> None:
    """Take the note away; schedulable again is the node only where we made it not."""
    if not host.marked:
        return
    body: dict[str, t.Any] = {"metadata": {"annotations": {MARK: None}}}
    if host.ours:
        body["spec"] = {"unschedulable": None}
    _patch(api, host.name, body, seconds)


def _patch(api: Api, name: str, body: Mapping[str, t.Any], seconds: float) -> None:
    path, query = f"/api/v1/nodes/{name}", {"fieldManager": MANAGER}
    answer = api.request("PATCH", path, query=query, body=body, content_type=MERGE, seconds=seconds)
    require(answer, api.server, f"a change of Node {name}")


@dataclass(frozen=True)
class Pod:
    """A pod that runs on a node."""

    namespace: str
    name: str
    uid: str
    owned: bool  # somebody makes another one, elsewhere: it leaves

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"


def pods_of(api: Api, node: str, seconds: float) -> list[Pod]:
    """The pods that run on a node: not those of DaemonSets, of the machine itself, or that have ended."""
    answer = api.get("/api/v1/pods", {"fieldSelector": f"spec.nodeName={node}"}, seconds)
    require(answer, api.server, f"the pods of Node {node}")
    return [_pod(item) for item in answer.body.get("items") or [] if _counts(item)]


def _pod(item: Mapping[str, t.Any]) -> Pod:
    metadata = item["metadata"]
    return Pod(metadata["namespace"], metadata["name"], metadata["uid"], bool(metadata.get("ownerReferences")))


def _counts(item: Mapping[str, t.Any]) -> bool:
    metadata = item["metadata"]
    owners = metadata.get("ownerReferences") or []
    return (
        not any(owner.get("kind") in ("DaemonSet", "Node") for owner in owners)
        and "kubernetes.io/config.mirror" not in (metadata.get("annotations") or {})
        and (item.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    )


def drain(api: Api, node: str, deadline: Deadline, say: Callable[[str], None]) -> None:
    """Evict the pods that others make anew, and wait until they are gone. Raises at the bound with what holds each.

    What nothing makes again stays: it ends with the machine, and starts with it.
    """
    said_at = -SAY_EVERY
    while True:
        held = _evict(api, node, deadline)
        if not held:
            return
        text = "; ".join(f"{name}: {why}" for name, why in list(held.items())[:SHOWN])
        more = f"; and {len(held) - SHOWN} more" if len(held) > SHOWN else ""
        if deadline.left <= 0:
            raise BootstrapError(
                f"{node}: {len(held)} of its pods did not leave within {deadline.seconds:.0f} s. {text}{more}. It "
                "was not changed. Make room for them or give more time (tazlab_upgrade.drain_seconds), and run "
                'this again; or go on without evicting: -e \'{"tazlab_upgrade": {"drain": false}}\'',
                code="not_drained",
                subject=node,
            )
        if deadline.elapsed - said_at >= SAY_EVERY:
            said_at = deadline.elapsed
            say(f"{node}: {len(held)} pods have still to leave ({deadline.left:.0f} s left): {text}{more}")
        time.sleep(min(PAUSE, max(0.05, deadline.left)))


def _evict(api: Api, node: str, deadline: Deadline) -> dict[str, str]:
    """Ask once for the eviction of each pod; all that were there, with what is said of them."""
    seconds = max(1.0, deadline.left)
    try:
        return {pod.label: _evict_one(api, pod, seconds) for pod in pods_of(api, node, seconds) if pod.owned}
    except Unanswered as error:
        return {"its pods": str(error).rstrip(".")}


def _evict_one(api: Api, pod: Pod, seconds: float) -> str:
    """What is said of a pod. One that cannot be evicted keeps no other one."""
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }
    try:
        answer = api.request("POST", path, body=body, seconds=seconds)
    except Unanswered as error:
        return str(error).rstrip(".")
    if answer.ok or answer.status == 404:
        return "it is ending"
    causes: Sequence[Mapping[str, t.Any]] = (answer.body.get("details") or {}).get("causes") or []
    budget = next((str(each.get("message")) for each in causes if each.get("reason") == "DisruptionBudget"), "")
    return (budget or answer.message or answer.reason).rstrip(".") + f" ({answer.status})"
