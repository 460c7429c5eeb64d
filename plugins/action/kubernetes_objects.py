# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of kubernetes_objects: objects, Secrets among them, go to the API from memory and are never printed."""

from __future__ import annotations

import json
import typing as t
from collections import Counter
from dataclasses import asdict

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.diff import difference
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.apply import (
    FAILED,
    MADE,
    UNCHANGED,
    Applied,
    Rules,
    apply_all,
    check,
    plan,
    shown,
)

LISTED = 12  # more objects than these are counted instead


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "kubeconfig": {"type": "path", "required": True},
        "objects": {"type": "list", "elements": "dict", "required": True},  # a Secret among them hides the result
        "field_manager": {"type": "str", "required": True},
        "keep_existing": {"type": "list", "elements": "str", "default": []},
        "marks_only": {"type": "bool", "default": False},
        "exact_data": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "int", "default": 120},
        "pending": {"type": "bool", "default": False},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        # Ansible's tagged strings are plain ones from here on.
        definitions = json.loads(json.dumps(params["objects"], default=str))
        check(definitions)
        rules = Rules(
            manager=params["field_manager"],
            keep_existing=tuple(params["keep_existing"]),
            marks_only=params["marks_only"],
            exact_data=tuple(params["exact_data"]),
            dry_run=self.check_mode,
        )
        if params["pending"]:
            applied = plan(definitions)
        else:
            with Api(params["kubeconfig"]) as api:
                applied = apply_all(api, definitions, rules, Deadline(params["timeout"]), self.progress)
        for line in _lines(applied, self.check_mode or params["pending"]):
            self.progress(line)
        result: dict[str, t.Any] = {
            "_ansible_no_log": any(each["kind"] == "Secret" for each in definitions),
            "changed": any(each.change not in (UNCHANGED, FAILED) for each in applied),
            "objects": [_report(each) for each in applied],
        }
        if self.diff_mode:
            result["diff"] = [
                difference(each.label, shown(each.before), shown(each.after))
                for each in applied
                if each.before is not None
            ]
        problems = [f"{each.label}: {each.problem}" for each in applied if each.change == FAILED]
        if problems:
            result.update(
                failed=True,
                msg=f"{len(problems)} of {len(applied)} objects could not be applied:\n- " + "\n- ".join(problems),
            )
        return result


def _report(applied: Applied) -> dict[str, t.Any]:
    return {
        "api_version": applied.api_version,
        "kind": applied.kind,
        "namespace": applied.namespace,
        "name": applied.name,
        "change": applied.change,
        "changed": applied.change not in (UNCHANGED, FAILED),
        "differences": applied.differences,
        "leftovers": [asdict(each) for each in applied.leftovers],
        "held": [asdict(each) for each in applied.held],
    }


def _lines(applied: t.Sequence[Applied], only_would: bool) -> list[str]:
    """What happened, for people: object by object, or counted where they are many."""
    would = "would be " if only_would else ""
    moved = [each for each in applied if each.change not in (UNCHANGED, FAILED)]
    if len(moved) <= LISTED:
        return [f"{each.label} {would}{each.change}" for each in moved]
    kinds = Counter(each.kind for each in moved)
    made = sum(each.change == MADE for each in moved)
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    return [f"{len(moved)} objects, {made} of them new, {would}applied: {counted}"]
