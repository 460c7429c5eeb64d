# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How one logs in where no token lies: with AppRole, or with a JWT such as a CI's OIDC token. Pure, private.

Paths and answers are those of Vault's API: C(auth/<mount>/login) answers with C(auth.client_token) and its lease.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import strip_token

TOKEN, APPROLE, JWT = "token", "approle", "jwt"

# The statuses of HTTP with which Vault refuses a login, also where nothing is mounted.
LOGIN_REFUSED: t.Final = (400, 403, 404)

# What belongs to a method: what it cannot do without, and what it may have.
_NEEDED: t.Final = {TOKEN: (), APPROLE: ("role_id",), JWT: ("jwt",)}
_OPTIONAL: t.Final = {TOKEN: ("token", "token_file"), APPROLE: ("secret_id",), JWT: ("role_id",)}

# Vault's own words, of which no part is what we sent -> ours.
_HINTS: t.Final = {
    "invalid role or secret ID": "role_id or secret_id is wrong, has expired, or was used as often as it may be",
    "missing secret_id": "the role demands a secret_id",
    "missing role_id": "role_id is empty",
    "audience": "the JWT is for another audience (its claim aud) than the role demands",
    "issuer": "the JWT is of another issuer (its claim iss) than the mount expects (bound_issuer)",
    "token is expired": "the JWT has expired",
    "error validating claims": "a claim of the JWT is not what the role demands (bound_claims)",
    "could not be found": "there is no such role",
    "missing role": "role_id is not set, and the mount has no default_role",
    "could not load configuration": "the mount is not configured",
    "signature": "no key that the mount trusts has signed the JWT",
}


@dataclass(frozen=True)
class Login:
    """A method, where it is mounted, and what it takes. C(secret) is the secret ID, or the JWT."""

    method: str
    mount: str
    name: str  # the role ID, or the role's name; empty is the mount's default role
    secret: str = field(repr=False)

    @property
    def label(self) -> str:
        return f"login {self.method} at auth/{self.mount}/"


@dataclass(frozen=True)
class NoLogin:
    """A login was chosen, and what it needs is empty."""

    message: str


def login_of(options: Mapping[str, t.Any]) -> Login | NoLogin | None:
    """The login that the options choose; none is a token. What belongs to another method is refused."""
    if "auth_method" not in options:  # of a module that takes a token alone
        return None
    method = str(options.get("auth_method") or TOKEN)
    given = {name: strip_token(str(options.get(name) or "")) for name in ("role_id", "secret_id", "jwt")}
    given |= {name: str(options.get(name) or "") for name in ("token", "token_file")}
    mine = (*_NEEDED[method], *_OPTIONAL[method])
    foreign = sorted(name for name, value in given.items() if value and name not in mine)
    if foreign:
        raise BootstrapError(
            f"auth_method is {method}, and {' and '.join(foreign)} {'is' if len(foreign) == 1 else 'are'} of another "
            "method. Leave one of the two out, in variables (tazlab_vault_...) too."
        )
    if method == TOKEN:
        return None
    lacking = [name for name in _NEEDED[method] if not given[name]]
    if lacking:
        return NoLogin(
            f"No login to Vault: auth_method is {method}, and {lacking[0]} is not set, or empty. Set {lacking[0]} "
            f"(tazlab_vault_{lacking[0]})."
        )
    mount = str(options.get("auth_mount_point") or method).strip("/").removeprefix("auth/")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", mount):
        raise BootstrapError("auth_mount_point: is not the path of an auth method in Vault, like approle.")
    return Login(method, mount, given["role_id"], given["secret_id" if method == APPROLE else "jwt"])


def hint(errors: object) -> str:
    """Why a login was refused, where Vault's words are known. Others are withheld: they may quote what we sent."""
    said = " ".join(error for error in errors if isinstance(error, str)) if isinstance(errors, list) else ""
    return next((ours for theirs, ours in _HINTS.items() if theirs in said), "its words say no more")
