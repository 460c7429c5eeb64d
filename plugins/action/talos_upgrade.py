# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_upgrade): Talos of a living cluster, one node after the other."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import SHOWN, Host, Pod, hosts, pods_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import read_facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import (
    CLUSTER_OPTIONS,
    Cluster,
    Node,
    cluster_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import Generator
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import kubernetes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    Found,
    Nodes,
    Standing,
    by_hand,
    refuse_foreign,
    survey,
    survey_until,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.preflight import (
    name_problems,
    usable_talosconfig,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.machine import ASK_SECONDS, Bounds, Upgrade
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.plan import (
    Runs,
    Step,
    image,
    is_there,
    moved,
    refusals,
    steps,
)

NOT_LIVING: t.Final = (Standing.MAINTENANCE, Standing.SILENT)


class ActionModule(TalosAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **CLUSTER_OPTIONS,
        **STATE_OPTIONS,
        "kubeconfig": {"type": "path", "required": True},
        "drain": {"type": "bool", "default": True},
        "drain_seconds": {"type": "int", "default": 300},
        "timeout": {"type": "int", "default": 900},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = self.state(params)
        cluster = cluster_of(params, read_facts(state).contract)
        talosctl = self.talosctl(cluster.version)
        stored = state.read(SECRETS)
        if stored is None:
            raise BootstrapError(f"{state.place(SECRETS)} is not there: there is no cluster of ours to upgrade.")
        nodes = Nodes(talosctl, usable_talosconfig(state, Generator(talosctl, cluster, stored)))
        runs = self._runs(nodes, cluster, params["timeout"])
        problems = list(refusals(runs, cluster))
        if problems:
            raise refusal(problems)
        way = self._way(runs, cluster, params["factory_url"])
        bounds = Bounds(params["timeout"], params["drain_seconds"], params["drain"])
        with Api(params["kubeconfig"]) as api:
            upgrade = Upgrade(nodes, api, cluster, talosctl.version(), bounds, self.progress)
            plan = self._plan(upgrade, runs, way)
            if self.check_mode:
                changed = bool(plan) or any(step.kubernetes for step in way)
                return _result(runs, cluster, plan, plan) | {"changed": changed}
            self._resume(upgrade, runs, cluster)
            done = self._go(upgrade, runs, way)
        return _result(runs, cluster, plan, done)

    def _runs(self, nodes: Nodes, cluster: Cluster, seconds: int) -> list[Runs]:
        """What each node runs. All have to answer: one that is upgraded is away for a while."""
        if self.check_mode:
            seen = survey(nodes, cluster.nodes)
        else:
            seen = survey_until(nodes, cluster.nodes, Deadline(seconds), self.progress, lambda _node: True)
        problems = [
            *refuse_foreign({node: found.look for node, found in seen.items()}, have_secrets=True),
            *(_not_living(node, found) for node, found in seen.items() if found.standing in NOT_LIVING),
            *name_problems(cluster, seen),
        ]
        if problems:
            raise refusal(problems)
        return [
            Runs(node, found.look.version or "", found.schematic, kubernetes(found.persistent))
            for node, found in seen.items()
        ]

    def _way(self, runs: t.Sequence[Runs], cluster: Cluster, factory_url: str) -> list[Step]:
        """All steps, with an installer for each that the factory has."""
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.factory import Factory

        factory = Factory(factory_url)
        way = steps(runs, cluster, factory.newest)
        for step in way:
            if step.talos and moved(runs, step, cluster):
                self._refuse_missing(factory, image(cluster.installer, step.talos))
        return way

    def _refuse_missing(self, factory: t.Any, wanted: str) -> None:
        try:
            has = factory.has(wanted)
        except BootstrapError as error:
            self.progress(f"it was not asked whether there is {wanted}: {error}")
            return
        if has is False:
            raise BootstrapError(
                f"There is no image {wanted}. Correct tazlab_talos.version or tazlab_talos.schematic; nothing was "
                "changed.",
                code="no_image",
                subject="tazlab_talos",
            )
        if has is None:
            self.progress(f"the registry does not tell whether there is {wanted}")

    def _plan(self, upgrade: Upgrade, runs: t.Sequence[Runs], way: t.Sequence[Step]) -> list[dict[str, t.Any]]:
        """What is done to each node, in its order; told line by line."""
        cluster, bounds = upgrade.cluster, upgrade.bounds
        try:
            found = hosts(upgrade.api, ASK_SECONDS)
        except Unanswered as error:
            found = {}
            self.progress(f"what is evicted cannot be told: {error}")
        plan: list[dict[str, t.Any]] = []
        at = {each.node: each.talos for each in runs}
        for step in way:
            if step.kubernetes:
                self.progress(f"then {step.text}, by hand: {_by_hand(upgrade, step)}")
                continue
            for each in moved(runs, step, cluster):
                node, wanted = each.node, image(cluster.installer, step.talos)
                pods = self._leaving(upgrade.api, found, node.name) if bounds.drain else []
                entry = {
                    "node": node.name,
                    "from": at[node],
                    "to": step.talos,
                    "image": wanted,
                    "evicts": [pod.label for pod in pods],
                    "lost": [pod.label for pod in pods if not pod.owned],
                    "seconds": 2 * bounds.node + (bounds.pods if bounds.drain else 0),
                }
                at[node] = step.talos
                plan.append(entry)
                self._tell(entry, found, drains=bounds.drain)
        alone = len(cluster.control_planes) == 1
        if alone and any(entry["node"] == cluster.control_planes[0].name for entry in plan):
            self.progress(
                f"Kubernetes' API is away while {cluster.control_planes[0].name}, the only control plane, boots"
            )
        return plan

    @staticmethod
    def _leaving(api: Api, found: t.Mapping[str, Host], node: str) -> list[Pod]:
        try:
            return pods_of(api, node, ASK_SECONDS) if found else []
        except Unanswered:
            return []

    def _tell(self, entry: t.Mapping[str, t.Any], found: t.Mapping[str, Host], *, drains: bool) -> None:
        name = entry["node"]
        minutes = round(entry["seconds"] / 60)
        self.progress(f"{name}: Talos {entry['from']} -> {entry['to']}, {entry['image']}, within {minutes} min")
        if not drains or not found:
            return
        count = len(entry["evicts"])
        self.progress(f"{name}: {count} pods are evicted{': ' if count else ''}{', '.join(entry['evicts'][:SHOWN])}")
        others = [host.name for host in found.values() if host.takes_pods and host.name != name]
        if count and not others:
            self.progress(f"{name}: no other node takes them. They wait until it is back")
        if entry["lost"]:
            self.progress(f"{name}: nothing makes these pods again: {', '.join(entry['lost'])}")

    def _resume(self, upgrade: Upgrade, runs: t.Sequence[Runs], cluster: Cluster) -> None:
        """Finish what a run began that did not end: nodes that were booted since, and not given back."""
        try:
            found = hosts(upgrade.api, ASK_SECONDS)
        except Unanswered:
            return  # before the first node it is waited for
        for each in runs:
            host = found.get(each.node.name)
            if host is None or host.mark is None:
                continue
            if is_there(each, cluster) or host.boot != host.mark.boot:
                self.progress(f"{each.node.name}: a run that did not end has booted it with Talos {each.talos}")
                upgrade.settle(each.node, each.talos)

    def _go(self, upgrade: Upgrade, runs: t.Sequence[Runs], way: t.Sequence[Step]) -> list[dict[str, t.Any]]:
        done: list[dict[str, t.Any]] = []
        for step in way:
            if step.kubernetes:
                raise BootstrapError(
                    f"Kubernetes moves to {step.kubernetes} now, which this does not do yet: a snapshot of etcd first, "
                    f"and a look with --dry-run; then run this again.\n    {_by_hand(upgrade, step)}",
                    code="kubernetes_next",
                    subject="Kubernetes",
                )
            for each in moved(runs, step, upgrade.cluster):
                wanted = image(upgrade.cluster.installer, step.talos)
                upgrade.move(each.node, wanted)
                self.progress(f"{each.node.name}: runs Talos {step.talos} and is Ready")
                done.append({"node": each.node.name, "to": step.talos})
        return done


def _not_living(node: Node, found: Found) -> Problem:
    if found.standing is Standing.MAINTENANCE:
        what, step = "it is not configured.", "Let site.yml bring the cluster up first."
    else:
        what, step = f"it does not answer ({found.look.why}).", "Switch it on, or look at its console."
    return Problem("not_living", f"{node.name} ({node.address})", what, step)


def _by_hand(upgrade: Upgrade, step: Step) -> str:
    """The command with which a person moves Kubernetes."""
    return by_hand(upgrade.nodes.talosconfig, upgrade.cluster.control_planes[0], "upgrade-k8s", "--to", step.kubernetes)


def _result(
    runs: t.Sequence[Runs],
    cluster: Cluster,
    plan: list[dict[str, t.Any]],
    done: t.Sequence[t.Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    """Each node with the Talos that it had and has now, or in check mode would have."""
    last = {entry["node"]: entry["to"] for entry in done}
    had = {each.node: each.talos for each in runs}
    nodes = [
        {
            "name": node.name,
            "from": had[node],
            "to": last.get(node.name, had[node]),
            "changed": node.name in last,
        }
        for node in cluster.nodes
    ]
    moves = [f"{node['name']}: Talos {node['from']} -> {node['to']}" for node in nodes if node["changed"]]
    return {
        "changed": bool(done),
        "plan": plan,
        "nodes": nodes,
        "text": "; ".join(moves) or "Every node runs the Talos of the inventory.",
    }
