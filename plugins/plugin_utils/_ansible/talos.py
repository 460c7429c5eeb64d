# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions for Talos share. Private: other collections must not import it."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import plain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import state_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import NODE_OPTIONS, client_problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl

# Of these options the actions that wait have both.
WAITING: dict[str, t.Any] = {"timeout": {"type": "int", "default": 900}, "pending": {"type": "bool", "default": False}}


class TalosAction(ControllerAction):
    """An action on a Talos cluster. Patches and keys are among its arguments, so its result is never printed."""

    secret_result = True

    def arguments(self) -> dict[str, t.Any]:
        """The options; of each node only what is ours, since the inventory's machines have more."""
        given: dict[str, t.Any] = plain(super().arguments())
        if isinstance(given.get("nodes"), list):
            given["nodes"] = [_ours(node) if isinstance(node, dict) else node for node in given["nodes"]]
        return given

    def state(self, params: t.Mapping[str, t.Any]) -> State:
        return state_of(self, params)

    @staticmethod
    def talosctl(version: str) -> Talosctl:
        """The client, where it is new enough for this version of Talos."""
        talosctl = Talosctl()
        problem = client_problem(talosctl.version(), version)
        if problem:
            raise refusal([problem])
        return talosctl


def _ours(node: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: node[name] for name in NODE_OPTIONS if node.get(name) is not None}
