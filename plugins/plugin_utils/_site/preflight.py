# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the chosen phases need beside the inventory's settings: fields, Python packages and a kubeconfig.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import shlex
import typing as t
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import NOTHING
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.provider import Provider

OLDEST_CORE: t.Final = (2, 19)  # as meta/runtime.yml says

# What a phase imports only when it works, so that it would be missed late. What ansible-core needs itself is there.
# Those of phase vms are its provider's.
PACKAGES = {
    "talos": ("kubernetes",),
    "seed": ("kubernetes",),
    "flux": ("kubernetes",),
}


@dataclass(frozen=True)
class Use:
    """The fields of the bundle that a phase takes. Without an optional one it can do."""

    phase: str
    needed: Sequence[str] = ()
    optional: Sequence[str] = ()


@dataclass(frozen=True)
class Fields:
    """How the fields of the bundle stand. The subject of each problem is a field's name."""

    declared: Sequence[str] = ()
    invalid: Sequence[str] = ()
    missing: Sequence[str] = ()
    problems: Sequence[Problem] = ()
    uses: Sequence[Use] = ()


def field_problems(fields: Fields, phases: Sequence[str]) -> list[Problem]:
    """What is wrong with the fields that the chosen phases use; with any where no chosen phase uses one."""
    uses = [use for use in fields.uses if use.phase in phases]
    if not uses:
        return list(fields.problems)
    needed = {name for use in uses for name in use.needed}
    named = {name: use.phase for use in reversed(uses) for name in (*use.optional, *use.needed)}
    undeclared = [
        Problem(
            "undeclared",
            name,
            f"phase {phase} uses this field, and tazlab_fields does not declare it.",
            "Declare it there, with every other field that you use: tazlab_fields replaces the eight default fields.",
        )
        for name, phase in named.items()
        if name not in fields.declared
    ]
    wrong = needed | {name for name in named if name in fields.invalid}
    nothing = [problem for problem in fields.problems if problem.code == NOTHING and needed]
    if nothing:
        return [*undeclared, *nothing]
    told = [problem for problem in fields.problems if problem.subject in wrong]
    known = {problem.subject for problem in told}
    lacking = [
        Problem(
            "missing",
            name,
            f"phase {use.phase} needs this field, and no source has a value.",
            "tazlab_fields says that it is not required: put it into the bundle or the recovery anchor all the same.",
        )
        for use in uses
        for name in use.needed
        if name in fields.missing and name not in known
    ]
    return [*undeclared, *told, *lacking]


def package_problems(
    phases: Sequence[str], machines: Provider, is_installed: Callable[[str], bool], python: str
) -> Iterator[Problem]:
    """The Python packages that the chosen phases lack, together: one command installs them."""
    table = {**PACKAGES, "vms": machines.packages}
    wanted = {package for phase in phases for package in table.get(phase, ())}
    missing = sorted(package for package in wanted if not is_installed(package))
    if missing:
        yield Problem(
            "not_installed",
            "",
            f"Python packages are missing for the Python that runs ansible-playbook: {', '.join(missing)}.",
            f"Install them: {shlex.quote(python)} -m pip install {' '.join(missing)}",
        )


def inventory_missing(sources: Sequence[str], cluster: object, exists: Callable[[str], bool]) -> list[Problem]:
    """That no inventory was given, where nobody said by other means which cluster is meant."""
    if cluster or any("," in source or exists(source) for source in sources):
        return []
    step = "Copy playbooks/inventory/example.yml of this collection, fill it in, and give it: -i my-cluster.yml"
    return [Problem("no_inventory", "inventory", "none was given.", step)]


def core_problems(version: str, python: str) -> Iterator[Problem]:
    """An ansible-core that is older than what was tested."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < OLDEST_CORE:
        oldest = ".".join(map(str, OLDEST_CORE))
        step = f"Install it: {shlex.quote(python)} -m pip install 'ansible-core>={oldest}'"
        yield Problem("core_too_old", "ansible-core", f"it is {version}, and {oldest} or newer is needed.", step)


def kubeconfig_problems(
    phases: Sequence[str], kubeconfig: str, *, is_file: bool, is_given: bool, check_mode: bool
) -> Iterator[Problem]:
    """Phases that need a cluster, where no chosen one gives it; and phases that make one, where one is given.

    Check mode only says what it would do.
    """
    make = [phase for phase in phases if phase in ("vms", "talos")]
    need = [phase for phase in phases if phase in ("seed", "flux")]
    if is_given and make:
        yield Problem(
            "cluster_given",
            "tazlab_kubeconfig",
            f"it names a cluster that is there already, and {' and '.join(make)} would make one.",
            "Run --tags seed,flux for that cluster, or take tazlab_kubeconfig out of the inventory.",
        )
    elif is_given and need and not is_file:
        yield Problem("no_kubeconfig", "tazlab_kubeconfig", f"{kubeconfig} is not there.", "Correct its path.")
    elif need and "talos" not in phases and not is_file and not check_mode:
        yield Problem(
            "no_kubeconfig",
            "kubeconfig",
            f"{kubeconfig} is not there, and {' and '.join(need)} cannot do without.",
            f"The phase talos writes it: --tags talos,{','.join(need)}. Where the cluster is there, restore the state "
            "directory; where it is not this collection's, name its kubeconfig as tazlab_kubeconfig.",
        )
