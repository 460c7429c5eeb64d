# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes of a living cluster gets another version, by C(talosctl upgrade-k8s), which moves part after part.

It looks at what stands, so a run that was broken off is followed by another one. Its dry run is asked first: from Talos
1.13 on it applies and prunes the objects that Talos makes, and some of these may be somebody else's by now.
Private: other collections must not import it.
"""

from __future__ import annotations

import re
import shlex
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.together import together
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, documents
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Unanswered, require
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import hosts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import differences
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import kubernetes_images, without_coredns
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import PASSING, Waiting
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import numbers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import TalosctlError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.manifests import (
    INVENTORY,
    MADE,
    PRUNED,
    Manifest,
    changes,
    owner,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import ASK_SECONDS, UNHEARD, Rolling

DRY_SECONDS: t.Final = 180.0
AGAIN: t.Final = "Run this again: it goes on where that has ended."

ATTEMPTS: t.Final = 3  # where the API server was away, which moves itself

# Which option of talosctl names the image of a part, by the path at which a configuration does.
_OPTIONS: t.Final = {
    "machine.kubelet.image": "kubelet",
    "cluster.apiServer.image": "apiserver",
    "cluster.controllerManager.image": "controller-manager",
    "cluster.scheduler.image": "scheduler",
    "cluster.proxy.image": "proxy",
    "KubeletConfig.image": "kubelet",
    "KubeAPIServerConfig.image": "apiserver",
    "KubeControllerManagerConfig.image": "controller-manager",
    "KubeSchedulerConfig.image": "scheduler",
    "KubeProxyConfig.image": "proxy",
}
_KUBELET_KINDS = ("slim", "fat")  # of which talosctl keeps each node's own

# What talosctl says while it works.
_UPDATES = re.compile(r'updating "?(?P<part>kube[a-z-]*)"? to version ')
_STARTS = re.compile(r' > "(?P<address>[0-9a-f.:]+)": starting update')
_MANIFESTS = "updating manifests"

# What it refuses to go on with: components' flags that the wanted version does not know any more.
_REMOVED = re.compile(r"^\S+ +(kube[a-z-]*) +([A-Za-z][\w-]*) *$", re.MULTILINE)
_SIGNS = (
    (r"unsupported upgrade path", "It knows no way there from the version that runs: a newer client may."),
    (r"is too (?:new|old) to be used with|not (?:supported|compatible)", "Talos does not run that version."),
    (
        r"inventory policy",
        "An object of Talos' is another inventory's by now (annotation config.k8s.io/owning-inventory).",
    ),
    (r"pre-pulling", "An image cannot be pulled: is its registry reached from the nodes, and has it that version?"),
)


@dataclass
class _Course:
    """How far a call has come, told line by line. What else it prints is kept from people: a Secret is among it."""

    rolling: Rolling
    version: str
    part: str = ""
    where: str = ""

    def __call__(self, line: str) -> None:
        if found := _UPDATES.match(line):
            self.part = found["part"]
            return
        if line.startswith(_MANIFESTS):
            self.where = "Talos' objects in Kubernetes"
        elif found := _STARTS.match(line):
            names = {node.address: node.name for node in self.rolling.cluster.nodes}
            self.where = f"{self.part} of {names.get(found['address'], found['address'])}"
        else:
            return
        self.rolling.say(f"Kubernetes {self.version}: {self.where}")


@dataclass(frozen=True)
class Kubernetes:
    """The procedure for a cluster. C(images): the option of talosctl for each part's image, without a tag."""

    rolling: Rolling
    images: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> int:
        """How long it may take: each control plane has four parts and each node one."""
        cluster = self.rolling.cluster
        return self.rolling.bounds.node * (len(cluster.control_planes) + len(cluster.nodes))

    def plan(self, version: str) -> list[Manifest]:
        """What the dry run says of Talos' objects. Raises where it refuses, or where an object is somebody else's."""
        output = self._call(version, DRY_SECONDS, "Nothing was changed.", "--dry-run", "--pre-pull-images=false")
        found = changes(output)
        problems = [problem for each in found if (problem := self._owned(each))]
        if problems:
            raise refusal(problems)
        return found

    def move(self, version: str) -> None:
        """Bring all nodes to a version, when they are well; it is through when every kubelet runs it."""
        deadline = Deadline(self.seconds)
        self.wait_until_well(self.rolling.bounds.node, "Nothing was moved.")
        self.plan(version)
        for attempt in range(ATTEMPTS):
            try:
                self._call(version, deadline.left, AGAIN)
                break
            except TalosctlError as error:
                last = attempt + 1 == ATTEMPTS or deadline.left <= 0
                if last or error.failure not in UNHEARD or _refused(error.said):
                    raise
                self.rolling.say(f"{error} It is asked again when all are well")
            self.wait_until_well(deadline.left, AGAIN)
        self.wait_until_well(deadline.left, AGAIN, version)

    def _call(self, version: str, seconds: float, after: str, *words: str) -> str:
        rolling = self.rolling
        course = _Course(rolling, version)
        images = [f"--{part}-image={image}" for part, image in self.images.items()]
        try:
            return rolling.nodes.call(
                rolling.cluster.control_planes[0],
                *("upgrade-k8s", "--to", version, "--with-docs=false", "--with-examples=false"),
                *images,
                *words,
                timeout=max(1.0, seconds),
                heard=None if "--dry-run" in words else course,
            ).decode(errors="replace")
        except TalosctlError as error:
            where = f" It had come to {course.where}." if course.where else ""
            why = _refused(error.said)
            raise TalosctlError(
                error.failure, f"{error}{where}{f' {why}' if why else ''} {after}", error.said
            ) from None

    def wait_until_well(self, seconds: float, after: str, kubelets: str = "") -> None:
        """Wait until every node is Ready, its kubelet healthy and etcd well; with C(kubelets), of that version."""
        waiting = Waiting(Deadline(seconds), self.rolling.say)
        nodes = list(self.rolling.cluster.nodes)
        what = f"run Kubernetes {kubelets}" if kubelets else "be well before Kubernetes moves"
        while True:
            missing, _host = self.rolling.missing(nodes)
            if not missing:
                reasons = together(self._kubelet, nodes)
                missing = {node: why for node, why in zip(nodes, reasons, strict=True) if why}
            if not missing and kubelets:
                missing = self._behind(nodes, kubelets)
            if not missing:
                return
            waiting.pause(what, missing, after)

    def _kubelet(self, node: Node) -> str:
        """Why a kubelet is not healthy. One that was given another image is away for a moment, its Node Ready still."""
        try:
            answer = self.rolling.nodes.call(node, "get", "services.v1alpha1.talos.dev", "kubelet", "--output", "yaml")
            (service,) = (each["spec"] for each in documents(answer) if isinstance(each, Mapping))
        except TalosctlError as error:
            if error.failure not in PASSING:
                raise
            return f"its kubelet tells nothing ({error.failure.value})"
        except (NotYaml, KeyError, TypeError, ValueError):
            return "its kubelet does not run"
        return "" if service.get("running") and service.get("healthy") else "its kubelet is not healthy"

    def _behind(self, nodes: Sequence[Node], version: str) -> dict[Node, str]:
        try:
            found = hosts(self.rolling.api, ASK_SECONDS)
        except Unanswered as error:
            return {nodes[0]: str(error).rstrip(".")}
        told = {node: found[node.name].kubelet if node.name in found else "" for node in nodes}
        return {
            node: f"its kubelet is {kubelet or 'not there'}"
            for node, kubelet in told.items()
            if kubelet.removeprefix("v").partition("-")[0] != version
        }

    def _owned(self, manifest: Manifest) -> Problem | None:
        """Why an object must not be touched, if it must not."""
        if manifest.change == MADE:
            return None
        living = self._living(manifest)
        whose = owner(living) if living else ""
        if not whose:
            return None
        if manifest.change == PRUNED:
            what = f"Talos has made it once and does not any more, so it would be pruned, and it is now of {whose}."
            step = f"Take it out of what Talos has noted: {self._forget(manifest)}"
        else:
            what = f"Talos makes it and would overwrite it, and it is of {whose}."
            step = (
                "One of the two has to leave it. Of Talos' configuration it is taken by a patch and configure.yml "
                f"(CoreDNS: {without_coredns(self.rolling.cluster.contract)}; else the manifest or the CNI there)."
            )
        return Problem("owned", manifest.label, what, step)

    def _living(self, manifest: Manifest) -> Mapping[str, t.Any] | None:
        api = self.rolling.api
        kind = api.kind(manifest.api_version, manifest.kind)
        if kind is None:
            return None
        answer = api.get(kind.path(manifest.namespace or None, manifest.name))
        if answer.status == 404:
            return None
        require(answer, api.server, manifest.label)
        return answer.body

    def _forget(self, manifest: Manifest) -> str:
        """The command that takes an object out of Talos' inventory, and leaves it alone."""
        patch = f'[{{"op": "remove", "path": "/data/{manifest.entry}"}}]'
        reach = ["kubectl", "--kubeconfig", self.rolling.api.kubeconfig, "-n", "kube-system"]
        return shlex.join([*reach, "patch", "configmap", INVENTORY, "--type", "json", "-p", patch])


