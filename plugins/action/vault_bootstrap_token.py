# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of vault_bootstrap_token: a narrow periodic token is issued, looked at, renewed or revoked."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import from_variables
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.operator import (
    BOOTSTRAP_TOKEN,
    STATE_TOKEN,
    OperatorAction,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import TOKEN_PERIOD
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field, declared_fields, kebab_case
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import FileKeeper, Keeper
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import copy, take, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import BUNDLE_OPTIONS, PROVIDERS_OPTION
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import (
    NoVault,
    VaultSettings,
    expand,
    vault_settings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import TokenFacts, TokenSpec
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.delivery import (
    REVOKE,
    Delivered,
    deliver,
    deliver_wrapped,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import (
    OPERATOR_OPTIONS,
    Need,
    refuse_lacking,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_look import (
    LOOKUP,
    Life,
    Look,
    look_at,
    look_up,
    renew,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_stores import (
    BundleStore,
    FileStore,
    Store,
    refuse_anchor,
    refuse_other,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

NEVER_WRITTEN: t.Final = "The anchor is never written. To keep a copy there:"


class ActionModule(OperatorAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **OPERATOR_OPTIONS,
        **BUNDLE_OPTIONS,
        **PROVIDERS_OPTION,
        "operation": {"type": "str", "choices": ["issue", "inspect", "renew", "revoke"], "required": True},
        "dest": {"type": "path"},
        "field": {"type": "str"},
        "role": {"type": "str"},
        "policies": {"type": "list", "elements": "str"},
        "period": {"type": "int", "default": TOKEN_PERIOD},
        "proof": {"type": "str"},
        "rotate": {"type": "bool", "default": False},
        "wrap_ttl": {"type": "int", "default": 0},
        "accessor": {"type": "str"},
        "over_deleted": {"type": "int"},
        "kept_as": {"type": "str", "choices": [BOOTSTRAP_TOKEN, STATE_TOKEN], "default": BOOTSTRAP_TOKEN},
    }
    spec_rules: t.ClassVar[dict[str, t.Any]] = {
        "mutually_exclusive": [("dest", "field")],
        "required_if": [
            ("operation", "issue", ("dest", "field"), True),
            ("operation", "issue", ("role", "policies", "proof")),
            ("operation", "revoke", ("accessor",)),
        ],
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if params["operation"] == "issue" and params["dest"]:
            refuse_anchor(self._dest(params), self._anchor(params), self.copying(params))
            refuse_other(self._dest(params))
        return _OPERATIONS[params["operation"]](self, params)

    # ------------------------------------------------------------------------------------------- operations

    def issue(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        spec = TokenSpec(params["role"], tuple(params["policies"]), params["period"], params["proof"])
        if spec.period < 60:
            raise BootstrapError("period: must be at least 60 seconds.")

        keeper = self._keeper(params)

        def work(vault: VaultAdmin) -> tuple[Delivered, VaultSettings]:
            needs = list(self._needs(params, vault))
            refuse_lacking(needs, vault.capabilities(need.path for need in needs), vault.settings.token_source)
            if params["wrap_ttl"]:
                store = FileStore(self._dest(params))
                wrapped = deliver_wrapped(vault, store, spec, params["wrap_ttl"], check_mode=self.check_mode)
                return wrapped, vault.settings
            bundle_or_file = self._store(params, vault)
            delivered = deliver(
                vault,
                bundle_or_file,
                spec,
                rotate=params["rotate"],
                check_mode=self.check_mode,
                anchor=self._anchor(params),
                kept=_kept(params)[1][0],
                progress=self.progress,
            )
            if isinstance(bundle_or_file, BundleStore):
                delivered.warnings += bundle_or_file.warnings
            return delivered, vault.settings

        if params["wrap_ttl"] and (params["field"] or params["rotate"]):
            raise BootstrapError("wrap_ttl: a wrapped token goes into the file dest alone, and cannot be rotated.")
        delivered, settings = self.as_operator(params, work, declared_fields(params["fields"]))
        return self._issued(params, delivered, settings, keeper)

    def inspect(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._as_itself(params, look_up)

    def renew(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._as_itself(params, look_up if self.check_mode else renew)

    def revoke(self, params: dict[str, t.Any]) -> dict[str, t.Any]:
        path = REVOKE
        need = Need(path, frozenset({"update"}), "revoke a token by its accessor")

        def work(vault: VaultAdmin) -> bool:
            refuse_lacking([need], vault.capabilities([path]), vault.settings.token_source)
            if self.check_mode:
                return True
            answer = vault.write(path, {"accessor": params["accessor"]}, "Revoking a token by its accessor")
            return not answer.get("warnings")

        changed = self.as_operator(params, work)
        self.progress("the token is revoked" if changed else "there is no token with this accessor (any more)")
        return {"changed": changed}

    # ---------------------------------------------------------------------------------------------- helpers

    def _dest(self, params: dict[str, t.Any]) -> Path:
        return Path(os.path.abspath(expand(params["dest"], Path.home())))  # noqa: PTH100  # a link stays a link

    def _anchor(self, params: dict[str, t.Any]) -> Path:
        return expand(params["anchor"], Path.home())

    def _field(self, params: dict[str, t.Any]) -> Field:
        for known in declared_fields(params["fields"]):
            if known.name == params["field"]:
                return known
        raise BootstrapError(f"field: {params['field']} is not a field of the bundle. Declare it in fields.")

    def _store(self, params: dict[str, t.Any], vault: VaultAdmin) -> Store:
        if params["field"]:
            return BundleStore(vault, self._field(params), params["over_deleted"])
        return FileStore(self._dest(params))

    def _needs(self, params: dict[str, t.Any], vault: VaultAdmin) -> t.Iterator[Need]:
        path = f"auth/token/create/{params['role']}"
        yield Need(path, frozenset({"sudo", "update"}), "issue a periodic token")
        if params["field"]:
            what = frozenset({"create", "read", "update"})
            yield Need(vault.settings.secret_path, what, f"write {params['field']} into the bundle")
        if params["rotate"]:
            yield Need(REVOKE, frozenset({"update"}), "revoke the replaced token")
            yield Need(LOOKUP, frozenset({"update"}), "look up the replaced token")

    def _issued(
        self, params: dict[str, t.Any], delivered: Delivered, settings: VaultSettings, keeper: Keeper
    ) -> dict[str, t.Any]:
        changed = delivered.state not in ("unchanged", "kept")
        place = params["field"] or str(self._dest(params))
        would = " (check mode: it would be)" if self.check_mode and changed else ""
        life = f"; it {delivered.facts.says}" if delivered.facts and not (self.check_mode and changed) else ""
        self.progress(f"token of {place}: {delivered.state}{would}{life}")
        lines = list(delivered.lines)
        if changed and not self.check_mode and not params["wrap_ttl"]:
            lines += self._copying(params, settings, keeper)
        for line in lines:
            self.progress(line)
        facts = delivered.facts
        return {
            "changed": changed,
            "state": delivered.state,
            "token": facts.as_dict() if facts else None,
            "previous_accessors": delivered.previous_accessors,
            "notes": lines,
            "diff": self.shown([(place, *_accessors(delivered, self.check_mode))] if changed else []),
            "warnings": [*delivered.warnings, *(facts.warnings() if facts else [])],
        }

    def _keeper(self, params: dict[str, t.Any]) -> Keeper:
        if not params["field"]:
            return self.keeper(params, *_kept(params))
        known = self._field(params)
        return self.keeper(params, known.name, known.file_names)

    def _copying(self, params: dict[str, t.Any], settings: VaultSettings, keeper: Keeper) -> list[str]:
        """How the anchor's owner takes the token over."""
        tool = vault_tool()
        if params["dest"]:
            return [f"{NEVER_WRITTEN} {copy(self._dest(params), keeper)}"]
        command = take(tool, settings, params["field"], keeper)
        return [f"{NEVER_WRITTEN} {command}", *([tool.note] if tool.note else [])]

    def _anchors_copy(self, params: dict[str, t.Any], token: str) -> list[str]:
        """Whether the anchor's file holds this token, and how its owner puts it there."""
        keeper = self.keeper(params, *_kept(params))
        held = FileStore(keeper.path).read() if isinstance(keeper, FileKeeper) else token
        if not isinstance(keeper, FileKeeper) or held == token:
            return []
        what = "another token" if held else "no usable copy of it"
        return [f"{keeper.path} holds {what}. {NEVER_WRITTEN} {copy(self._dest(params), keeper)}"]

    def _as_itself(
        self, params: dict[str, t.Any], work: t.Callable[[VaultAdmin, str, str], TokenFacts | None]
    ) -> dict[str, t.Any]:
        """Do it with the token itself: that of dest, of field as the bundle has it, or the bootstrap token."""
        home = Path.home()
        if params["dest"]:
            token = FileStore(self._dest(params)).read()
            if token is None:
                return self._looked(params, params["dest"], Look(Life.ABSENT), [])
            params = {**params, "token": token}
        else:
            variables = self._templar.available_variables
            given = from_variables(("token", "token_file"), variables, self._templar.template)
            params = {**params, **{name: params[name] or given.get(name) for name in ("token", "token_file")}}
        settings = vault_settings(params, environ=os.environ, home=home, fields=declared_fields(params["fields"]))
        if isinstance(settings, NoVault):
            raise BootstrapError(settings.message)

        def asked(vault: VaultAdmin) -> Look:
            token, source = settings.token, settings.token_source
            if params["field"]:
                store = BundleStore(vault, self._field(params))
                token, source = store.read() or "", store.place
            return look_at(vault, token, source, work) if token else Look(Life.ABSENT)

        look = self.asking(settings, params, asked)
        looks = params["operation"] == "inspect" and params["dest"] and look.alive
        notes = self._anchors_copy(params, settings.token) if looks else []
        return self._looked(params, params["field"] or params["dest"] or settings.token_source, look, notes)

    def _looked(self, params: dict[str, t.Any], place: str, look: Look, notes: list[str]) -> dict[str, t.Any]:
        self.progress(f"token of {place}: it {look.text}")
        for note in notes:
            self.progress(note)
        life = Life.ALIVE if look.alive else look.life
        return {
            "changed": False,
            "notes": notes,
            "state": life.value,
            "token": look.facts.as_dict() if look.facts else None,
            "warnings": look.facts.warnings() if look.facts else [],
        }


def _kept(params: dict[str, t.Any]) -> tuple[str, tuple[str]]:
    """Under which name, and in which file, the anchor's owner keeps a copy of the token of dest."""
    name = str(params["kept_as"])
    return name, (f"{kebab_case(name)}.txt",)


def _accessors(delivered: Delivered, check_mode: bool) -> tuple[str, str]:
    """Before and after, with the tokens named by their accessors, which open nothing."""
    before = "".join(f"token with accessor {accessor}\n" for accessor in delivered.previous_accessors[:1])
    accessor = "(to be issued)" if check_mode or delivered.facts is None else delivered.facts.accessor
    return before, f"token with accessor {accessor}\n"


_OPERATIONS: t.Final[dict[str, t.Callable[[ActionModule, dict[str, t.Any]], dict[str, t.Any]]]] = {
    "issue": ActionModule.issue,
    "inspect": ActionModule.inspect,
    "renew": ActionModule.renew,
    "revoke": ActionModule.revoke,
}
