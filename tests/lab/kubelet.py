# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STAND-IN for kubelet and scheduler: no container runs here, but Nodes and Pods get the status that real ones get.

It registers nodes when told to and keeps them Ready, binds pods to nodes that may take them, says that their containers
run, and removes them when they are deleted. For certain images it starts a real program on loopback instead.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from lab.kubeclient import MERGE, Client, KubeError, Object
from lab.process import LabError, Process

HEARTBEAT = 10.0
RETRY = 1.0
LEASE_SECONDS = 40
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"

# Makes the (not yet started) program that stands for a pod's container: from the pod and a directory of its own.
Program = Callable[[Object, Path], Process]


@dataclass
class _Node:
    """What the stand-in says about a node."""

    name: str
    address: str
    kubelet: str
    system: str
    ready: bool
    boot: str


@dataclass
class _Pod:
    """What the stand-in did for a pod."""

    uid: str
    program: Process | None = None
    restarts: int = 0
    settled: bool = False
    not_before: float = 0.0
    said: object = None


@dataclass
class _Faults:
    """What shall go wrong: patterns of C(namespace/name) that never get ready, and of images that cannot be pulled."""

    never_ready: set[str] = field(default_factory=set)
    missing_images: set[str] = field(default_factory=set)
    held_kubelets: set[str] = field(default_factory=set)


