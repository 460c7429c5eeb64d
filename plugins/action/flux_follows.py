# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(flux_follows): a living cluster's Flux is not moved to something else unasked."""

from __future__ import annotations

import json
import time
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.living import (
    Living,
    consequence,
    governed,
    homeless,
    look,
    refusal,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api, Unanswered

PAUSE_SECONDS = 1.0


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "kubeconfig": {"type": "path", "required": True},
        "sync": {"type": "list", "elements": "dict", "required": True},
        "move": {"type": "list", "elements": "str", "default": []},
        "brings_flux": {"type": "bool", "default": True},
        "timeout": {"type": "int", "default": 120},
        "unanswered": {"type": "str", "choices": ["fail", "pass"], "default": "fail"},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        sync = json.loads(json.dumps(params["sync"], default=str))  # Ansible's tagged strings become plain ones
        patient = params["unanswered"] == "fail"
        try:
            living = self._look(params["kubeconfig"], sync, Deadline(params["timeout"]), patient)
        except BootstrapError as error:
            if patient:
                raise
            return {"answered": False, "moves": [], "made": [], "warnings": [str(error)]}
        if living.governors:
            raise BootstrapError(governed(living))
        if living.moves and living.keeps_itself and not params["brings_flux"]:
            raise BootstrapError(homeless(living))
        unconfirmed = living.refused([each.strip() for each in params["move"]])
        if unconfirmed:
            raise BootstrapError(refusal(living, unconfirmed))
        for move in living.moves:
            self.progress(f"{move.setting}: {move.found} becomes {move.wanted}, as confirmed")
        return {
            "answered": True,
            "moves": [{"setting": move.setting, "from": move.found, "to": move.wanted} for move in living.moves],
            "made": list(living.made),
            "warnings": [consequence(living, "would" if self.check_mode else "will")] if living.moves else [],
        }

    def _look(self, kubeconfig: str, sync: list[dict[str, t.Any]], deadline: Deadline, patient: bool) -> Living:
        """An API server that gives no answer may be starting: with patience it is asked again until the deadline."""
        with Api(kubeconfig) as api:
            while True:
                try:
                    return look(api, sync, max(1.0, deadline.left))
                except Unanswered as error:
                    if not (patient and deadline.left):
                        raise Unanswered(f"{error} It was asked for {deadline.elapsed:.0f} s.") from None
                    time.sleep(min(PAUSE_SECONDS, deadline.left))
