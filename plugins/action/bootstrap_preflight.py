# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C{bootstrap_preflight}: all that is wrong, reported together, before anything is made."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.module_utils._errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.module_utils._inventory import machine_problems, setting_problems
from ansible_collections.tazlab.bootstrap.plugins.module_utils._phases import chosen
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._action import ControllerAction


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "settings": {"type": "dict", "required": True},
        "machines": {"type": "list", "elements": "dict", "default": []},
        "problems": {"type": "list", "elements": "str", "default": []},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        phases = chosen(task_vars.get("ansible_run_tags", ["all"]), task_vars.get("ansible_skip_tags", []))
        problems = setting_problems(params["settings"], phases)
        if {"vms", "talos"}.intersection(phases):
            problems += machine_problems(params["machines"])
        problems += [problem for problem in params["problems"] if problem not in problems]
        if problems:
            raise BootstrapError(_message(problems))
        self.progress(f"phases {', '.join(phases)}: every input is there and every system answers")
        return {"phases": phases}


def _message(problems: list[str]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = "".join(f"\n  {number}. {problem}" for number, problem in enumerate(problems, 1))
    return f"Preflight found {count}; nothing was changed.{lines}"
