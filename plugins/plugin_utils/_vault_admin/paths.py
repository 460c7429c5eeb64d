# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Vault has what is to be delivered: paths and their properties, by a token that need not read values. Private.

C(subkeys) of a KV version 2 mount has the names of a secret's properties, and no value.
"""

from __future__ import annotations

import difflib
import posixpath
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

_DOING: t.Final = "Looking at what is to be delivered"


@dataclass
class Looked:
    """What Vault lacks, and what the token may not look at: a line each."""

    problems: list[Problem] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


def look(vault: VaultAdmin, wanted: Mapping[str, frozenset[str]]) -> Looked:
    """Look at each path for these properties; none of them stands for all that there are."""
    found = Looked()
    mount = vault.settings.mount_point
    for path, properties in wanted.items():
        try:
            data = vault.read(f"{mount}/subkeys/{path}", _DOING)
        except BootstrapError as error:
            if error.status != 403:
                raise
            found.unseen.append(f"{mount}/{path}: the token may not read {mount}/subkeys/{path}")
        else:
            found.problems += _lacking(vault, path, properties, data)
    return found


def _lacking(
    vault: VaultAdmin, path: str, properties: frozenset[str], data: Mapping[str, t.Any] | None
) -> Iterator[Problem]:
    place = f"{vault.settings.mount_point}/{path}"
    if data is None:
        yield Problem("no_path", place, *_why_nothing(vault, path))
        return
    there, metadata = data.get("subkeys"), data.get("metadata")
    if not isinstance(there, Mapping):
        destroyed = isinstance(metadata, Mapping) and metadata.get("destroyed")
        what, step = ("destroyed", "Write it anew.") if destroyed else ("deleted", "Bring it back, or write it anew.")
        yield Problem("no_path", place, f"its newest version is {what}.", step)
        return
    names = sorted(map(str, there))
    if missing := sorted(properties - set(names)):
        has = f"It has {few(names)}." if names else "It has none."
        yield Problem("no_property", place, f"Vault has no {', '.join(missing)} there.", has)


def _why_nothing(vault: VaultAdmin, path: str) -> tuple[str, str]:
    """Why a path has nothing to read, and the next step."""
    folder, name = posixpath.split(path)
    try:
        listed = vault.listed(f"{vault.settings.mount_point}/metadata/{folder}", _DOING)
    except BootstrapError as error:
        if error.status != 403:
            raise
        listed = []
    close = difflib.get_close_matches(name, [each for each in listed if not each.endswith("/")], 1)
    meant = f"{posixpath.join(folder, close[0])} was meant?" if close else ""
    return "Vault has nothing there.", f"Correct the path, or write the secret. {meant}".strip()
