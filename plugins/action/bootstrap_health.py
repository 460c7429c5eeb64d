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
from functools import partial
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.module_utils import _health_uses as uses
from ansible_collections.tazlab.bootstrap.plugins.module_utils._errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.module_utils._fields import Field, declared_fields
from ansible_collections.tazlab.bootstrap.plugins.module_utils._health import Check, Report, Source, Untried, examine
from ansible_collections.tazlab.bootstrap.plugins.module_utils._options import BUNDLE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.module_utils._outcome import OK
from ansible_collections.tazlab.bootstrap.plugins.module_utils._private_file import write_private_file
from ansible_collections.tazlab.bootstrap.plugins.module_utils._providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.module_utils._resolution import Resolution, resolve
from ansible_collections.tazlab.bootstrap.plugins.module_utils._token_delivery import (
    FileStore,
    look_up,
    renew,
)
from ansible_collections.tazlab.bootstrap.plugins.module_utils._token_facts import TokenFacts
from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_operator import OPERATOR_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_settings import (
    IN_ANCHOR,
    NoVault,
    VaultSettings,
    expand,
    vault_settings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets import (
    SecretAction,
    ask_vault,
    bundle_of,
    secret_place,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_admin import VaultAdmin


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
        "eso_path",
        "state_dir",
        "renew_tokens",
        "json_file",
    )

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        fields = declared_fields(params["fields"])
        settings = vault_settings(params, environ=os.environ, home=Path.home(), fields=fields)
        outcome = ask_vault({**params, "cache": False, "check_token": False}, fields, renew="never")
        bundle = bundle_of(outcome, fields, secret_place(params))
        providers = declared_providers(
            [{"type": "file"}], fields=fields, anchor=params["anchor"], environ={}, home=Path.home()
        )
        anchor = resolve(fields, {}, providers)
        gone = providers[0].missing_anchor()
        sources = (
            Source("vault", bundle.found, _by_field(fields, bundle), "" if outcome.reason == OK else outcome.message),
            Source("anchor", anchor.found, _by_field(fields, anchor), f"{gone} does not exist" if gone else ""),
        )
        report = examine(self._checks(params, fields, settings), sources)
        tokens = self._tokens(params, settings, sources[0])
        drift = [entry.message for entry in resolve(fields, bundle.found, providers).drift]
        drift += self._dead_copy(params, settings)
        for line in (*report.lines(), "", *tokens, *(f"drift: {line}" for line in drift)):
            self.progress(line)
        answer = {**report.as_dict(), "tokens": tokens, "drift": drift, "time": int(time.time())}
        if params["json_file"] and not self.check_mode:
            path = expand(params["json_file"], Path.home())
            write_private_file(path, json.dumps(answer, indent=2) + "\n")
        return {"health": answer, **_failure(report)}

    # ------------------------------------------------------------------------------------------------ checks

    def _checks(
        self, params: dict[str, t.Any], fields: Sequence[Field], settings: VaultSettings | NoVault
    ) -> list[Check]:
        """A check for each group of fields that one system takes. A field that is not declared has no check."""
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
            ("ESO reader", ("ESO_READER_TOKEN",), partial(self._eso_reader, params, settings)),
            ("secretbox key", ("TALOS_SECRETBOX_KEY",), partial(uses.secretbox, state_dir)),
            ("Vault's CA", ("VAULT_CA_CRT",), partial(_authority, settings)),
        ]
        return [
            Check(
                name,
                tuple(declared[field] for field in names),
                lambda values, _source, use=use, names=names: use(*(values[field] for field in names)),
            )
            for name, names, use in table
            if all(field in declared for field in names)
        ]

    def _eso_reader(self, params: dict[str, t.Any], settings: VaultSettings | NoVault, token: str) -> str:
        """The token looks itself up and may read what it is for."""
        if isinstance(settings, NoVault):
            raise Untried(settings.message)
        path = f"{settings.mount_point}/data/{params['eso_path']}/proof"

        def work(vault: VaultAdmin) -> TokenFacts | None:
            facts = look_up(vault, token, "ESO_READER_TOKEN")
            if facts is not None:
                with vault.as_token(token, "ESO_READER_TOKEN") as own:
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
                f"Vault at {settings.address} does not know this token (403): it has died, was revoked, or is of "
                "another Vault. Rotate it: tazlab.bootstrap.rotate with tazlab_rotate=ESO_READER_TOKEN."
            )
        return facts.says

    # ------------------------------------------------------------------------------------------------ tokens

    def _tokens(self, params: dict[str, t.Any], settings: VaultSettings | NoVault, vault_source: Source) -> list[str]:
        """The kind and the life of both tokens that Vault issues; renewed when that was asked for."""
        if isinstance(settings, NoVault):
            return [f"bootstrap token: {settings.message}"]
        held = {f"bootstrap token ({settings.token_source})": settings.token}
        eso = vault_source.values.get("ESO_READER_TOKEN")
        if eso:
            held["ESO reader's token (ESO_READER_TOKEN)"] = eso.value
        ask = renew if params["renew_tokens"] and not self.check_mode else look_up
        lines = []
        for name, token in held.items():
            try:
                facts = self._ask(settings, params, partial(_reversed(ask), token, name))
            except BootstrapError as error:
                lines.append(f"{name}: {error}")
                continue
            if facts is None:
                lines.append(f"{name}: Vault does not know it. Rotate it.")
                continue
            kind = "periodic" if facts.periodic else "NOT periodic"
            renewed = "renewed; " if ask is renew else ""
            lines.append(f"{name}: {renewed}{kind}, {facts.says}")
            lines += facts.warnings()
        return lines

    def _dead_copy(self, params: dict[str, t.Any], settings: VaultSettings | NoVault) -> list[str]:
        """Whether the anchor's own copy of the bootstrap token has died, as every rotation lets it."""
        anchor = expand(params["anchor"], Path.home())
        token = FileStore(anchor / IN_ANCHOR).read()
        if token is None or isinstance(settings, NoVault) or token == settings.token:
            return []
        try:
            facts = self._ask(settings, params, lambda vault: look_up(vault, token, IN_ANCHOR))
        except BootstrapError:
            return []  # the report says already that Vault does not answer
        return [] if facts else [f"bootstrap token: file {IN_ANCHOR} holds one that Vault does not know any more"]

    @staticmethod
    def _ask(
        settings: VaultSettings, params: Mapping[str, t.Any], work: t.Callable[[VaultAdmin], TokenFacts | None]
    ) -> TokenFacts | None:
        from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_admin import bounded

        return bounded(settings, float(params["timeout"]), work)


def _reversed(
    ask: t.Callable[[VaultAdmin, str, str], TokenFacts | None],
) -> t.Callable[[str, str, VaultAdmin], TokenFacts | None]:
    return lambda token, name, vault: ask(vault, token, name)


def _authority(settings: VaultSettings | NoVault, ca_pem: str) -> str:
    if isinstance(settings, NoVault):
        raise Untried(settings.message)
    return uses.authority(settings, ca_pem)


def _by_field(fields: Sequence[Field], resolution: Resolution) -> dict[str, str]:
    """What is there and wrong, by field."""
    return {
        known.name: text for known in fields for text in resolution.invalid if text.startswith(f"{known.name} from ")
    }


def _failure(report: Report) -> dict[str, t.Any]:
    """The task fails, and with it the playbook, when the cluster could not be reborn from one of the sources."""
    if all(report.able(source) for source in report.sources):
        return {}
    return {"failed": True, "msg": ". ".join(list(report.lines())[: len(report.sources)])}
