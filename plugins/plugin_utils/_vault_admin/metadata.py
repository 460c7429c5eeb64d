# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept beside the bundle, of which only what somebody asked for is ever changed. Pure, private."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Metadata:
    """What is there, and what of it has to be written: nothing else, so that the rest stays as its owner set it."""

    path: str
    before: Mapping[str, t.Any]
    wanted: Mapping[str, t.Any]

    @property
    def changed(self) -> bool:
        return bool(self.wanted)

    def lost(self, newest: int) -> list[int]:
        """The versions beyond the limit to be set. Vault destroys them with the write after C(newest), which counts."""
        limit, versions = self.wanted.get("max_versions"), self.before.get("versions")
        if limit is None or not isinstance(versions, Mapping):
            return []
        kept = [int(number) for number, version in versions.items() if version.get("destroyed") is not True]
        return sorted(number for number in kept if number <= newest + 1 - limit)

    def body(self, found: Mapping[str, t.Any]) -> dict[str, t.Any]:
        """What to write, if nobody else has written since C(found) was read, where the server can tell."""
        version = found.get("current_metadata_version")
        return {**self.wanted, **({} if version is None else {"metadata_cas": version})}


def plan_metadata(
    path: str,
    found: Mapping[str, t.Any] | None,
    *,
    limit: int | None,
    custom: Mapping[str, t.Any] | None,
    defaults: Mapping[str, t.Any] | None,
) -> Metadata:
    """C(custom) wins over what is there, which wins over C(defaults). Keys that others keep there stay."""
    before = dict(found or {})
    wanted: dict[str, t.Any] = {}
    if limit is not None and limit != (before.get("max_versions") or 0):
        wanted["max_versions"] = limit
    there = dict(before.get("custom_metadata") or {})
    after = {**_texts(defaults), **there, **_texts(custom)}
    if after != there:
        wanted["custom_metadata"] = after
    return Metadata(path, before, wanted)


def _texts(given: Mapping[str, t.Any] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (given or {}).items()}
