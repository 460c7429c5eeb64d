# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of bootstrap_health: uses each credential once, from Vault and from the anchor, and reports."""

from __future__ import annotations

import json
import os
import time
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.secrets import (
    SecretAction,
    ask_vault,
    bundle_of,
    secret_place,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS, state_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import TAILSCALE_TOKEN_URL
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import own_file, write_private_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health import uses
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.checks import checks
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.logins import LoginHealth, login_health
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.report import Report, Source, TokenState, examine
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.snapshots import snapshot_line
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.state import UNREAD, StateHealth, state_health
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.vault import VaultTokens, ending
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.strangers import strangers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field, declared_fields, logins
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Resolution, resolve
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.providers import provider
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import KUBECONFIG, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_home import VaultHome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import BUNDLE_OPTIONS, LOGIN_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import (
    NoVault,
    VaultSettings,
    expand,
    vault_settings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.jwt import LOGIN_OPTIONS as LOGINS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.jwt import logins_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import OPERATOR_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.provider import Targets

OWN_OPTIONS: t.Final[dict[str, dict[str, t.Any]]] = {
    "cluster": {"type": "str", "default": ""},
    "machines": {"type": "list", "elements": "dict", "default": []},
    "provider": {"type": "str", "default": ""},
    "provider_settings": {"type": "dict", "default": {}},
    "flux": {"type": "dict", "default": {}},
    "logins": {"type": "dict", "default": {}},
    "tailscale_token_url": {"type": "str", "default": TAILSCALE_TOKEN_URL},
    "tailscale_ca_cert": {"type": "path"},
    "eso_path": {"type": "str", "default": "tazlab-k8s/static"},
    **STATE_OPTIONS,
    "cluster_logins": {"type": "dict", "options": LOGINS},
    "snapshots": {
        "type": "dict",
        "default": {},
        "options": {"directory": {"type": "path", "default": ""}, "cluster": {"type": "str", "default": ""}},
    },
    "renew_tokens": {"type": "bool", "default": False, "no_log": False},
    "json_file": {"type": "path"},
}


class ActionModule(SecretAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {**OPERATOR_OPTIONS, **LOGIN_OPTIONS, **BUNDLE_OPTIONS, **OWN_OPTIONS}
    never_from_variables = tuple(OWN_OPTIONS)

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        fields = declared_fields(params["fields"])
        systems = logins(params["logins"])
        logins_there = logins_of(params["cluster_logins"]) if params["cluster_logins"] else None
        json_file = own_file("json_file", params["json_file"], params["anchor"]) if params["json_file"] else None
        settings = _as_bootstrap(params, fields)
        outcome = ask_vault({**params, "cache": False, "check_token": False}, fields, renew="never", settings=settings)
        bundle = bundle_of(outcome, fields, secret_place(params))
        providers = declared_providers(
            [{"type": "file"}], fields=fields, anchor=params["anchor"], environ={}, home=Path.home()
        )
        gone = providers[0].missing_anchor()
        no_anchor = f"{gone} is not a directory that can be read" if gone else ""
        sources = (
            _source("vault", bundle, "" if outcome.reason == OK else outcome.message, ending(outcome)),
            _source("anchor", resolve(fields, {}, providers), no_anchor),
        )
        renews = params["renew_tokens"] and not self.check_mode
        vault = VaultTokens(settings, outcome, float(params["timeout"]), renews)
        (eso_field,) = systems["eso"]
        tokens = vault.states(eso_field, bundle.found.get(eso_field))  # renewed before anything else can go wrong
        state, states = self._state(params)
        if isinstance(state.home, VaultHome):
            tokens.append(vault.of_the_state(state.home.settings))
        entries = list(login_health(vault, logins_there, state)) if logins_there else []
        report = examine(checks(fields, systems, self._uses(params, settings, vault, eso_field, state)), sources)
        drift = [entry.message for entry in resolve(fields, bundle.found, providers).drift]
        drift += vault.copy_drift(expand(params["anchor"], Path.home()))
        for line in _lines(tokens, [*states, *entries], outcome.warnings, drift, report):
            self.progress(line)
        for line in strangers(state.path(KUBECONFIG), [str(machine.get("name")) for machine in params["machines"]]):
            self.progress(f"WARNING: {line}")
        snapshots = params["snapshots"]
        if snapshots.get("directory"):
            self.progress(snapshot_line(Path(snapshots["directory"]), snapshots["cluster"]))
        answer = {
            **report.as_dict(),
            "tokens": [each.as_dict() for each in tokens],
            "state": [each.as_dict() for each in states],
            "logins": [each.as_dict() for each in entries],
            "bundle": {"version": outcome.version, "deletion_time": outcome.deletion_time},
            "warnings": list(outcome.warnings),
            "drift": drift,
            "time": int(time.time()),
        }
        if json_file and not self.check_mode:
            write_private_file(json_file, json.dumps(answer, indent=2) + "\n")
        return {"health": answer, **_failure(report, [*tokens, *states, *entries])}

    def _state(self, params: Mapping[str, t.Any]) -> tuple[State, list[StateHealth]]:
        """The cluster's state, and how it stands with it."""
        try:
            state = state_of(self, params)
        except BootstrapError as error:
            return State(Path(params["state_dir"])), [StateHealth("Vault", UNREAD, str(error))]
        return state, list(state_health(state))

    @staticmethod
    def _uses(
        params: Mapping[str, t.Any],
        settings: VaultSettings | NoVault,
        vault: VaultTokens,
        eso_field: str,
        state: State,
    ) -> dict[str, tuple[str, t.Callable[..., str]]]:
        """What uses the fields of each system once."""
        machines = provider(params["provider"])
        targets = Targets(params["provider_settings"], params["cluster"], params["machines"])
        provider_use = {machines.login: (machines.title, partial(machines.tries, targets))} if machines.tries else {}
        tailscale = partial(uses.tailscale, params["tailscale_token_url"], params["tailscale_ca_cert"] or "")
        return {
            **provider_use,
            "git": ("Git", partial(uses.git, params["flux"])),
            "tailscale": ("Tailscale", tailscale),
            "eso": ("ESO reader", partial(vault.eso_reader, params["eso_path"], eso_field)),
            "talos": ("secretbox key", partial(uses.secretbox, state)),
            "vault": ("Vault's CA", partial(uses.authority, settings)),
        }


def _source(name: str, found: Resolution, why: str, ends: str = "") -> Source:
    return Source(name, found.found, {problem.subject: problem for problem in found.invalid}, why, ends)


def _lines(
    tokens: Sequence[TokenState],
    states: Sequence[StateHealth | LoginHealth],
    warnings: Sequence[str],
    drift: Sequence[str],
    report: Report,
) -> Iterator[str]:
    """What a person reads; it ends in the line of each source and the table."""
    for state in tokens:
        yield state.line
        yield from (f"WARNING: {warning}" for warning in (state.facts.warnings() if state.facts else []))
    yield from (each.line for each in states)
    yield from (f"WARNING: {warning}" for warning in warnings)
    yield from (f"drift: {line}" for line in drift)
    yield from report.advice()
    yield ""
    yield from report.lines()


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


def _failure(report: Report, others: Sequence[TokenState | StateHealth | LoginHealth]) -> dict[str, t.Any]:
    """The task fails, and with it the playbook, when a source would not do, or a token or the state may be lost."""
    failing = [each.line for each in others if each.failing]
    if not failing and all(report.able(source) for source in report.sources):
        return {}
    return {
        "failed": True,
        "msg": ". ".join(line.rstrip(".") for line in (*list(report.lines())[: len(report.sources)], *failing)),
    }
