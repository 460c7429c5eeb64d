# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_disks): the nodes, each with the disk on which Talos is installed."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import TALOSCONFIG
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import NODES, node_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.disks import find
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Nodes, survey, survey_until
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl

ADVICE = "Until it answers, it is not known on which disk Talos is to be installed, unless install_disk is set for it."


class ActionModule(TalosAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "nodes": NODES,
        **STATE_OPTIONS,
        "timeout": {"type": "int", "default": 900},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        lacking = [node_of(node) for node in params["nodes"] if not node["install_disk"]]
        state = self.state(params)
        nodes = Nodes(Talosctl(), state.path(TALOSCONFIG) if state.read(TALOSCONFIG) is not None else None)
        if self.check_mode:
            seen = survey(nodes, lacking)
        else:
            seen = survey_until(nodes, lacking, Deadline(params["timeout"]), self.progress, lambda _node: True, ADVICE)
        disks = find(nodes, seen)
        if disks.problems:
            raise refusal(disks.problems)
        for name, device in disks.found.items():
            self.progress(f"{name}: Talos is installed on {device}")
        return {
            "changed": False,
            "nodes": [
                {**node, "install_disk": node["install_disk"] or disks.found.get(node["name"], "")}
                for node in params["nodes"]
            ],
        }
