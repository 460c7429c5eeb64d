# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions share that change something in Vault with an operator's token. Private."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.diff import difference, show_diff
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import from_variables, plain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.secrets import SecretAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import Keeper, keeper
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import copy
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import (
    IN_ANCHOR,
    ROTATED,
    VaultSettings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import (
    OPERATOR_OPTIONS,
    operator_settings,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

_Result = t.TypeVar("_Result")
# What {name} of a provider stands for: none of them is a field.
BOOTSTRAP_TOKEN: t.Final = "BOOTSTRAP_TOKEN"  # noqa: S105
STATE_TOKEN: t.Final = "STATE_TOKEN"  # noqa: S105


class OperatorAction(SecretAction):
    """An action with the operator's own token, which never comes from a variable of the inventory."""

    # Options that a variable of the inventory may give. The token is not among them: that one is the bootstrap token.
    from_inventory: t.ClassVar[frozenset[str]] = frozenset(OPERATOR_OPTIONS) - {"token", "token_file"} | {
        "fields",
        "anchor",
    }

    def arguments(self) -> dict[str, t.Any]:
        given = super().arguments()
        return {name: value for name, value in given.items() if name in self._task.args or name in self.from_inventory}

    def keeper(self, params: Mapping[str, t.Any], name: str, files: Sequence[str]) -> Keeper:
        """Where the anchor's owner keeps a value, as C(providers) of the task or the inventory say."""
        variables = self._templar.available_variables
        given = plain(from_variables(["providers"], variables, self._templar.template))
        declaration = params.get("providers") or given.get("providers")
        providers = declared_providers(
            declaration, fields=(), anchor=params["anchor"], environ=os.environ, home=Path.home()
        )
        return keeper(providers, name, files)

    def copying(self, params: Mapping[str, t.Any]) -> str:
        """How the anchor's owner keeps a copy of the bootstrap token, from where rotation puts it."""
        return copy(Path.home() / ROTATED, self.keeper(params, BOOTSTRAP_TOKEN, (IN_ANCHOR,)))

    def shown(self, changes: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
        """The result's C(diff), in diff mode: what, before, after. Shown here, since the result itself is hidden."""
        if not self.diff_mode:
            return []
        diffs = [difference(*change) for change in changes]
        show_diff(diffs)
        return diffs

    def as_operator(
        self, params: Mapping[str, t.Any], work: Callable[[VaultAdmin], _Result], fields: Iterable[Field] = ()
    ) -> _Result:
        """Let the work talk to Vault with the operator's token, within the time that params allow."""
        settings = operator_settings(params, environ=os.environ, home=Path.home(), fields=fields)
        return self.asking(settings, params, work)

    def asking(
        self, settings: VaultSettings, params: Mapping[str, t.Any], work: Callable[[VaultAdmin], _Result]
    ) -> _Result:
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded

        for warning in settings.warnings:
            self.progress(f"WARNING: {warning}")
        return bounded(settings, float(params["timeout"]), work)
