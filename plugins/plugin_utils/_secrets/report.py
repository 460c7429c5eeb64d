# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may see of the secrets: sources and ages, in short lines. Pure, private."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import table
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Resolution


def source_lines(fields: Iterable[Field], resolution: Resolution, invalid: Collection[str]) -> list[str]:
    """Each field with its source."""
    return table([known.name, _source(known, resolution, invalid)] for known in fields)


def _source(known: Field, resolution: Resolution, invalid: Collection[str]) -> str:
    found = resolution.found.get(known.name)
    if found is None:
        return "INVALID" if known.name in invalid else "MISSING" if known.required else "none (optional)"
    age = found.provenance.age
    return found.provenance.label + ("" if age is None else f", {age_text(age)} old")


def age_text(seconds: int) -> str:
    """An age in its largest unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
