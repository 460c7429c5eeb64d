# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks Vault for the bundle, over hvac: one read, the token's health, and what a failure means. Private.

Import it only when Vault is really asked: it loads hvac and requests, which takes longer than everything else here.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Aside
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.causes import VaultFailure, explain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import undelete, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.connection import Answer, VaultConnection
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.login import LOGIN_REFUSED, Login, hint
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK, Outcome, TokenReport
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import (
    TokenHealth,
    health_warnings,
    iso,
    renewed,
    token_health,
    vault_time,
)

# Paths elsewhere whose capabilities tell that a token may do more than read the bundle.
_TELLING_PATHS: t.Final = ("sys/mounts", "sys/policies/acl/root", "auth/token/create", "sys/auth")


def fetch(settings: VaultSettings, *, timeout: float, renew: str = "auto", check_token: bool = False) -> Outcome:
    """Read the bundle within C(timeout) seconds, whatever the network does. Never raises for what Vault did."""
    question = _Question(settings, timeout, renew, check_token)
    asking = Aside(question.ask)
    asking.wait(timeout)
    outcome, error = question.outcome, question.error
    if outcome is None:
        if error is not None:
            raise error
        outcome = Outcome("timeout", explain("timeout", settings, timeout=timeout))
    late = () if error is None else (str(error),)  # what is known stands, whatever went wrong afterwards
    return replace(outcome, warnings=(*settings.warnings, *outcome.warnings, *late))


class _Question:
    """What is asked of Vault, step by step. C(outcome) is what is known so far; the rest may never come."""

    def __init__(self, settings: VaultSettings, timeout: float, renew: str, check_token: bool) -> None:
        self.settings = settings
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout
        self.renew = renew
        self.check_token = check_token
        self.outcome: Outcome | None = None
        self.error: BootstrapError | None = None

    def ask(self) -> None:
        try:
            with VaultConnection(self.settings, self.deadline) as vault:
                if self.settings.login:
                    self._read_logged_in(vault, self.settings.login)
                elif self._is_unwrapped(vault):
                    self._read(vault)
                self._look_at_namespace(vault)
        except BootstrapError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001  # the thread's outermost edge: no traceback may quote a secret
            self.error = BootstrapError(
                f"Unexpected {type(error).__name__} while asking Vault. Please report this bug."
            )

    def _look_at_namespace(self, vault: VaultConnection) -> None:
        """Warn where the namespace did not count: another secret than the one that was meant may have answered."""
        outcome, namespace = self.outcome, self.settings.namespace
        if outcome and outcome.reachable and namespace and vault.ignores_namespaces():
            warning = (
                f"Vault at {self.settings.address} is the community edition, which has no namespaces: {namespace} was "
                "ignored. Leave namespace out, or correct url."
            )
            self.outcome = replace(outcome, warnings=(*outcome.warnings, warning))

    def _is_unwrapped(self, vault: VaultConnection) -> bool:
        """Whether the token can be used as it is, or as what was unwrapped when that was asked for.

        Whoever reads with a wrapping token uses it up, and what it stands for is lost. Asking first costs one request,
        so it is done for tokens that somebody hands over, and not for those that a file keeps.
        """
        settings = self.settings
        if not settings.asks_if_wrapped:
            return True
        try:
            wrapped = vault.wrapped_by()
        except VaultFailure as failure:
            self._failed(failure, failure.reason, TokenReport(settings.token_source))
            if failure.reason == "unavailable":
                self._failed(failure, vault.why_unavailable(), TokenReport(settings.token_source))
            return False
        if wrapped is None:
            return True
        if settings.unwrap and vault.unwrap():
            return True
        reason = "unwrapped" if settings.unwrap else "wrapped"
        message = explain(reason, settings, creation_path=wrapped)
        self.outcome = Outcome(reason, message, reachable=True, token=TokenReport(settings.token_source))
        return False

    def _read_logged_in(self, vault: VaultConnection, login: Login) -> None:
        """Read with a token of a login, which is revoked at once: the run shares what was read, not the token."""
        try:
            auth = vault.log_in(login)
        except VaultFailure as failure:
            refused = failure.status in LOGIN_REFUSED
            reason = "login_refused" if refused else failure.reason
            if failure.reason == "unavailable":
                reason = vault.why_unavailable()
            self._failed(failure, reason, TokenReport(self.settings.token_source), hint=hint(failure.errors))
            return
        self.renew = "never"
        powers: list[str] = []
        try:
            self._read(vault)
            powers += self._powers(vault) if self.check_token else []
        finally:
            left = [] if vault.log_out() else [_left_behind(auth)]
            if self.outcome:
                policies = tuple(str(policy) for policy in auth.get("policies") or ())
                report = TokenReport(self.settings.token_source, policies=policies, warnings=(*powers, *left))
                self.outcome = replace(self.outcome, token=report)

    def _read(self, vault: VaultConnection) -> None:
        settings = self.settings
        unknown = TokenReport(settings.token_source)
        try:
            answer = vault.call(
                lambda client: client.secrets.kv.v2.read_secret_version(
                    settings.path,
                    version=settings.version,
                    mount_point=settings.mount_point,
                    raise_on_deleted_version=False,
                )
            )
        except VaultFailure as failure:
            self._failed(failure, failure.reason, unknown)
            if failure.reason == "unavailable":
                self._failed(failure, vault.why_unavailable(), unknown)
            elif failure.bad_token:
                self._failed(failure, "forbidden_token", unknown)
            elif failure.reason == "forbidden" and self.renew != "never":
                token = self._health(vault)
                self._failed(failure, "forbidden_path" if token.known else "forbidden", token)
            return
        self.outcome = replace(bundle_outcome(answer, settings), token=unknown)
        if self.renew != "never":
            self.outcome = replace(self.outcome, token=self._health(vault))

    def _failed(self, failure: VaultFailure, reason: str, token: TokenReport, hint: str = "") -> None:
        message = explain(reason, self.settings, status=failure.status, timeout=self.timeout, hint=hint)
        self.outcome = Outcome(reason, message, reachable=failure.answered, token=token)

    def _health(self, vault: VaultConnection) -> TokenReport:
        """The token's health, renewed when that is due. Where it cannot be told, a warning says why."""
        unknown = TokenReport(self.settings.token_source)
        try:
            data = vault.call(lambda client: client.auth.token.lookup_self()).data
        except VaultFailure as failure:
            return replace(unknown, warnings=(f"{_why_unknown(failure)}, so nobody knows how long it lives.",))
        now = datetime.now(UTC)
        health = token_health(data, now)
        if health is None:
            return unknown
        warnings = []
        if (self.renew == "always" and health.renewable) or (self.renew == "auto" and health.renewal_due):
            try:
                auth = vault.call(lambda client: client.auth.token.renew_self()).json.get("auth")
                health = renewed(health, auth if isinstance(auth, dict) else {}, datetime.now(UTC))
            except VaultFailure:
                warnings.append("Vault's token could not be renewed.")
        warnings += health_warnings(health, now)
        if self.check_token:
            warnings += self._powers(vault)
        return _report(self.settings.token_source, health, warnings)

    def _powers(self, vault: VaultConnection) -> list[str]:
        """What the token may do beside reading the bundle."""
        paths = telling_paths(self.settings)
        try:
            data = vault.call(lambda client: client.sys.get_capabilities(paths)).data
        except VaultFailure:
            return ["Vault's token may not ask what it may do."]
        more = excess(self.settings, data)
        return [f"Vault's token may do more than read the bundle: {power}." for power in more]


