# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_bootstrap): etcd, bootstrapped once, and the kubeconfig."""

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import WAITING, TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import hosts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.strangers import ASK_SECONDS, strangers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import KUBECONFIG, TALOSCONFIG
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Birth, Note
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import NODES, Node, node_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.etcd import (
    bootstrap,
    fetch_kubeconfig,
    kubeconfig_serves,
    look_at_etcd,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import PASSING, Nodes, Standing, Waiting
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.snapshot import require_snapshot
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl, TalosctlError


class ActionModule(TalosAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "nodes": NODES,
        **STATE_OPTIONS,
        "recover_from": {"type": "path"},
        **WAITING,
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        control_planes = [node for node in map(node_of, params["nodes"]) if node.is_control_plane]
        if not control_planes:
            raise BootstrapError("nodes: there is no control plane. Add the cluster's first one.")
        state = self.state(params)
        kubeconfig = state.path(KUBECONFIG)
        there = state.read(TALOSCONFIG) is not None
        nodes = Nodes(Talosctl(), state.path(TALOSCONFIG))
        snapshot = Path(params["recover_from"]) if params["recover_from"] else None
        if snapshot is not None:
            require_snapshot(snapshot)
        if self.check_mode and (params["pending"] or not there or _makes(nodes, control_planes, Note(state))):
            source = f" from {snapshot}" if snapshot else ""
            self.progress(f"would bootstrap etcd on {control_planes[0].name}{source} and write {kubeconfig}")
            return {"changed": True, "bootstrapped": True, "kubeconfig": str(kubeconfig), "waiting": []}
        if not there:
            raise BootstrapError(f"{state.path(TALOSCONFIG)} is not there. Run tazlab.bootstrap.talos_secrets first.")
        deadline = Deadline(params["timeout"])
        bootstrapped = not self.check_mode and bootstrap(
            nodes, control_planes, Note(state), deadline, self.progress, snapshot
        )
        fetched = fetch_kubeconfig(nodes, control_planes[0], deadline, self.progress)
        written = not kubeconfig_serves(state.read(KUBECONFIG), fetched, datetime.datetime.now(datetime.UTC))
        if written:
            if not self.check_mode:
                state.replace(KUBECONFIG, fetched)
            self.progress(f"{'would write' if self.check_mode else 'wrote'} {kubeconfig}")
        waits = strangers(kubeconfig, [node["name"] for node in params["nodes"]])
        if not self.check_mode and Note(state).read() is Birth.RESTORED:
            waits += _lived_through(nodes, [node_of(node) for node in params["nodes"]])
            self._wait_for_boots(nodes, control_planes, kubeconfig, deadline)
            Note(state).write(Birth.NONE)
        return {
            "changed": bootstrapped or written,
            "bootstrapped": bootstrapped,
            "kubeconfig": str(kubeconfig),
            "waiting": waits,
        }

    def _wait_for_boots(
        self, nodes: Nodes, control_planes: t.Sequence[Node], kubeconfig: Path, deadline: Deadline
    ) -> None:
        """Wait until Kubernetes knows the control planes in their present boot: a snapshot calls former ones Ready."""
        waiting = Waiting(deadline, self.progress)
        with Api(str(kubeconfig)) as api:
            while True:
                missing = {}
                try:
                    found = hosts(api, ASK_SECONDS)
                    for node in control_planes:
                        host = found.get(node.name)
                        if host is None or host.boot != nodes.boot(node) or not host.ready:
                            missing[node] = "its Node is that of the snapshot, or not Ready"
                except Unanswered as error:
                    missing = {control_planes[0]: str(error).rstrip(".")}
                except TalosctlError as error:
                    if error.failure not in PASSING:
                        raise
                    missing = {control_planes[0]: str(error).rstrip(".")}
                if not missing:
                    return
                waiting.pause("be Ready again", missing)


def _lived_through(nodes: Nodes, machines: t.Sequence[Node]) -> list[str]:
    """What is said of workers that ran while etcd was restored: what they know may be newer than the snapshot."""
    workers = [node for node in machines if not node.is_control_plane]
    return [
        f"Node {node.name} may have run while etcd was restored, and know what is newer than the snapshot. Let it "
        "boot anew"
        for node in workers
        if nodes.look(node).standing is Standing.OURS
    ]


def _makes(nodes: Nodes, control_planes: t.Sequence[Node], note: Note) -> bool:
    """Whether a run would make etcd now, without waiting for anything: at a birth, where it has no members."""
    answering = [node for node in control_planes if nodes.look(node).standing is Standing.OURS]
    if answering and note.read() is Birth.NONE:
        return False
    return not answering or not look_at_etcd(nodes, answering).is_bootstrapped
