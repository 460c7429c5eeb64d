# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issues a narrow periodic token, proves it, stores it safely, and only then ends the one it replaces. Private.

Killed at any point, either the old or the new token works, and the next run finishes what was begun.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.module_utils._bundle_publish import plan_present, update_bundle
from ansible_collections.tazlab.bootstrap.plugins.module_utils._errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.module_utils._fields import Field
from ansible_collections.tazlab.bootstrap.plugins.module_utils._files import read_text
from ansible_collections.tazlab.bootstrap.plugins.module_utils._kinds import InvalidValue, clean_token, strip_token
from ansible_collections.tazlab.bootstrap.plugins.module_utils._private_file import (
    PrivateFile,
    remove_file,
    write_private_file,
)
from ansible_collections.tazlab.bootstrap.plugins.module_utils._resolution import Found, Provenance
from ansible_collections.tazlab.bootstrap.plugins.module_utils._token_facts import TokenFacts, TokenSpec, token_facts
from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_causes import VaultFailure
from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_commands import revoke as revoke_command
from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_commands import unwrap, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_settings import IN_ANCHOR, ROTATED

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_admin import VaultAdmin


LOOKUP: t.Final = "auth/token/lookup"
REVOKE: t.Final = "auth/token/revoke-accessor"
# How many versions of the bundle are searched for tokens that it held before.
OLDER_VERSIONS: t.Final = 20
_PERHAPS_ISSUED: t.Final = (
    " Whether a token was issued is not known. If so, nobody holds it, and it dies unused at the end of its period. "
    "Run this again."
)


# What is said of a token that may not look itself up.
TOO_NARROW: t.Final = "it lives, since it reads the bundle, but may not look itself up: nobody can tell when it dies"
REFUSED: t.Final = "Vault refuses it: it has died, was revoked, or may neither look itself up nor read the bundle"


class CannotTell(BootstrapError):
    """Nobody who asks may look a token up: it may be dead, or alive."""


@dataclass
class Delivered:
    """What became of a token: C{state} is unchanged, issued, rotated, resumed or wrapped."""

    state: str
    facts: TokenFacts | None = None
    previous_accessors: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


# ------------------------------------------------------------------------------------------------------ stores


class Store(t.Protocol):
    """Where a token is kept."""

    place: str

    def read(self) -> str | None:
        """The token that is there, or None."""

    def reserved(self) -> contextlib.AbstractContextManager[Callable[[str], None]]:
        """Make sure that a token can be stored, before there is one; what it gives stores it."""

    def may_hold(self, token: str) -> bool:
        """Whether the token may be there, after storing it has failed."""


