# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a repository stands against the operators that are wanted: other releases, and versions without a way. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import EXTERNAL, MOVED, api_version
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.restarts import chart_name, chart_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import CHARTS, Operator
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import HELM, Object, Repository

ALPHA, BETA, V1 = f"{EXTERNAL}/v1alpha1", f"{EXTERNAL}/v1beta1", f"{EXTERNAL}/v1"
STEP: t.Final = "0.16.2"  # of the only minor release of ESO that serves both

_BOTH: t.Final = (0, 16)
_VERSION: t.Final = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def obstacles(repository: Repository, operators: Mapping[str, Operator]) -> Iterator[Problem]:
    """All of them."""
    for part, operator in operators.items():
        yield from _others(repository, part, operator)
        release = release_of(repository, operator)
        if release is None:
            continue
        if "chart" not in release.spec:
            what = "it names its chart by a reference, so its version stands elsewhere."
            step = f"Take {part} out of the operators, or have {release.place} name chart and version."
            yield Problem("unkept", shown(release), what, step)
        else:
            yield from _steps(repository, part, operator, release)
    if ESO in operators:
        yield from _unmovable(repository, operators[ESO])


def release_of(repository: Repository, operator: Operator) -> Object | None:
    """The HelmRelease of an operator."""
    where = (operator.namespace, operator.release)
    releases = repository.of_kind(HELM, "HelmRelease")
    return next((each for each in releases if (each.namespace, each.name) == where), None)


def of_beta(repository: Repository) -> list[Object]:
    """The objects of ESO that 0.16 moves to v1."""
    return [each for each in _moved(repository) if each.document["apiVersion"] == BETA]


def shown(each: Object) -> str:
    return f"{each.kind} {each.namespace}/{each.name}" if each.namespace else f"{each.kind} {each.name}"


def _moved(repository: Repository) -> Iterator[Object]:
    return (each for kind in MOVED for each in repository.of_kind(EXTERNAL, kind))


def _others(repository: Repository, part: str, operator: Operator) -> Iterator[Problem]:
    """Releases of the same chart that are not the operator's."""
    for each in repository.of_kind(HELM, "HelmRelease"):
        chart = chart_name(repository, each)
        if chart == CHARTS[part].name and (each.namespace, each.name) != (operator.namespace, operator.release):
            what = f"{shown(each)} ({each.place}) installs {chart} already, and two of them would fight."
            step = f"Name its namespace and release for {part}, or take it out."
            yield Problem("twice", f"HelmRelease {operator.namespace}/{operator.release}", what, step)


def _steps(repository: Repository, part: str, operator: Operator, release: Object) -> Iterator[Problem]:
    """Why a release cannot be moved to this version in one step."""
    said = str(chart_of(release).get("version") or "")
    now, then = _numbers(said), _numbers(operator.version)
    subject = shown(release)
    if not now:
        if part == ESO:
            what = f"which of its kinds are served cannot be told from its version, which is {said or 'missing'}."
            yield Problem("version", subject, what, f"Name the release that runs, in {release.place}.")
    elif then < now:
        what = f"it is at {said}, and {operator.version} would take it back."
        yield Problem("back", subject, what, f"Name {said} or a later one, or set it back in {release.place} by hand.")
    elif part == ESO and now[:2] < _BOTH < then[:2]:
        what = f"from {said} there is no way to {operator.version} in one step: 0.16 alone serves v1beta1 and v1."
        step = f"First {STEP}, which also moves the objects to v1; when all of it is Ready, {operator.version}."
        yield Problem("steps", subject, what, step)
    elif part == ESO and now[:2] == _BOTH < then[:2] and (old := of_beta(repository)):
        what = f"{operator.version} does not serve v1beta1, of which are {', '.join(map(shown, old))}."
        step = f"First {said} with all of them at v1; when all of it is Ready, {operator.version}."
        yield Problem("steps", subject, what, step)


def _unmovable(repository: Repository, eso: Operator) -> Iterator[Problem]:
    """Objects of a version that the wanted release does not serve, and that another version alone does not move."""
    target = str(api_version(eso.version))
    for each in _moved(repository):
        api = each.document["apiVersion"]
        if api not in ((BETA, V1) if target == V1 else (ALPHA, BETA)):
            what = f"it is of {api}, which ESO {eso.version} does not serve."
            yield Problem("version", shown(each), what, f"Write it as {target} in {each.place}.")


def _numbers(version: str) -> tuple[int, ...]:
    """A version as numbers; nothing where it is none."""
    found = _VERSION.match(version)
    return tuple(int(each) for each in found.groups(default="0")) if found else ()
