# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a lookup whose answer is known in this run, which loads next to nothing. Private.

What was resolved once for these options and names serves the whole run; only who comes first loads the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import typing as t
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.release import __version__
from ansible.utils.display import Display

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import from_variables, plain, run_root
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing.client import NoBroker, shared
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import LOOKUP_OPTIONS

display = Display()

# ansible-core masks what it is told since 2.22.
_MASKS: t.Final = tuple(map(int, __version__.split(".")[:2])) >= (2, 22)
# A leader that dies is replaced at once, and one that lives has bounds of its own.
_BOUND: t.Final = 3600.0


def values(
    terms: list[t.Any],
    options: Mapping[str, t.Any],
    variables: Mapping[str, t.Any],
    template: Callable[[t.Any], t.Any],
) -> list[t.Any]:
    """The values of the fields that the terms name. Options that are not given are taken from variables."""
    given = {name: value for name, value in plain(options).items() if value is not None}
    lacking = [name for name in LOOKUP_OPTIONS if name not in given]
    given = {**plain(from_variables(lacking, variables, template)), **given}
    answer = _answer(list(_flat(plain(terms))), given, variables.get("ansible_check_mode") is True)
    if _MASKS:
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register

        register([*answer["secrets"], *(str(given.get(name, "")) for name in ("token", "secret_id", "jwt"))])
    for warning in answer["warnings"]:
        display.warning(warning)
    if answer["error"]:
        raise AnsibleError(answer["error"])
    return list(answer["values"])


def _flat(terms: list[t.Any]) -> Iterator[t.Any]:
    """The terms, with those of a list in a list's place."""
    for term in terms:
        if isinstance(term, list):
            yield from _flat(term)
        else:
            yield term


def _answer(terms: list[t.Any], given: dict[str, t.Any], look: bool) -> dict[str, t.Any]:
    """The values of these names: of Vault's bundle where it has them all, else with the fallback sources.

    C(look): nothing may be renewed.
    """
    with contextlib.suppress(NoBroker):
        if "cache" not in given:
            found = _shared("from_vault", given, look)["found"]
            if terms and all(isinstance(term, str) and term in found["values"] for term in terms):
                values = [found["values"][term] for term in terms]
                return {"values": values, "secrets": values, "warnings": found["warnings"], "error": None}
            return _shared("from_all", given, look, terms)
    return _resolved("from_all", given, look, terms)


def _shared(what: str, *arguments: t.Any) -> dict[str, t.Any]:
    def resolve() -> bytes:
        return json.dumps(_resolved(what, *arguments)).encode()

    key = hashlib.sha256(json.dumps([what, *arguments], sort_keys=True).encode()).digest()
    return dict(json.loads(shared(key, _BOUND, resolve, Path(C.DEFAULT_LOCAL_TMP), run_root())))


def _resolved(what: str, *arguments: t.Any) -> dict[str, t.Any]:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible import bundle_lookup as _bundle_lookup

    return dict(getattr(_bundle_lookup, what)(*arguments))
