# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_apply): living nodes get the configuration of the inventory, one after the other."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from functools import partial

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.rolling import ROLLING_OPTIONS, RollingAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import Host
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import change_facts, read_facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import CLUSTER_OPTIONS, Node, cluster_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import differences, made
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.contract import contract_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.extension import keep_login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import needs_boot
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.given import with_another, with_given
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.preflight import (
    living_problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.shown import shown
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.configuration import Reconfiguration
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import Bounds


@dataclass(frozen=True)
class Needed:
    """What a node needs to run with its configuration. It may be kept already, for the next boot."""

    node: Node
    config: bytes = field(repr=False)
    boots: bool
    paths: tuple[str, ...]
    shown: tuple[str, ...]


class ActionModule(RollingAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **CLUSTER_OPTIONS,
        **STATE_OPTIONS,
        **ROLLING_OPTIONS,
        "only": {"type": "list", "elements": "str", "default": []},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = self.state(params)
        facts = read_facts(state)
        cluster = cluster_of(params, facts.contract)
        chosen = _chosen(params["only"], cluster.nodes)
        generator, nodes = self.opened(state, cluster)
        seen = self.living(nodes, cluster, params["timeout"])
        standings = {node: found.standing for node, found in seen.items()}
        contract = contract_of(facts.contract, generator, standings, seen)
        wanted = made(cluster.nodes, replace(generator, cluster=replace(cluster, contract=contract)))
        problems = living_problems(nodes, cluster, wanted, seen)
        if problems:
            raise refusal(problems)
        plan = [needed for node in chosen if (needed := _needed(node, seen[node], wanted[node]))]
        bounds = Bounds(params["timeout"], params["drain_seconds"], params["drain"])
        with Api(params["kubeconfig"]) as api:
            rolling = Reconfiguration(nodes, api, cluster, bounds, self.progress)
            found = self.hosts(api, params["timeout"])
            plan.sort(key=lambda needed: not (needed.node.name in found and found[needed.node.name].marked))
            broken = self.broken_off(cluster, found, [needed.node for needed in plan])
            told = [self._tell(rolling, needed, found) for needed in plan]
            self.tell_absence(cluster, [needed.node for needed in plan if needed.boots])
            if not self.check_mode:
                for node in broken:
                    rolling.settle(node)
                for needed in plan:
                    change_facts(state, partial(with_another, name=needed.node.name, config=needed.config))
                    self._make(rolling, needed)
                    change_facts(state, partial(with_given, given={needed.node.name: [needed.config]}))
        return {
            "changed": bool(plan or broken),
            "plan": told,
            "given_back": [node.name for node in broken],
            "text": "; ".join(
                [
                    *(f"{needed.node.name}: {few(needed.paths)}" for needed in plan),
                    *(f"{node.name}: takes pods again" for node in broken),
                ]
            )
            or f"{', '.join(node.name for node in chosen)}: as the inventory says.",
        }

    def _tell(self, rolling: Reconfiguration, needed: Needed, found: t.Mapping[str, Host]) -> dict[str, t.Any]:
        """What is done to a node, line by line and as data."""
        name = needed.node.name
        for line in needed.shown:
            self.progress(f"{name}: {line}")
        evicts: list[str] = []
        stays: list[str] = []
        if needed.boots:
            self.progress(f"{name}: boots, within {round(rolling.bounds.all / 60)} min")
            evicts, stays = self.tell_pods(rolling, name, found)
        else:
            self.progress(f"{name}: changes while it runs")
        return {
            "node": name,
            "differences": list(needed.paths),
            "boots": needed.boots,
            "evicts": evicts,
            "stays": stays,
        }

    def _make(self, rolling: Reconfiguration, needed: Needed) -> None:
        if needed.boots:
            rolling.boot_with(needed.node, needed.config)
        else:
            rolling.change(needed.node, needed.config, needed.paths)
        self.progress(f"{needed.node.name}: runs with its configuration")


def _chosen(only: t.Sequence[str], nodes: t.Sequence[Node]) -> list[Node]:
    """The nodes that may be changed, in the order in which they are: control planes first."""
    unknown = sorted(set(only) - {node.name for node in nodes})
    if unknown:
        raise BootstrapError(
            f"{', '.join(unknown)}: the inventory has no node of that name. Nothing was changed. Correct "
            "tazlab_configure_only.",
            code="unknown_node",
            subject="only",
        )
    found = [node for node in nodes if not only or node.name in only]
    return sorted(found, key=lambda node: not node.is_control_plane)


def _needed(node: Node, found: Found, wanted: bytes) -> Needed | None:
    """What a node needs, if anything."""
    config = keep_login(found.persistent, wanted)
    paths = tuple(differences(found.persistent, config))
    if paths:
        boots = any(needs_boot(path) for path in paths)
        return Needed(node, config, boots, paths, tuple(shown(found.persistent, config)))
    waits = tuple(differences(found.active, config))
    if waits:
        return Needed(node, config, boots=True, paths=waits, shown=tuple(shown(found.active, config)))
    return None