class FileStore:
    """A private file. C{superseded} holds the token that is being replaced, until that one has ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)
        self.superseded = path.with_name(f"{path.name}.superseded")

    def read(self) -> str | None:
        return _token_in(self.path)

    @contextlib.contextmanager
    def reserved(self) -> Iterator[Callable[[str], None]]:
        with PrivateFile(self.path) as file:
            yield lambda token: file.store(f"{token}\n")

    def may_hold(self, token: str) -> bool:
        return self.read() == token


class BundleStore:
    """A field of the bundle, written by check-and-set."""

    def __init__(self, vault: VaultAdmin, known: Field) -> None:
        self.place = f"{known.name} in {vault.settings.mount_point}/{vault.settings.path}"
        self.known = known
        self._vault = vault

    def read(self) -> str | None:
        value = self._vault.bundle(f"Reading {self.place}").data.get(self.known.name)
        return _cleaned(value) if isinstance(value, str) else None

    def former(self) -> list[str]:
        """Other tokens that older versions of the bundle hold: a rotation that was interrupted may have left them."""
        doing = f"Reading older versions of {self.place}"
        newest = self._vault.bundle(doing)
        values = [newest.data.get(self.known.name)]
        for version in range(newest.version - 1, max(0, newest.version - 1 - OLDER_VERSIONS), -1):
            older = self._vault.bundle(doing, version)
            if not older.version:
                break
            values.append(older.data.get(self.known.name))
        tokens = dict.fromkeys(_cleaned(value) for value in values if isinstance(value, str))
        return [token for token in list(tokens)[1:] if token]

    @contextlib.contextmanager
    def reserved(self) -> Iterator[Callable[[str], None]]:
        yield self._write

    def may_hold(self, token: str) -> bool:
        """A write without an answer may have arrived. An unused token dies by itself; a revoked one in use hurts."""
        return True

    def _write(self, token: str) -> None:
        wanted = {self.known.name: Found(token, Provenance("issued", "vault", "issued just now"))}
        update_bundle(
            self._vault,
            lambda stored: plan_present((self.known,), wanted, stored.data),
            check_mode=False,
            doing=f"Writing {self.place}",
        )


def _token_in(path: Path, within: Path | None = None) -> str | None:
    content = read_text(path, within=within)
    return None if content.text is None else _cleaned(content.text)


def _cleaned(raw: str) -> str | None:
    try:
        return clean_token(raw) if strip_token(raw) else None
    except InvalidValue:
        return None


def refuse_anchor(path: Path, anchor: Path, copying: str) -> None:
    """The recovery anchor is never written: its owner copies by hand, which C{copying} says how to do."""
    if not path.parent.resolve().is_relative_to(anchor.resolve()):
        return
    raise BootstrapError(
        f"dest: {path} is inside the recovery anchor {anchor}, which is never written. Leave dest out, so that the "
        f"token goes to ~/{ROTATED}, then keep a copy by hand:\n  {copying}"
    )


# ------------------------------------------------------------------------------------------------------ looking


def look_up(vault: VaultAdmin, token: str, source: str) -> TokenFacts | None:
    """What Vault says of a token, asked with that token itself; None where that is refused: dead, or too narrow."""
    with vault.as_token(token, source) as own:
        try:
            data = own.request(lambda client: client.auth.token.lookup_self()).get("data")
        except VaultFailure as failure:
            if failure.reason == "forbidden":
                return None
            raise own.error(failure, f"Looking up the token of {source}", "read auth/token/lookup-self") from None
    return _facts(data)


def reads_bundle(vault: VaultAdmin, token: str, source: str) -> bool:
    """Whether a token that may not look itself up lives after all: it may read what a bootstrap token is for."""
    with vault.as_token(token, source) as own:
        try:
            own.request(lambda client: client.read(own.settings.secret_path))
        except VaultFailure as failure:
            if failure.reason not in ("forbidden", "not_found"):
                raise own.error(failure, f"Reading with the token of {source}", "read the bundle") from None
            return failure.reason == "not_found"
    return True


def find(vault: VaultAdmin, token: str, source: str) -> TokenFacts | None:
    """As L{look_up}, and the operator asks where the token may not. None: Vault does not know it."""
    facts = look_up(vault, token, source)
    if facts is not None:
        return facts
    if vault.capabilities([LOOKUP])[LOOKUP].isdisjoint({"update", "root"}):
        raise CannotTell(
            f"Whether the token of {source} lives cannot be told: Vault refuses to let it look itself up, and the "
            f"operator's token ({vault.settings.token_source}) lacks update on {LOOKUP}."
        )
    try:
        data = vault.request(lambda client: client.write_data(LOOKUP, data={"token": token})).get("data")
    except VaultFailure as failure:
        if failure.reason in ("forbidden", "not_found"):
            return None
        raise vault.error(failure, f"Looking up the token of {source}", f"write {LOOKUP}") from None
    return _facts(data)


def _facts(data: t.Any) -> TokenFacts | None:
    return token_facts(data if isinstance(data, dict) else {}, datetime.now(UTC))


def renew(vault: VaultAdmin, token: str, source: str) -> TokenFacts | None:
    """Renew a token with itself, and look it up again."""
    with vault.as_token(token, source) as own:
        try:
            own.request(lambda client: client.auth.token.renew_self())
        except VaultFailure as failure:
            doing = f"Renewing the token of {source}"
            raise own.error(failure, doing, "write auth/token/renew-self") from None
    facts = look_up(vault, token, source)
    return replace(facts, health=replace(facts.health, renewed=True)) if facts else None


def _proven(vault: VaultAdmin, token: str, spec: TokenSpec) -> TokenFacts:
    """A new token is what was asked for, and it reads what it is for."""
    source = f"token role {spec.role}"
    facts = look_up(vault, token, source)
    if facts is None:
        raise BootstrapError(f"The new token of {source} may not look itself up. Does its policy allow that?")
    unfit = facts.unfit(spec)
    if unfit:
        raise BootstrapError(
            f"The new token of {source} is not what was asked for: {'; '.join(unfit)}. Nothing was stored. "
            "Has somebody changed that token role? vault_bootstrap_update_token_roles: true corrects it."
        )
    with vault.as_token(token, source) as own:
        own.read(spec.proof, "Proving the new token")
    return facts


# ------------------------------------------------------------------------------------------------------ issuing


def deliver(
    vault: VaultAdmin,
    store: Store,
    spec: TokenSpec,
    *,
    rotate: bool,
    check_mode: bool,
    anchor: Path,
    progress: Callable[[str], None],
) -> Delivered:
    """See to it that the store holds a token as asked for; with C{rotate} a new one, and the old one ends."""
    leftover = _leftover(store)
    current = store.read()
    facts = None
    try:
        facts = find(vault, current, store.place) if current else None
    except CannotTell as doubt:
        progress(str(doubt))
    fit = facts is not None and not facts.unfit(spec)
    if leftover and fit and isinstance(store, FileStore):
        if check_mode:
            return Delivered("resumed", facts)
        note, ended = _end(vault, store, leftover)
        progress(f"an interrupted rotation is finished: {note}" if ended else note)
        return Delivered("resumed" if ended else "unchanged", facts)
    if fit and not rotate:
        return Delivered("unchanged", facts)
    replaced = (leftover or current or _anchor_token(store, anchor)) if rotate or leftover else None
    state = "rotated" if replaced else "issued"
    if check_mode:
        return Delivered(state, facts)
    if facts is not None and not rotate and facts.unfit(spec):
        progress(f"the token of {store.place} is replaced: {'; '.join(facts.unfit(spec))}")
    former = _former(vault, store, spec, facts, rotate)
    for accessor in former if isinstance(store, BundleStore) else ():
        progress(
            f"once the cluster has a new token of {store.place}, the one with accessor {accessor} is to be revoked"
        )
    new = _issue(vault, store, spec, replaced, progress)
    result = Delivered(state, new, former)
    if isinstance(store, FileStore) and replaced:
        result.lines.append(_end(vault, store, replaced)[0])
    return result


def _former(vault: VaultAdmin, store: Store, spec: TokenSpec, facts: TokenFacts | None, rotate: bool) -> list[str]:
    """The accessors of the tokens that are replaced: nobody can find them once the token is gone. Never a root's."""
    former = [facts.accessor] if facts is not None and "root" not in facts.health.policies else []
    if isinstance(store, BundleStore) and rotate:
        found = [find(vault, token, f"an older version of {store.place}") for token in store.former()]
        former += [old.accessor for old in found if old is not None and set(old.health.policies) == set(spec.policies)]
    return former


