# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of vault_paths: has each path of the declared Secrets looked at in Vault, and no value read."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import plain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.operator import OperatorAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.entries import read
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import OPERATOR_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.paths import Looked, look

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin


class ActionModule(OperatorAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **OPERATOR_OPTIONS,
        "anchor": {"type": "path", "default": ANCHOR},
        "secrets": {"type": "raw", "required": True, "no_log": False},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        declared, _wrong = read(plain(params["secrets"]))  # which gitops_delivery tells
        wanted: dict[str, frozenset[str]] = {}
        for each in declared:
            if "Store/" in each.through:  # another store may be of another Vault, or of none
                continue
            for value in (value for key in each.keys.values() for value in key.values.values()):
                wanted[value.path] = wanted.get(value.path, frozenset()) | {value.property}
            for path in each.all_of:
                wanted.setdefault(path, frozenset())

        def work(vault: VaultAdmin) -> Looked:
            return look(vault, wanted)

        try:
            looked = self.as_operator(params, work) if wanted else Looked()
        except BootstrapError as error:
            looked = Looked(unseen=[str(error)])
        if not looked.unseen:
            self.progress(f"{counted(len(wanted), 'path')} looked at")
        return {
            "problems": [each.as_dict() for each in looked.problems],
            "unseen": looked.unseen,
            "warnings": [f"Vault was not asked about all paths. {line}" for line in looked.unseen],
        }
