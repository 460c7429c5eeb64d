# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(bootstrap_phase): notes when a phase began and says so."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import (
    COMPLETE,
    PHASES,
    PREFLIGHT,
    refuse_middle,
)


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "name": {"type": "str", "required": True, "choices": [*PHASES, PREFLIGHT, COMPLETE]}
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        name = params["name"]
        refuse_middle(name, task_vars.get("bootstrap_phases", []))
        if name in PHASES:
            self.progress(f"phase {list(PHASES).index(name) + 1} of {len(PHASES)}: {PHASES[name]}")
        begun = [*task_vars.get("bootstrap_phases", []), {"name": name, "started": time.time()}]
        return {"ansible_facts": {"bootstrap_phases": begun}}
