# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A property is written by check-and-set, and nobody's write is lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.vault import look, near, shaped, write
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import LostRace, StoredBundle


class Vault:
    """A secret, which somebody else writes before each of our writes as long as there is something to write."""

    settings = SimpleNamespace(mount_point="secret", path="web", secret_path="secret/data/web", token_source="a test")
    now = 7.0

    def __init__(self, *others: dict[str, Any]) -> None:
        self.version, self.data = 1, {"value": "old", "note": "a"}
        self.others = list(others)

    def capabilities(self, paths: list[str]) -> dict[str, frozenset[str]]:
        return {path: frozenset({"read", "update"}) for path in paths}

    def stored(self, _doing: str) -> StoredBundle:
        return StoredBundle(self.version, dict(self.data), created=3.0)

    def write_bundle(self, values: dict[str, Any], after: int, _doing: str) -> int:
        if self.others:
            self.version, self.data = self.version + 1, self.others.pop(0)
        if after != self.version:
            raise LostRace
        self.version, self.data = self.version + 1, values
        return self.version


def rotated(vault: Vault) -> Any:
    return write(cast(VaultAdmin, vault), vault.stored(""), "value", "new")


def test_the_others_of_the_secret_stay_and_what_is_there_is_not_written() -> None:
    vault = Vault()
    assert (rotated(vault).version, vault.data) == (2, {"value": "new", "note": "a"})
    again = rotated(vault)
    assert (again.version, again.changed, again.moment) == (2, False, 3.0)


def test_another_property_that_was_written_meanwhile_stays() -> None:
    vault = Vault({"value": "old", "note": "theirs"})
    assert rotated(vault).version == 3
    assert vault.data == {"value": "new", "note": "theirs"}


def test_the_same_value_that_was_written_meanwhile_is_enough() -> None:
    vault = Vault({"value": "new"})
    found = rotated(vault)
    assert (found.version, found.changed) == (2, False)


def test_another_value_that_was_written_meanwhile_is_not_overwritten() -> None:
    vault = Vault({"value": "theirs"})
    with pytest.raises(BootstrapError, match=r"the newest version is 2\. Nothing of theirs was overwritten"):
        rotated(vault)
    assert vault.data == {"value": "theirs"}


@pytest.mark.parametrize(
    ("new", "present", "value"),
    [
        ("a\n", "b", "a"),
        ("a\r\n", None, "a"),
        ("a", "b\n", "a\n"),
        ("-----\nx\n-----\n", None, "-----\nx\n-----\n"),
        ("-----\nx\n-----\n", "-----\ny\n-----", "-----\nx\n-----"),
    ],
)
def test_a_last_line_break_is_as_in_the_present_value(new: str, present: str | None, value: str) -> None:
    assert shaped(new, present) == value


@pytest.mark.parametrize("present", [{"inner": "hidden"}, ["hidden"], 5432, 1.5, True, None])
def test_a_property_that_is_no_text_is_refused_and_not_shown(present: Any) -> None:
    vault = Vault()
    vault.data["value"] = present
    with pytest.raises(BootstrapError, match="its property value is no text") as refused:
        look(cast(VaultAdmin, vault), "value")
    assert "Nothing was changed" in str(refused.value)
    assert "-e tazlab_rotate_property=NAME" in str(refused.value)
    assert "hidden" not in str(refused.value)
    assert look(cast(VaultAdmin, vault), "note").stored.data["note"] == "a"


def test_paths_that_may_have_been_meant_are_offered() -> None:
    known = ["tazlab-k8s/static/web/TOKEN", "tazlab-k8s/static/db/PASSWORD"]
    assert near("tazlab-k8s/static/web/TOKNE", known) == known[:1]
    assert near("elsewhere", known) == []
