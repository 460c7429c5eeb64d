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
from collections.abc import Callable, Mapping, Sequence
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
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import TalosctlError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.manifests import (
    INVENTORY,
    PRUNED,
    Manifest,
    changes,
    owner,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import ASK_SECONDS, UNHEARD, Rolling

DRY_SECONDS: t.Final = 180.0
AGAIN: t.Final = "Run this again: it goes on where that has ended."
NOTHING: t.Final = "Kubernetes was not moved by this run."
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
_KUBELET_KINDS = ("", "-slim", "-fat")  # of which talosctl keeps each node's own

# What talosctl says while it works.
_UPDATES = re.compile(r'updating "?(?P<part>kube[a-z-]*)"? to version ')
_STARTS = re.compile(r' > "(?P<address>[0-9a-f.:]+)": starting update')
_MANIFESTS = "updating manifests"

# What it refuses to go on with: components' flags that the wanted version does not know any more.
_REMOVED = re.compile(r"^\S+ +(kube[a-z-]*) +([A-Za-z][\w-]*) *$", re.MULTILINE)
_REMOVED_KINDS = re.compile(r"^([a-z]+\.v\w+\.[a-z0-9.]+) +\d+ *$", re.MULTILINE)
# An object that is there and cannot become Talos': its selector is another one, for example.
_CLASHES = re.compile(r'apply dry run failed for ([\w:./-]+?):? |([A-Z]\w+)\.[a-z0-9.]+ "([\w:.-]+)" is invalid')
_SIGNS = (
    (r"unsupported upgrade path", "It knows no way there from the version that runs: a newer client may."),
    (r"version of Kubernetes \S+ is too (?:new|old) to be used with", "Talos does not run that version."),
    (
        r"inventory policy check failure",
        "An object of Talos' is another inventory's by now (annotation config.k8s.io/owning-inventory).",
    ),
    (
        r"failed pre-pulling images",
        "An image cannot be pulled: is its registry reached from the nodes, and has it that version?",
    ),
    (r"failed to detect lowest Kubernetes version", "No pod tells which version runs."),
)
# The same, where asking again may help.
_PASSES = ((r"kubelet is not healthy", "A kubelet is not healthy, or starts just now."),)


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

    def plan(self, since: str, version: str) -> list[Manifest]:
        """What a move's dry run says of Talos' objects. Raises where it refuses, or where one is somebody else's."""
        output = self._call(since, version, DRY_SECONDS, "--dry-run", "--pre-pull-images=false")
        found = changes(output)
        problems = [problem for each in found if (problem := self._owned(each))]
        if problems:
            raise refusal(problems)
        return found

    def move(self, since: str, version: str, begins: Callable[[], None]) -> None:
        """Bring all nodes to a version, when they are well; it is through when every kubelet runs it.

        C(begins) is called before anything is moved.
        """
        deadline = Deadline(self.seconds)
        after = NOTHING
        for attempt in range(ATTEMPTS):
            self.wait_until_well(deadline.left if attempt else self.rolling.bounds.node, after)
            try:
                self.plan(since, version)
                begins()
                after = AGAIN
                self._call(since, version, deadline.left)
                break
            except (TalosctlError, Unanswered) as error:
                last = attempt + 1 == ATTEMPTS or deadline.left <= 0
                if last or (isinstance(error, TalosctlError) and not _passes(error)):
                    raise BootstrapError(f"{error} {after}", code="not_moved", subject="Kubernetes") from None
                self.rolling.say(f"{error} It is asked again when all are well")
        self.wait_until_well(deadline.left, AGAIN, version)

    def _call(self, since: str, version: str, seconds: float, *words: str) -> str:
        rolling = self.rolling
        course = _Course(rolling, version)
        bound = Deadline(max(1.0, seconds))
        try:
            return rolling.nodes.call(
                rolling.cluster.control_planes[0],
                *("upgrade-k8s", "--to", version, "--with-docs=false", "--with-examples=false"),
                *(("--from", since) if since else ()),
                *(f"--{part}-image={image}" for part, image in self.images.items()),
                *words,
                timeout=bound.seconds,
                heard=None if "--dry-run" in words else course,
            ).decode(errors="replace")
        except TalosctlError as error:
            what = f"{error}" if bound.left else f"talosctl upgrade-k8s was not through within {bound.seconds:.0f} s."
            where = f" It had come to {course.where}." if course.where else ""
            why = self._why(error.said)
            raise TalosctlError(error.failure, f"{what}{where}{f' {why}' if why else ''}", error.said) from None

    def _why(self, said: str) -> str:
        """What a failure says, where it is known: of its text only names."""
        removed = [f"{thing} of {part}" for part, thing in _REMOVED.findall(said)]
        if removed:
            return (
                f"The wanted version does not have any more: {', '.join(dict.fromkeys(removed))}. Take that out of the "
                "machine configurations (configure.yml)."
            )
        if kinds := _REMOVED_KINDS.findall(said):
            return f"There are objects of kinds that the wanted version does not serve any more: {', '.join(kinds)}."
        if clash := _CLASHES.search(said):
            name = clash[1] or f"{clash[2]} {clash[3]}"
            return f"{name} is there, and Talos cannot make it its own: somebody else has made it. {self._leave}"
        return next((why for sign, why in (*_SIGNS, *_PASSES) if re.search(sign, said)), "")

    @property
    def _leave(self) -> str:
        """What to do where an object is of two."""
        return (
            "One of the two has to leave it. Of Talos' configuration it is taken by a patch and configure.yml "
            f"(CoreDNS: {without_coredns(self.rolling.cluster.contract)}; else the manifest or the CNI there)."
        )

    def wait_until_well(self, seconds: float, after: str, kubelets: str = "") -> None:
        """Wait until every node is Ready, its kubelet healthy and etcd well; with C(kubelets), of that version."""
        waiting = Waiting(Deadline(max(0.0, seconds)), self.rolling.say)
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
            if kubelet.removeprefix("v") != version
        }

    def _owned(self, manifest: Manifest) -> Problem | None:
        """Why an object must not be touched, if it must not."""
        living = self._living(manifest)
        whose = owner(living) if living else ""
        if not whose:
            return None
        if manifest.change == PRUNED:
            what = f"Talos has made it once and does not any more, so it would be pruned, and it is now of {whose}."
            step = f"Take it out of what Talos has noted: {self._forget(manifest)}"
        else:
            what = f"Talos makes it and would overwrite it, and it is of {whose}."
            step = self._leave
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


def _passes(error: TalosctlError) -> bool:
    """Whether asking again may help: the API server may be away, which moves itself."""
    final = (_REMOVED, _REMOVED_KINDS, _CLASHES, *(re.compile(sign) for sign, _why in _SIGNS))
    if any(sign.search(error.said) for sign in final):
        return False
    return error.failure in UNHEARD or any(re.search(sign, error.said) for sign, _why in _PASSES)


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
            kinds = _KUBELET_KINDS if option == "kubelet" else ("",)
            if tag not in [f"v{version}{kind}" for kind in kinds]:  # which a digest is not, either
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
