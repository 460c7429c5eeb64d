# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that would keep Talos from coming up, found before anything is made: inputs, patches, state and nodes.

Private: other collections must not import it.
"""

from __future__ import annotations

import datetime
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import read_facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS, TALOSCONFIG, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Etcd, Note
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import (
    Cluster,
    InvalidConfig,
    Node,
    client_problem,
    cluster_of,
    form_problems,
    node_of,
    option_problems,
    secretbox_problem,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import (
    Generator,
    credentials_problem,
    differences,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.contract import contract_of, raise_problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.disks import Disks, find
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import (
    allows_scheduling,
    cluster_name,
    encryption_keys,
    kubernetes_authorities,
    machine_type,
    scheduling_advice,
    worker_identity,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    Found,
    Nodes,
    Standing,
    refuse_foreign,
    survey,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import (
    authority,
    difference,
    from_configuration,
    generate,
    other_keys,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.snapshot import require_snapshot
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.versions import change_problems, living
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import VERSION

# A node that does not answer may not have been made yet. It is not waited for.
LOOK_SECONDS = 5.0

# With which a configuration is validated whose disk is not known before its machine answers.
ANY_DISK = "/dev/sda"

# Encrypts nothing: stands in throw-away secrets, from which a configuration is made only to see whether it is valid.
NO_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def problems(params: Mapping[str, t.Any], state: State, talosctl: Talosctl, *, look: bool) -> list[Problem]:
    """All problems, each with the next step. With C(look), the nodes are asked once.

    The form of versions and ids is not among them: the inventory's own check reports that.
    """
    stored, contract, kept = _state(params, state)
    given = [*_patch_problems(params), *_client_problem(params, talosctl), *option_problems(params)]
    found = [*given, *_key_problem(params), *kept]
    raised = params["raise_contract"]
    if given or any(form_problems(params)):
        return found
    if raised and (problem := raise_problem(raised, contract, params["version"])):
        return [*found, problem]
    cluster = cluster_of(params, contract if look else "")  # where nothing lives, a birth has its version's own
    talosconfig = state.path(TALOSCONFIG) if stored and state.read(TALOSCONFIG) is not None else None
    cluster, disks = _with_disks(Nodes(talosctl, talosconfig), cluster, look=look and not kept)
    found += disks
    generator = Generator(talosctl, cluster, stored or generate(talosctl, cluster.contract, NO_KEY))
    nodes = Nodes(talosctl, usable_talosconfig(state, generator) if stored else None)
    seen = survey(nodes, cluster.nodes, LOOK_SECONDS) if look and not kept else {}
    standings = _standings(params, seen)
    if seen:
        right = contract_of(contract, generator, standings, seen, raised)
        generator = replace(generator, cluster=replace(cluster, contract=right))
    configs, invalid = _configs(generator)
    found += invalid
    if seen:
        found += living_problems(nodes, cluster, configs, seen)
        found += _etcd_problem(params, cluster, standings, state)
    return found


def _with_disks(nodes: Nodes, cluster: Cluster, *, look: bool) -> tuple[Cluster, list[Problem]]:
    """The cluster with a disk for each node. One that cannot be known yet is a stand-in, and only validated with."""
    lacking = [node for node in cluster.nodes if not node.install_disk]
    disks = find(nodes, survey(nodes, lacking, LOOK_SECONDS)) if look and lacking else Disks()
    return any_disk(cluster, disks.found), disks.problems


def any_disk(cluster: Cluster, found: Mapping[str, str] | None = None) -> Cluster:
    """The cluster with a disk for each node: the inventory's, the one that was C(found), or one to validate with."""
    known = found or {}
    nodes = (
        replace(node, install_disk=node.install_disk or known.get(node.name) or ANY_DISK) for node in cluster.nodes
    )
    return replace(cluster, nodes=tuple(nodes))


def living_problems(
    nodes: Nodes, cluster: Cluster, wanted: Mapping[Node, bytes], seen: Mapping[Node, Found]
) -> list[Problem]:
    """What must not be done to machines that are configured already: somebody else's, and other versions of ours."""
    return [
        *refuse_foreign({node: found.look for node, found in seen.items()}, nodes.talosconfig is not None),
        *name_problems(cluster, seen),
        *change_problems(living(seen, wanted), cluster),
        *_identity_problems(nodes.talosctl, wanted, seen),
    ]


def _identity_problems(
    talosctl: Talosctl, wanted: Mapping[Node, bytes], seen: Mapping[Node, Found]
) -> Iterator[Problem]:
    """CAs and keys that a configuration would change: no node of the cluster would know the others any more."""
    for node, config in wanted.items():
        living = seen[node].persistent if node in seen else b""
        if not living or not differences(living, config):
            continue
        was = machine_type(living)
        if was != node.machine_type:
            yield Problem(
                "other_role",
                node.name,
                f"it is a {was}, and the inventory has it as a {node.machine_type}. No node was changed.",
                "Put it back into its group, let it leave (remove.yml), and then let it be made anew in the other one.",
            )
            continue
        changed = _changed_keys(talosctl, node, living, config)
        if changed:
            yield Problem(
                "other_identity",
                node.name,
                f"its configuration would get other CAs or keys: {', '.join(changed)}. No node was changed.",
                "Take them out of the patches; a cluster gets others by a rebirth. Where somebody has changed them on "
                "the machines, take the cluster over again with adopt.yml, in a new state directory.",
            )


