# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issues a narrow periodic token, proves it, stores it safely, and only then ends the one it replaces. Private.

Killed at any point, either the old or the new token works, and the next run finishes what was begun.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import (
    remove_file,
    write_private_file,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.causes import VaultFailure
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import revoke as revoke_command
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import unwrap, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import TokenFacts, TokenSpec
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_look import (
    CannotTell,
    find,
    look_up,
    reads_bundle,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_stores import (
    BundleStore,
    FileStore,
    Store,
    token_in,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin


REVOKE: t.Final = "auth/token/revoke-accessor"
CREATE: t.Final = "auth/token/create"
_PERHAPS_ISSUED: t.Final = (
    " Whether a token was issued is not known. If so, nobody holds it, and it dies unused at the end of its period. "
    "Run this again."
)


_KEPT: t.Final = (
    "The token of {place} lives and is not as asked for: {unfit}. It was left as it is. To replace it, set rotate "
    "(vault_bootstrap_rotate, for the ESO reader's token vault_bootstrap_eso_rotate)."
)
_KEPT_FILE: t.Final = (
    " If it is another cluster's, or somebody else's, give this cluster a file of its own instead "
    "(tazlab_vault_token_file)."
)
_USELESS: t.Final = " As it is, it cannot read {proof}, so it does not serve what it is for."


@dataclass
class Delivered:
    """What became of a token: C(state) is unchanged, kept (as it is), issued, rotated, resumed or wrapped."""

    state: str
    facts: TokenFacts | None = None
    previous_accessors: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


# ------------------------------------------------------------------------------------------------------ proving


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
            "Has somebody changed that token role? vault_bootstrap_update_token_roles: true corrects it; if the "
            "change is meant, ask for no more than it gives (vault_bootstrap_period)."
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
    kept: str,
    progress: Callable[[str], None],
) -> Delivered:
    """See to it that the store holds a token as asked for; with C(rotate) a new one, and the old one ends.

    C(kept): the name of the file in the C(anchor) in which its owner may keep a copy.
    """
    leftover = _leftover(store)
    current = store.read()
    facts, unfit = _found(vault, store, spec, current, progress)
    fit = facts is not None and not unfit
    if leftover and fit and isinstance(store, FileStore):
        if check_mode:
            return Delivered("resumed", facts)
        note, ended = _end(vault, store, spec, leftover)
        progress(f"an interrupted rotation is finished: {note}" if ended else note)
        return Delivered("resumed" if ended else "unchanged", facts)
    if fit and not rotate:
        return Delivered("unchanged", facts)
    if current and unfit and not rotate:
        return Delivered("kept", facts, warnings=[_kept(vault, store, spec, current, facts, unfit)])
    replaced = (leftover or current or _anchor_token(store, anchor, kept)) if rotate or leftover else None
    state = "rotated" if replaced else "issued"
    if check_mode:
        return Delivered(state, facts)
    former = _former(vault, store, spec, facts, rotate)
    for accessor in former if isinstance(store, BundleStore) else ():
        progress(
            f"once the cluster has a new token of {store.place}, the one with accessor {accessor} is to be revoked"
        )
    others = current if current and not (facts and facts.issued_for(spec)) else None
    new = _issue(vault, store, spec, replaced, others, progress)
    result = Delivered(state, new, former)
    if others and isinstance(store, FileStore):
        result.lines.append(_set_aside(store, spec, facts))
    if facts is not None and isinstance(store, BundleStore) and facts.accessor not in former:
        result.lines.append(
            f"The token that {store.place} held before, with accessor {facts.accessor}, was not issued through the "
            f"token role {spec.role}: it may serve others, and is left alone. Revoke it yourself when nobody needs it."
        )
    if isinstance(store, FileStore) and replaced:
        result.lines.append(_end(vault, store, spec, replaced)[0])
    return result


def _found(
    vault: VaultAdmin, store: Store, spec: TokenSpec, current: str | None, progress: Callable[[str], None]
) -> tuple[TokenFacts | None, list[str]]:
    """What Vault says of the token that the store holds, and what of it is not as asked for."""
    if not current:
        return None, []
    try:
        facts = find(vault, current, store.place)
    except CannotTell as doubt:
        progress(str(doubt))
        lives = reads_bundle(vault, current, store.place, spec.proof)
        return None, ["it may not look itself up"] if lives else []
    return facts, facts.unfit(spec) if facts else []


def _kept(
    vault: VaultAdmin, store: Store, spec: TokenSpec, current: str, facts: TokenFacts | None, unfit: Sequence[str]
) -> str:
    """What is said of a token that is left as it is."""
    said = _KEPT.format(place=store.place, unfit="; ".join(unfit))
    counted = facts is not None and facts.health.uses > 0  # trying it would use it up
    if not counted and not reads_bundle(vault, current, store.place, spec.proof):
        said += _USELESS.format(proof=spec.proof)
    return said + (_KEPT_FILE if isinstance(store, FileStore) else "")


def _set_aside(store: FileStore, spec: TokenSpec, facts: TokenFacts | None) -> str:
    """What is said of the token that the file held, where it may be somebody else's."""
    why = f"was not issued for the token role {spec.role}" if facts else "is not known to this Vault"
    return (
        f"The token that {store.place} held {why}: another cluster, or another Vault, may use it. It is kept in "
        f"{store.before}; remove that file when nobody needs it."
    )


def _former(vault: VaultAdmin, store: Store, spec: TokenSpec, facts: TokenFacts | None, rotate: bool) -> list[str]:
    """The accessors of the tokens that are replaced: nobody can find them once the token is gone.

    In the bundle they are told to be revoked: only those that were issued as we issue them, never somebody else's.
    """
    if isinstance(store, FileStore):
        return [facts.accessor] if facts is not None and "root" not in facts.health.policies else []
    found = [facts]
    if isinstance(store, BundleStore) and rotate:
        found += [find(vault, token, f"an older version of {store.place}") for token in store.former()]
    return [old.accessor for old in found if old is not None and old.role == spec.role]


def _leftover(store: Store) -> str | None:
    """The token that an interrupted rotation has replaced already and not ended yet."""
    if not isinstance(store, FileStore):
        return None
    token = token_in(store.superseded)
    return token if token and token != store.read() else None


def _anchor_token(store: Store, anchor: Path, kept: str) -> str | None:
    """The token that its owner keeps in the anchor: the first rotation replaces that one."""
    return token_in(anchor / kept, within=anchor) if isinstance(store, FileStore) else None


def _issue(
    vault: VaultAdmin,
    store: Store,
    spec: TokenSpec,
    old: str | None,
    others: str | None,
    progress: Callable[[str], None],
) -> TokenFacts:
    """A new token in its place. C(old): the token to end afterwards; C(others): what is there and may be another's."""
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
            if others and isinstance(store, FileStore):
                store.set_aside(others)
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


def _end(vault: VaultAdmin, store: FileStore, spec: TokenSpec, old: str) -> tuple[str, bool]:
    """End the token that was replaced, now that the new one is stored; what came of it, and whether that is all."""
    if old == vault.settings.token:
        note = "the replaced token is the operator's own, which is left alone"
    elif old == store.read():
        note = "there was no other token to end"
    else:
        try:
            note = _revoke(vault, spec, old)
        except CannotTell as doubt:
            return f"{doubt} It was not revoked, and is kept in {store.superseded} until a run can end it.", False
    remove_file(store.superseded)
    return note, True


def _revoke(vault: VaultAdmin, spec: TokenSpec, old: str) -> str:
    """End the replaced token, if it was issued for what the new one is for: any other may serve somebody else."""
    facts = find(vault, old, "the replaced token")
    if facts is None:
        return "the replaced token had ended already"
    if "root" in facts.health.policies:
        return "the replaced token is a root token, which is left alone: revoke it yourself"
    tool = vault_tool()
    by_hand = f"{revoke_command(tool, vault.settings, facts.accessor)}{tool.line}"
    if not facts.issued_for(spec):
        how = f"through the token role {facts.role}" if facts.role else "without a token role"
        return (
            f"the replaced token, with accessor {facts.accessor}, was issued {how}, with the policies "
            f"{', '.join(facts.health.policies)}: it may serve others, and is left alone. When nobody needs it, revoke "
            f"it yourself:\n  {by_hand}"
        )
    if _issues_tokens(vault, old):
        return (
            f"the replaced token, with accessor {facts.accessor}, may issue tokens, which would end with it. It is "
            f"left alone. When nobody needs them, revoke it yourself:\n  {by_hand}"
        )
    if _revoke_self(vault, old, "the replaced token"):
        return "the replaced token has revoked itself"
    body = {"accessor": facts.accessor}
    vault.write(REVOKE, body, "Revoking the replaced token, which may not revoke itself")
    return "the replaced token is revoked by its accessor"


def _issues_tokens(vault: VaultAdmin, token: str) -> bool:
    """Whether tokens may exist that end when this one is revoked. One that may not even ask is narrow."""
    source = "the replaced token"
    with vault.as_token(token, source) as own:
        try:
            answer = own.request(lambda client: client.sys.get_capabilities([CREATE]))
        except VaultFailure as failure:
            if failure.reason == "forbidden":
                return False
            raise own.error(failure, f"Asking what {source} may do", "write sys/capabilities-self") from None
    granted = answer.get("capabilities")
    return isinstance(granted, list) and not {"create", "update", "root"}.isdisjoint(granted)


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
    if current and (look_up(vault, current, store.place) or reads_bundle(vault, current, store.place)):
        raise BootstrapError(
            f"{store.place} holds a token that lives, and this may be its only copy. Nothing was changed. Move it "
            "away, or give the wrapping token another file (vault_bootstrap_wrapped_file)."
        )
    if check_mode:
        return Delivered("wrapped")
    doing = f"Issuing a wrapped token through the role {spec.role}"
    with store.reserved() as keep:
        if current:
            store.set_aside(current)
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
    return Delivered("wrapped", lines=[line, *([_set_aside(store, spec, None)] if current else [])])


def _still_wrapped(vault: VaultAdmin, token: str) -> bool:
    with vault.as_token(token, "the wrapping token") as own:
        try:
            own.request(lambda client: client.write_data("sys/wrapping/lookup", data={"token": token}))
        except VaultFailure as failure:
            if failure.reason in ("forbidden", "rejected"):
                return False
            raise own.error(failure, "Looking up the wrapping token", "write sys/wrapping/lookup") from None
    return True
