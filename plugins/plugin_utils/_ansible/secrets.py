# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the secret core's actions and lookup share on the controller: options from variables, and the run's one outcome.

Private: other collections must not import it.
"""

from __future__ import annotations

import os
import time
import typing as t
from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible import constants as C
from ansible.utils.display import Display

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import from_variables, plain, run_root
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field, compile_expression
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Provenance, Resolution, accept
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing.client import NoBroker, shared
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import Outcome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import (
    NoVault,
    VaultSettings,
    vault_settings,
)

display = Display()


def ask_vault(
    options: Mapping[str, t.Any],
    fields: Iterable[Field],
    *,
    renew: str,
    settings: VaultSettings | NoVault | None = None,
) -> Outcome:
    """The run's outcome for these options: asked for now, or by whoever came first."""
    settings = settings or vault_settings(options, environ=os.environ, home=Path.home(), fields=fields)
    if isinstance(settings, NoVault):
        return Outcome(settings.reason, settings.message, warnings=settings.warnings)
    register([settings.token, settings.login.secret if settings.login else ""])
    timeout = float(options["timeout"])
    if not 0 < timeout <= 3600:
        raise BootstrapError("timeout: must be more than 0 and at most 3600 seconds.")

    def fetch() -> Outcome:
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.bundle import fetch as fetch_now

        return fetch_now(settings, timeout=timeout, renew=renew, check_token=bool(options.get("check_token")))

    if not options["cache"]:
        return fetch()
    try:
        answer = shared(settings.key(), timeout, lambda: fetch().to_bytes(), Path(C.DEFAULT_LOCAL_TMP), run_root())
    except NoBroker:
        display.v("tazlab.bootstrap: the outcome cannot be shared in this run; this task asks Vault for itself")
        return fetch()
    return Outcome.from_bytes(answer)


def bundle_of(outcome: Outcome, fields: Iterable[Field], place: str) -> Resolution:
    """The fields in what Vault gave, cleaned, with their provenance."""
    fields = tuple(fields)
    data = outcome.data or {}
    label = f"vault v{outcome.version}" if outcome.version is not None else "vault"
    age = None if outcome.created is None else max(0, int(time.time() - outcome.created))
    origin = Provenance("vault", place, label, age, outcome.version)
    raw = {known.name: _extract(known, data) for known in fields} if data else {}
    return accept(fields, raw, {known.name: origin for known in fields})


def _extract(known: Field, data: Mapping[str, t.Any]) -> t.Any:
    if known.expression is None:
        return data.get(known.name)
    expression = compile_expression(f"fields: {known.name}.expression", known.expression)
    import jmespath.exceptions

    try:
        return expression.search(data)
    except jmespath.exceptions.JMESPathError:
        return InvalidValue("cannot be had: its expression does not fit what is there")


def secret_place(options: Mapping[str, t.Any]) -> str:
    """Where in Vault the bundle is, as a person says it."""
    return f"{options['mount_point']}/{options['path']}"


class SecretAction(ControllerAction):
    """An action whose options may stand in the inventory's variables, and whose result is never printed."""

    secret_result = True
    never_from_variables: t.ClassVar[tuple[str, ...]] = ()

    def arguments(self) -> dict[str, t.Any]:
        given = {name: value for name, value in self._task.args.items() if value is not None}
        lacking = [name for name in self.argument_spec if name not in given and name not in self.never_from_variables]
        variables = from_variables(lacking, self._templar.available_variables, self._templar.template)
        found: dict[str, t.Any] = plain({**variables, **given})
        return found
