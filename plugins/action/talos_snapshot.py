# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_snapshot): a snapshot of etcd in a folder of the user's."""

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import TALOSCONFIG
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import NO_CONTROL_PLANE, NODES, node_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Nodes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.snapshot import newest, take
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl


class ActionModule(TalosAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "cluster": {"type": "str", "required": True},
        "nodes": NODES,
        **STATE_OPTIONS,
        "directory": {"type": "path", "required": True},
        "anchor": {"type": "path", "default": ANCHOR},
        "timeout": {"type": "int", "default": 300},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        control_planes = [node for node in map(node_of, params["nodes"]) if node.is_control_plane]
        if not control_planes:
            raise BootstrapError(NO_CONTROL_PLANE.text)
        state = self.state(params)
        if state.read(TALOSCONFIG) is None:
            raise BootstrapError(f"{state.path(TALOSCONFIG)} is not there: there is no cluster of ours.")
        nodes = Nodes(Talosctl(), state.path(TALOSCONFIG))
        directory = Path(params["directory"])
        if self.check_mode:
            before = newest(directory, params["cluster"])
            now = datetime.datetime.now(datetime.UTC)
            there = f"the newest there is {before.text(now)}" if before else "none is there"
            self.progress(f"would take a snapshot of etcd into {directory}; {there}")
            return {"changed": True, "path": "", "size": 0}
        made = take(nodes, control_planes, directory, params["cluster"], params["anchor"], float(params["timeout"]))
        self.progress(made.taken_text)
        return {"changed": True, "path": str(made.path), "size": made.size}
