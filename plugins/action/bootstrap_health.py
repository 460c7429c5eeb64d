# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of bootstrap_health: uses each credential once, from Vault and from the anchor, and reports."""

from __future__ import annotations

import json
import os
import time
import typing as t
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.secrets import (
    SecretAction,
    ask_vault,
    bundle_of,
    secret_place,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import write_private_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health import uses
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.report import (
    DEAD,
    NOT_RENEWED,
    TOO_WIDE,
    UNKNOWN,
    Check,
    Report,
    Source,
    TokenState,
    Untried,
    examine,
    judged,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field, declared_fields
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import by_field, resolve
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import BUNDLE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK, Outcome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import (
    IN_ANCHOR,
    NoVault,
    VaultSettings,
    expand,
    vault_settings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import TokenFacts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import WARN_BELOW, vault_time
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import OPERATOR_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_look import (
    REFUSED,
    TOO_NARROW,
    look_up,
    reads_bundle,
    renew,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_stores import (
    FileStore,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

_Result = t.TypeVar("_Result")


class ActionModule(SecretAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **OPERATOR_OPTIONS,
        **BUNDLE_OPTIONS,
        "cluster": {"type": "str", "default": ""},
        "machines": {"type": "list", "elements": "dict", "default": []},
        "proxmox": {"type": "dict", "default": {}},
        "flux": {"type": "dict", "default": {}},
        "tailscale_token_url": {"type": "str", "default": "https://api.tailscale.com/api/v2/oauth/token"},
        "tailscale_ca_cert": {"type": "path"},
        "eso_field": {"type": "str", "default": "ESO_READER_TOKEN"},
        "eso_path": {"type": "str", "default": "tazlab-k8s/static"},
        "state_dir": {"type": "path"},
        "renew_tokens": {"type": "bool", "default": False, "no_log": False},
        "json_file": {"type": "path"},
    }
    never_from_variables = (
        "cluster",
        "machines",
        "proxmox",
        "flux",
        "tailscale_token_url",
        "tailscale_ca_cert",
        "eso_field",
        "eso_path",
        "state_dir",
        "renew_tokens",
        "json_file",
    )

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        fields = declared_fields(params["fields"])
        json_file = _json_file(params)
        settings = _as_bootstrap(params, fields)
        outcome = ask_vault({**params, "cache": False, "check_token": False}, fields, renew="never", settings=settings)
        self._away = "" if outcome.reachable or outcome.reason == OK else outcome.message
        bundle = bundle_of(outcome, fields, secret_place(params))
        providers = declared_providers(
            [{"type": "file"}], fields=fields, anchor=params["anchor"], environ={}, home=Path.home()
        )
        anchor = resolve(fields, {}, providers)
        gone = providers[0].missing_anchor()
        sources = (
            Source(
                "vault",
                bundle.found,
                by_field(bundle.invalid),
                "" if outcome.reason == OK else outcome.message,
                _ends(outcome, datetime.now(UTC)),
            ),
            Source(
                "anchor",
                anchor.found,
                by_field(anchor.invalid),
                f"{gone} is no directory that can be read" if gone else "",
            ),
        )
        tokens = self._tokens(params, settings, sources[0])  # renewed before anything else can go wrong
        report = examine(self._checks(params, fields, settings), sources)
        drift = [entry.message for entry in resolve(fields, bundle.found, providers).drift]
        drift += self._copy_drift(params, settings)
        for state in tokens:
            self.progress(state.line)
            for warning in state.facts.warnings() if state.facts else []:
                self.progress(f"WARNING: {warning}")
        for warning in outcome.warnings:
            self.progress(f"WARNING: {warning}")
        for line in (*(f"drift: {line}" for line in drift), *report.advice(), "", *report.lines()):
            self.progress(line)
        answer = {
            **report.as_dict(),
            "tokens": [state.as_dict() for state in tokens],
            "bundle": {"version": outcome.version, "deletion_time": outcome.deletion_time},
            "warnings": list(outcome.warnings),
            "drift": drift,
            "time": int(time.time()),
        }
        if json_file and not self.check_mode:
            write_private_file(json_file, json.dumps(answer, indent=2) + "\n")
        return {"health": answer, **_failure(report, tokens)}

    # ------------------------------------------------------------------------------------------------ checks

    def _checks(
        self, params: dict[str, t.Any], fields: Sequence[Field], settings: VaultSettings | NoVault
    ) -> list[Check]:
        """A check for each group of fields that one system takes, and one for each field that nothing here can use."""
        declared = {known.name: known for known in fields}
        password = str(params["flux"].get("password_field") or "GITHUB_TOKEN")
        state_dir = expand(params["state_dir"] or f"~/.config/tazlab/{params['cluster']}", Path.home())
        table: list[tuple[str, tuple[str, ...], t.Callable[..., str]]] = [
            (
                "Proxmox",
                ("PROXMOX_TOKEN_ID", "PROXMOX_TOKEN_SECRET"),
                lambda *pair: uses.proxmox(params["proxmox"], params["cluster"], params["machines"], pair),
            ),
            ("Git", (password,), partial(uses.git, params["flux"])),
            (
                "Tailscale",
                ("TAILSCALE_OPERATOR_CLIENT_ID", "TAILSCALE_OPERATOR_CLIENT_SECRET"),
                lambda *pair: uses.tailscale(params["tailscale_token_url"], params["tailscale_ca_cert"] or "", pair),
            ),
            ("ESO reader", (params["eso_field"],), partial(self._eso_reader, params, settings)),
            ("secretbox key", ("TALOS_SECRETBOX_KEY",), partial(uses.secretbox, state_dir)),
            ("Vault's CA", ("VAULT_CA_CRT",), partial(_authority, settings)),
        ]
        table = [row for row in table if all(field in declared for field in row[1])]
        used = {field for _name, names, _use in table for field in names}
        table += [(field, (field,), lambda _value: "there and well formed") for field in declared if field not in used]
        return [
            Check(
                name,
                tuple(declared[field] for field in names),
                _using(names, use),
            )
            for name, names, use in table
        ]

    def _eso_reader(self, params: dict[str, t.Any], settings: VaultSettings | NoVault, token: str) -> str:
        """The token looks itself up and may read what it is for."""
        if isinstance(settings, NoVault):
            raise Untried(settings.message)
        path = f"{settings.mount_point}/data/{params['eso_path']}/proof"

        def work(vault: VaultAdmin) -> TokenFacts | None:
            facts = look_up(vault, token, params["eso_field"])
            if facts is not None:
                with vault.as_token(token, params["eso_field"]) as own:
                    own.read(path, "Reading as the ESO reader")
            return facts

        try:
            facts = self._ask(settings, params, work)
        except BootstrapError as error:
            if "HTTP 403" in str(error):
                raise
            raise Untried("Vault does not answer") from None
        if facts is None:
            raise BootstrapError(
                f"Vault at {settings.address} refuses this token (403): it has died, was revoked, is of another Vault, "
                "or may not look itself up, by which ESO validates its store. Rotate it: tazlab.bootstrap.rotate with "
                f"tazlab_rotate={params['eso_field']}."
            )
        return facts.says

    # ------------------------------------------------------------------------------------------------ tokens

    def _tokens(
        self, params: dict[str, t.Any], settings: VaultSettings | NoVault, vault_source: Source
    ) -> list[TokenState]:
        """The kind and the life of both tokens that Vault issues; renewed when that was asked for."""
        if isinstance(settings, NoVault):
            return [TokenState("bootstrap token", UNKNOWN, settings.message)]
        name = f"bootstrap token ({settings.token_source})"
        states = [self._token(params, settings, name, settings.token, is_bootstrap=True)]
        eso = vault_source.values.get(params["eso_field"])
        if eso:
            states.append(self._token(params, settings, f"ESO reader's token ({params['eso_field']})", eso.value))
        return states

    def _token(
        self, params: dict[str, t.Any], settings: VaultSettings, name: str, token: str, is_bootstrap: bool = False
    ) -> TokenState:
        def work(vault: VaultAdmin) -> TokenState:
            facts, failure = None, ""
            if params["renew_tokens"] and not self.check_mode:
                try:
                    facts = renew(vault, token, name)
                except BootstrapError as error:
                    failure = str(error)
            facts = facts or look_up(vault, token, name)
            powers = _powers(vault, token, name) if is_bootstrap else []
            if powers and not (facts and "root" in facts.health.policies):
                text = f"{failure} it may also {'; '.join(powers)}. Use the scoped token.".strip()
                return TokenState(name, TOO_WIDE, text, facts)
            if facts is not None:
                return judged(name, facts, failure)
            if is_bootstrap and reads_bundle(vault, token, name):
                return TokenState(name, NOT_RENEWED if failure else UNKNOWN, f"{failure} {TOO_NARROW}".strip())
            return TokenState(name, DEAD, f"{REFUSED}. Rotate it.")

        try:
            return self._ask(settings, params, work)
        except BootstrapError as error:
            return TokenState(name, NOT_RENEWED if params["renew_tokens"] else UNKNOWN, str(error))

    def _copy_drift(self, params: dict[str, t.Any], settings: VaultSettings | NoVault) -> list[str]:
        """How the anchor's own copy of the bootstrap token differs from the one in use, as after every rotation."""
        anchor = expand(params["anchor"], Path.home())
        token = FileStore(anchor / IN_ANCHOR).read()
        if isinstance(settings, NoVault) or token == settings.token:
            return []
        if token is None:
            return [f"bootstrap token: the anchor has no usable copy of it ({IN_ANCHOR})"]

        def work(vault: VaultAdmin) -> str:
            facts = look_up(vault, token, IN_ANCHOR)
            if facts is None:
                return TOO_NARROW if reads_bundle(vault, token, IN_ANCHOR) else REFUSED
            return f"it {facts.says}"

        try:
            life = f"; {self._ask(settings, params, work)}"
        except BootstrapError:
            life = ""  # the report says already that Vault does not answer
        return [f"bootstrap token: file {IN_ANCHOR} holds another one than {settings.token_source}{life}"]

    def _ask(
        self, settings: VaultSettings, params: Mapping[str, t.Any], work: t.Callable[[VaultAdmin], _Result]
    ) -> _Result:
        if self._away:  # who gave no answer once is not waited for again
            raise BootstrapError(self._away)
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded

        return bounded(settings, float(params["timeout"]), work)


def _as_bootstrap(params: Mapping[str, t.Any], fields: Sequence[Field]) -> VaultSettings | NoVault:
    """Vault as the bootstrap token reaches it. The environment's token may be the operator's: it comes last."""
    own = {name: value for name, value in os.environ.items() if name not in ("VAULT_TOKEN", "BAO_TOKEN")}
    try:
        settings = vault_settings(params, environ=own, home=Path.home(), fields=fields)
        if isinstance(settings, NoVault) and settings.reason == "no_token":
            return vault_settings(params, environ=os.environ, home=Path.home(), fields=fields)
    except BootstrapError as error:
        return NoVault("malformed", str(error))  # the anchor is still to be examined
    return settings


def _powers(vault: VaultAdmin, token: str, name: str) -> list[str]:
    """What the bootstrap token may do beside its purpose. One that may not even ask is narrow."""
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.bundle import excess, telling_paths

    try:
        with vault.as_token(token, name) as own:
            return excess(vault.settings, own.capabilities(telling_paths(vault.settings)))
    except BootstrapError:
        return []


def _ends(outcome: Outcome, now: datetime) -> str:
    """Whether Vault will delete the bundle by itself while nobody looks; as for tokens, a week is soon."""
    end = vault_time(outcome.deletion_time)
    if end is None or (end - now).total_seconds() >= WARN_BELOW:
        return ""
    return f"Vault will delete version {outcome.version} by itself on {outcome.deletion_time}"


def _json_file(params: Mapping[str, t.Any]) -> Path | None:
    if not params["json_file"]:
        return None
    path, anchor = expand(params["json_file"], Path.home()), expand(params["anchor"], Path.home())
    if path.parent.resolve().is_relative_to(anchor.resolve()):
        raise BootstrapError(
            f"json_file: {path} is inside the recovery anchor {anchor}, which is never written. Name another place."
        )
    return path


def _using(names: t.Sequence[str], use: t.Callable[..., str]) -> t.Callable[[t.Mapping[str, str], str], str]:
    """What uses these fields, as a check wants it: with all values and their source."""
    return lambda values, _source: use(*(values[name] for name in names))


def _authority(settings: VaultSettings | NoVault, ca_pem: str) -> str:
    if isinstance(settings, NoVault):
        raise Untried(settings.message)
    return uses.authority(settings, ca_pem)


def _failure(report: Report, tokens: Sequence[TokenState]) -> dict[str, t.Any]:
    """The task fails, and with it the playbook, when a source would not do, or a token is about to be lost."""
    failing = [state.line for state in tokens if state.failing]
    if not failing and all(report.able(source) for source in report.sources):
        return {}
    return {
        "failed": True,
        "msg": ". ".join(line.rstrip(".") for line in (*list(report.lines())[: len(report.sources)], *failing)),
    }
