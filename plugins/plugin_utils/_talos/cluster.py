# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Talos cluster is made from, as the user gives it: read and checked without running anything.

Private: other collections must not import it.
"""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import FACTORY_URL
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, documents
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import decoded_length
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import (
    minor,
    named,
    pair_problem,
    talos_problem,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import SCHEMATIC, VERSION

SECRETBOX_BYTES = 32
PLATFORM = re.compile(r"[a-z][a-z0-9]*")
ROLES = {"control_plane": "controlplane", "worker": "worker"}  # ours -> Talos' machine type

# Shared by the actions; the documentation is doc_fragments/talos.py.
NODE_OPTIONS: dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "role": {"type": "str", "required": True, "choices": list(ROLES)},
    "install_disk": {"type": "str", "default": ""},
    "patches": {"type": "list", "elements": "raw", "default": [], "no_log": True},
}
NODES: dict[str, t.Any] = {"type": "list", "elements": "dict", "required": True, "options": NODE_OPTIONS}
CLUSTER_OPTIONS: dict[str, t.Any] = {
    "cluster": {"type": "str", "required": True},
    "endpoint": {"type": "str"},
    "nodes": NODES,
    "version": {"type": "str", "required": True},
    "kubernetes_version": {"type": "str", "required": True},
    "schematic": {"type": "str", "required": True},
    "factory_url": {"type": "str", "default": FACTORY_URL},
    "platform": {"type": "str", "default": "metal"},
    "coredns": {"type": "bool", "default": False},
}


NO_CONTROL_PLANE = Problem("no_control_plane", "nodes", "there is no control plane.", "Add the cluster's first one.")


class InvalidConfig(BootstrapError):
    """A node's configuration cannot be made from what the user gave."""

    def __init__(self, node: str, why: str) -> None:
        super().__init__(f"{node}: {why}", code="invalid_config", subject=node)
        self.node = node
        self.why = why


@dataclass(frozen=True)
class Patch:
    """A change to the machine configuration, and where the user wrote it."""

    place: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Node:
    """A machine that is to run Talos."""

    name: str
    address: str
    role: str
    install_disk: str = ""
    patches: tuple[Patch, ...] = field(default=(), repr=False)

    @property
    def is_control_plane(self) -> bool:
        return self.role == "control_plane"

    @property
    def machine_type(self) -> str:
        return ROLES[self.role]


@dataclass(frozen=True)
class Cluster:
    """A Talos cluster as the user wants it."""

    name: str
    endpoint: str
    nodes: tuple[Node, ...]
    version: str
    kubernetes_version: str
    schematic: str
    installer: str
    platform: str
    coredns: bool
    contract: str  # the minor version whose form of configuration is generated, like v1.12

    @property
    def control_planes(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.is_control_plane)


def cluster_of(params: Mapping[str, t.Any], contract: str = "") -> Cluster:
    """The cluster that checked options describe. Raises with all that is wrong with them.

    C(contract) is that which it was born with, where that is known; by default its version's own.
    """
    problems = [*form_problems(params), *option_problems(params)]
    if problems:
        raise refusal(problems)
    nodes = tuple(node_of(node) for node in params["nodes"])
    endpoint = params["endpoint"] or f"https://{_bracketed(first_control_plane(nodes).address)}:6443"
    return Cluster(
        name=params["cluster"],
        endpoint=endpoint.rstrip("/"),
        nodes=nodes,
        version=f"v{params['version'].removeprefix('v')}",
        kubernetes_version=params["kubernetes_version"].removeprefix("v"),
        schematic=params["schematic"],
        installer=installer_image(params["factory_url"], params["platform"], params["schematic"], params["version"]),
        platform=params["platform"],
        coredns=params["coredns"],
        contract=contract or f"v{named(minor(params['version']))}",
    )


def form_problems(params: Mapping[str, t.Any]) -> Iterator[Problem]:
    """Versions and ids that have not the form of one, or are not supported, each with the next step."""
    malformed = False
    for name, pattern, hint in (
        ("version", VERSION, "Talos' version, e.g. v1.12.6"),
        ("kubernetes_version", VERSION, "Kubernetes' version, e.g. 1.35.4"),
        ("schematic", SCHEMATIC, "the Image Factory's id: 64 hexadecimal digits"),
    ):
        if not pattern.fullmatch(params[name]):
            malformed = True
            yield Problem("malformed", name, f"{params[name]!r} does not fit.", f"It is {hint}.")
        elif name == "version" and (problem := talos_problem(params[name], name)):
            malformed = True
            yield problem
    if not malformed:
        problem = pair_problem(params["version"], params["kubernetes_version"], "kubernetes_version")
        if problem:
            yield problem


