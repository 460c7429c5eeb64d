# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lookup does when nobody in this run has done it yet: asks Vault, then the fallback sources. Private."""

from __future__ import annotations

import contextlib
import difflib
import os
import typing as t
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import validated
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.secrets import (
    ask_vault,
    bundle_of,
    secret_place,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field, declared_fields
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import declared_providers
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import refuse_invalid, resolve
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import LOOKUP_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK, Outcome


def from_vault(given: dict[str, t.Any], look: bool) -> dict[str, t.Any]:
    """What Vault alone has, good fields only. Whatever is wrong or missing is for C(from_all) to tell."""
    found: dict[str, t.Any] = {"values": {}, "warnings": []}
    with contextlib.suppress(Exception):
        options = validated(LOOKUP_OPTIONS, given)
        fields = declared_fields(options["fields"])
        outcome = ask_vault(options, fields, renew=_renewal(options, look))
        bundle = bundle_of(outcome, fields, secret_place(options))
        found["values"] = {name: value.value for name, value in bundle.found.items()}
        found["warnings"] = _warnings(outcome)
    return {"found": found}


def from_all(given: dict[str, t.Any], look: bool, terms: list[t.Any]) -> dict[str, t.Any]:
    """The values of the fields that the terms name, with warnings, or an error whose text quotes no value."""
    warnings: list[str] = []
    values: list[t.Any] = []
    secrets: list[str] = []
    failure = None
    try:
        options = validated(LOOKUP_OPTIONS, given)
        fields = declared_fields(options["fields"])
        found = _resolved(fields, _wanted(fields, terms), options, _renewal(options, look), warnings)
        values = [found[name] for name in terms] if terms else [found]
        secrets = [value for value in found.values() if value is not None]
    except BootstrapError as error:
        failure = str(error)
    except Exception as error:  # noqa: BLE001  # the outermost edge: no traceback may quote a secret
        failure = (
            f"Unexpected {type(error).__name__}. Its text is withheld, since it could quote a secret. "
            "This is a bug in tazlab.bootstrap: please report it."
        )
    return {"values": values, "secrets": secrets, "warnings": warnings, "error": failure}


def _renewal(options: dict[str, t.Any], look: bool) -> str:
    return "look" if look and options["renew"] != "never" else str(options["renew"])


def _warnings(outcome: Outcome) -> list[str]:
    return [*outcome.warnings, *(outcome.token.warnings if outcome.token else ())]


def _resolved(
    fields: tuple[Field, ...], wanted: list[Field], options: dict[str, t.Any], renew: str, warnings: list[str]
) -> dict[str, str | None]:
    outcome = ask_vault(options, fields, renew=renew)
    warnings += _warnings(outcome)
    if outcome.reason != OK:
        if options["on_unavailable"] == "fail":
            raise BootstrapError(outcome.message)
        warnings.append(f"Vault gave no bundle, the fallback sources answer. {outcome.message}")
    bundle = bundle_of(outcome, wanted, secret_place(options))
    refuse_invalid(bundle.invalid)
    if bundle.missing:
        providers = declared_providers(
            options["providers"], fields=fields, anchor=options["anchor"], environ=os.environ, home=Path.home()
        )
        filled = resolve([known for known in wanted if known.name in bundle.missing], {}, providers)
        refuse_invalid(filled.invalid)
        warnings += filled.warnings
        if filled.problems:
            raise refusal(filled.problems)
        bundle.found.update(filled.found)
    values = {name: found.value for name, found in bundle.found.items()}
    return {known.name: values.get(known.name) for known in wanted}


def _wanted(fields: tuple[Field, ...], terms: list[t.Any]) -> list[Field]:
    """The fields that the terms name; all of them where no term does."""
    if not terms:
        return list(fields)
    declared = {known.name: known for known in fields}
    unknown = [_meant(number, term, declared) for number, term in enumerate(terms, 1) if not _is_in(term, declared)]
    if unknown:
        raise BootstrapError(
            f"No field is named as the lookup's {' and '.join(unknown)} says. Declared are {', '.join(declared)}; "
            "fields declares others."
        )
    return [declared[term] for term in terms]


def _is_in(term: t.Any, declared: t.Collection[str]) -> bool:
    return isinstance(term, str) and term in declared


def _meant(number: int, term: t.Any, declared: t.Collection[str]) -> str:
    """A term by its number, since a value in a name's place must not be quoted; and the field that was meant."""
    near = difflib.get_close_matches(term, declared, 1) if isinstance(term, str) else []
    return f"term {number}" + (f" (did you mean {near[0]}?)" if near else "")
