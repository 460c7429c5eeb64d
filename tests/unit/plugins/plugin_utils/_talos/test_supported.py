# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of which versions of Talos and Kubernetes go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import (
    SUPPORTED,
    named,
    pair_problem,
    talos_problem,
    untested,
)


@pytest.mark.parametrize(
    ("talos", "oldest", "newest"),
    [("v1.12.0", "1.30.0", "1.35.99"), ("v1.13.8", "1.31.0", "1.36.9"), ("v1.14.1", "1.32.0", "1.37.4")],
)
def test_each_talos_has_its_own_range_of_kubernetes(talos: str, oldest: str, newest: str) -> None:
    assert pair_problem(talos, oldest, "x") is None
    assert pair_problem(talos, newest, "x") is None
    for other in (oldest, newest):
        major, minor, _patch = other.split(".")
        beyond = f"{major}.{int(minor) + (1 if other == newest else -1)}.0"
        problem = pair_problem(talos, beyond, "x")
        assert problem is not None, beyond
        assert problem.code == "impossible_pair"


def test_a_talos_that_is_newer_than_the_table_is_tried_with_a_warning() -> None:
    assert talos_problem("v1.15.0", "x") is None
    assert pair_problem("v1.15.0", "1.40.0", "x") is None
    assert pair_problem("v1.15.0", "1.31.0", "x") is not None
    (warning,) = untested("v1.15.0", "v1.15.0")
    assert "Talos v1.15.0 is newer than v1.14" in warning


def test_a_client_that_is_newer_than_all_that_was_tried_is_told() -> None:
    assert untested("v1.12.6", "v1.14.1") == []
    (warning,) = untested("v1.12.6", "v1.15.0")
    assert "talosctl v1.15.0 is newer than v1.14" in warning


def test_the_documentation_has_the_same_table() -> None:
    root = Path(__file__).parents[5]
    readme = " ".join(f"{named(talos)} ({named(old)} to {named(new)})," for talos, (old, new) in SUPPORTED.items())
    assert f"| {readme.rstrip(',')} |" in (root / "README.md").read_text()
    rows = "".join(
        f"   * - {named(talos)}\n     - {named(old)} to {named(new)}\n" for talos, (old, new) in SUPPORTED.items()
    )
    assert rows in (root / "docs/docsite/rst/guide_talos_versions.rst").read_text()