def _leftover(store: Store) -> str | None:
    """The token that an interrupted rotation has replaced already and not ended yet."""
    if not isinstance(store, FileStore):
        return None
    token = _token_in(store.superseded)
    return token if token and token != store.read() else None


def _anchor_token(store: Store, anchor: Path) -> str | None:
    """The bootstrap token that its owner keeps in the anchor: the first rotation replaces that one."""
    return _token_in(anchor / IN_ANCHOR, within=anchor) if isinstance(store, FileStore) else None


def _issue(
    vault: VaultAdmin, store: Store, spec: TokenSpec, old: str | None, progress: Callable[[str], None]
) -> TokenFacts:
    with store.reserved() as keep:
        doing = f"Issuing a token through the role {spec.role}"
        body = {"period": f"{spec.period}s"}
        answer = vault.write(f"auth/token/create/{spec.role}", body, doing, unknown_end=_PERHAPS_ISSUED)
        auth = answer.get("auth")
        made = auth if isinstance(auth, dict) else {}
        token, accessor = str(made.get("client_token") or ""), str(made.get("accessor") or "")
        if not token:
            raise BootstrapError(f"{doing}: Vault's answer holds no token.")
        storing = False
        try:
            facts = _proven(vault, token, spec)
            progress(f"a new token is issued and proven by a read; it {facts.says}")
            if old and isinstance(store, FileStore):
                write_private_file(store.superseded, f"{old}\n")
            storing = True
            keep(token)
        except BaseException as error:
            if storing and store.may_hold(token):
                note = f"The new token, whose accessor is {accessor}, is left alive: {store.place} may hold it."
            else:
                note = _withdrawn(vault, token, accessor)
            if isinstance(error, BootstrapError):
                raise BootstrapError(f"{error} {note}") from None
            progress(note)
            raise
    progress(f"it is stored in {store.place}")
    return facts


