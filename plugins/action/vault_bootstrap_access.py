# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of vault_bootstrap_access: the mount, the policies and the token roles stand in Vault."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.operator import OperatorAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR, TOKEN_PERIOD
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import enable_versioning, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import expand
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.access import (
    DRIFT,
    READ,
    Bundle,
    Finding,
    Mount,
    Part,
    Policy,
    TokenRole,
    ensure,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import OPERATOR_OPTIONS, Need
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_stores import (
    refuse_anchor,
    refuse_other,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

_CORRECTED: t.Final = {
    Policy.kind: "Set update_policies (vault_bootstrap_update_policies) to replace it by our rules; every token that "
    "has it is affected at once. If what is there is meant for others, choose another name (vault_bootstrap_name, "
    "vault_bootstrap_eso_name).",
    TokenRole.kind: "Set update_token_roles (vault_bootstrap_update_token_roles) to correct it; every token issued "
    "through it is affected at its next renewal.",
}


class ActionModule(OperatorAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **OPERATOR_OPTIONS,
        "anchor": {"type": "path", "default": ANCHOR},
        "policies": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {"name": {"type": "str", "required": True}, "rules": {"type": "str", "required": True}},
        },
        "token_roles": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "no_log": False,
            "options": {
                "name": {"type": "str", "required": True},
                "policies": {"type": "list", "elements": "str", "required": True},
                "period": {"type": "int", "default": TOKEN_PERIOD},
            },
        },
        "update_policies": {"type": "bool", "default": False},
        "update_token_roles": {"type": "bool", "default": False, "no_log": False},
        "writes_bundle": {"type": "bool", "default": False},
        "over_deleted": {"type": "int"},
        "dest": {"type": "path"},
        "needs": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "path": {"type": "str", "required": True},
                "capabilities": {"type": "list", "elements": "str", "required": True},
                "purpose": {"type": "str", "required": True},
            },
        },
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if params["dest"]:
            anchor = expand(params["anchor"], Path.home())
            dest = expand(params["dest"], Path.home())
            refuse_anchor(dest, anchor, self.copying(params))
            refuse_other(dest)
        mount = params["mount_point"].strip("/")
        parts: list[Part] = [
            Policy(policy["name"], policy["rules"], params["update_policies"]) for policy in params["policies"]
        ]
        parts += [_token_role(role, params["update_token_roles"]) for role in params["token_roles"]]
        needs = [Need(need["path"], frozenset(need["capabilities"]), need["purpose"]) for need in params["needs"]]

        def work(vault: VaultAdmin) -> list[Finding]:
            if params["writes_bundle"]:
                needs.append(Need(vault.settings.secret_path, READ, "look at the bundle"))
            bundle = Bundle(params["over_deleted"]) if params["writes_bundle"] else None
            migrating = enable_versioning(vault_tool(), vault.settings, mount)
            return ensure(vault, [Mount(mount, migrating), *parts], needs, self.check_mode, bundle)

        findings = self.as_operator(params, work)
        for finding in findings:
            self.progress(f"{finding.kind} {finding.name}: {finding.state}")
        warnings = [
            f"The {finding.kind} {finding.name} is not as it should be: {finding.note}. It was left as it is. "
            f"{_CORRECTED[finding.kind]}"
            for finding in findings
            if finding.state == DRIFT
        ]
        return {
            "changed": any(finding.changes for finding in findings),
            "parts": [finding.as_dict() for finding in findings],
            "diff": self.shown(
                (f"{finding.kind} {finding.name}", finding.before, finding.after)
                for finding in findings
                if finding.changes
            ),
            "warnings": warnings,
        }


def _token_role(role: dict[str, t.Any], update: bool) -> TokenRole:
    if role["period"] < 60:
        raise BootstrapError(f"token_roles: {role['name']}: period must be at least 60 seconds.")
    return TokenRole(role["name"], tuple(role["policies"]), role["period"], update)
