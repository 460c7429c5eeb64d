# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_remove): one node leaves a living cluster."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from urllib.parse import urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.rolling import ROLLING_OPTIONS, RollingAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import Host
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import change_facts, read_facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import (
    CLUSTER_OPTIONS,
    Cluster,
    Node,
    cluster_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import endpoint, hostname, machine_type
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found, Standing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.removal import Removal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import Bounds


class ActionModule(RollingAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **CLUSTER_OPTIONS,
        **STATE_OPTIONS,
        **ROLLING_OPTIONS,
        "name": {"type": "str", "required": True},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = self.state(params)
        cluster = cluster_of(params, read_facts(state).contract)
        node = _named(params["name"], cluster)
        _generator, nodes = self.opened(state, cluster)
        rest = replace(cluster, nodes=tuple(each for each in cluster.nodes if each != node))
        if not rest.control_planes:
            raise refusal([_last(node)])
        seen = self.living(nodes, rest, params["timeout"])
        bounds = Bounds(params["timeout"], params["drain_seconds"], params["drain"])
        with Api(params["kubeconfig"]) as api:
            removal = Removal(nodes, api, rest, bounds, self.progress, node)
            hosts = self.hosts(api, params["timeout"])
            host = hosts.get(node.name)
            found = nodes.found(node)  # now, when all others have answered
            problems = [*_endpoint_problems(node, seen, api.server), *_standing_problems(node, found, host)]
            if problems:
                raise refusal(problems)
            lives, member = found.standing is Standing.OURS, removal.member()
            if lives and host is not None and host.boot != nodes.boot(node):
                raise refusal([_another(node, f"Kubernetes' Node {node.name} is another machine, or of another boot")])
            done = self._tell(removal, found, member=bool(member), known=host is not None)
            evicts, stays = self.tell_pods(removal, node.name, hosts, returns=False) if lives and host else ([], [])
            if done and not self.check_mode:
                removal.wait_for_rest()
                if lives:
                    removal.reset(runs_etcd=machine_type(found.persistent) != "worker", known=host is not None)
                removal.leave_etcd()
                removal.forget()
        if not self.check_mode:
            change_facts(state, lambda facts: replace(facts, given=_without(facts.given, node.name)))
        return {
            "changed": bool(done),
            "steps": done,
            "evicts": evicts,
            "stays": stays,
            "text": f"{node.name}: {', '.join(done)}" if done else f"{node.name} is not in the cluster.",
        }

    def _tell(self, removal: Removal, found: Found, *, member: bool, known: bool) -> list[str]:
        """What is done, as lines of the run and as data."""
        name = removal.leaving.name
        steps = []
        if found.standing is Standing.OURS:
            steps.append("wiped")
        elif found.standing is Standing.SILENT and (known or member):
            self.progress(
                f"{name}: it does not answer, and is removed without being wiped. Wipe it before it comes back"
            )
        if member:
            steps.append("out of etcd")
            left = len(removal.cluster.control_planes)
            if left % 2 == 0:
                self.progress(f"etcd then has {left} members, of which it can spare no more than of {left - 1}")
        if known:
            steps.append("out of Kubernetes")
        if steps:
            self.progress(f"{name}: {', '.join(steps)}")
        if steps and self.check_mode:
            for node, why in removal.rest().items():
                self.progress(f"{name}: it is waited for until {node.name} is well first: {why}")
        return steps


def _named(name: str, cluster: Cluster) -> Node:
    for node in cluster.nodes:
        if node.name == name:
            return node
    raise BootstrapError(
        f"{name}: the inventory has no node of that name. Nothing was changed. Write it back for as long as it is "
        "removed: its address and what it is for are needed.",
        code="unknown_node",
        subject="name",
    )


def _last(node: Node) -> Problem:
    return Problem(
        "last_control_plane",
        node.name,
        "it is the only control plane: without it there is no cluster. Nothing was changed.",
        "To be rid of the cluster, run destroy.yml; to make the machine anew, run rebirth.yml.",
    )


def _endpoint_problems(node: Node, seen: t.Mapping[Node, Found], server: str) -> t.Iterator[Problem]:
    """Who would not find the Kubernetes API any more, as the machines and the kubeconfig have it now."""
    urls = {other.name: {endpoint(found.active), endpoint(found.persistent)} for other, found in seen.items()}
    asking = [name for name, each in urls.items() if node.address in {urlsplit(url).hostname for url in each}]
    asking += ["the kubeconfig"] if urlsplit(server).hostname == node.address else []
    if asking:
        yield Problem(
            "endpoint",
            node.name,
            f"the cluster's endpoint is its address: {', '.join(asking)} would not find Kubernetes' API any more. "
            "Nothing was changed.",
            "Give the cluster an endpoint that stays (tazlab_talos.endpoint), let configure.yml apply it and site.yml "
            "fetch the kubeconfig, and run this again.",
        )


def _standing_problems(node: Node, found: Found, host: Host | None) -> t.Iterator[Problem]:
    """Why the machine at that address is not the one that shall leave, or is not lost."""
    if found.standing is Standing.FOREIGN:
        yield _another(node, "it is configured with other secrets")
    elif found.standing is Standing.OURS and hostname(found.persistent) != node.name:
        yield _another(node, f"it is configured as {hostname(found.persistent)}")
    elif found.standing is not Standing.OURS and host is not None and host.ready:
        yield Problem(
            "not_lost",
            f"{node.name} ({node.address})",
            f"Kubernetes says that it is Ready, and its Talos API does not answer there ({found.look.why or 'no '}"
            f"{'' if found.look.why else 'configuration'}). Nothing was changed.",
            "Correct its address in the inventory; where it has just been lost, run this again in a minute.",
        )


def _another(node: Node, why: str) -> Problem:
    return Problem(
        "another_machine",
        f"{node.name} ({node.address})",
        f"{why}. Nothing was changed.",
        "Correct its name or address in the inventory. Where another machine has its address now, give that one "
        "another, and run this again. Where its kubelet does not start, switch it off: it is then removed as lost.",
    )


def _without(given: t.Mapping[str, tuple[str, ...]], name: str) -> dict[str, tuple[str, ...]]:
    return {node: digests for node, digests in given.items() if node != name}
