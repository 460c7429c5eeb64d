# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(cluster_state): a cluster's state is copied from one home to another."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import (
    STATE_OPTIONS,
    VAULT,
    state_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import KEPT, SECRETS, Directory, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_home import VaultHome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import read


class ActionModule(ControllerAction):
    secret_result: t.ClassVar[bool] = True
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **STATE_OPTIONS,
        "source_dir": {"type": "path"},
        "source_path": {"type": "str"},
    }
    spec_rules: t.ClassVar[dict[str, t.Any]] = {
        "mutually_exclusive": [["source_dir", "source_path"]],
        "required_one_of": [["source_dir", "source_path"]],
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        target, source = state_of(self, params), self._source(params)
        for state in (source, target):
            if isinstance(state.home, VaultHome) and state.home.away:
                raise state.home.away
        place, there = target.place(SECRETS), source.place(SECRETS)
        secrets = source.read(SECRETS)
        if secrets is None:
            raise BootstrapError(f"There is no state in {there}. Nothing was copied. Correct tazlab_state_from.")
        read(secrets, there)
        kept = target.read(SECRETS)
        if kept is not None and kept != secrets:
            raise BootstrapError(
                f"{place} and {there} are different secrets. Nothing was copied. Those with which the machines were "
                "born are the cluster's; remove the others, where you are sure."
            )
        found = {name: source.read(name) for name in KEPT}
        copied: dict[str, bytes] = {}
        for name, text in found.items():
            there_already = target.read(name)
            if text is None or there_already == text:
                continue
            if there_already is None:
                copied[name] = text
            else:  # runs have written there since: an older copy must not undo what they noted
                self.progress(f"{name}: {target.place(name)} has another one, which stays")
        if not self.check_mode:
            if target.home is None:
                target.tighten()
            for name, text in copied.items():
                target.replace(name, text)
        would = "would be copied" if self.check_mode else "copied"
        for name in copied:
            self.progress(f"{name}: {would} from {source.place(name)} to {target.place(name)}")
        return {"changed": bool(copied), "copied": list(copied), "source": there, "place": place}

    def _source(self, params: dict[str, t.Any]) -> State:
        if params["source_dir"]:
            directory = Path(params["source_dir"])
            return State(directory, Directory(directory))
        home = {"cluster": "", **(params["state_home"] or {}), "backend": VAULT, "path": params["source_path"]}
        return state_of(self, {**params, "state_home": home})
