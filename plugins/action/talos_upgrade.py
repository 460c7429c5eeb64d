# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_upgrade): Talos of a living cluster, one node after the other, and its Kubernetes."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.rolling import ROLLING_OPTIONS, RollingAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import Host
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import change_facts, read_facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import (
    CLUSTER_OPTIONS,
    Cluster,
    Node,
    cluster_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import Generator, made
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.contract import contract_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import installer, kubernetes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.preflight import any_disk
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.snapshot import take
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import numbers, pair_problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import TalosctlError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.kubernetes import Kubernetes, images, staged
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.machine import Upgrade
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.manifests import (
    CHANGED,
    MADE,
    PRUNED,
    Manifest,
)
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
        facts = read_facts(state)
        noted = facts.contract
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
        configs, contract = _configs(generator, noted, seen)
        installers = {node: installer(config) or cluster.installer for node, config in configs.items()}
        way = self._way(runs, cluster, installers, params["factory_url"], facts.kubernetes)
        plan = moves(runs, way, cluster, installers)
        self._refuse_missing(params["factory_url"], plan)
        bounds = Bounds(params["timeout"], params["drain_seconds"], params["drain"])
        with Api(params["kubeconfig"]) as api:
            living = replace(cluster, contract=contract)
            upgrade = Upgrade(nodes, api, living, bounds, self.progress, generator.talosctl.version())
            moving = _moving(runs, way)
            kubernetes_upgrade = Kubernetes(upgrade, images(configs, cluster.kubernetes_version) if moving else {})
            found = self.hosts(api, params["timeout"])
            broken = self.broken_off(cluster, found, [move.node for move in plan[:1] if way[0].talos])
            told = self._tell(upgrade, plan, way, found, params["snapshots"])
            first = list(takewhile(lambda step: not step.kubernetes, way))
            booted = {move.node for move in plan if Step(talos=move.talos) in first}
            objects = self._look_ahead(kubernetes_upgrade, runs, seen, booted, moving)
            nodes_told = _nodes(runs, cluster, plan, broken)
            result = {"plan": told, **_result(nodes_told, _kubernetes(moving, objects))}
            if self.check_mode:
                return result
            for node in broken:
                upgrade.settle(node)
            if way and params["snapshots"]:
                self._snapshot(upgrade, params)
            self._go(upgrade, kubernetes_upgrade, plan, way, moving, state)
        return result

    def _way(
        self,
        runs: t.Sequence[Runs],
        cluster: Cluster,
        installers: t.Mapping[Node, str],
        factory_url: str,
        moving: str,
    ) -> list[Step]:
        """All steps, each of Talos to a release that the factory lists.

        C(moving) is the version to which a run that was broken off moved Kubernetes: what it had still to do does not
        show in the nodes' configurations.
        """
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.factory import Factory

        way = steps(runs, cluster, installers, Factory(factory_url).newest)
        if moving and not any(step.kubernetes for step in way):
            way.append(Step(kubernetes=cluster.kubernetes_version))
        return way

    def _look_ahead(
        self,
        upgrade: Kubernetes,
        runs: t.Sequence[Runs],
        seen: t.Mapping[Node, Found],
        booted: t.Collection[Node],
        moving: t.Sequence[tuple[str, str]],
    ) -> list[Manifest]:
        """Tell what becomes of Kubernetes, and raise for what keeps it from moving, as far as that shows now.

        C(booted) are the nodes that Talos moves before.
        """
        if not moving:
            return []
        waiting = [node for node, found in seen.items() if staged(found.persistent, found.active)]
        problems = [_drops(node) for node in waiting if node not in booted]
        if problems:
            raise refusal(problems)
        for since, version in moving:
            self.progress(
                f"Kubernetes {since} -> {version}, part by part on the control planes, then each kubelet; nothing is "
                f"evicted. Within {round(upgrade.seconds / 60)} min"
            )
        if waiting or any(pair_problem(each.talos, moving[0][1], "") for each in runs):
            self.progress("what becomes of Talos' objects in Kubernetes shows when it is its turn")
            return []
        if not self.check_mode:
            upgrade.wait_until_well(upgrade.rolling.bounds.node, "Nothing was changed.")
        try:
            objects = upgrade.plan(*moving[0])
        except (TalosctlError, Unanswered) as error:
            raise BootstrapError(
                f"{error} This run has changed nothing.", code="no_dry_run", subject="Kubernetes"
            ) from None
        for change in (MADE, CHANGED, PRUNED):
            if names := [each.label for each in objects if each.change == change]:
                self.progress(f"Talos' objects in Kubernetes that would be {change}: {', '.join(names)}")
        return objects

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
        if way and not snapshots:
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

    def _go(
        self,
        upgrade: Upgrade,
        kubernetes_upgrade: Kubernetes,
        plan: t.Sequence[Move],
        way: t.Sequence[Step],
        moving: t.Sequence[tuple[str, str]],
        state: State,
    ) -> None:
        since = {version: former for former, version in moving}
        for step in way:
            if step.kubernetes:
                # Noted when it begins, and until it is through.
                note = partial(_note, state, step.kubernetes)
                kubernetes_upgrade.move(since[step.kubernetes], step.kubernetes, note)
                _note(state, "")
                self.progress(f"every node runs Kubernetes {step.kubernetes}")
            for move in (each for each in plan if each.talos == step.talos):
                upgrade.move(move.node, move.image)
                self.progress(f"{move.node.name}: runs Talos {step.talos} and is Ready")


def _configs(generator: Generator, noted: str, seen: t.Mapping[Node, Found]) -> tuple[dict[Node, bytes], str]:
    """Each node's configuration as the inventory and its patches have it, and the contract of all."""
    standings = {node: found.standing for node, found in seen.items()}
    contract = contract_of(noted, generator, standings, seen)
    cluster = replace(generator.cluster, contract=contract)
    return dict(made(cluster.nodes, replace(generator, cluster=cluster))), contract


def _note(state: State, kubernetes_version: str) -> None:
    """Note to which version Kubernetes moves, or that it does not any more."""
    change_facts(state, lambda facts: replace(facts, kubernetes=kubernetes_version))


def _drops(node: Node) -> Problem:
    return Problem(
        "staged",
        f"{node.name} ({node.address})",
        "a change of its configuration waits for its next boot, and Kubernetes' move would drop it.",
        "Apply it first: ansible-playbook -i INVENTORY tazlab.bootstrap.configure --check",
    )


def _moving(runs: t.Sequence[Runs], way: t.Sequence[Step]) -> list[tuple[str, str]]:
    """Each step of Kubernetes: from the oldest that runs then, as far as that is known, to what it gets."""
    since = min((tag.removeprefix("v") for each in runs for tag in each.kubernetes), key=numbers, default="")
    found = []
    for step in way:
        if step.kubernetes:
            found.append((since, step.kubernetes))
            since = step.kubernetes
    return found


def _kubernetes(moving: t.Sequence[tuple[str, str]], objects: t.Sequence[Manifest]) -> list[dict[str, t.Any]]:
    """The steps of Kubernetes, and of the first one what becomes of Talos' objects."""
    return [
        {
            "from": since,
            "to": version,
            **{
                change: [each.label for each in objects if number == 0 and each.change == change]
                for change in (MADE, CHANGED, PRUNED)
            },
        }
        for number, (since, version) in enumerate(moving)
    ]


def _outcome(node: t.Mapping[str, t.Any]) -> str:
    """What becomes of a node that is changed."""
    if node["given_back"]:
        return "takes pods again, its upgrade had been broken off"
    return f"Talos {node['from']} -> {node['to']}"


def _nodes(
    runs: t.Sequence[Runs], cluster: Cluster, plan: t.Sequence[Move], broken: t.Sequence[Node]
) -> list[dict[str, t.Any]]:
    """Each node with the Talos that it had and has now, or in check mode would have."""
    last = {move.node: move.talos for move in plan}
    had = {each.node: each.talos for each in runs}
    return [
        {
            "name": node.name,
            "from": had[node],
            "to": last.get(node, had[node]),
            "changed": node in last or node in broken,
            "given_back": node in broken and node not in last,
        }
        for node in cluster.nodes
    ]


def _step_text(step: t.Mapping[str, t.Any]) -> str:
    if step["from"] == step["to"]:
        return f"Kubernetes {step['to']}: a move that was broken off is ended"
    return f"Kubernetes {step['from']} -> {step['to']}"


def _result(nodes: list[dict[str, t.Any]], steps_of_kubernetes: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """What was done, or in check mode would be, as data and as a line for a person."""
    lines = [f"{node['name']}: {_outcome(node)}" for node in nodes if node["changed"]]
    lines += [_step_text(step) for step in steps_of_kubernetes]
    return {
        "changed": bool(lines),
        "nodes": nodes,
        "kubernetes": steps_of_kubernetes,
        "text": "; ".join(lines) or "Every node runs the Talos and the Kubernetes of the inventory.",
    }