def _left_behind(auth: Mapping[str, t.Any]) -> str:
    """That a login's token lives on: by its accessor, it can be revoked."""
    return (
        f"Vault did not revoke the token of the login. It dies by itself within {auth.get('lease_duration')} s; its "
        f"accessor is {auth.get('accessor')}."
    )


def _why_unknown(failure: VaultFailure) -> str:
    if failure.bad_token:
        return "Vault does not accept its token any more"
    if failure.reason == "forbidden":
        return "Vault's token may not look itself up"
    return f"Vault did not tell about its token ({failure.reason})"


_KNOWN_CAPABILITIES: t.Final = ("create", "delete", "list", "patch", "read", "root", "subscribe", "sudo", "update")


def telling_paths(settings: VaultSettings) -> list[str]:
    """Where to ask what a token may do beside reading the bundle."""
    of_bundle = [f"{settings.mount_point}/{what}/{settings.path}" for what in ("metadata", "destroy")]
    return [settings.secret_path, f"{settings.secret_path}-other", *of_bundle, *_TELLING_PATHS]


def excess(settings: VaultSettings, granted: Mapping[str, t.Any]) -> list[str]:
    """What a token may do beside reading the bundle, path by path, from the capabilities that it was granted."""
    found = []
    for path in telling_paths(settings):
        names = granted.get(path)
        names = names if isinstance(names, (list, frozenset)) else []
        more = [
            name
            for name in _KNOWN_CAPABILITIES
            if name in names and not (name == "read" and path == settings.secret_path)
        ]
        found += [f"{', '.join(more)} on {path}"] if more else []
    return found


def _report(source: str, health: TokenHealth, warnings: list[str]) -> TokenReport:
    return TokenReport(
        source=source,
        known=True,
        ttl=health.ttl,
        expires_at=iso(health.expires_at),
        dies_at=iso(health.dies_at),
        renewable=health.renewable,
        period=health.period,
        policies=health.policies,
        renewed=health.renewed,
        warnings=tuple(warnings),
    )


def bundle_outcome(answer: Answer, settings: VaultSettings) -> Outcome:
    """Read the answer of KV v2. A version that was deleted or destroyed answers, too: without data."""
    data, metadata = answer.data.get("data"), answer.data.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(data, (dict, type(None))):
        return Outcome("not_kv2", explain("not_kv2", settings), reachable=True)
    version = metadata.get("version")
    version = version if isinstance(version, int) else None
    deletion = iso(vault_time(metadata.get("deletion_time")))
    command = undelete(vault_tool(), settings, version or 0)
    if data is None:
        reason = "destroyed" if metadata.get("destroyed") is True else "deleted"
        message = explain(reason, settings, version=version, when=deletion, undelete=command)
        return Outcome(reason, message, reachable=True, version=version)
    created = vault_time(metadata.get("created_time"))
    warning = (
        f"Vault will delete version {version} of {settings.secret_path} by itself on {deletion}, since "
        "delete_version_after is set on it or on its mount. To keep it, set that to 0s there, and then, with a token "
        f"that may: {command}"
    )
    return Outcome(
        OK,
        reachable=True,
        data=data,
        version=version,
        created=int(created.timestamp()) if created else None,
        deletion_time=deletion,
        warnings=(warning,) if deletion else (),
    )