class KubeletStandIn:
    """STAND-IN for the kubelets of all nodes and for the scheduler. C(programs) maps patterns of images."""

    def __init__(
        self, kubeconfig: Path, directory: Path, *, programs: Mapping[str, Program] = MappingProxyType({})
    ) -> None:
        self._client = Client(kubeconfig, user_agent="kubelet-stand-in")
        self._directory = directory
        self._programs = dict(programs)
        self._faults = _Faults()
        self._nodes: dict[str, _Node] = {}
        self._seen_nodes: dict[str, Object] = {}
        self._seen_pods: dict[str, Object] = {}
        self._pods: dict[str, _Pod] = {}
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._waking = threading.Event()
        self._watches = [self._client.watch("/api/v1/nodes"), self._client.watch("/api/v1/pods")]
        self._threads = [
            threading.Thread(target=self._watches[0].run, args=(self._nodes_listed, self._node_changed), daemon=True),
            threading.Thread(target=self._watches[1].run, args=(self._pods_listed, self._pod_changed), daemon=True),
            threading.Thread(target=self._beat, daemon=True),
        ]

    def start(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Stop watching and stop the programs. Nodes and Pods stay in the API as they are."""
        self._stopping.set()
        self._waking.set()
        for watch in self._watches:
            watch.stop()
        for thread in self._threads:
            thread.join(timeout=35)
        with self._lock:
            for pod in self._pods.values():
                if pod.program is not None:
                    pod.program.stop()
            self._pods.clear()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # -- what a test or the lab tells it

    def add_node(
        self,
        name: str,
        address: str,
        role: str = "worker",
        *,
        schedulable: bool | None = None,
        kubelet: str = "v1.35.4",
        system: str = "Talos (v1.12.6)",
        ready: bool = True,
        boot: str = "",
    ) -> None:
        """Register a node as Talos does: role C(control_plane) gets its label, and its taint unless C(schedulable)."""
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": "amd64",
        }
        spec: Object = {}
        if role == "control_plane":
            labels |= {CONTROL_PLANE: "", "node.kubernetes.io/exclude-from-external-load-balancers": ""}
            if not schedulable:
                spec = {"taints": [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]}
        metadata = {"name": name, "labels": labels}
        with self._lock:
            if self._client.find("v1", "Node", name) is None:
                self._client.create({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec})
            self._nodes[name] = _Node(name, address, kubelet, system, ready, boot)
            self._renew(name)
            self._report_node(self._nodes[name])

    def set_node_ready(self, name: str, ready: bool) -> None:
        with self._lock:
            self._nodes[name].ready = ready
            self._report_node(self._nodes[name])

    def set_kubelet(self, name: str, version: str) -> None:
        """The node's kubelet was started anew, in this version."""
        with self._lock:
            self._nodes[name].kubelet = version
            if name not in self._faults.held_kubelets:
                self._report_node(self._nodes[name])

    def hold_kubelet(self, name: str, *, held: bool) -> None:
        """Let a kubelet that is started anew never report, from now on; or let it."""
        with self._lock:
            if held:
                self._faults.held_kubelets.add(name)
            else:
                self._faults.held_kubelets.discard(name)
                self._report_node(self._nodes[name])

    def run_static(self, node: str, name: str, image: str, stamp: str) -> None:
        """The mirror of a static pod of Talos, made anew, as a kubelet makes one whose manifest has changed."""
        owner = self._client.find("v1", "Node", node)
        if owner is None:
            return
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-{node}",
                "namespace": "kube-system",
                "labels": {"k8s-app": name, "tier": "control-plane"},
                "annotations": {
                    "kubernetes.io/config.mirror": stamp,
                    "kubernetes.io/config.source": "file",
                    "talos.dev/config-version": stamp,
                },
                "ownerReferences": [
                    {
                        "apiVersion": "v1",
                        "kind": "Node",
                        "name": node,
                        "uid": owner["metadata"]["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": {
                "nodeName": node,
                "hostNetwork": True,
                "containers": [{"name": name, "image": image}],
                "tolerations": [{"operator": "Exists"}],
            },
        }
        with self._lock, contextlib.suppress(KubeError):
            self._client.request("DELETE", _path(pod), {"gracePeriodSeconds": 0})
        self._client.create(pod)

    def make_config(self, name: str) -> None:
        """An empty ConfigMap of the system, where there is none."""
        if self._client.find("v1", "ConfigMap", name, "kube-system") is None:
            metadata = {"name": name, "namespace": "kube-system"}
            self._client.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})

    def remove_node(self, name: str) -> None:
        """The machine is gone: its Node and its heartbeat go, too."""
        with self._lock:
            self._nodes.pop(name, None)
            self._client.delete("v1", "Node", name)

    def never_ready(self, pods: str) -> None:
        """Pods whose C(namespace/name) matches run from now on without ever getting ready."""
        self._faults.never_ready.add(pods)
        self._look_again()

    def missing_image(self, images: str) -> None:
        """Images that match cannot be pulled from now on."""
        self._faults.missing_images.add(images)
        self._look_again()

    def heal(self) -> None:
        """Take every fault back."""
        self._faults = _Faults()
        self._look_again()

    # -- nodes

    def _nodes_listed(self, nodes: list[Object]) -> None:
        with self._lock:
            self._seen_nodes = {node["metadata"]["name"]: node for node in nodes}
            self._waking.set()

    def _node_changed(self, event: str, node: Object) -> None:
        with self._lock:
            name = node["metadata"]["name"]
            before = self._seen_nodes.pop(name, None)
            if event != "DELETED":
                self._seen_nodes[name] = node
                if before is None or _takes(before) != _takes(node):
                    self._waking.set()

    def _report_node(self, node: _Node) -> None:
        now = _now()
        good = "True" if node.ready else "False"
        said = "is posting ready status" if node.ready else "is not ready: told so by the lab"
        conditions = [
            _condition("Ready", good, "KubeletReady" if node.ready else "KubeletNotReady", f"kubelet {said}"),
            *(
                _condition(kind, "False", f"KubeletHasNo{kind}", f"kubelet has no {kind}")
                for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
            ),
        ]
        size = {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "40Gi", "pods": "110"}
        status = {
            "addresses": [
                {"type": "InternalIP", "address": node.address},
                {"type": "Hostname", "address": node.name},
            ],
            "capacity": size,
            "allocatable": size,
            "conditions": [{**condition, "lastHeartbeatTime": now} for condition in conditions],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": node.boot,
                "containerRuntimeVersion": "containerd://2.1.6",
                "kernelVersion": "6.18.0-talos",
                "kubeProxyVersion": "",
                "kubeletVersion": node.kubelet,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": node.system,
                "systemUUID": "",
            },
        }
        self._patch_status(f"/api/v1/nodes/{node.name}", status)

    def _renew(self, name: str) -> None:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {
                "holderIdentity": name,
                "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
        self._client.apply(lease, "kubelet-stand-in")

    def _beat(self) -> None:
        """Renew the leases of ready nodes, and try again whatever waits for something."""
        since = 0.0
        while not self._stopping.is_set():
            with self._lock:
                waiting = any(not pod.settled for pod in self._pods.values()) or any(
                    not pod["spec"].get("nodeName") for pod in self._seen_pods.values()
                )
            self._waking.wait(RETRY if waiting else HEARTBEAT)
            awake = self._waking.is_set()
            self._waking.clear()
            if self._stopping.is_set():
                return
            since += 0 if awake else (RETRY if waiting else HEARTBEAT)
            with contextlib.suppress(OSError, KubeError), self._lock:  # the API server restarts: the next beat does it
                if since >= HEARTBEAT:
                    since = 0.0
                    for node in self._nodes.values():
                        self._renew(node.name)
                self._settle()

    def _look_again(self) -> None:
        with self._lock:
            for pod in self._pods.values():
                pod.settled = pod.program is not None
        self._waking.set()

    # -- pods

    def _pods_listed(self, pods: list[Object]) -> None:
        with self._lock:
            self._seen_pods = {_name(pod): pod for pod in pods}
            for name in [name for name in self._pods if name not in self._seen_pods]:
                self._forget(name)
            self._settle()

    def _pod_changed(self, event: str, pod: Object) -> None:
        with self._lock:
            name = _name(pod)
            if event == "DELETED":
                self._seen_pods.pop(name, None)
                self._forget(name)
            else:
                self._seen_pods[name] = pod
                self._handle(name, pod)

    def _settle(self) -> None:
        for name, pod in list(self._seen_pods.items()):
            self._handle(name, pod)

    def _handle(self, name: str, pod: Object) -> None:
        """Do the next thing that this pod needs. A refusal means that we know an old state: the next event tells."""
        with contextlib.suppress(KubeError):
            if pod["metadata"].get("deletionTimestamp"):
                self._forget(name)
                self._client.request("DELETE", _path(pod), _at_once(pod))
            elif pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                self._forget(name)
            elif not pod["spec"].get("nodeName"):
                self._bind(pod)
            else:
                self._run(name, pod)

    def _forget(self, name: str) -> None:
        known = self._pods.pop(name, None)
        if known is not None and known.program is not None:
            known.program.stop()

    def _bind(self, pod: Object) -> None:
        load: dict[str, int] = dict.fromkeys(self._seen_nodes, 0)
        for other in self._seen_pods.values():
            node = other["spec"].get("nodeName")
            load[node] = load.get(node, 0) + 1
        fitting = [name for name, node in self._seen_nodes.items() if _fits(pod, node)]
        if fitting:
            target = {"apiVersion": "v1", "kind": "Node", "name": min(fitting, key=lambda name: (load[name], name))}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": _identity(pod), "target": target}
            self._client.request("POST", f"{_path(pod)}/binding", binding)
            pod["spec"]["nodeName"] = target["name"]
        elif not pod.get("status", {}).get("conditions"):
            message = f"0/{len(self._seen_nodes)} nodes are available for this pod."
            conditions = [_condition("PodScheduled", "False", "Unschedulable", message)]
            self._patch_status(_path(pod), {"conditions": conditions})

    def _run(self, name: str, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        known = self._pods.get(name)
        if known is not None and known.uid != uid:
            self._forget(name)
            known = None
        if known is None:
            known = self._pods[name] = _Pod(uid)
        if known.program is not None and known.settled and not known.program.running:
            self._crashed(pod, known, "the program ended")
        if known.settled or time.monotonic() < known.not_before:
            return
        images = [container["image"] for container in pod["spec"]["containers"]]
        if missing := [image for image in images if _matches(image, self._faults.missing_images)]:
            known.settled = True
            message = f'Back-off pulling image "{missing[0]}"'
            self._report(pod, known, waiting=("ImagePullBackOff", message))
        elif lacking := self._lacking(pod):
            self._report(pod, known, waiting=("ContainerCreating", lacking))
        elif make := self._program(images):
            if known.program is None:
                known.program = make(pod, self._directory / uid)
                self._report(pod, known, ready=False)
                threading.Thread(target=self._launch, args=(name, pod, known), daemon=True).start()
        else:
            known.settled = True
            done = any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences", []))
            if done:
                self._report(pod, known, done=True)
            else:
                self._report(pod, known, ready=not _matches(name, self._faults.never_ready))

    def _program(self, images: list[str]) -> Program | None:
        return next(
            (make for pattern, make in self._programs.items() if any(fnmatchcase(image, pattern) for image in images)),
            None,
        )

    def _launch(self, name: str, pod: Object, known: _Pod) -> None:
        """Start the pod's program and wait until it is ready, beside everything else."""
        program = known.program
        assert program is not None
        failed = ""
        try:
            program.start()
        except (LabError, OSError) as error:
            failed = str(error)
        with self._lock, contextlib.suppress(KubeError, OSError):
            if self._pods.get(name) is not known:  # deleted or stopped while it started
                program.stop()
            elif failed:
                self._crashed(pod, known, failed[-500:])
            else:
                known.settled = True
                self._report(pod, known, ready=not _matches(name, self._faults.never_ready))

    def _crashed(self, pod: Object, known: _Pod, message: str) -> None:
        if known.program is not None:
            known.program.stop()
        known.program = None
        known.settled = False
        known.restarts += 1
        known.not_before = time.monotonic() + min(2.0**known.restarts, 30)
        self._report(pod, known, waiting=("CrashLoopBackOff", message))

    def _lacking(self, pod: Object) -> str:
        """The first ConfigMap or Secret that the pod mounts and nobody made."""
        namespace = pod["metadata"]["namespace"]
        for kind, name in _mounted(pod):
            if self._client.find("v1", kind, name, namespace) is None:
                return f'{kind.lower()} "{name}" not found'
        return ""

    def _report(
        self,
        pod: Object,
        known: _Pod,
        *,
        ready: bool = False,
        done: bool = False,
        waiting: tuple[str, str] | None = None,
    ) -> None:
        if known.said == (ready, done, waiting, known.restarts):
            return
        known.said = (ready, done, waiting, known.restarts)
        if waiting is not None:
            self._waking.set()  # from now on the beat looks at it every second
        now = _now()
        phase = "Running"
        state: Object = {"running": {"startedAt": now}}
        if waiting is not None:
            state = {"waiting": {"reason": waiting[0], "message": waiting[1]}}
            phase = "Running" if waiting[0] == "CrashLoopBackOff" else "Pending"
        elif done:
            phase = "Succeeded"
            state = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
        good, why = ("True", "") if ready else ("False", "PodCompleted" if done else "ContainersNotReady")
        containers = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "" if phase == "Pending" else f"lab/{container['image']}",
                "containerID": "" if phase == "Pending" else f"lab://{known.uid}/{container['name']}",
                "ready": ready,
                "started": phase == "Running",
                "restartCount": known.restarts,
                "state": state,
            }
            for container in pod["spec"]["containers"]
        ]
        address = f"10.244.{int(known.uid[:2], 16)}.{int(known.uid[2:4], 16) or 1}"
        node = self._nodes.get(pod["spec"]["nodeName"])
        status = {
            "phase": phase,
            "conditions": [
                _condition("PodReadyToStartContainers", "True"),
                _condition("Initialized", "True"),
                _condition("Ready", good, why),
                _condition("ContainersReady", good, why),
                _condition("PodScheduled", "True"),
            ],
            "hostIP": node.address if node else "",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": now,
            "qosClass": pod.get("status", {}).get("qosClass", "BestEffort"),
            "containerStatuses": containers,
        }
        self._patch_status(_path(pod), status)

    def _patch_status(self, path: str, status: Object) -> None:
        self._client.request("PATCH", f"{path}/status", {"status": status}, content_type=MERGE)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Object:
    extra = {key: value for key, value in (("reason", reason), ("message", message)) if value}
    return {"type": kind, "status": status, "lastTransitionTime": _now(), **extra}