def _changed_keys(talosctl: Talosctl, node: Node, living: bytes, config: bytes) -> list[str]:
    """Which keys of the cluster's a configuration would change, in whatever form each of the two is."""
    if node.is_control_plane:
        place = f"the configuration of {node.name}"
        changed = other_keys(*(from_configuration(talosctl, each, place) for each in (living, config)))
        if encryption_keys(config) and not encryption_keys(living) <= encryption_keys(config):
            changed.append("the names of the keys in KubeEtcdEncryptionConfig")
        return changed
    before, after = worker_identity(living), worker_identity(config)
    changed = [name for name, value in before.items() if after.get(name) != value]
    if not kubernetes_authorities(living) <= kubernetes_authorities(config):
        changed.append("Kubernetes' CA")
    return changed


def name_problems(cluster: Cluster, seen: Mapping[Node, Found]) -> Iterator[Problem]:
    """Machines that are configured as a cluster of another name: the state directory is that cluster's."""
    names = {node: cluster_name(found.persistent) for node, found in seen.items() if found.standing is Standing.OURS}
    for name in dict.fromkeys(names.values()):
        if name != cluster.name:
            theirs = ", ".join(node.name for node, found in names.items() if found == name)
            yield Problem(
                "other_cluster",
                theirs,
                f"configured as cluster {name}, and this is {cluster.name}. No node was changed.",
                "Correct tazlab_cluster, or give this cluster a state directory and addresses of its own.",
            )


def _standings(params: Mapping[str, t.Any], seen: Mapping[Node, Found]) -> dict[Node, Standing]:
    """How the nodes stand. A machine that has still to be made is a new one."""
    return {
        node: Standing.MAINTENANCE
        if node.name in params["unmade"] and found.standing is Standing.SILENT
        else found.standing
        for node, found in seen.items()
    }


def _etcd_problem(
    params: Mapping[str, t.Any], cluster: Cluster, standings: Mapping[Node, Standing], state: State
) -> list[Problem]:
    """A new etcd that would be made beside a living cluster."""
    try:
        snapshot = params["recover_from"]
        if snapshot:
            require_snapshot(Path(snapshot), cluster.name)
        Etcd(cluster.name, Note(state), params["etcd_lost"], restores=bool(snapshot)).decide(standings)
    except BootstrapError as error:
        return [error.problem]
    return []


def _patch_problems(params: Mapping[str, t.Any]) -> Iterator[Problem]:
    why: dict[str, list[str]] = {}
    for node in params["nodes"]:
        try:
            node_of(node)
        except InvalidConfig as error:
            why.setdefault(error.why, []).append(error.node)
    yield from _grouped(why)


def _key_problem(params: Mapping[str, t.Any]) -> list[Problem]:
    problem = secretbox_problem(params["secretbox_key"]) if params["secretbox_key"] else None
    return [problem] if problem else []


def _state(params: Mapping[str, t.Any], state: State) -> tuple[bytes | None, str, list[Problem]]:
    """The stored secrets, the contract that the cluster was born with, and what is wrong with the state."""
    problem = state.problem(params["anchor"])
    if problem:
        return None, "", [problem]
    try:
        stored, contract = state.read(SECRETS), read_facts(state).contract
        if stored is not None and params["secretbox_key"]:
            problem = difference(stored, state.place(SECRETS), params["secretbox_key"])
    except BootstrapError as error:
        return None, "", [error.problem]
    return stored, contract, [problem] if problem else []


def _client_problem(params: Mapping[str, t.Any], talosctl: Talosctl) -> list[Problem]:
    try:
        client = talosctl.version()
        problem = client_problem(client, params["version"]) if VERSION.fullmatch(params["version"]) else None
    except BootstrapError as error:
        return [error.problem]
    return [problem] if problem else []


def _configs(generator: Generator) -> tuple[dict[Node, bytes], list[Problem]]:
    """The nodes' configurations, and what is wrong with those that cannot be made."""
    why: dict[str, list[str]] = {}
    configs = {}
    for node, config in generator.machine_configs(generator.cluster.nodes).items():
        if isinstance(config, InvalidConfig):
            why.setdefault(config.why, []).append(config.node)
        else:
            configs[node] = config
    problems = list(_grouped(why))
    workers = [node for node in generator.cluster.nodes if not node.is_control_plane]
    scheduling = [config for node, config in configs.items() if node.is_control_plane and allows_scheduling(config)]
    if not workers and configs and not scheduling:
        problems.append(
            Problem(
                "no_worker",
                "",
                "The cluster has no worker, and its control planes take no ordinary pods: nothing would ever run on "
                "it.",
                "Add a host to the group talos_workers, or a patch for the control planes: "
                f"{scheduling_advice(generator.cluster.contract)}",
            )
        )
    return configs, problems


def _grouped(why: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """One problem for what is wrong with several nodes alike: a patch for all of them stands in one place."""
    for problem, names in why.items():
        yield Problem("invalid_config", ", ".join(names), problem)


def usable_talosconfig(state: State, generator: Generator) -> Path | bytes:
    """The talosconfig in the state directory where it serves, else a new one in memory."""
    stored = state.read(TALOSCONFIG)
    expected = authority(generator.secrets, state.place(SECRETS))
    now = datetime.datetime.now(datetime.UTC)
    if stored is None or credentials_problem(stored, generator.cluster, expected, now):
        return generator.talosconfig()
    return state.path(TALOSCONFIG)
