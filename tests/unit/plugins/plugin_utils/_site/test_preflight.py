# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the chosen phases lack, and nothing that the others lack."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.provider import PROXMOX
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.preflight import (
    Fields,
    Use,
    core_problems,
    field_problems,
    kubeconfig_problems,
    package_problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.existing import EXISTING

WRONG = Problem("invalid", "ID", "the value from vault v1 is wrong.")
FIELDS = Fields(
    declared=("ID", "GIT", "KEY", "AGE"),
    invalid=("ID",),
    problems=(WRONG, *(Problem("missing", name, "no source has a value.") for name in ("GIT", "AGE"))),
    uses=(Use("vms", ("ID",)), Use("seed", ("KEY",), ("AGE",)), Use("flux", ("GIT",))),
)


@pytest.mark.parametrize(
    ("phases", "named"),
    [
        (["secrets"], ["ID", "GIT", "AGE"]),
        (["secrets", "vms"], ["ID"]),
        (["secrets", "flux"], ["GIT"]),
        (["secrets", "seed"], []),
        (["secrets", "vms", "seed", "flux"], ["ID", "GIT"]),
    ],
)
def test_only_fields_that_a_chosen_phase_cannot_do_without_count(phases: list[str], named: list[str]) -> None:
    assert [problem.subject for problem in field_problems(FIELDS, phases)] == named


def test_a_wrong_value_counts_for_an_optional_use_too() -> None:
    wrong = Problem("invalid", "AGE", "the value from file age is wrong.")
    fields = Fields(("AGE",), ("AGE",), (), (wrong,), (Use("seed", (), ("AGE",)),))
    assert field_problems(fields, ["seed"]) == [wrong]


def test_a_field_that_may_be_missing_is_missed_all_the_same_by_a_phase_that_needs_it() -> None:
    fields = Fields(("KEY",), missing=("KEY",), uses=(Use("seed", ("KEY",)), Use("talos", (), ("KEY",))))
    [problem] = field_problems(fields, ["seed", "talos"])
    assert problem.text.startswith("KEY: phase seed needs this field, and no source has a value.")
    assert field_problems(fields, ["talos"]) == []


@pytest.mark.parametrize("use", [Use("seed", ("SOPS",)), Use("seed", (), ("SOPS",))])
def test_a_field_that_nobody_declared_is_told_from_one_without_a_value(use: Use) -> None:
    [problem] = field_problems(Fields(("ID",), uses=(use,)), ["seed"])
    assert problem.code == "undeclared"
    assert problem.text.startswith("SOPS: phase seed uses this field, and tazlab_fields does not declare it.")


def test_packages_are_told_together_and_only_those_of_the_chosen_phases() -> None:
    [problem] = package_problems(["secrets", "vms", "talos"], PROXMOX, lambda package: package == "requests", "/py")
    assert "ansible-playbook: kubernetes, proxmoxer." in problem.what
    assert problem.step.endswith("/py -m pip install kubernetes proxmoxer")
    [few] = package_problems(["vms", "talos"], EXISTING, lambda package: False, "/py")
    assert few.step.endswith("/py -m pip install kubernetes")
    assert list(package_problems(["secrets"], PROXMOX, lambda package: False, "/py")) == []


@pytest.mark.parametrize(
    ("phases", "is_file", "check_mode", "count"),
    [
        (["secrets", "seed"], False, False, 1),
        (["secrets", "flux"], False, False, 1),
        (["secrets", "seed", "flux"], True, False, 0),
        (["secrets", "seed"], False, True, 0),
        (["secrets", "talos", "seed"], False, False, 0),
        (["secrets", "vms"], False, False, 0),
    ],
)
def test_a_phase_that_needs_a_cluster_is_told_when_there_is_none(
    phases: list[str], is_file: bool, check_mode: bool, count: int
) -> None:
    assert len(list(kubeconfig_problems(phases, "/k", is_file=is_file, is_given=False, check_mode=check_mode))) == count


@pytest.mark.parametrize(
    ("version", "old"), [("2.18.9", True), ("2.19.0", False), ("2.19.0b1", False), ("2.21.1", False), ("3.0", False)]
)
def test_an_old_core_is_a_problem_like_any_other(version: str, old: bool) -> None:
    assert [problem.code for problem in core_problems(version, "/py")] == (["core_too_old"] if old else [])


@pytest.mark.parametrize(
    ("phases", "is_file", "codes"),
    [
        (["secrets", "seed", "flux"], True, []),
        (["secrets", "seed", "flux"], False, ["no_kubeconfig"]),
        (["secrets", "vms", "talos", "seed", "flux"], True, ["cluster_given"]),
        (["secrets", "talos"], True, ["cluster_given"]),
        (["secrets"], False, []),
    ],
)
def test_a_cluster_that_is_given_is_not_made(phases: list[str], is_file: bool, codes: list[str]) -> None:
    told = list(kubeconfig_problems(phases, "/k", is_file=is_file, is_given=True, check_mode=False))
    assert [problem.code for problem in told] == codes
