# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(bootstrap_report): shows the summary of a run."""

from __future__ import annotations

import json
import time
import typing as t

from ansible.utils.display import Display

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import own_file, write_private_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site import summary as _report
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.changes import changes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import (
    COMPLETE,
    PREFLIGHT,
    refuse_no_phase,
    timings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "cluster": {"type": "str", "required": True},
        "secrets": {
            "type": "dict",
            "default": {},
            "no_log": False,
            "options": {
                "sources": {"type": "dict", "default": {}},
                "vault": {"type": "dict", "default": {}},
                "missing": {"type": "list", "elements": "str", "default": []},
                "drift": {"type": "list", "elements": "dict", "default": []},
            },
        },
        "vms": {"type": "list", "elements": "dict", "default": []},
        "consoles": {"type": "str", "default": ""},
        "talos": {"type": "dict", "default": {}},
        "seeds": {"type": "list", "elements": "dict", "default": []},
        "flux": {"type": "dict", "default": {}},
        "json_file": {"type": "path"},
        "anchor": {"type": "path", "default": ANCHOR},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        starts = [(phase["name"], float(phase["started"])) for phase in task_vars.get("bootstrap_phases", [])]
        refuse_no_phase(starts)
        complete = starts[-1][0] == COMPLETE
        end = starts.pop()[1] if complete else time.time()
        spent = timings(starts, end)
        verdict = _report.verdict([name for name, started in starts], complete, self.check_mode, params["consoles"])
        told = params["secrets"] or {}
        sections = {
            "Secrets": _report.secrets(**told, given=(told.get("vault") or {}).get("reason") == OK),
            "VMs": _report.vms(params["vms"]),
            "Nodes": _report.nodes(params["talos"]),
            "Seeded": _report.seeds(params["seeds"], self.check_mode),
            "Flux": [] if self.check_mode else _report.flux(params["flux"]),
            "Time": _report.times(spent),
        }
        done = changes(
            vms=params["vms"],
            nodes=params["talos"].get("nodes", []),
            seeds=params["seeds"],
            flux=params["flux"].get("objects", []),
            drift=told.get("drift") or [],
        )
        if [name for name, _started in starts if name not in (PREFLIGHT, "secrets")]:
            sections["What would be done" if self.check_mode else "What was done"] = done.lines(self.check_mode)
        Display().display("\n".join(_report.render(params["cluster"], sections, verdict)))
        if params["json_file"]:
            report = {"complete": complete, "check_mode": self.check_mode, "verdict": verdict, **done.as_dict()}
            write_private_file(
                own_file("json_file", params["json_file"], params["anchor"]), json.dumps(report, indent=2) + "\n"
            )
        return {
            "complete": complete,
            **done.as_dict(),
            "seconds": {timing.phase: round(timing.seconds, 1) for timing in spent},
        }