def _refused(said: str) -> str:
    """What a failure says, where it is known: asking again does not mend it."""
    removed = dict.fromkeys(f"{thing} of {part}" for part, thing in _REMOVED.findall(said))
    if removed:
        return (
            f"The wanted version does not have any more: {', '.join(removed)}. Take that out of the machine "
            "configurations (configure.yml)."
        )
    return next((why for sign, why in _SIGNS if re.search(sign, said)), "")


def images(configs: Mapping[Node, bytes], version: str) -> dict[str, str]:
    """The option of talosctl for each part of Kubernetes, and its image without a tag, as the nodes have it.

    Raises for an image that is not of the wanted version: it would not be what the inventory has afterwards.
    """
    found: dict[str, tuple[str, Node]] = {}
    for node, config in configs.items():
        for path, image in kubernetes_images(config).items():
            option = _OPTIONS[path]
            if option != "kubelet" and not node.is_control_plane:
                continue
            name, _colon, tag = image.rpartition(":")
            plain, _dash, kind = tag.partition("-")
            if "@" in image or numbers(plain) != numbers(version) or (kind and kind not in _KUBELET_KINDS):
                raise BootstrapError(
                    f"{node.name}: {path} of its configuration is {image}, and Kubernetes {version} is wanted. Name it "
                    "in that version in your patch, without a digest, or leave it out there.",
                    code="pinned_image",
                    subject=node.name,
                )
            former, other = found.setdefault(option, (name, node))
            if former != name:
                raise BootstrapError(
                    f"{node.name} and {other.name} have their {option} from different places ({name}, {former}). "
                    "talosctl upgrade-k8s gives all nodes the same: choose one of them.",
                    code="different_images",
                    subject=node.name,
                )
    return {option: name for option, (name, _node) in found.items()}


def staged(persistent: bytes, active: bytes) -> bool:
    """Whether a change waits for a node's next boot: C(upgrade-k8s) begins with what runs, and drops it."""
    return bool(differences(active, persistent))
