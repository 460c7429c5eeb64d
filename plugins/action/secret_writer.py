# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of secret_writer: a Secret of a living cluster gets another writer, and is never deleted."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import plain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._writers.change import (
    CHANGED,
    PROTECTED,
    WAITING,
    Changer,
    Outcome,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._writers.steps import Asked

PROTECT: t.Final = "protect"
FINISH: t.Final = "finish"


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "kubeconfig": {"type": "path", "required": True},
        "operation": {"type": "str", "choices": [PROTECT, FINISH], "required": True},
        "secrets": {
            "type": "list",
            "elements": "dict",
            "required": True,
            "options": {
                "name": {"type": "str", "required": True},
                "namespace": {"type": "str", "required": True},
                "writer": {"type": "str", "choices": [ESO, VSO], "required": True},
                "type": {"type": "str", "default": "Opaque"},
            },
        },
        "pushed": {"type": "bool", "default": False},
        "wait": {"type": "int", "default": 600},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        params = plain(params)
        if params["wait"] < 1:
            raise BootstrapError("wait: must be at least 1 second.")
        asked = [Asked(each["namespace"], each["name"], each["writer"], each["type"]) for each in params["secrets"]]
        pushed = params["pushed"]
        with Api(params["kubeconfig"]) as api:
            changer = Changer(api, Deadline(params["wait"]), self.progress, self.check_mode)
            done = changer.protect(asked) if params["operation"] == PROTECT else changer.finish(asked, pushed=pushed)
        result: dict[str, t.Any] = {
            "changed": any(each.changed for each in done),
            "secrets": [
                {
                    "name": each.asked.name,
                    "namespace": each.asked.namespace,
                    "writer": each.asked.writer,
                    "state": each.state,
                    "uid": each.uid,
                    "why": each.why,
                }
                for each in done
            ],
            "report": [_line(each) for each in done],
        }
        late = [each for each in done if each.state == WAITING and (pushed or not each.by_flux)]
        if late and params["operation"] == FINISH and not self.check_mode:
            lines = " ".join(_line(each) for each in late)
            result.update(failed=True, msg=f"{lines} It was waited {params['wait']} s. Run the same again to go on.")
        return result


def _line(outcome: Outcome) -> str:
    """What became of a Secret, for a person."""
    name, writer = f"Secret {outcome.asked.label}", outcome.asked.writer
    if outcome.state == PROTECTED:
        return f"{name} stays when Flux takes its old writer out."
    if outcome.state == CHANGED:
        return f"{name} is made by {writer} alone."
    step = " Commit and push what declares it, if that was not done, and run the same again." * outcome.by_flux
    return f"{name} is not {writer}'s alone yet: {outcome.why}.{step}"