def _withdrawn(vault: VaultAdmin, token: str, accessor: str) -> str:
    """Take a new token back, which the time for everything asked may not suffice for any more."""
    with contextlib.suppress(BootstrapError), vault.beyond_deadline() as late:
        with contextlib.suppress(BootstrapError):
            if _revoke_self(late, token, "the new token"):
                return "The new token was revoked."
        late.write(REVOKE, {"accessor": accessor}, "Revoking the new token")
        return "The new token was revoked."
    tool = vault_tool()
    return (
        "The new token could NOT be revoked. Left alone, it dies unused at the end of its period. To revoke it by its "
        f"accessor:\n  {revoke_command(tool, vault.settings, accessor)}{tool.line}"
    )


def _end(vault: VaultAdmin, store: FileStore, old: str) -> tuple[str, bool]:
    """End the token that was replaced, now that the new one is stored; what came of it, and whether that is all."""
    if old == vault.settings.token:
        note = "the replaced token is the operator's own, which is left alone"
    elif old == store.read():
        note = "there was no other token to end"
    else:
        try:
            note = _revoke(vault, old)
        except CannotTell as doubt:
            return f"{doubt} It was not revoked, and is kept in {store.superseded} until a run can end it.", False
    remove_file(store.superseded)
    return note, True


def _revoke(vault: VaultAdmin, old: str) -> str:
    try:
        facts = find(vault, old, "the replaced token")
    except CannotTell:
        if _revoke_self(vault, old, "the replaced token"):  # no root token: that one may look itself up
            return "the replaced token has revoked itself"
        raise
    if facts is None:
        return "the replaced token had ended already"
    if "root" in facts.health.policies:
        return "the replaced token is a root token, which is left alone: revoke it yourself"
    if _revoke_self(vault, old, "the replaced token"):
        return "the replaced token has revoked itself"
    body = {"accessor": facts.accessor}
    vault.write(REVOKE, body, "Revoking the replaced token, which may not revoke itself")
    return "the replaced token is revoked by its accessor"


def _revoke_self(vault: VaultAdmin, token: str, source: str) -> bool:
    with vault.as_token(token, source) as own:
        try:
            own.request(lambda client: client.write_data("auth/token/revoke-self", data={}))
        except VaultFailure as failure:
            if failure.reason == "forbidden":
                return False
            raise own.error(failure, f"Revoking {source}", "write auth/token/revoke-self", own.unknown_end) from None
    return True


# ------------------------------------------------------------------------------------------------------ wrapping


def deliver_wrapped(
    vault: VaultAdmin, store: FileStore, spec: TokenSpec, wrap_ttl: int, *, check_mode: bool
) -> Delivered:
    """Issue a token inside a single-use wrapping token, which another machine unwraps; nobody here sees the token."""
    current = store.read()
    if current and _still_wrapped(vault, current):
        return Delivered("unchanged")
    if check_mode:
        return Delivered("wrapped")
    doing = f"Issuing a wrapped token through the role {spec.role}"
    with store.reserved() as keep:
        answer = vault.write(
            f"auth/token/create/{spec.role}", {"period": f"{spec.period}s"}, doing, wrap_ttl, _PERHAPS_ISSUED
        )
        wrapped = answer.get("wrap_info")
        token = str(wrapped.get("token") or "") if isinstance(wrapped, dict) else ""
        if not token:
            raise BootstrapError(f"{doing}: Vault's answer holds no wrapping token.")
        keep(token)
    ca_file, tool = vault.settings.ca_file, vault_tool()
    with_ca = f" and Vault's CA, {ca_file}," if ca_file else ""
    line = (
        f"{store.place} holds a wrapping token, which serves once within {wrap_ttl} s. Copy it{with_ca} to the other "
        f"machine. There, where it lies (write vault for bao, or bao for vault, if that is what is installed there): "
        f"{unwrap(tool, vault.settings, store.path.name)}"
    )
    return Delivered("wrapped", lines=[line])


def _still_wrapped(vault: VaultAdmin, token: str) -> bool:
    with vault.as_token(token, "the wrapping token") as own:
        try:
            own.request(lambda client: client.write_data("sys/wrapping/lookup", data={"token": token}))
        except VaultFailure as failure:
            if failure.reason in ("forbidden", "rejected"):
                return False
            raise own.error(failure, "Looking up the wrapping token", "write sys/wrapping/lookup") from None
    return True
