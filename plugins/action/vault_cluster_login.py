# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of vault_cluster_login: a cluster's service accounts log in to Vault with their own tokens."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator
from functools import partial

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.operator import OperatorAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import (
    STATE_OPTIONS,
    new_allowed,
    state_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.keys import SigningKey, fingerprint
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import accounts_key
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import vault_tool, write
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.access import (
    DRIFT,
    EQUAL,
    MISSING,
    UNREADABLE,
    Finding,
    ensure,
    verify,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.jwt import (
    LOGIN_OPTIONS,
    JwtConfig,
    JwtRole,
    Logins,
    logins_of,
    trusted,
    try_login,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import OPERATOR_OPTIONS

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

AS_WANTED: t.Final = "as wanted"
DIFFERS: t.Final = "differs"


class ActionModule(OperatorAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **OPERATOR_OPTIONS,
        **STATE_OPTIONS,
        **LOGIN_OPTIONS,
        "anchor": {"type": "path", "default": ANCHOR},
        "ttl": {"type": "int", "default": 600},
        "own": {"type": "bool", "default": True},
        "update": {"type": "bool", "default": False},
        "only_key": {"type": "bool", "default": False, "no_log": False},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        logins = logins_of(params)
        key = self._key(params, logins)
        if key is None:
            return {"changed": True, "login": _told(logins, ""), "parts": [], "verified": "", "wanted": {}, "diff": []}
        if params["own"]:
            return self._ours(params, logins, key.public_pem)
        return self._theirs(params, logins, key)

    def _key(self, params: dict[str, t.Any], logins: Logins) -> SigningKey | None:
        """The cluster's key; in check mode None where nobody has it yet."""
        try:
            state = state_of(self, params)
            content = state.read(SECRETS)
        except BootstrapError as error:
            if not self.check_mode:
                raise
            self.progress(f"The cluster's key is not known yet: {error}")
            return None
        if content is not None:
            return accounts_key(content, state.place(SECRETS))
        why = f"{state.place(SECRETS)} is not there, and with it the key that signs the service accounts' tokens"
        if not self.check_mode:
            raise BootstrapError(
                f"{why}. Make the secrets before the cluster: ansible-playbook -i INVENTORY tazlab.bootstrap.publish "
                "(with tazlab_jwt set), or the module talos_secrets with ahead."
            )
        self._refuse_known(params, logins, state.place(SECRETS))
        self.progress(f"{why}: they are made first")
        return None

    def _refuse_known(self, params: dict[str, t.Any], logins: Logins, place: str) -> None:
        """A mount that trusts a key of this issuer knows the cluster: its secrets are somewhere else."""
        if new_allowed(params["state_home"]):
            return
        path = f"auth/{logins.mount}/config"

        def look(vault: VaultAdmin) -> list[str]:
            if not {"read", "root"} & vault.capabilities([path])[path]:
                return []
            return trusted(vault.read(path, "Looking at the JWT configuration"), logins.issuer)

        keys = self.as_operator(params, look)
        if keys:
            raise BootstrapError(
                f"{path} trusts the key {', '.join(keys)} of {logins.issuer} already, so the cluster has secrets, and "
                f"{place} is not there. Nothing was changed: new secrets would lock you out of it. Bring them back, "
                "from your backup or from the machine that bore it. Or, where no machine of it is left, have new ones "
                "made: -e tazlab_new_secrets=CLUSTER",
                code="known_cluster",
            )

    def _ours(self, params: dict[str, t.Any], logins: Logins, key: str) -> dict[str, t.Any]:
        parts = logins.parts(key, params["ttl"], only_key=params["only_key"], update=params["update"])
        findings = self.as_operator(params, lambda vault: ensure(vault, parts, [], self.check_mode))
        for finding in findings:
            self.progress(_line(finding))
        return {
            "changed": any(finding.changes for finding in findings),
            "login": _told(logins, key),
            "parts": [finding.as_dict() for finding in findings],
            "verified": DIFFERS if any(finding.state == DRIFT for finding in findings) else AS_WANTED,
            "wanted": {},
            "diff": self.shown(
                (f"{finding.kind} {finding.name}", finding.before, finding.after)
                for finding in findings
                if finding.changes
            ),
            "warnings": list(_warnings(findings)),
        }

    def _theirs(self, params: dict[str, t.Any], logins: Logins, key: SigningKey) -> dict[str, t.Any]:
        """Nothing is written: say what its owner has to set, and how far it is set."""
        parts = logins.parts(key.public_pem, params["ttl"], own=False)

        foreign: list[str] = []

        def work(vault: VaultAdmin) -> tuple[list[Finding], dict[str, t.Any], list[str]]:
            findings = verify(vault, parts)
            wanted: dict[str, t.Any] = {}
            commands = []
            for part, finding in zip(parts, findings, strict=True):
                if isinstance(part, JwtRole):
                    wanted[part.path] = part.settings
                elif isinstance(part, JwtConfig):
                    readable = finding.state != UNREADABLE
                    found = vault.read(part.path, "Looking at the mount") if readable else None
                    wanted[part.path] = part.body(found)
                    foreign.extend(part.ends(found))
                    if not readable:
                        continue  # a write would end the keys that nobody has seen
                if finding.state not in (EQUAL, UNREADABLE) and not foreign:
                    commands.append(write(vault_tool(), vault.settings, part.path, wanted[part.path]))
            return findings, wanted, commands

        findings, wanted, commands = self.as_operator(params, work)
        verified, tried = self._verified(params, logins, key, findings)
        for finding in findings:
            self.progress(_line(finding))
        self.progress(f"auth/{logins.mount} is its owner's, nothing is written: {verified}{tried}")
        if verified != AS_WANTED:
            self.progress(f"What has to stand there (public values):\n{json.dumps(wanted, indent=2)}")
            if foreign:
                self.progress(
                    "No command is given: with this, what logs in there by the keys of the other issuer gets in no "
                    "more, and without it, they would open our roles. Choose another mount (tazlab_jwt.mount)."
                )
            for command in commands:
                self.progress(f"Or, with its owner's token:\n{command}{vault_tool().line}")
        return {
            "changed": False,
            "login": _told(logins, key.public_pem),
            "parts": [finding.as_dict() for finding in findings],
            "verified": verified,
            "wanted": wanted,
            "commands": commands,
            "diff": [],
        }

    def _verified(
        self, params: dict[str, t.Any], logins: Logins, key: SigningKey, findings: list[Finding]
    ) -> tuple[str, str]:
        """Whether it is as wanted, and what the logins say where it cannot be read. A login leaves nothing behind."""
        states = {finding.state for finding in findings}
        if states & {DRIFT, MISSING}:
            return DIFFERS, ""
        if states == {EQUAL}:
            return AS_WANTED, ""
        if self.check_mode:
            return UNREADABLE, ""
        try:
            told = [
                self.as_operator(params, partial(try_login, logins=logins, role=role, key=key)) for role in logins.roles
            ]
        except BootstrapError as error:
            return UNREADABLE, f"; a login: {error}"
        return AS_WANTED, f", as a login shows: {'; '.join(told)}"


def _told(logins: Logins, key: str) -> dict[str, t.Any]:
    """What whoever logs in has to be told."""
    return {
        "mount": logins.mount,
        "path": f"auth/{logins.mount}",
        "issuer": logins.issuer,
        "audiences": list(logins.audiences),
        "public_key": key,
        "fingerprint": fingerprint(key) if key else "",
        "roles": [
            {
                "name": role.name,
                "accounts": [dict(zip(("namespace", "name"), each.split("/"), strict=True)) for each in role.accounts],
                "policies": list(role.policies),
            }
            for role in logins.roles
        ],
    }


def _line(finding: Finding) -> str:
    return f"{finding.kind} {finding.name}: {finding.state}{f' ({finding.note})' if finding.note else ''}"


def _warnings(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        about = f"The {finding.kind} {finding.name}"
        if finding.warning:
            yield f"{about}: {finding.warning}"
        if finding.state == DRIFT:
            yield (
                f"{about} is not as it should be: {finding.note}. It was left as it is. Set update "
                "(vault_bootstrap_update_jwt) to correct it; if it is meant for others, choose another mount "
                "(tazlab_jwt.mount), or say that it is not ours (tazlab_jwt.own)."
            )
        elif finding.kind == JwtConfig.kind and finding.note and not finding.changes:
            yield (
                f"{about}: {finding.note}. When nothing is signed with it any more, end it: only_key "
                "(vault_bootstrap_jwt_only_key)."
            )