def _name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _identity(pod: Object) -> dict[str, str]:
    return {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}


def _at_once(pod: Object) -> Object:
    only = {"uid": pod["metadata"]["uid"]}
    return {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": only}


def _path(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _matches(text: str, patterns: set[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _mounted(pod: Object) -> Iterator[tuple[str, str]]:
    """The ConfigMaps and Secrets without which a real kubelet would not start the pod."""
    for volume in pod["spec"].get("volumes", []):
        if (config := volume.get("configMap")) and not config.get("optional"):
            yield "ConfigMap", config["name"]
        if (secret := volume.get("secret")) and not secret.get("optional"):
            yield "Secret", secret["secretName"]


def _takes(node: Object) -> tuple[Any, ...]:
    """What decides whether pods fit: a change of it makes the pending ones worth another look."""
    return _is_ready(node), node["spec"].get("unschedulable", False), node["spec"].get("taints"), _labels(node)


def _is_ready(node: Object) -> bool:
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _labels(node: Object) -> dict[str, str]:
    labels: dict[str, str] = node["metadata"].get("labels", {})
    return labels


def _fits(pod: Object, node: Object) -> bool:
    """The scheduler's filters, in short: readiness, cordon, taints, node selector, and the required node affinity."""
    spec = pod["spec"]
    labels = _labels(node)
    tolerations = spec.get("tolerations", [])
    taints = [taint for taint in node["spec"].get("taints", []) if taint["effect"] in ("NoSchedule", "NoExecute")]
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    terms = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [{}])
    return (
        _is_ready(node)
        and not node["spec"].get("unschedulable")
        and all(any(_tolerates(toleration, taint) for toleration in tolerations) for taint in taints)
        and spec.get("nodeSelector", {}).items() <= labels.items()
        and any(_term_fits(term, labels, node["metadata"]["name"]) for term in terms)
    )


def _tolerates(toleration: Object, taint: Object) -> bool:
    key, effect = toleration.get("key"), toleration.get("effect")
    return (
        key in (None, "", taint["key"])
        and effect in (None, "", taint["effect"])
        and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""))
    )


_OPERATORS: Mapping[str, Callable[[str | None, list[str]], bool]] = MappingProxyType(
    {
        "In": lambda value, values: value in values,
        "NotIn": lambda value, values: value not in values,
        "Exists": lambda value, _values: value is not None,
        "DoesNotExist": lambda value, _values: value is None,
    }
)


def _term_fits(term: Object, labels: dict[str, str], name: str) -> bool:
    return all(
        _OPERATORS[want["operator"]](labels.get(want["key"]), want.get("values", []))
        for want in term.get("matchExpressions", [])
    ) and all(_OPERATORS[want["operator"]](name, want.get("values", [])) for want in term.get("matchFields", []))
