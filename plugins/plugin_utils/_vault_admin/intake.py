# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a publication is about: the fields that are chosen, and the values that are given for them. Private."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Provenance
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import expand
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import Plan


def chosen_fields(
    fields: Sequence[Field], names: Sequence[str] | None, given: Mapping[str, t.Any] | None
) -> list[Field]:
    """The fields that this is about: those named, else those given, else all."""
    declared = {known.name: known for known in fields}
    asked = list(dict.fromkeys(names if names is not None else given or declared))
    unknown = sorted(name for name in (*asked, *(given or ())) if name not in declared)
    if unknown:
        raise BootstrapError(
            f"{', '.join(dict.fromkeys(unknown))}: no field of the bundle. Declare it in fields (tazlab_fields)."
        )
    nested = [name for name in asked if declared[name].expression is not None]
    if nested:
        raise BootstrapError(
            f"fields: {', '.join(nested)}: has an expression, which says how to read it and not how to write it. "
            "Publish a nested bundle by hand."
        )
    return [declared[name] for name in asked]


def values_given(values: Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, Provenance]]:
    return dict(values), {name: Provenance("values", name, "option values") for name in values}


def values_of_files(files: Mapping[str, t.Any]) -> tuple[dict[str, t.Any], dict[str, Provenance]]:
    raw: dict[str, t.Any] = {}
    origins: dict[str, Provenance] = {}
    for name, file in files.items():
        path = expand(str(file), Path.home())
        content = read_text(path)
        if content.text is None:
            raise BootstrapError(f"value_files: {name}: {path} {content.problem or 'does not exist'}.")
        raw[name] = content.text
        origins[name] = Provenance("file", str(path), f"file {path.name}", content.age)
    return raw, origins


def refuse_missing(chosen: Sequence[Field], plan: Plan, anchor: str) -> None:
    """A required field that neither the anchor nor Vault has makes a bundle from which no cluster can be born."""
    required = {known.name: known for known in chosen if known.required}
    missing = [change.name for change in plan.changes if change.state == "missing" and change.name in required]
    if missing:
        places = "; ".join(f"{name} (tried {' and '.join(required[name].file_names)})" for name in missing)
        raise BootstrapError(
            f"Neither {anchor} nor Vault has {places}. Nothing was published. Put the values there, or "
            "declare the fields required: false."
        )
