# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(bootstrap_report): shows the summary of a run."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

from ansible import constants, context
from ansible.utils.display import Display

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import own_file, write_private_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site import summary
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.changes import Changes, changes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import (
    COMPLETE,
    PLAYBOOKS,
    PREFLIGHT,
    Timing,
    refuse_no_phase,
    timings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK

# Ansible shows a colour only where there is a terminal, and lets its user choose which.
COLOURS: t.Final = {
    summary.Tone.PLAIN: None,
    summary.Tone.GOOD: constants.COLOR_OK,
    summary.Tone.CHANGE: constants.COLOR_CHANGED,
    summary.Tone.ATTENTION: constants.COLOR_WARN,
    summary.Tone.BAD: constants.COLOR_ERROR,
}


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
        "removed": {"type": "list", "elements": "dict", "default": []},
        "consoles": {"type": "str", "default": ""},
        "talos": {"type": "dict", "default": {}},
        "seeds": {"type": "list", "elements": "dict", "default": []},
        "flux": {"type": "dict", "default": {}},
        "birth": {"type": "str", "default": ""},
        "problem": {"type": "str", "default": ""},
        "json_file": {"type": "path"},
        "anchor": {"type": "path", "default": ANCHOR},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        starts = [(phase["name"], float(phase["started"])) for phase in task_vars.get("bootstrap_phases", [])]
        refuse_no_phase(starts)
        complete = starts[-1][0] == COMPLETE
        end = starts.pop()[1] if complete else time.time()
        begun = [name for name, _started in starts]
        spent = timings(starts, end)
        waits = params["flux"].get("waiting") or []
        verdict = summary.verdict(
            begun, complete, self.check_mode, params["consoles"], params["birth"], waits=len(waits)
        )
        told = params["secrets"]
        done = changes(
            vms=[*params["removed"], *params["vms"]],
            nodes=params["talos"].get("nodes", []),
            seeds=params["seeds"],
            flux=params["flux"].get("objects", []),
            drift=told.get("drift") or [],
            waiting=params["talos"].get("waiting") or [],
        )
        self._show(params, begun, spent, done, self._after(params, begun, done, complete), verdict)
        if params["json_file"]:
            report = {
                "complete": complete,
                "check_mode": self.check_mode,
                "verdict": verdict.text,
                "birth": params["birth"],
                **done.as_dict(),
            }
            write_private_file(
                own_file("json_file", params["json_file"], params["anchor"]), json.dumps(report, indent=2) + "\n"
            )
        unreachable = {"unreachable": True, "msg": verdict.text} if complete and waits else {}
        return {
            **unreachable,
            "complete": complete,
            **done.as_dict(),
            "seconds": {timing.phase: round(timing.seconds, 1) for timing in spent},
        }

    def _after(
        self, params: dict[str, t.Any], begun: list[str], done: Changes, complete: bool
    ) -> dict[str, list[summary.Line]]:
        if not complete:
            return {"What was wrong": summary.problem(params["problem"])}
        kubeconfig = params["talos"].get("kubeconfig") or ""
        waits = bool(params["flux"].get("waiting"))
        return {"Next": summary.following(done, begun, self.check_mode, kubeconfig, _caller(), waits=waits)}

    def _show(
        self,
        params: dict[str, t.Any],
        begun: list[str],
        spent: list[Timing],
        done: Changes,
        after: dict[str, list[summary.Line]],
        verdict: summary.Line,
    ) -> None:
        told = params["secrets"]
        made = summary.done(done, self.check_mode) if set(begun) - {"secrets", PREFLIGHT} else []
        sections = {
            "Secrets": summary.secrets(
                told.get("sources") or {},
                told.get("vault") or {},
                told.get("missing") or [],
                given=(told.get("vault") or {}).get("reason") == OK,
            ),
            "VMs": summary.vms(params["vms"]),
            "Nodes": summary.nodes(params["talos"]),
            "Seeded": summary.seeds(params["seeds"], self.check_mode),
            "Flux": [] if self.check_mode else summary.flux(params["flux"]),
            "Waiting for Vault": summary.waits_for_vault(params["flux"].get("waiting") or []),
            "Time": summary.times(spent),
            "What would be done" if self.check_mode else "What was done": made,
            "What waits for you": summary.waiting(done),
        }
        for line in summary.render(params["cluster"], sections, verdict, after):
            Display().display(line.text, color=COLOURS[line.tone])


def _caller() -> summary.Caller:
    given = context.CLIARGS
    site = next((name for name in given.get("args") or () if Path(name).resolve().parent == PLAYBOOKS), None)
    return summary.Caller(
        inventories=[name if "," in name else _short(name) for name in given.get("inventory") or ()],
        health=str(Path(site).with_name("health.yml")) if site else "tazlab.bootstrap.health",
        site=str(Path(site).with_name("site.yml")) if site else "tazlab.bootstrap.site",
        more=any(given.get(name) for name in ("extra_vars", "vault_ids", "vault_password_files", "ask_vault_pass")),
    )


def _short(path: str) -> str:
    """The path as seen from where the user is, if it lies below."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