def option_problems(params: Mapping[str, t.Any]) -> Iterator[Problem]:
    """What else is wrong with the options, each with the next step."""
    if params["endpoint"] and not re.fullmatch(r"https://[^\s/@]+:\d+/?", params["endpoint"]):
        yield Problem(
            "malformed",
            "endpoint",
            f"{params['endpoint']!r} does not fit.",
            "It is the address of the Kubernetes API with its port, e.g. https://192.0.2.11:6443.",
        )
    if not PLATFORM.fullmatch(params["platform"]):
        what = f"{params['platform']!r} does not fit."
        yield Problem("malformed", "platform", what, "It is a platform of the Image Factory, e.g. metal or nocloud.")
    if not any(node["role"] == "control_plane" for node in params["nodes"]):
        yield NO_CONTROL_PLANE


def node_of(given: Mapping[str, t.Any]) -> Node:
    """A node, its patches as text for talosctl."""
    patches = tuple(patches_of(given["name"], given["patches"]))
    return Node(given["name"], given["address"], given["role"], given["install_disk"], patches)


def first_control_plane(nodes: Sequence[Node]) -> Node:
    for node in nodes:
        if node.is_control_plane:
            return node
    raise refusal([NO_CONTROL_PLANE])


def patches_of(node: str, given: Sequence[t.Any]) -> Iterator[Patch]:
    """Patches that are text or data, as text. An empty one (a template's condition that does not hold) is left out."""
    for number, patch in enumerate(given, 1):
        if patch is None or patch == {} or (isinstance(patch, str) and not patch.strip()):
            continue
        content = patch.encode() if isinstance(patch, str) else json.dumps(patch, default=str).encode()
        problem = patch_problem(content)
        if problem:
            raise InvalidConfig(node, f"patch {number} {problem}")
        yield Patch(f"patch {number}", content)


def patch_problem(content: bytes) -> str | None:
    """What is wrong with the form of a patch, without quoting it."""
    if content.lstrip().startswith(b"@"):
        return "begins with @. A patch is its content, not a file's name: use lookup('ansible.builtin.file', ...)."
    try:
        found = documents(content)
    except NotYaml as error:
        return f"is not YAML ({error}). Correct it."
    if any(isinstance(document, list) for document in found):
        return (
            "is a JSON patch (a list of operations), which Talos does not apply to a configuration of several "
            "documents, as it is since 1.12. Write it as a strategic merge patch: the part of it that is to change."
        )
    if not all(isinstance(document, dict) for document in found if document is not None):
        return "is not part of a machine configuration. It must be a mapping, e.g. machine: ...."
    return None


def installer_image(factory_url: str, platform: str, schematic: str, version: str) -> str:
    """The image that a node installs and upgrades itself from: of the same schematic, so that its extensions stay."""
    registry = urlsplit(factory_url).netloc
    return f"{registry}/{platform}-installer/{schematic}:v{version.removeprefix('v')}"


def client_problem(client: str, wanted: str) -> Problem | None:
    """What is wrong with a talosctl of this version for a cluster of that version."""
    if minor(client) >= minor(wanted):
        return None
    return Problem(
        "client_too_old",
        "",
        f"talosctl is {client}, and the cluster is to run {wanted}. An older client does not know that version's "
        "configuration.",
        f"Install talosctl {wanted}.",
    )


def secretbox_problem(key: str) -> Problem | None:
    """What is wrong with the key that encrypts Kubernetes' secrets in etcd."""
    length = decoded_length(key)
    if length == SECRETBOX_BYTES:
        return None
    found = "is not base64" if length is None else f"decodes to {length} bytes"
    return Problem(
        "secretbox_malformed",
        "",
        f"The secretbox key {found}; it is base64 of exactly {SECRETBOX_BYTES} bytes.",
        "Make one for a new cluster with: openssl rand -base64 32",
    )


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
