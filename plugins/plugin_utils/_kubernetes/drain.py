# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node is emptied by eviction, within a bound, and given back: what its owner had cordoned stays so.

Private: other collections must not import it.
"""

from __future__ import annotations

import json
import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered, require

# What we note on a node while it is upgraded, so that a run that is killed can be followed by another.
MARK: t.Final = "tazlab.bootstrap/upgrade"
PAUSE: t.Final = 1.0
SAY_EVERY: t.Final = 15.0
SHOWN: t.Final = 4  # pods named in one line
CONTROL_PLANE: t.Final = "node-role.kubernetes.io/control-plane"
MERGE: t.Final = "application/merge-patch+json"


@dataclass(frozen=True)
class Mark:
    """The boot in which a node's upgrade began, and whether we cordoned it for that."""

    boot: str
    cordoned: bool


@dataclass(frozen=True)
class Host:
    """A node as Kubernetes knows it."""

    name: str
    ready: bool
    boot: str
    system: str  # like Talos (v1.12.6)
    cordoned: bool
    takes_pods: bool  # it is Ready, not cordoned, and no taint keeps ordinary pods away
    mark: Mark | None


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
    return Host(
        name=str(metadata["name"]),
        ready=ready,
        boot=str(info.get("bootID") or ""),
        system=str(info.get("osImage") or ""),
        cordoned=cordoned,
        takes_pods=ready and not cordoned and not tainted,
        mark=_mark((metadata.get("annotations") or {}).get(MARK)),
    )


def _mark(text: str | None) -> Mark | None:
    if text is None:
        return None
    try:
        said = json.loads(text)
        return Mark(str(said["boot"]), bool(said["cordoned"]))
    except (ValueError, KeyError, TypeError):
        return Mark("", False)


def begin(api: Api, host: Host, *, cordon: bool, seconds: float) -> Mark:
    """Note that the node's upgrade begins, and cordon it in the same moment. What is noted already stays."""
    mark = host.mark or Mark(host.boot, False)
    mark = Mark(mark.boot, mark.cordoned or (cordon and not host.cordoned))
    body: dict[str, t.Any] = {
        "metadata": {"annotations": {MARK: json.dumps({"boot": mark.boot, "cordoned": mark.cordoned})}}
    }
    if cordon:
        body["spec"] = {"unschedulable": True}
    if mark != host.mark or (cordon and not host.cordoned):
        _patch(api, host.name, body, seconds)
    return mark


def end(api: Api, host: Host, seconds: float) -> None:
    """Take the note away; schedulable again is the node only where we made it not."""
    if host.mark is None:
        return
    body: dict[str, t.Any] = {"metadata": {"annotations": {MARK: None}}}
    if host.mark.cordoned:
        body["spec"] = {"unschedulable": None}
    _patch(api, host.name, body, seconds)


def _patch(api: Api, name: str, body: Mapping[str, t.Any], seconds: float) -> None:
    answer = api.request("PATCH", f"/api/v1/nodes/{name}", body=body, content_type=MERGE, seconds=seconds)
    require(answer, api.server, f"a change of Node {name}")


@dataclass(frozen=True)
class Pod:
    """A pod that has to leave."""

    namespace: str
    name: str
    uid: str
    owned: bool  # somebody makes another one

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"


def pods_of(api: Api, node: str, seconds: float) -> list[Pod]:
    """The pods that are evicted from a node: not those of DaemonSets, of the machine itself, or that have ended."""
    answer = api.get("/api/v1/pods", {"fieldSelector": f"spec.nodeName={node}"}, seconds)
    require(answer, api.server, f"the pods of Node {node}")
    return [_pod(item) for item in answer.body.get("items") or [] if _leaves(item)]


def _pod(item: Mapping[str, t.Any]) -> Pod:
    metadata = item["metadata"]
    return Pod(metadata["namespace"], metadata["name"], metadata["uid"], bool(metadata.get("ownerReferences")))


def _leaves(item: Mapping[str, t.Any]) -> bool:
    metadata = item["metadata"]
    owners = metadata.get("ownerReferences") or []
    return (
        not any(owner.get("kind") in ("DaemonSet", "Node") for owner in owners)
        and "kubernetes.io/config.mirror" not in (metadata.get("annotations") or {})
        and (item.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    )


def drain(api: Api, node: str, deadline: Deadline, say: Callable[[str], None]) -> None:
    """Evict every pod and wait until they are gone. Raises at the bound, naming each with what holds it."""
    said_at = -SAY_EVERY
    while True:
        held = _evict(api, node, deadline)
        if not held:
            return
        text = "; ".join(f"{name}: {why}" for name, why in list(held.items())[:SHOWN])
        more = f"; and {len(held) - SHOWN} more" if len(held) > SHOWN else ""
        if deadline.left <= 0:
            raise BootstrapError(
                f"{node}: {len(held)} of its pods did not leave within {deadline.seconds:.0f} s. {text}{more}. Nothing "
                "was installed on it. Make room for them or give more time (tazlab_upgrade.drain_seconds), and run "
                'this again; or go on without evicting: -e \'{"tazlab_upgrade": {"drain": false}}\'',
                code="not_drained",
                subject=node,
            )
        if deadline.elapsed - said_at >= SAY_EVERY:
            said_at = deadline.elapsed
            say(f"{node}: {len(held)} pods have still to leave ({deadline.left:.0f} s left): {text}{more}")
        time.sleep(min(PAUSE, max(0.05, deadline.left)))


def _evict(api: Api, node: str, deadline: Deadline) -> dict[str, str]:
    """Ask once for the eviction of each pod; those that are still there, with what is said of them."""
    seconds = max(1.0, deadline.left)
    try:
        return {pod.label: why for pod in pods_of(api, node, seconds) if (why := _evict_one(api, pod, seconds))}
    except Unanswered as error:
        return {"its pods": str(error).rstrip(".")}


def _evict_one(api: Api, pod: Pod, seconds: float) -> str:
    """What holds a pod; empty where it is gone."""
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "deleteOptions": {"preconditions": {"uid": pod.uid}},
    }
    answer = api.request("POST", path, body=body, seconds=seconds)
    if answer.status in (404, 409):  # gone, or another pod of that name
        return ""
    if answer.status == 429:
        causes: Sequence[Mapping[str, t.Any]] = (answer.body.get("details") or {}).get("causes") or []
        budget = next((each for each in causes if each.get("reason") == "DisruptionBudget"), None)
        return str((budget or {}).get("message") or answer.message or "its disruption budget does not allow it now")
    require(answer, api.server, f"the eviction of pod {pod.label}")
    return "it is ending"
