# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The auth mount at which a cluster's service accounts log in with their own tokens: its parts, and a try. Private.

Vault verifies these tokens with the public half of the cluster's key alone, so that it never asks the cluster.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.keys import SigningKey, fingerprint
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.login import JWT, Login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.access import (
    CHANGED,
    DRIFT,
    EQUAL,
    NEW,
    READ,
    Finding,
    Part,
    compared,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import Need

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

# Where else a mount may have its keys from. It takes one of these ways at a time.
OTHER_SOURCES: t.Final = ("jwks_url", "jwks_pairs", "oidc_discovery_url")
# What its owner may have set beside: a write of the configuration replaces all of it.
KEPT: t.Final = ("default_role", "jwt_supported_algs")
# Seconds for which a token lives that is signed to try a login.
TRIAL: t.Final = 60
# How long a token of such a login may live at most: a day would be a token that somebody has to watch.
LONGEST: t.Final = 86400

_ACCOUNT: t.Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_NAME: t.Final = re.compile(r"[\w-]([\w.-]*[\w-])?", re.ASCII)

# The documentation is that of the modules.
ROLE_OPTIONS: t.Final[dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "accounts": {"type": "list", "elements": "str", "required": True},
    "policies": {"type": "list", "elements": "str", "required": True},
    "proof": {"type": "str"},
}
LOGIN_OPTIONS: t.Final[dict[str, t.Any]] = {
    "mount": {"type": "str", "required": True},
    "issuer": {"type": "str", "required": True},
    "audiences": {"type": "list", "elements": "str", "default": ["vault"]},
    "roles": {"type": "list", "elements": "dict", "required": True, "options": ROLE_OPTIONS},
}


@dataclass(frozen=True)
class Role:
    """Service accounts, as C(namespace/name), and the policies that their logins give. C(proof): what they may read."""

    name: str
    accounts: tuple[str, ...]
    policies: tuple[str, ...]
    proof: str = ""


@dataclass(frozen=True)
class Logins:
    """Who of a cluster logs in where."""

    mount: str
    issuer: str
    audiences: tuple[str, ...]
    roles: tuple[Role, ...]

    def parts(
        self, key: str, ttl: int, *, only_key: bool = False, update: bool = False, own: bool = True
    ) -> list[Part]:
        """What has to stand in Vault; C(key) is the public one."""
        return [
            *([JwtMount(self.mount)] if own else []),
            JwtConfig(self.mount, key, self.issuer, only_key, update),
            *(JwtRole(self.mount, role, self.audiences, ttl, update) for role in self.roles),
        ]


def logins_of(params: Mapping[str, t.Any]) -> Logins:
    """The logins that checked options describe. Raises with all that is wrong with them."""
    mount = params["mount"].strip("/").removeprefix("auth/")
    roles = [
        Role(each["name"], tuple(each["accounts"]), tuple(each["policies"]), each["proof"] or "")
        for each in params["roles"]
    ]
    problems = list(_problems(mount, params, roles))
    if problems:
        raise refusal(problems)
    return Logins(mount, params["issuer"], tuple(params["audiences"]), tuple(roles))


def _problems(mount: str, params: Mapping[str, t.Any], roles: Sequence[Role]) -> Iterator[Problem]:
    if not all(map(_NAME.fullmatch, mount.split("/"))):
        yield Problem(
            "malformed", "mount", f"{mount!r} does not fit.", "It is the path of an auth method, e.g. jwt-home."
        )
    if not re.fullmatch(r"https://[^\s/@]+(/\S*)?", params["issuer"]):
        what = f"{params['issuer']!r} does not fit." if params["issuer"] else "is not set."
        step = "It is the cluster's endpoint, e.g. https://192.0.2.11:6443, unless a patch gives it another issuer."
        yield Problem("malformed", "issuer", what, step)
    if not params["audiences"] or not all(params["audiences"]):
        yield Problem("unset", "audiences", "there is none, or an empty one.", "Name one, e.g. vault.")
    if not 0 < params.get("ttl", 1) <= LONGEST:
        yield Problem("malformed", "ttl", "does not fit.", f"It is 1 to {LONGEST} seconds; short ones are better.")
    names = [role.name for role in roles]
    if not names:
        yield Problem("unset", "roles", "there is none.", "Name one: its name, its accounts, its policies.")
    for role in roles:
        subject = f"roles: {role.name}"
        if not _NAME.fullmatch(role.name) or names.count(role.name) > 1:
            yield Problem(
                "malformed", subject, "is not a name, or is there twice.", "Give each role a name of its own."
            )
        wrong = [each for each in role.accounts if not _ACCOUNT.fullmatch(each)]
        if wrong or not role.accounts:
            what = f"{', '.join(wrong) or 'no account'} does not fit."
            yield Problem(
                "malformed", subject, what, "An account is namespace/name, e.g. external-secrets/external-secrets."
            )
        if not role.policies or "root" in role.policies:
            yield Problem("malformed", subject, "has no policy, or root.", "Name the policies that its logins give.")


def subject(account: str) -> str:
    """What a service account's token says of whom it is for (C(sub))."""
    namespace, _slash, name = account.partition("/")
    return f"system:serviceaccount:{namespace}:{name}"


@dataclass(frozen=True)
class JwtMount:
    """The auth method, made where it is missing. What else may be at its path is never touched."""

    name: str
    kind: t.ClassVar[str] = "auth mount"
    looks: t.ClassVar[frozenset[str]] = frozenset({"read", "sudo"})
    rests_on: t.ClassVar[str] = ""

    @property
    def path(self) -> str:
        return f"sys/auth/{self.name}"

    def judge(self, found: Mapping[str, t.Any] | None) -> Finding:
        if found is None:
            return Finding(self.kind, self.name, NEW, after="auth method jwt\n")
        if found.get("type") != JWT:
            raise BootstrapError(
                f"auth/{self.name}/ is there already and is of type {found.get('type')}, not jwt. Choose another mount "
                "(vault_bootstrap_jwt_mount, tazlab_jwt.mount)."
            )
        return Finding(self.kind, self.name, EQUAL)

    def needs(self, finding: Finding) -> Iterable[Need]:
        if finding.changes:
            yield Need(self.path, frozenset({"sudo", "update"}), "make the JWT mount")

    def apply(self, vault: VaultAdmin) -> None:
        body = {"type": JWT, "description": "Logins of a cluster's service accounts, by tazlab.bootstrap"}
        vault.write(self.path, body, f"Making the auth mount {self.name}/")


@dataclass(frozen=True)
class JwtConfig:
    """Which keys and which issuer the mount trusts. Our key is added to those that are there; C(only_key) ends them.

    Keys of another issuer end, too: who holds one could sign in the name of ours.
    """

    name: str
    key: str
    issuer: str
    only_key: bool = False
    update: bool = False
    kind: t.ClassVar[str] = "JWT configuration"
    looks: t.ClassVar[frozenset[str]] = READ
    rests_on: t.ClassVar[str] = ""

    @property
    def path(self) -> str:
        return f"auth/{self.name}/config"

    def others(self, found: Mapping[str, t.Any] | None) -> list[str]:
        """The keys that are there beside ours."""
        ours = fingerprint(self.key)
        return [
            each for each in map(str, (found or {}).get("jwt_validation_pubkeys") or ()) if fingerprint(each) != ours
        ]

    def ends(self, found: Mapping[str, t.Any] | None) -> list[str]:
        """The keys that are there and are not written again."""
        foreign = ((found or {}).get("bound_issuer") or "") != self.issuer
        return self.others(found) if self.only_key or foreign else []

    def body(self, found: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
        """What is written: the whole configuration, since Vault replaces it."""
        kept = {name: (found or {}).get(name) for name in KEPT}
        ended = self.ends(found)
        return {
            "jwt_validation_pubkeys": [*(each for each in self.others(found) if each not in ended), self.key],
            "bound_issuer": self.issuer,
            **{name: value for name, value in kept.items() if value},
        }

    def judge(self, found: Mapping[str, t.Any] | None) -> Finding:
        after = _shown(self.body(found))
        if found is None:
            return Finding(self.kind, self.name, NEW, after=after)
        others = [fingerprint(each) for each in self.others(found)]
        lacks = len(others) == len(found.get("jwt_validation_pubkeys") or ())
        foreign = [f"it has its keys from {name}" for name in OTHER_SOURCES if found.get(name)]
        if (found.get("bound_issuer") or "") != self.issuer:
            foreign.append(f"bound_issuer is {found.get('bound_issuer')!r} instead of {self.issuer!r}")
        notes = [*foreign, *([f"it lacks the cluster's key {fingerprint(self.key)}"] if lacks else [])]
        state, keys, warning = EQUAL, ", ".join(others), ""
        if foreign:
            state = CHANGED if self.update else DRIFT
        elif lacks or (others and self.only_key):
            state = CHANGED
        ended = bool(self.ends(found)) and (self.only_key or state == CHANGED)
        if others:
            notes.append(f"it {'no longer trusts' if ended else 'also trusts'} the key {keys}")
        if ended and not self.only_key:
            warning = (
                f"The key {keys} is trusted no longer, as it was of another issuer: its holder could sign in the name "
                "of ours. What logged in by it does not get in any more."
            )
        before = _shown(found) if state != EQUAL else ""
        return Finding(self.kind, self.name, state, before, after if before else "", "; ".join(notes), warning)

    def needs(self, finding: Finding) -> Iterable[Need]:
        if finding.changes:
            yield Need(self.path, frozenset({"update"}), "configure the JWT mount")

    def apply(self, vault: VaultAdmin) -> None:
        doing = f"Configuring the JWT mount {self.name}/"
        vault.write(self.path, self.body(vault.read(self.path, doing)), doing)


def trusted(found: Mapping[str, t.Any] | None, issuer: str) -> list[str]:
    """The names of the keys that a mount's configuration trusts for an issuer."""
    if not found or found.get("bound_issuer") != issuer:
        return []
    return [fingerprint(str(each)) for each in found.get("jwt_validation_pubkeys") or ()]


def _shown(config: Mapping[str, t.Any]) -> str:
    keys = [f"key: {fingerprint(str(each))}\n" for each in config.get("jwt_validation_pubkeys") or ()]
    sources = [f"{name}: {config[name]}\n" for name in OTHER_SOURCES if config.get(name)]
    return "".join((f"bound_issuer: {config.get('bound_issuer')}\n", *sources, *sorted(keys)))


@dataclass(frozen=True)
class JwtRole:
    """Which accounts may log in, for whom their token must be meant, and what the login gives."""

    mount: str
    role: Role
    audiences: tuple[str, ...]
    ttl: int
    update: bool = False
    kind: t.ClassVar[str] = "JWT role"
    looks: t.ClassVar[frozenset[str]] = READ
    rests_on: t.ClassVar[str] = JwtConfig.kind

    @property
    def name(self) -> str:
        return self.role.name

    @property
    def path(self) -> str:
        return f"auth/{self.mount}/role/{self.name}"

    @property
    def settings(self) -> dict[str, t.Any]:
        return {
            "bound_audiences": list(self.audiences),
            "bound_claims": {"sub": [subject(account) for account in self.role.accounts]},
            "bound_claims_type": "string",
            "bound_subject": "",
            "clock_skew_leeway": 0,  # of the leeways, 0 is Vault's own: 60 and 150 seconds
            "expiration_leeway": 0,
            "groups_claim": "",
            "not_before_leeway": 0,
            "role_type": JWT,
            "token_bound_cidrs": [],
            "token_explicit_max_ttl": 0,
            "token_max_ttl": self.ttl,
            "token_no_default_policy": True,
            "token_num_uses": 0,
            "token_period": 0,
            "token_policies": list(self.role.policies),
            "token_ttl": self.ttl,
            "token_type": "service",
            "user_claim": "sub",
        }

    def judge(self, found: Mapping[str, t.Any] | None) -> Finding:
        return compared(self.kind, self.name, self.settings, found, self.update)

    def needs(self, finding: Finding) -> Iterable[Need]:
        if finding.changes:
            what = "create" if finding.state == NEW else "update"
            yield Need(self.path, frozenset({what}), f"write the JWT role {self.name}")

    def apply(self, vault: VaultAdmin) -> None:
        vault.write(self.path, self.settings, f"Writing the JWT role {self.name}")


def try_login(vault: VaultAdmin, logins: Logins, role: Role, key: SigningKey) -> str:
    """Log in as the role's first account, with a token that the cluster itself could have signed, and log out again.

    What is said is how it went; C(BootstrapError) when Vault refuses the login, or what it is for.
    """
    vault.hear_clock()
    now = int(vault.now)
    claims = {
        "iss": logins.issuer,
        "sub": subject(role.accounts[0]),
        "aud": [logins.audiences[0]],
        "iat": now,
        "nbf": now,
        "exp": now + TRIAL,
    }
    with vault.logged_in(Login(JWT, logins.mount, role.name, key.sign(claims))) as found:
        if set(found.policies) != set(role.policies):
            raise BootstrapError(
                f"the login gives the policies {', '.join(found.policies)} instead of {', '.join(role.policies)}",
                code="other_policies",
            )
        if role.proof:
            found.vault.read(role.proof, f"Reading as {role.accounts[0]}")
    if found.revoked:
        return f"logs in for {found.seconds} s"
    return f"logs in; its token may not revoke itself, and dies within {found.seconds} s"
