# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of bootstrap_consumers: which phases and seeded objects use a field of the bundle."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError
from ansible.template import trust_as_template

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import from_variables, plain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import FIXED_AT_BIRTH, declared_fields
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.consumers import (
    consumers,
    role_phases,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import PLAYBOOKS

# The fact from which site.yml's variables take every field.
VALUES = "bootstrap_secrets_values"
SITE = PLAYBOOKS / "site.yml"


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "field": {"type": "str", "required": True},
        "objects": {"type": "list", "elements": "dict", "default": []},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        field = params["field"]
        given = from_variables(("fields",), self._templar.available_variables, self._templar.template)
        declared = [known.name for known in declared_fields(plain(given.get("fields")))]
        if field not in declared:
            raise BootstrapError(
                f"field: {field} is not a field of the bundle, which has {', '.join(declared)}. Correct the name, or "
                "declare it in tazlab_fields."
            )
        marker = f"the value of {field}"
        variables = {**self._templar.available_variables, VALUES: {field: marker}}
        templar = self._templar.copy_with_new_env(available_variables=variables)

        def value_of(name: str) -> t.Any:
            try:
                return plain(templar.template(variables[name]))
            except AnsibleError:  # it needs what only its own phase knows
                return None

        plays = self._loader.load_from_file(str(SITE))
        found = consumers(
            field,
            [name for name in variables if name != VALUES],
            value_of,
            marker,
            role_phases(plays, lambda name: str(plain(templar.template(trust_as_template(name))))),
            params["objects"],
        )
        for consumer in found:
            self.progress(f"{field} is used by phase {consumer.phase} ({consumer.what}): {consumer.command}")
        if not found:
            self.progress(f"{field} is used by no phase of site.yml and by no seeded object")
        return {
            "consumers": [
                {"phase": consumer.phase, "what": consumer.what, "command": consumer.command} for consumer in found
            ],
            "fixed_at_birth": field in FIXED_AT_BIRTH,
        }
