# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lookup makes of its terms, of check mode, and of a run without a broker."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible import bundle_lookup as _bundle_lookup
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible import lookup as _lookup
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._sharing.client import NoBroker
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK, Outcome

FIELDS = {name: {"required": False} for name in "ABC"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How Vault was asked, in a run that cannot share."""
    asked: list[str] = []

    def ask_vault(_options: Any, _fields: Any, *, renew: str) -> Outcome:
        asked.append(renew)
        return Outcome(OK, data={"A": "a-value", "B": "b-value"})

    def unshared(*_arguments: Any) -> bytes:
        raise NoBroker

    monkeypatch.setattr(_bundle_lookup, "ask_vault", ask_vault)
    monkeypatch.setattr(_lookup, "shared", unshared)
    return asked


def look(*terms: Any, variables: dict[str, Any] | None = None, **options: Any) -> list[Any]:
    given = {"fields": FIELDS, "providers": [], **options}
    return _lookup.values(list(terms), given, variables or {}, lambda value: value)


def test_without_a_broker_vault_is_asked_once(asked: list[str]) -> None:
    assert look("A", "C") == ["a-value", None]
    assert asked == ["auto"]


def test_a_list_of_names_is_taken_as_names(asked: list[str]) -> None:
    assert look(["A", ["B"]], "A") == ["a-value", "b-value", "a-value"]


@pytest.mark.parametrize("term", [7, {"A": "B"}, None])
def test_what_is_no_name_is_an_error_of_ours(asked: list[str], term: Any) -> None:
    with pytest.raises(AnsibleError, match="No field is named"):
        look(term)


@pytest.mark.parametrize(
    ("check", "renew", "how"),
    [(True, None, "look"), (True, "always", "look"), (True, "never", "never"), (False, "always", "always")],
)
def test_check_mode_only_looks(asked: list[str], check: bool, renew: str | None, how: str) -> None:
    look("A", variables={"ansible_check_mode": check}, renew=renew)
    assert asked == [how]
