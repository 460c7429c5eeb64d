# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_bootstrap): etcd, bootstrapped once, and the kubeconfig."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import WAITING, TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import KUBECONFIG, TALOSCONFIG
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Birth, Note
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import NODES, Node, node_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.etcd import (
    bootstrap,
    fetch_kubeconfig,
    kubeconfig_serves,
    look_at_etcd,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Nodes, Standing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl


class ActionModule(TalosAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "nodes": NODES,
        **STATE_OPTIONS,
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
        if self.check_mode and (params["pending"] or not there or _makes(nodes, control_planes, Note(state))):
            self.progress(f"would bootstrap etcd on {control_planes[0].name} and write {kubeconfig}")
            return {"changed": True, "bootstrapped": True, "kubeconfig": str(kubeconfig)}
        if not there:
            raise BootstrapError(f"{state.path(TALOSCONFIG)} is not there. Run tazlab.bootstrap.talos_secrets first.")
        deadline = Deadline(params["timeout"])
        bootstrapped = not self.check_mode and bootstrap(nodes, control_planes, Note(state), deadline, self.progress)
        fetched = fetch_kubeconfig(nodes, control_planes[0], deadline, self.progress)
        written = not kubeconfig_serves(state.read(KUBECONFIG), fetched, datetime.datetime.now(datetime.UTC))
        if written:
            if not self.check_mode:
                state.replace(KUBECONFIG, fetched)
            self.progress(f"{'would write' if self.check_mode else 'wrote'} {kubeconfig}")
        return {"changed": bootstrapped or written, "bootstrapped": bootstrapped, "kubeconfig": str(kubeconfig)}


def _makes(nodes: Nodes, control_planes: t.Sequence[Node], note: Note) -> bool:
    """Whether a run would make etcd now, without waiting for anything: at a birth, where it has no members."""
    answering = [node for node in control_planes if nodes.look(node).standing is Standing.OURS]
    if answering and note.read() is Birth.NONE:
        return False
    return not answering or not look_at_etcd(nodes, answering).is_bootstrapped
