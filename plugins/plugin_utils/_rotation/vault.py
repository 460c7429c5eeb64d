# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One property of one secret in Vault gets another value, by check-and-set; all else of the secret stays.

Private: other collections must not import it.
"""

from __future__ import annotations

import contextlib
import difflib
import typing as t
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import undelete, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import iso
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import Need, refuse_lacking
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
    ATTEMPTS,
    DELETED,
    LostRace,
    StoredBundle,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

_NEAR: t.Final = 5  # paths that are offered for one that is not there


@dataclass(frozen=True)
class Looked:
    """What Vault has at the path, and which other paths are near."""

    stored: StoredBundle
    siblings: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Written:
    """The newest version, whether it is ours, and when it was made by Vault's clock."""

    version: int
    changed: bool
    moment: float | None


def look(vault: VaultAdmin, wanted: str) -> Looked:
    """What is there. Refuses before anything is changed what cannot be done."""
    settings = vault.settings
    doing = f"Rotating {settings.mount_point}/{settings.path}"
    granted = vault.capabilities([settings.secret_path])
    refuse_lacking([Need(settings.secret_path, frozenset({"read"}), "read it")], granted, settings.token_source)
    stored = vault.stored(doing)
    if not stored.mounted:
        raise BootstrapError(f"{doing}: nothing is mounted at {settings.mount_point}/. Correct mount_point.")
    may = frozenset({"update" if stored.version else "create"})
    refuse_lacking([Need(settings.secret_path, may, "write the new value")], granted, settings.token_source)
    if stored.gone:
        raise BootstrapError(f"{doing}: {_gone(vault, stored)}")
    if stored.version and wanted not in stored.data:
        raise BootstrapError(
            f"{doing}: version {stored.version} has no property {wanted}; it has {few(sorted(stored.data)) or 'none'}. "
            "Nothing was changed. Name the one that is meant: -e tazlab_rotate_property=NAME",
            code="no_property",
        )
    if stored.version and not isinstance(stored.data[wanted], str):
        raise BootstrapError(
            f"{doing}: in version {stored.version} its property {wanted} is no text, and the new value would be one, "
            "which whatever reads it may not take. Nothing was changed. Write it yourself as what it is, or name a "
            "property that is a text: -e tazlab_rotate_property=NAME",
            code="no_text",
        )
    return Looked(stored, () if stored.version else _siblings(vault))


def _gone(vault: VaultAdmin, stored: StoredBundle) -> str:
    tool, newest = vault_tool(), stored.version
    if stored.gone != DELETED:
        return (
            f"its newest version, {newest}, was destroyed. Nothing was changed. Write the secret anew with all of its "
            "properties, then rotate it."
        )
    return (
        f"its newest version, {newest}, was deleted on {iso(stored.deletion)}, and what it held can be brought back. "
        f"Nothing was changed. Bring it back:\n  {undelete(tool, vault.settings, newest)}{tool.line}"
    )


def _siblings(vault: VaultAdmin) -> tuple[str, ...]:
    """What lies beside a path that is not there, as far as that may be listed."""
    parent = vault.settings.path.rpartition("/")[0]
    with contextlib.suppress(BootstrapError):
        keys = vault.listed(f"{vault.settings.mount_point}/metadata/{parent}", "Looking for near paths")
        return tuple(f"{parent}/{key}".strip("/") for key in keys if not key.endswith("/"))
    return ()


def near(path: str, known: Iterable[str]) -> list[str]:
    """The paths that may have been meant."""
    return difflib.get_close_matches(path, sorted(set(known)), _NEAR, cutoff=0.85)  # most of a path all have


def shaped(new: str, present: str | None) -> str:
    """The new value, of which a last line break is an editor's, unless the present one ends so or has many lines."""
    text = new.rstrip("\r\n")
    kept = "\n" in text if present is None else present.endswith("\n")
    return f"{text}\n" if kept else text


def write(vault: VaultAdmin, stored: StoredBundle, wanted: str, value: str) -> Written:
    """Write, if nobody has changed that property since; once more, on fresh data, where another one was changed."""
    doing = f"Rotating {vault.settings.mount_point}/{vault.settings.path}"
    if stored.data.get(wanted) == value:
        return Written(stored.version, False, stored.created)
    before = stored
    for _attempt in range(ATTEMPTS):
        try:
            version = vault.write_bundle({**before.data, wanted: value}, before.version, doing)
        except LostRace:
            now = vault.stored(doing)
            if now.data.get(wanted) == value:
                return Written(now.version, False, now.created)
            if now.gone or now.data.get(wanted) != stored.data.get(wanted):
                break
            before = now
        else:
            return Written(version, True, vault.now)
    raise BootstrapError(
        f"{doing}: somebody else wrote it at the same time; the newest version is {vault.stored(doing).version}. "
        "Nothing of theirs was overwritten and nothing of ours was written. Find out whose value it is, then run this "
        "again.",
        code="lost_race",
    )
