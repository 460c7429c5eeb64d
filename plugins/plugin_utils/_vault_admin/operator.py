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

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import Content, read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.kinds import clean_token, strip_token
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import login, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import VAULT_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import (
    IN_ANCHOR,
    ROTATED,
    NoVault,
    VaultSettings,
    expand,
    named,
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
    anchor = expand(options.get("anchor") or "~/secrets", home)
    settings = vault_settings({**options, "token": "asked-for-below"}, environ=environ, home=home, fields=fields)
    tool = vault_tool(environ.get("PATH"))
    command = login(tool, settings if isinstance(settings, VaultSettings) else None)
    log_in = f"log in:\n  {command}{tool.line}"
    token, source = _operator_token(options, environ, home, log_in)
    for place, narrow in (
        (f"~/{ROTATED}", read_text(home / ROTATED)),
        (str(anchor / IN_ANCHOR), read_text(anchor / IN_ANCHOR, within=anchor)),
    ):
        if narrow.text is not None and strip_token(narrow.text) == token:
            raise BootstrapError(
                f"The operator's token from {source} is the bootstrap token of {place}, which may only read. "
                f"{_instead(source, log_in)}"
            )
    if isinstance(settings, NoVault):
        raise BootstrapError(settings.message)
    return replace(settings, token=token, token_source=source)


def _instead(source: str, log_in: str) -> str:
    """How to give another token than the one found: what is exported wins over what a login writes."""
    kind, _space, name = source.partition(" ")
    if kind == "environment":
        return f"Export a token of your own as {name}, or unset {name} and {log_in}"
    return f"Set VAULT_TOKEN to a token of your own, or {log_in}"


def _operator_token(
    options: Mapping[str, t.Any], environ: Mapping[str, str], home: Path, log_in: str
) -> tuple[str, str]:
    given = options.get("token_file")
    candidates: list[tuple[str, str | Content | None]] = [("option token", options.get("token"))]
    if given:
        candidates.append((named("token_file", str(given), home), read_text(expand(given, home))))
    candidates += [(f"environment {name}", environ.get(name)) for name in ("VAULT_TOKEN", "BAO_TOKEN")]
    candidates.append((f"file ~/{OPERATOR_FILE}", read_text(home / OPERATOR_FILE)))
    for source, found in candidates:
        if isinstance(found, Content):
            if found.problem or (found.text is None and source.startswith("token_file")):
                raise BootstrapError(f"The operator's token from {source}: it {found.problem or 'does not exist'}.")
            found = found.text
        if found is None or not strip_token(str(found)):
            continue
        try:
            return clean_token(str(found)), source
        except InvalidValue as error:
            raise BootstrapError(f"The operator's token from {source} {error}. Put the token alone there.") from None
    raise BootstrapError(
        "No token of an operator. This changes something in Vault, so the bootstrap token does not serve. Tried token, "
        f"token_file, VAULT_TOKEN, BAO_TOKEN and ~/{OPERATOR_FILE}. Set VAULT_TOKEN, or {log_in}"
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
        count = "1 permission" if len(missing) == 1 else f"{len(missing)} permissions"
        lines = "".join(f"\n  {number}. {line}" for number, line in enumerate(missing, 1))
        raise BootstrapError(
            f"The operator's token ({source}) lacks {count}; nothing was changed. Have them granted, or use another "
            f"token:{lines}"
        )


def _by_path(needs: Iterable[Need]) -> list[tuple[str, frozenset[str], list[str]]]:
    merged: dict[str, tuple[frozenset[str], list[str]]] = {}
    for need in needs:
        capabilities, purposes = merged.get(need.path, (frozenset(), []))
        if need.purpose not in purposes:
            purposes = [*purposes, need.purpose]
        merged[need.path] = (capabilities | need.capabilities, purposes)
    return [(path, capabilities, purposes) for path, (capabilities, purposes) in merged.items()]
