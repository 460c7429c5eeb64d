# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of secret_fallback: fills what is missing from the fallback sources, and compares the anchor."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import plain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.secrets import SecretAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field, declared_fields
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.report import source_lines
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import (
    Provenance,
    accept,
    invalid,
    refuse_invalid,
    resolve,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import BUNDLE_OPTIONS, PROVIDERS_OPTION


class ActionModule(SecretAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "values": {"type": "dict", "no_log": True},
        "sources": {"type": "dict"},
        "invalid": {"type": "dict"},
        **BUNDLE_OPTIONS,
        **PROVIDERS_OPTION,
        "on_missing": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
    }
    never_from_variables = ("values", "sources", "invalid")

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        fields = declared_fields(params["fields"])
        providers = declared_providers(
            params["providers"], fields=fields, anchor=params["anchor"], environ=os.environ, home=Path.home()
        )
        values = plain(params["values"] or {})
        sources = plain(params["sources"] or {})
        _refuse_unknown(values, fields)
        origins = {known.name: _origin(sources.get(known.name)) for known in fields}
        fails = params["on_missing"] == "fail"
        known = accept(fields, values, origins)
        wrong = {problem.subject: problem for problem in known.invalid}
        wrong |= {name: invalid(name, what) for name, what in plain(params["invalid"] or {}).items()}
        if fails:
            refuse_invalid(list(wrong.values()))
        # Who comes later is not asked for what is there and wrong.
        resolution = resolve([each for each in fields if each.name not in wrong], known.found, providers)
        wrong |= {problem.subject: problem for problem in resolution.invalid}
        if fails:
            refuse_invalid(resolution.invalid)
        register(found.value for found in resolution.found.values())
        if resolution.problems and fails:
            raise refusal(resolution.problems)
        for line in source_lines(fields, resolution, wrong):
            self.progress(line)
        drift = [f"{'The recovery anchor is stale: ' if each.name else ''}{each.message}." for each in resolution.drift]
        return {
            "secrets": {name: found.value for name, found in resolution.found.items()},
            "sources": {name: found.provenance.as_dict() for name, found in resolution.found.items()},
            "missing": resolution.missing,
            "invalid": {name: problem.what for name, problem in wrong.items()},
            "problems": [problem.as_dict() for problem in (*wrong.values(), *resolution.problems)],
            "drift": [entry.as_dict() for entry in resolution.drift],
            "warnings": [*resolution.warnings, *drift],
        }


def _refuse_unknown(values: dict[str, t.Any], fields: tuple[Field, ...]) -> None:
    """A value whose field nobody declared would be lost without a word."""
    names = [known.name for known in fields]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise BootstrapError(
            f"values: no field is named {', '.join(unknown)}. Declared are {', '.join(names)}; fields declares others."
        )


def _origin(source: t.Any) -> Provenance:
    """The provenance that an earlier task registered; without one, the value is the user's own."""
    source = source if isinstance(source, dict) else {}
    return Provenance(
        source=str(source.get("source") or "values"),
        place=str(source.get("place") or "option values"),
        label=str(source.get("label") or "option values"),
        age=source.get("age") if isinstance(source.get("age"), int) else None,
        version=source.get("version") if isinstance(source.get("version"), int) else None,
    )
