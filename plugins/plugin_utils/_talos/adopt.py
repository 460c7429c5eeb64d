# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that others made is taken over: its secrets are found, proven on its machines, and its contract told.

Nothing here changes a machine. Private: other collections must not import it.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import dump
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Cluster, Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import (
    Generator,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import cluster_name
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    Found,
    Nodes,
    Standing,
    survey,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import (
    from_configuration,
    other_keys,
    read,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl

# A Terraform state holds configurations and charts, too.
STATE_LIMIT: t.Final = 64 * 1024 * 1024  # bytes

# How Terraform's provider for Talos names the parts of its resource talos_machine_secrets, and talosctl its secrets.
_OF_TERRAFORM: t.Final = {
    "cluster": {"id": "id", "secret": "secret"},
    "secrets": {
        "bootstrap_token": "bootstraptoken",
        "secretbox_encryption_secret": "secretboxencryptionsecret",
        "aescbc_encryption_secret": "aescbcencryptionsecret",
    },
    "trustdinfo": {"token": "token"},
}
_CERTIFICATES: t.Final = {
    "etcd": "etcd",
    "k8s": "k8s",
    "k8s_aggregator": "k8saggregator",
    "k8s_serviceaccount": "k8sserviceaccount",
    "os": "os",
}


@dataclass(frozen=True)
class Candidate:
    """Secrets that may be the cluster's, and where they were found."""

    place: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Proven:
    """The cluster's own secrets, proven on its control planes, and its nodes as they were found with them."""

    candidate: Candidate
    seen: Mapping[Node, Found] = field(repr=False)


# ------------------------------------------------------------------------------------------------------- finding


def from_file(talosctl: Talosctl, path: Path) -> list[Candidate]:
    """The secrets of a control plane's machine configuration, or of each resource of a Terraform state."""
    content = read_text(path, limit=STATE_LIMIT)
    if content.text is None:
        raise BootstrapError(f"{path} {content.problem or 'does not exist'}. Correct tazlab_adopt.from.")
    text = content.text.encode()
    state = _terraform(text)
    if state is not None:
        found = [
            Candidate(f"{address} in {path}", dump(_translated(secrets))) for address, secrets in _resources(state)
        ]
        if not found:
            raise BootstrapError(
                f"{path} is a Terraform state without a resource talos_machine_secrets. Give the state of the layer "
                "that made Talos, or a control plane's machine configuration."
            )
        return found
    return [Candidate(str(path), from_configuration(talosctl, text, str(path)))]


def from_machines(talosctl: Talosctl, credentials: Path, control_planes: Sequence[Node]) -> Candidate:
    """The secrets in the configuration of the first control plane that answers to these credentials."""
    seen = survey(Nodes(talosctl, credentials), control_planes)
    for node, found in seen.items():
        if found.standing is Standing.OURS:
            place = f"the configuration of {node.name}"
            return Candidate(place, from_configuration(talosctl, found.persistent, place))
    why = "; ".join(f"{node.name} ({node.address}): {_why(found)}" for node, found in seen.items())
    raise BootstrapError(
        f"No control plane lets the credentials of {credentials} in: {why}. Give a talosconfig of the cluster "
        "(tazlab_adopt.talosconfig), or a file with its secrets (tazlab_adopt.from): a control plane's machine "
        "configuration, or Terraform's state."
    )


def _terraform(text: bytes) -> Mapping[str, t.Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, Mapping):
        return None
    if "encrypted_data" in found:
        raise BootstrapError(
            "The Terraform state is encrypted. Give it in clear, from memory if you can: "
            "tofu state pull > /dev/shm/state.json"
        )
    return found if isinstance(found.get("resources"), list) else None


def _resources(state: Mapping[str, t.Any]) -> Iterator[tuple[str, Mapping[str, t.Any]]]:
    for resource in state["resources"]:
        if not isinstance(resource, Mapping) or resource.get("type") != "talos_machine_secrets":
            continue
        for instance in resource.get("instances") or ():
            secrets = (instance.get("attributes") or {}).get("machine_secrets")
            if isinstance(secrets, Mapping):
                parts = (resource.get("module"), resource["type"], resource.get("name"))
                yield ".".join(str(part) for part in parts if part), secrets


def _translated(secrets: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What Terraform's provider keeps, as talosctl names it."""
    found: dict[str, t.Any] = {}
    for part, names in _OF_TERRAFORM.items():
        given = secrets.get(part) or {}
        found[part] = {ours: given[theirs] for theirs, ours in names.items() if given.get(theirs)}
    found["certs"] = {
        ours: {
            name: pair[key]
            for key, name in (("cert", "crt"), ("key", "key"))
            for pair in [(secrets.get("certs") or {}).get(theirs) or {}]
            if pair.get(key)
        }
        for theirs, ours in _CERTIFICATES.items()
    }
    return found


# ------------------------------------------------------------------------------------------------------- proving


def prove(talosctl: Talosctl, cluster: Cluster, candidates: Sequence[Candidate]) -> Proven:
    """The candidate with which every control plane that answers was made. Raises where there is none."""
    problems = []
    for candidate in candidates:
        read(candidate.content, candidate.place)
        generator = Generator(talosctl, cluster, candidate.content)
        nodes = Nodes(talosctl, generator.talosconfig())
        seen = survey(nodes, cluster.nodes)
        problem = _refuted(talosctl, cluster, candidate, seen)
        if problem is None:
            return Proven(candidate, seen)
        problems.append(problem)
    raise BootstrapError(" ".join(problem.text for problem in problems), code=problems[0].code)


def _refuted(talosctl: Talosctl, cluster: Cluster, candidate: Candidate, seen: Mapping[Node, Found]) -> Problem | None:
    control_planes = {node: seen[node] for node in cluster.control_planes}
    ours = {node: found for node, found in control_planes.items() if found.standing is Standing.OURS}
    for node, found in seen.items():
        if found.standing in (Standing.FOREIGN, Standing.MAINTENANCE):
            return Problem(
                "other_secrets",
                f"{node.name} ({node.address})",
                f"it is {_why(found)}: the secrets of {candidate.place} are not this cluster's. Nothing was changed.",
                "Give those of the cluster that lives, or correct the addresses of the inventory.",
            )
    if not ours:
        why = "; ".join(f"{node.name} ({node.address}): {_why(found)}" for node, found in control_planes.items())
        return Problem("silent", "", f"No control plane of the cluster answers: {why}.", "Look at their consoles.")
    for node, found in ours.items():
        living = from_configuration(talosctl, found.persistent, f"the configuration of {node.name}")
        wrong = other_keys(living, candidate.content)
        if wrong:
            return Problem(
                "other_keys",
                f"{node.name} ({node.address})",
                f"the living cluster has other keys than {candidate.place}: {', '.join(wrong)}. Nothing was changed.",
                "Leave tazlab_adopt.from out, so that they are read from the machine itself, or give a newer file.",
            )
    return None


def _why(found: Found) -> str:
    return found.look.why if found.standing is Standing.SILENT else found.standing.value


# ------------------------------------------------------------------------------------------------------- the contract


def names(seen: Mapping[Node, Found]) -> list[str]:
    """The names of the cluster that the machines' configurations have."""
    return list(
        dict.fromkeys(cluster_name(found.persistent) for found in seen.values() if found.standing is Standing.OURS)
    )
