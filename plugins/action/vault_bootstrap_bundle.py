# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of vault_bootstrap_bundle: asks Vault once a run and returns the bundle without printing it."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.secrets import (
    SecretAction,
    ask_vault,
    bundle_of,
    secret_place,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import declared_fields
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import refuse_invalid
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import (
    BUNDLE_OPTIONS,
    ON_UNAVAILABLE,
    VAULT_OPTIONS,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.report import vault_lines, vault_report


class ActionModule(SecretAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **VAULT_OPTIONS,
        **BUNDLE_OPTIONS,
        "on_unavailable": {"type": "str", "choices": ON_UNAVAILABLE, "default": "fail"},
        "on_invalid": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        fields = declared_fields(params["fields"])
        renew = params["renew"]
        if self.check_mode and renew != "never":
            renew = "look"
        outcome = ask_vault(params, fields, renew=renew)
        if outcome.reason != OK and params["on_unavailable"] == "fail":
            raise BootstrapError(outcome.message)
        resolution = bundle_of(outcome, fields, secret_place(params))
        if params["on_invalid"] == "fail":
            refuse_invalid(resolution.invalid)
        register(found.value for found in resolution.found.values())
        for line in vault_lines(outcome, resolution, len(fields)):
            self.progress(line)
        warnings = [*outcome.warnings, *(outcome.token.warnings if outcome.token else ())]
        if outcome.reason != OK:
            warnings.insert(0, f"Vault gave no bundle. {outcome.message}")
        return {
            "bundle": {name: found.value for name, found in resolution.found.items()},
            "sources": {name: found.provenance.as_dict() for name, found in resolution.found.items()},
            "missing": resolution.missing,
            "invalid": {problem.subject: problem.what for problem in resolution.invalid},
            "vault": vault_report(outcome),
            "warnings": warnings,
        }
