# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions share that change the machines of a living cluster one after the other. Private.

Other collections must not import it.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import SHOWN, Host, Pod, hosts, pods_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Cluster, Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import Generator
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    PAUSE_SECONDS,
    Found,
    Nodes,
    Standing,
    refuse_foreign,
    survey,
    survey_until,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.preflight import name_problems, usable_talosconfig
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.rolling import ASK_SECONDS, Rolling

NOT_LIVING: t.Final = (Standing.MAINTENANCE, Standing.SILENT)

# The documentation is doc_fragments/talos.py.
ROLLING_OPTIONS: t.Final[dict[str, t.Any]] = {
    "kubeconfig": {"type": "path", "required": True},
    "drain": {"type": "bool", "default": True},
    "drain_seconds": {"type": "int", "default": 300},
    "timeout": {"type": "int", "default": 900},
}


class RollingAction(TalosAction):
    """An action that changes the machines of a living cluster one after the other."""

    def opened(self, state: State, cluster: Cluster) -> tuple[Generator, Nodes]:
        """What makes the configurations of a cluster that is ours, and its nodes' API."""
        talosctl = self.talosctl(cluster.version)
        stored = state.read(SECRETS)
        if stored is None:
            raise BootstrapError(
                f"{state.place(SECRETS)} is not there, so there is no cluster of ours. Restore the state from your "
                "backup; a cluster that others made is taken over by adopt.yml."
            )
        generator = Generator(talosctl, cluster, stored)
        return generator, Nodes(talosctl, usable_talosconfig(state, generator))

    def living(self, nodes: Nodes, cluster: Cluster, seconds: int) -> dict[Node, Found]:
        """The nodes as they are. All have to answer: one that is changed is away for a while."""
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
        return seen

    def hosts(self, api: Api, seconds: int) -> dict[str, Host]:
        """The nodes as Kubernetes knows them, waited for: its API may be on a node that boots."""
        deadline = Deadline(0 if self.check_mode else seconds)
        while True:
            try:
                return hosts(api, ASK_SECONDS)
            except Unanswered as error:
                if deadline.left <= 0:
                    waited = f" It was waited for {deadline.seconds:.0f} s." if deadline.seconds else ""
                    raise BootstrapError(
                        f"{error}{waited} Nothing was changed. Does a control plane run, and is that its address in "
                        "the kubeconfig?"
                    ) from None
                self.progress(f"waiting for Kubernetes ({deadline.left:.0f} s left): {error}")
                time.sleep(min(PAUSE_SECONDS * 5, deadline.left))

    def broken_off(self, cluster: Cluster, found: t.Mapping[str, Host], goes_on: t.Collection[Node]) -> list[Node]:
        """The nodes whose change was broken off, without those with which this run goes on anyway."""
        marked = {host.name for host in found.values() if host.marked}
        broken = [node for node in cluster.nodes if node.name in marked and node not in goes_on]
        for node in broken:
            self.progress(f"{node.name}: its change was broken off; it is given back when it is Ready")
        return broken

    def tell_absence(self, cluster: Cluster, booted: t.Collection[Node]) -> None:
        """Tell where Kubernetes' API will be away."""
        only = cluster.control_planes[0]
        if len(cluster.control_planes) == 1 and only in booted:
            self.progress(f"Kubernetes' API is away while {only.name}, the only control plane, boots")

    def tell_pods(
        self, rolling: Rolling, name: str, found: t.Mapping[str, Host], *, returns: bool = True
    ) -> tuple[list[str], list[str]]:
        """Tell which pods a node loses: those that are evicted, and those that end with it until it C(returns)."""
        pods: list[Pod] = []
        try:
            pods = pods_of(rolling.api, name, ASK_SECONDS) if rolling.bounds.drain else []
        except Unanswered as error:
            self.progress(f"{name}: what is evicted cannot be told: {error}")
        evicts = [pod.label for pod in pods if pod.owned]
        stays = [pod.label for pod in pods if not pod.owned]
        if evicts:
            self.progress(f"{name}: {len(evicts)} pods are evicted: {few(evicts, SHOWN)}")
            if not any(host.takes_pods for host in found.values() if host.name != name):
                self.progress(
                    f"{name}: no other node takes them. They wait until {'it' if returns else 'one'} is there"
                )
        if stays:
            self.progress(
                f"{name}: nothing makes these pods elsewhere, they end {'and start ' if returns else ''}with it: "
                f"{few(stays, SHOWN)}"
            )
        return evicts, stays


def _not_living(node: Node, found: Found) -> Problem:
    if found.standing is Standing.MAINTENANCE:
        what, step = "it is not configured.", "Let site.yml bring the cluster up first."
    else:
        what, step = f"it does not answer ({found.look.why}).", "Switch it on, or look at its console."
    return Problem("not_living", f"{node.name} ({node.address})", what, step)
