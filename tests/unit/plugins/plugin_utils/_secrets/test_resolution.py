# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which source wins: known values always, then the first that has one; blank is skipped, wrong is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, InvalidValue
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import FileProvider
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import (
    Attempt,
    Found,
    Provenance,
    accept,
    refuse_invalid,
    resolve,
)

A, B = Field("A"), Field("B", required=False)
VAULT = Provenance("vault", "secret/x", "vault v3", 5, 3)


@dataclass
class Shelf:
    """A provider that holds what a test puts into it, and notes who asked."""

    name: str
    held: dict[str, str | None] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_anchor: ClassVar[bool] = False

    def missing_anchor(self) -> str | None:
        return None

    def lacks(self) -> str:
        return f"{self.name} is empty" if self.is_anchor else ""

    def attempts(self, field: Field) -> Iterator[Attempt]:
        self.asked.append(field.name)
        origin = Provenance(self.name, field.name, f"{self.name} {field.name}")
        yield Attempt(origin, self.held.get(field.name), self.broken.get(field.name))


class Anchor(Shelf):
    is_anchor: ClassVar[bool] = True


def test_what_is_known_is_never_overwritten_nor_asked_for() -> None:
    shelf = Shelf("env", {"A": "theirs7"})
    result = resolve([A], {"A": Found("mine", VAULT)}, [shelf])
    assert result.found["A"].value == "mine"
    assert result.found["A"].provenance is VAULT
    assert shelf.asked == []


def test_the_first_source_wins_and_the_next_is_not_asked() -> None:
    first, second = Shelf("env", {"A": " 'one'\n"}), Shelf("command", {"A": "two"})
    result = resolve([A], {}, [first, second])
    assert (result.found["A"].value, result.found["A"].provenance.source) == ("one", "env")
    assert second.asked == []


def test_blank_is_missing_and_the_next_is_asked() -> None:
    result = resolve([A], {}, [Shelf("env", {"A": ' "" '}), Shelf("file", {"A": "two"})])
    assert result.found["A"].provenance.source == "file"


def test_what_is_wrong_is_never_skipped() -> None:
    second = Shelf("file", {"A": "two"})
    result = resolve([A], {}, [Shelf("env", {"A": "one two"}), second])
    assert result.found == {}
    assert second.asked == []
    with pytest.raises(BootstrapError, match="A: the value from env A holds a blank inside"):
        refuse_invalid(result.invalid)


def test_missing_names_every_place_that_was_tried() -> None:
    result = resolve([A, B], {}, [Shelf("env"), Shelf("file", {"A": ""})])
    assert result.missing == ["A", "B"]
    assert len(result.problems) == 1
    assert "Tried: env A (nothing there); file A (empty)" in result.problems[0].what


def test_all_invalid_values_are_told_at_once() -> None:
    result = resolve([A, B], {}, [Shelf("env", {"A": "x y", "B": "x y"})])
    with pytest.raises(BootstrapError, match=r"A: the value from env A .*\. B: the value from env B "):
        refuse_invalid(result.invalid)


@pytest.mark.parametrize(
    ("held", "broken", "state"),
    [
        ("theirs7", None, "differs"),
        (None, None, "absent"),
        ("", None, "absent"),
        ("x y", None, "invalid"),
        (None, "is a directory", "invalid"),
        (" 'mine7' ", None, None),
    ],
)
def test_drift_is_reported_and_never_fails(held: str | None, broken: str | None, state: str | None) -> None:
    anchor = Anchor("file", {"A": held}, {"A": broken} if broken else {})
    result = resolve([A], {"A": Found("mine7", VAULT)}, [Shelf("env"), anchor])
    assert [entry.state for entry in result.drift] == ([state] if state else [])
    assert result.found["A"].value == "mine7"
    assert result.invalid == []
    assert all("mine" not in entry.message and "theirs7" not in entry.message for entry in result.drift)


def test_only_what_vault_gave_can_drift() -> None:
    known = {"A": Found("mine", Provenance("values", "option values", "option values"))}
    assert resolve([A], known, [Anchor("file", {"A": "theirs7"})]).drift == []


def test_an_anchor_that_is_gone_is_said_once() -> None:
    known = {name: Found("mine7", VAULT) for name in "AB"}
    gone = FileProvider(Path("/nowhere/at/all"))
    (entry,) = resolve([A, B], known, [Shelf("env"), gone]).drift
    assert (entry.name, entry.place, entry.state) == ("", "/nowhere/at/all", "absent")
    assert "declare providers without type file" in entry.message
    assert resolve([A, B], {}, [gone]).drift == []


def test_a_file_that_others_can_read_is_told_while_vault_answers(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine7")
    (tmp_path / "a").chmod(0o644)
    result = resolve([A], {"A": Found("mine7", VAULT)}, [FileProvider(tmp_path)])
    assert result.drift == []
    assert "chmod 600" in result.warnings[0]


def test_what_cannot_be_had_is_invalid() -> None:
    result = accept([A], {"A": InvalidValue("cannot be had")}, {"A": VAULT})
    assert texts(result.invalid)[0].startswith("A: the value from vault v3 cannot be had. ")


def test_accepting_takes_what_is_there_and_lists_the_rest() -> None:
    fields = [A, B, Field("C"), Field("D"), Field("E")]
    origins = {known.name: VAULT for known in fields}
    result = accept(fields, {"A": " a\n", "B": " ", "C": "x y", "D": 7, "Z": "unknown"}, origins)
    assert {name: found.value for name, found in result.found.items()} == {"A": "a"}
    assert result.missing == ["B", "E"]
    assert [(problem.code, problem.subject, problem.what) for problem in result.invalid] == [
        ("invalid", "C", "the value from vault v3 holds a blank inside."),
        ("invalid", "D", "the value from vault v3 is not a text."),
    ]


values = st.one_of(st.none(), st.text(max_size=12), st.sampled_from(["", " ", "x y", "good", "'good2'"]))


@given(
    st.lists(st.dictionaries(st.sampled_from("ABC"), values), max_size=4),
    st.dictionaries(st.sampled_from("ABC"), values),
)
def test_no_value_is_invented_and_none_is_lost(
    shelves: list[dict[str, str | None]], vault: dict[str, str | None]
) -> None:
    fields = [Field(name) for name in "ABC"]
    accepted = accept(fields, vault, dict.fromkeys("ABC", VAULT))
    if accepted.invalid:
        return
    result = resolve(fields, accepted.found, [Shelf(f"s{number}", held) for number, held in enumerate(shelves)])
    for known in fields:
        places = (
            known.name in result.found,
            known.name in result.missing,
            any(problem.subject == known.name for problem in result.invalid),
        )
        assert sum(places) == 1
        if known.name in result.found:
            value = result.found[known.name].value
            assert any(value in (held.get(known.name) or "") for held in [vault, *shelves])
