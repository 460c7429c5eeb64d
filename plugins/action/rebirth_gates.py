# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(rebirth_gates): the health report and the user's own commands permit a rebirth."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import from_variables, plain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.command import run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import declared_fields
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import without_secrets
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.rebirth import (
    Objection,
    gate_name,
    of_health,
    refusal,
    standing,
)

LIMIT: t.Final = 64 * 1024  # bytes that a gate may print
SHOWN: t.Final = 5  # of its lines, the last ones are shown


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "gates": {"type": "list", "elements": "list", "default": []},
        "despite": {"type": "list", "elements": "str", "default": []},
        "health": {"type": "dict", "default": {}},
        "timeout": {"type": "int", "default": 300},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        gates = [[str(word) for word in argv] for argv in plain(params["gates"])]
        if not all(gates):
            raise BootstrapError(
                "gates (tazlab_rebirth_gates): a gate is empty. Each is a list of words: [PROGRAM, ...]."
            )
        given = plain(params["health"] or {})
        failure = "" if given.get("health") else str(given.get("msg") or "")
        objections = of_health(given.get("health") or {}, failure)
        if self.check_mode:
            for argv in gates:
                self.progress(f"gate {gate_name(argv)}: would be asked")
        else:
            objections += [each for argv in gates for each in self._asked(argv, params["timeout"])]
        despite = [str(name).strip() for name in params["despite"]]
        left = standing(objections, despite)
        if left:
            raise BootstrapError(refusal(left, despite), code="not_permitted", subject=left[0].name)
        for each in objections:
            self.progress(f"{each.name}: NO, {each.why}; overridden by its name")
        return {"objections": [each.name for each in objections]}

    def _asked(self, argv: list[str], seconds: int) -> list[Objection]:
        """What a gate says: nothing where it permits."""
        name = gate_name(argv)
        variables = self._templar.available_variables
        fields = declared_fields(plain(from_variables(["fields"], variables, self._templar.template)).get("fields"))
        try:
            ended = run(argv, env=without_secrets(os.environ, fields), seconds=seconds, limit=LIMIT)
        except FileNotFoundError:
            return [Objection(name, f"{argv[0]} is not installed")]
        except OSError as error:
            return [Objection(name, f"it cannot be started, errno {error.errno}")]
        printed = (ended.output + ended.said).decode(errors="replace").strip().splitlines()[-SHOWN:]
        for line in printed:
            self.progress(f"gate {name}: {line}")
        if ended.too_much:
            return [Objection(name, f"it printed more than {LIMIT // 1024} KiB")]
        if ended.status is None:
            return [Objection(name, f"it has not ended within {seconds} s")]
        if ended.status:
            return [Objection(name, f"it ended with status {ended.status}")]
        self.progress(f"gate {name}: yes")
        return []
