# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who restarts a consumer when its Secret changes: Reloader's annotations, and the names that charts give. Pure.

Reloader 1.2.1 looks at a workload's own metadata, and at its pod template only where the workload has none of them.
Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import (
    HELM,
    SOURCE,
    Object,
    Repository,
    mapping,
    release_name,
)

AUTO: t.Final = "reloader.stakater.com/auto"
SECRETS_AUTO: t.Final = "secret.reloader.stakater.com/auto"
RELOAD: t.Final = "secret.reloader.stakater.com/reload"  # names, between commas, each of them a pattern
_RULES: t.Final = frozenset((AUTO, SECRETS_AUTO, RELOAD, "reloader.stakater.com/search"))
_TRUE: t.Final = frozenset(("1", "t", "T", "TRUE", "true", "True"))
YES, NO, NOTHING = "yes", "no", ""

_WITHOUT_NAME: t.Final = frozenset(("app-template",))  # charts that leave their own name out
_LONGEST_NAME: t.Final = 63  # that charts derive


def restarted(workload: Object, secret: str) -> str:
    """Whether Reloader restarts a workload when a Secret of its namespace changes: yes, no as told, or nothing said."""
    own = mapping(mapping(workload.document.get("metadata")).get("annotations"))
    said = _said(own, secret)
    if said:
        return said
    pod = mapping(mapping(mapping(workload.spec.get("template")).get("metadata")).get("annotations"))
    return NOTHING if not _RULES.isdisjoint(own) else _said(pod, secret)


def _said(annotations: Mapping[str, t.Any], secret: str) -> str:
    autos = [str(annotations[key]) for key in (AUTO, SECRETS_AUTO) if key in annotations]
    if not _TRUE.isdisjoint(autos) or any(_is_named(each, secret) for each in _patterns(annotations)):
        return YES
    return NO if autos else NOTHING


def _patterns(annotations: Mapping[str, t.Any]) -> list[str]:
    return [each.strip() for each in str(annotations.get(RELOAD) or "").split(",") if each.strip()]


def _is_named(pattern: str, secret: str) -> bool:
    try:
        return re.fullmatch(pattern, secret) is not None
    except re.error:
        return False


def releases(repository: Repository, namespace: str, name: str) -> list[Object]:
    """The HelmReleases of a name that install into a namespace."""
    return [
        each
        for each in repository.of_kind(HELM, "HelmRelease")
        if each.name == name and str(each.spec.get("targetNamespace") or each.namespace) == namespace
    ]


def workload_name(release: Object, chart: str) -> str:
    """The name that a chart of the usual form gives its workload: the release's, with the chart's where that lacks.

    Nothing where it cannot be told.
    """
    values = mapping(release.spec.get("values"))
    if override := values.get("fullnameOverride"):
        return str(override)
    helm = release_name(release)
    name = str(values.get("nameOverride") or chart)
    if not name:
        return ""
    whole = helm if name in helm or name in _WITHOUT_NAME else f"{helm}-{name}"
    return whole[:_LONGEST_NAME].rstrip("-")


def chart_of(release: Object | None) -> Mapping[str, t.Any]:
    """What a HelmRelease says of its chart, where it does not name it by a reference."""
    return mapping(mapping(release.spec.get("chart")).get("spec")) if release else {}


def chart_name(repository: Repository, release: Object) -> str:
    """The name of the chart that a release installs, also where it names it by an OCIRepository."""
    if name := chart_of(release).get("chart"):
        return str(name).rpartition("/")[2]
    reference = mapping(release.spec.get("chartRef"))
    where = (str(reference.get("namespace") or release.namespace), reference.get("name"))
    for each in repository.of_kind(SOURCE, "OCIRepository"):
        if (each.namespace, each.name) == where:
            return str(each.spec.get("url") or "").rpartition("/")[2]
    return ""


def says_restart(release: Object) -> bool:
    """Whether a HelmRelease hands one of Reloader's annotations on, in its values or by a post-renderer."""
    return any(_holds(release.spec.get(key)) for key in ("values", "postRenderers"))


def _holds(value: t.Any) -> bool:
    if isinstance(value, Mapping):
        return any(str(key) in (AUTO, SECRETS_AUTO, RELOAD) or _holds(each) for key, each in value.items())
    if isinstance(value, list):
        return any(map(_holds, value))
    return isinstance(value, str) and any(f"{key}:" in value for key in (AUTO, SECRETS_AUTO, RELOAD))


def patch(kind: str, name: str) -> dict[str, t.Any]:
    """The post-renderer that puts Reloader's annotation on what a chart makes."""
    text = f'apiVersion: apps/v1\nkind: {kind}\nmetadata:\n  name: {name}\n  annotations:\n    {AUTO}: "true"\n'
    return {"kustomize": {"patches": [{"target": {"kind": kind, "name": name}, "patch": text}]}}
