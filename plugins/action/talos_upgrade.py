# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_upgrade): Talos of a living cluster, one node after the other."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.rolling import ROLLING_OPTIONS, RollingAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import Host
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import read_facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import (
    CLUSTER_OPTIONS,
    Cluster,
    Node,
    cluster_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import Generator, made
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.contract import contract_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import installer, kubernetes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found, by_hand
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.preflight import any_disk
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.snapshot import take
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.machine import Upgrade
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.plan import (
    Move,
    Runs,
    Step,
    moves,
    refusals,
    steps,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import Bounds


class ActionModule(RollingAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **CLUSTER_OPTIONS,
        **STATE_OPTIONS,
        **ROLLING_OPTIONS,
        "snapshots": {"type": "path"},
        "anchor": {"type": "path", "default": ANCHOR},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = self.state(params)
        noted = read_facts(state).contract
        cluster = any_disk(cluster_of(params, noted))
        generator, nodes = self.opened(state, cluster)
        seen = self.living(nodes, cluster, params["timeout"])
        runs = [
            Runs(node, found.look.version or "", found.schematic, kubernetes(found.persistent))
            for node, found in seen.items()
        ]
        problems = list(refusals(runs, cluster))
        if problems:
            raise refusal(problems)
        installers = _installers(generator, noted, seen)
        way = self._way(runs, cluster, installers, params["factory_url"])
        plan = moves(runs, way, cluster, installers)
        self._refuse_missing(params["factory_url"], plan)
        bounds = Bounds(params["timeout"], params["drain_seconds"], params["drain"])
        with Api(params["kubeconfig"]) as api:
            upgrade = Upgrade(nodes, api, cluster, bounds, self.progress, generator.talosctl.version())
            found = self.hosts(api, params["timeout"])
            broken = self.broken_off(cluster, found, [move.node for move in plan[:1] if way[0].talos])
            told = self._tell(upgrade, plan, way, found, params["snapshots"])
            if self.check_mode:
                return _result(runs, cluster, told, plan, broken) | {"changed": bool(way or broken)}
            for node in broken:
                upgrade.settle(node)
            if plan and params["snapshots"]:
                self._snapshot(upgrade, params)
            self._go(upgrade, plan, way)
        return _result(runs, cluster, told, plan, broken)

    def _way(
        self, runs: t.Sequence[Runs], cluster: Cluster, installers: t.Mapping[Node, str], factory_url: str
    ) -> list[Step]:
        """All steps, each of Talos to a release that the factory lists."""
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.factory import Factory

        return steps(runs, cluster, installers, Factory(factory_url).newest)

    def _refuse_missing(self, factory_url: str, plan: t.Sequence[Move]) -> None:
        """Raise for an installer that the factory has not, before anything is changed."""
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.factory import Factory

        factory = Factory(factory_url)
        for wanted in dict.fromkeys(move.image for move in plan):
            try:
                has = factory.has(wanted)
            except BootstrapError as error:
                self.progress(f"it was not asked whether there is {wanted}: {error}")
                continue
            if has is False:
                raise BootstrapError(
                    f"There is no image {wanted}. Correct tazlab_talos.version or tazlab_talos.schematic; nothing was "
                    "changed.",
                    code="no_image",
                    subject="tazlab_talos",
                )
            if has is None:
                self.progress(f"its registry does not tell whether there is {wanted}")

    def _tell(
        self,
        upgrade: Upgrade,
        plan: t.Sequence[Move],
        way: t.Sequence[Step],
        found: t.Mapping[str, Host],
        snapshots: str | None,
    ) -> list[dict[str, t.Any]]:
        """What is done to each node, line by line and as data."""
        told = [self._of_node(upgrade, move, found) for move in plan]
        for step in way:
            if step.kubernetes:
                self.progress(f"{step.text} is moved by hand, when it is its turn: {_by_hand(upgrade, step)}")
        if plan and not snapshots:
            self.progress("no snapshot of etcd is made first: tazlab_backup.directory names no folder")
        self.tell_absence(upgrade.cluster, [move.node for move in plan])
        return told

    def _of_node(self, upgrade: Upgrade, move: Move, found: t.Mapping[str, Host]) -> dict[str, t.Any]:
        name, bounds = move.node.name, upgrade.bounds
        self.progress(f"{name}: Talos {move.runs} -> {move.talos}, {move.image}, within {round(bounds.all / 60)} min")
        evicts, stays = self.tell_pods(upgrade, name, found)
        return {
            "node": name,
            "from": move.runs,
            "to": move.talos,
            "image": move.image,
            "evicts": evicts,
            "stays": stays,
            "seconds": bounds.all,
        }

    def _snapshot(self, upgrade: Upgrade, params: t.Mapping[str, t.Any]) -> None:
        made = take(
            upgrade.nodes,
            upgrade.cluster.control_planes,
            Path(params["snapshots"]),
            upgrade.cluster.name,
            params["anchor"],
            float(params["timeout"]),
        )
        self.progress(made.taken_text)

    def _go(self, upgrade: Upgrade, plan: t.Sequence[Move], way: t.Sequence[Step]) -> None:
        for step in way:
            if step.kubernetes:
                raise BootstrapError(
                    f"Kubernetes moves to {step.kubernetes} now, which this does not do yet: a snapshot of etcd first, "
                    f"and a look with --dry-run; then run this again.\n    {_by_hand(upgrade, step)}",
                    code="kubernetes_next",
                    subject="Kubernetes",
                )
            for move in (each for each in plan if each.talos == step.talos):
                upgrade.move(move.node, move.image)
                self.progress(f"{move.node.name}: runs Talos {step.talos} and is Ready")


def _installers(generator: Generator, noted: str, seen: t.Mapping[Node, Found]) -> dict[Node, str]:
    """The image from which each node installs itself, as the inventory and its patches have it."""
    standings = {node: found.standing for node, found in seen.items()}
    cluster = replace(generator.cluster, contract=contract_of(noted, generator, standings, seen))
    configs = made(cluster.nodes, replace(generator, cluster=cluster))
    return {node: installer(config) or cluster.installer for node, config in configs.items()}


def _by_hand(upgrade: Upgrade, step: Step) -> str:
    """The command with which a person moves Kubernetes."""
    return by_hand(upgrade.nodes.talosconfig, upgrade.cluster.control_planes[0], "upgrade-k8s", "--to", step.kubernetes)


def _outcome(node: t.Mapping[str, t.Any]) -> str:
    """What becomes of a node that is changed."""
    if node["given_back"]:
        return "takes pods again, its upgrade had been broken off"
    return f"Talos {node['from']} -> {node['to']}"


def _result(
    runs: t.Sequence[Runs],
    cluster: Cluster,
    told: list[dict[str, t.Any]],
    plan: t.Sequence[Move],
    broken: t.Sequence[Node],
) -> dict[str, t.Any]:
    """Each node with the Talos that it had and has now, or in check mode would have."""
    last = {move.node: move.talos for move in plan}
    had = {each.node: each.talos for each in runs}
    nodes = [
        {
            "name": node.name,
            "from": had[node],
            "to": last.get(node, had[node]),
            "changed": node in last or node in broken,
            "given_back": node in broken and node not in last,
        }
        for node in cluster.nodes
    ]
    lines = [f"{node['name']}: {_outcome(node)}" for node in nodes if node["changed"]]
    return {
        "changed": bool(plan or broken),
        "plan": told,
        "nodes": nodes,
        "text": "; ".join(lines) or "Every node runs the Talos of the inventory.",
    }
