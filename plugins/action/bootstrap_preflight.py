# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(bootstrap_preflight): all that is wrong, reported together, before anything is made."""

from __future__ import annotations

import importlib.util
import sys
import typing as t
from pathlib import Path

from ansible.release import __version__

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import own_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem, given_problems, texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted, numbered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.names import (
    group_problems,
    host_problems,
    variable_problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import (
    ALWAYS,
    PHASES,
    choice_problems,
    chosen,
    unknown_tags,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.preflight import (
    Fields,
    Use,
    core_problems,
    field_problems,
    inventory_missing,
    kubeconfig_problems,
    package_problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.providers import provider
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.settings import setting_problems
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import LOOKUP_OPTIONS, variable_names
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.machine import (
    inventory_problems,
    inventory_warnings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.provider import Provider

NAMES: t.Final[dict[str, t.Any]] = {"type": "list", "elements": "str", "default": []}
# The variables that give the options of modules and lookup.
OPTION_VARIABLES: t.Final = frozenset(name for option in LOOKUP_OPTIONS for name in variable_names(option))
PROBLEMS: t.Final[dict[str, t.Any]] = {"type": "list", "elements": "dict", "default": []}


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "settings": {"type": "dict", "required": True},
        "machines": {"type": "list", "elements": "dict", "default": []},
        "fields": {
            "type": "dict",
            "default": {},
            "options": {
                "declared": NAMES,
                "invalid": NAMES,
                "missing": NAMES,
                "problems": PROBLEMS,
                "uses": {
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "options": {
                        "phase": {"type": "str", "required": True, "choices": [*PHASES]},
                        "needed": NAMES,
                        "optional": NAMES,
                    },
                },
            },
        },
        "kubeconfig": {"type": "path", "required": True},
        "kubeconfig_given": {"type": "bool", "default": False},
        "plan_json": {"type": "path"},
        "anchor": {"type": "path", "default": ANCHOR},
        "problems": PROBLEMS,
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run_tags = task_vars.get("ansible_run_tags", ["all"])
        inherited = set(self._task.tags) - {ALWAYS}
        phases = chosen(run_tags, task_vars.get("ansible_skip_tags", []), inherited)
        first = choice_problems(run_tags, task_vars.get("ansible_skip_tags", []), inherited) + inventory_missing(
            task_vars.get("ansible_inventory_sources") or [],
            params["settings"].get("tazlab_cluster"),
            lambda source: Path(source).exists(),
        )
        if first:  # whatever else is wrong comes of it
            raise BootstrapError(_message(texts(first)), code="preflight")
        kubeconfig = params["kubeconfig"]
        machines = provider(params["settings"].get("tazlab_provider"))
        problems = list(core_problems(__version__, sys.executable))
        problems += setting_problems(params["settings"], phases)
        problems += variable_problems(task_vars, OPTION_VARIABLES)
        warnings = []
        if {"vms", "talos"}.intersection(phases):
            problems += self._machine_problems(params, task_vars, machines)
            warnings += inventory_warnings(params["machines"])
        problems += field_problems(_fields(params["fields"] or {}), phases)
        problems += package_problems(phases, machines, _is_installed, sys.executable)
        problems += kubeconfig_problems(
            phases,
            kubeconfig,
            is_file=Path(kubeconfig).is_file(),
            is_given=params["kubeconfig_given"],
            check_mode=self.check_mode,
        )
        problems += given_problems(params["problems"])
        if params["plan_json"]:
            problems += _plan_problems(params["plan_json"], params["anchor"])
        if problems:
            raise BootstrapError(_message(texts(problems)), code="preflight")
        self.progress(f"phases {', '.join(phases)}: every input is there and every system answers")
        warnings += [
            f"--tags {tag}: no phase of the bootstrap has this tag. There are {', '.join(PHASES)}."
            for tag in unknown_tags(run_tags, inherited)
        ]
        return {"phases": phases, "warnings": warnings}

    @staticmethod
    def _machine_problems(
        params: dict[str, t.Any], task_vars: dict[str, t.Any], machines: Provider
    ) -> t.Iterator[Problem]:
        """What is wrong with the machines, and with names that may be meant for them."""
        yield from inventory_problems(params["machines"], machines.required)
        yield from group_problems(task_vars.get("groups", {}))
        hostvars = task_vars.get("hostvars", {})
        named = [machine["name"] for machine in params["machines"]]
        hosts = {name: hostvars[name] for name in named if name in hostvars}
        yield from host_problems(hosts, machines.required)


def _fields(given: t.Mapping[str, t.Any]) -> Fields:
    return Fields(
        declared=given.get("declared", ()),
        invalid=given.get("invalid", ()),
        missing=given.get("missing", ()),
        problems=given_problems(given.get("problems", ())),
        uses=tuple(Use(**use) for use in given.get("uses", ())),
    )


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _message(problems: list[str]) -> str:
    return f"Preflight found {counted(len(problems), 'problem')}; nothing was changed.{numbered(problems)}"


def _plan_problems(path: str, anchor: str) -> list[Problem]:
    """The file is written last, when it is too late to refuse it."""
    try:
        own_file("tazlab_plan_json", path, anchor)
    except BootstrapError as error:
        return [error.problem]
    return []
