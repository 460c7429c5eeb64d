# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who changes something in Vault: the operator's own token, never the bootstrap token, and what it must be allowed.

No network here. Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted, numbered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import strip_token
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import login, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import VAULT_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import (
    IN_ANCHOR,
    ROTATED,
    NoVault,
    TokenPlace,
    VaultSettings,
    expand,
    given_tokens,
    vault_settings,
)

# How Vault is reached, without what only a read of the bundle knows.
OPERATOR_OPTIONS: t.Final[dict[str, dict[str, t.Any]]] = {
    name: VAULT_OPTIONS[name]
    for name in (
        "url",
        "token",
        "token_file",
        "ca_cert",
        "validate_certs",
        "namespace",
        "mount_point",
        "path",
        "timeout",
    )
}
OPERATOR_FILE: t.Final = ".vault-token"


@dataclass(frozen=True)
class Need:
    """A path in Vault, what one must be allowed to do there, and what for."""

    path: str
    capabilities: frozenset[str]
    purpose: str


def operator_settings(
    options: Mapping[str, t.Any], *, environ: Mapping[str, str], home: Path, fields: Iterable[Field] = ()
) -> VaultSettings:
    """Vault as the operator reaches it: with the token of a person, which is used and never stored."""
    anchor = expand(options.get("anchor") or ANCHOR, home)
    settings = vault_settings({**options, "token": "asked-for-below"}, environ=environ, home=home, fields=fields)
    tool = vault_tool(environ.get("PATH"))
    command = login(tool, settings if isinstance(settings, VaultSettings) else None)
    log_in = f"log in:\n  {command}{tool.line}"
    place = _operator_token(options, environ, home, log_in)
    token = place.token("The operator's token", "Put the token alone there.")
    for known, narrow in (
        (f"~/{ROTATED}", read_text(home / ROTATED)),
        (str(anchor / IN_ANCHOR), read_text(anchor / IN_ANCHOR, within=anchor)),
    ):
        if narrow.text is not None and strip_token(narrow.text) == token:
            raise BootstrapError(
                f"The operator's token from {place.label} is the bootstrap token of {known}, which may only read. "
                f"{_instead(place, log_in)}",
                code="bootstrap_token",
            )
    if isinstance(settings, NoVault):
        raise BootstrapError(settings.message)
    return replace(settings, token=token, token_source=place.label)


def _instead(place: TokenPlace, log_in: str) -> str:
    """How to give another token than the one found: what is exported wins over what a login writes."""
    if place.variable:
        return f"Export a token of your own as {place.variable}, or unset {place.variable} and {log_in}"
    return f"Set VAULT_TOKEN to a token of your own, or {log_in}"


def _operator_token(options: Mapping[str, t.Any], environ: Mapping[str, str], home: Path, log_in: str) -> TokenPlace:
    own = TokenPlace(f"file ~/{OPERATOR_FILE}", home / OPERATOR_FILE, read_text(home / OPERATOR_FILE))
    for place in (*given_tokens(options, environ, home), own):
        if place.problem or place.lacks_file:
            why = place.problem or "does not exist"
            raise BootstrapError(f"The operator's token from {place.label}: it {why}.", code="invalid_token")
        if place.has_value:
            return place
    raise BootstrapError(
        "No token of an operator. This changes something in Vault, so the bootstrap token does not serve. Tried token, "
        f"token_file, VAULT_TOKEN, BAO_TOKEN and ~/{OPERATOR_FILE}. Set VAULT_TOKEN, or {log_in}",
        code="no_token",
    )


def lacking(needs: Iterable[Need], granted: Mapping[str, frozenset[str]]) -> list[str]:
    """What is not allowed, one line for each path."""
    lines = []
    for path, wanted, purposes in _by_path(needs):
        missing = wanted - granted.get(path, frozenset()) if "root" not in granted.get(path, frozenset()) else set()
        if missing:
            lines.append(f"{', '.join(sorted(missing))} on {path} (to {' and '.join(purposes)})")
    return lines


def refuse_lacking(needs: Iterable[Need], granted: Mapping[str, frozenset[str]], source: str) -> None:
    """Raise one error with every permission that is missing, before anything is changed."""
    missing = lacking(needs, granted)
    if missing:
        raise BootstrapError(
            f"The operator's token ({source}) lacks {counted(len(missing), 'permission')}; nothing was changed. Have "
            f"them granted, or use another token:{numbered(missing)}"
        )


def _by_path(needs: Iterable[Need]) -> list[tuple[str, frozenset[str], list[str]]]:
    merged: dict[str, tuple[frozenset[str], list[str]]] = {}
    for need in needs:
        capabilities, purposes = merged.get(need.path, (frozenset(), []))
        if need.purpose not in purposes:
            purposes = [*purposes, need.purpose]
        merged[need.path] = (capabilities | need.capabilities, purposes)
    return [(path, capabilities, purposes) for path, (capabilities, purposes) in merged.items()]
