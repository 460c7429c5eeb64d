# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_preflight): all that would keep Talos from coming up."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.mounts import passing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import CLUSTER_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.preflight import problems
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import untested
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl


class ActionModule(TalosAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **CLUSTER_OPTIONS,
        **STATE_OPTIONS,
        "secretbox_key": {"type": "str", "no_log": True},
        "anchor": {"type": "path"},
        "pending": {"type": "bool", "default": False},
        "unmade": {"type": "list", "elements": "str", "default": []},
        "etcd_lost": {"type": "str", "default": ""},
        "raise_contract": {"type": "str", "default": ""},
        "recover_from": {"type": "path"},
    }

    def arguments(self) -> dict[str, t.Any]:
        """A node without an address is left out: the inventory's own check reports it."""
        given = super().arguments()
        nodes = given.get("nodes")
        return given | {"nodes": [node for node in nodes if "address" in node]} if isinstance(nodes, list) else given

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = self.state(params)
        talosctl = Talosctl()
        found = problems(params, state, talosctl, look=not params["pending"])
        warnings = [] if found else [*untested(params["version"], talosctl.version()), *_passing(state)]
        return {"problems": [each.as_dict() for each in found], "warnings": warnings}


def _passing(state: State) -> list[str]:
    """That the identity of a cluster that is about to be born would go with a container."""
    kind = passing(state.directory)
    if state.home is not None or not kind or state.read(SECRETS) is not None:
        return []
    what = (
        f"{state.directory} lies on {kind}, as a container's own files do: with it the cluster's identity would vanish."
    )
    step = "Keep it in Vault (tazlab_state: {backend: vault}), or in a directory that stays (tazlab_state_dir)."
    return [f"{what} {step}"]
