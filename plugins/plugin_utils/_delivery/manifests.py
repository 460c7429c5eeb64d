# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a declaration becomes: an ExternalSecret or a VaultStaticSecret. Which of them it can be, and why. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO, Declared, Value
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.template import (
    identifiers,
    is_plain,
    of_secrets,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import HELM, SOURCE, Repository, mapping

EXTERNAL: t.Final = "external-secrets.io"
VAULT: t.Final = "secrets.hashicorp.com"
KINDS: t.Final[Mapping[str, tuple[str, str]]] = {
    ESO: (EXTERNAL, "ExternalSecret"),
    VSO: (VAULT, "VaultStaticSecret"),
}
# The versions of their API that are known here, the newest first.
VERSIONS: t.Final[Mapping[str, tuple[str, ...]]] = {
    ESO: (f"{EXTERNAL}/v1", f"{EXTERNAL}/v1beta1"),
    VSO: (f"{VAULT}/v1beta1",),
}
CHART, DEFAULT = "external-secrets", "0.10.3"  # of ESO
# Its kinds that moved from v1beta1 to v1; the others have versions of their own.
MOVED: t.Final = ("ClusterExternalSecret", "ClusterSecretStore", "ExternalSecret", "SecretStore")
_VSO_REFRESH: t.Final = re.compile(r"[0-9]+(\.[0-9]+)?(s|m|h)")  # as its CRD has it
ONCE: t.Final = "0"  # a refreshInterval: what is there stays
# From which release of ESO on its v1 is served, and the last that serves v1beta1.
_V1, _LAST_BETA, _FIRST_BETA = (0, 16), (0, 16), (0, 5)

Document = dict[str, t.Any]


@dataclass(frozen=True)
class Operators:
    """What is there to deliver with: ESO's release and store, and VSO's VaultAuth (nothing: there is no VSO).

    Where no release is named, it is the one that the repository installs.
    """

    eso: str = ""
    store: str = "ClusterSecretStore/tazlab-secrets-vault"
    auth: str = ""
    mount: str = "secret"


def release(repository: Repository) -> str:
    """The release of ESO that a repository installs by its chart; else one that serves what its objects are of."""
    for each in repository.of_kind(HELM, "HelmRelease"):
        chart = mapping(mapping(each.spec.get("chart")).get("spec"))
        if chart.get("chart") == CHART and _numbers(str(chart.get("version"))) > (0, 0):
            return str(chart["version"])
    for each in repository.of_kind(SOURCE, "OCIRepository"):
        reference = mapping(each.spec.get("ref"))
        tag = str(reference.get("tag") or reference.get("semver"))
        if str(each.spec.get("url")).endswith(f"/{CHART}") and _numbers(tag) > (0, 0):
            return tag
    used = {str(each.document["apiVersion"]) for kind in MOVED for each in repository.of_kind(EXTERNAL, kind)}
    return "0.16" if f"{EXTERNAL}/v1" in used else DEFAULT


def api_version(eso: str) -> str | None:
    """The version of ESO's kinds that a release serves; None where it is none that is known."""
    if _numbers(eso) < _FIRST_BETA:
        return None
    return f"{EXTERNAL}/v1" if _numbers(eso) >= _V1 else f"{EXTERNAL}/v1beta1"


def is_served(api: str, eso: str) -> bool:
    """Whether a release of ESO serves objects of this version of its kinds."""
    return _numbers(eso) >= _V1 if api == f"{EXTERNAL}/v1" else _FIRST_BETA <= _numbers(eso) <= _LAST_BETA


def _numbers(release_: str) -> tuple[int, int]:
    """The first two numbers of a release, or of a range of them."""
    found = re.search(r"(\d+)(?:\.(\d+))?", release_)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def obstacle(declared: Declared, writer: str) -> str:
    """Why a writer cannot make this Secret; nothing where it can."""
    templates = [key.template for key in declared.keys.values() if key.template]
    if writer == ESO:
        if templates and declared.all_of:
            return "ESO makes a Secret of a template or of all properties of a path, not of both"
        return ""
    if declared.create_only:
        return "VSO keeps what it has made as Vault has it, so it cannot make a Secret only once"
    if not _VSO_REFRESH.fullmatch(declared.refresh):
        return f"VSO takes a refresh like 15m or 1h, not {declared.refresh}"
    if len(declared.paths) != 1:
        return f"a VaultStaticSecret reads one path, and this is fed by {len(declared.paths)}"
    if not all(map(is_plain, templates)):
        return "its template does more than put in values, which is written otherwise for VSO"
    return ""


def chosen(declared: Declared, operators: Operators) -> str:
    """Who makes a Secret whose declaration does not say it: VSO, which restarts consumers itself, where it can."""
    return VSO if operators.auth and not obstacle(declared, VSO) else ESO


def manifest(declared: Declared, operators: Operators) -> Document:
    """The object that has this Secret made, by its C(writer)."""
    render = _external if declared.writer == ESO else _static
    return {
        **render(declared, operators),
        "metadata": {"name": declared.name, "namespace": declared.namespace},
    }


def _external(declared: Declared, operators: Operators) -> Document:
    kind, _slash, name = (declared.through or operators.store).rpartition("/")
    spec: Document = {
        "refreshInterval": ONCE if declared.create_only else declared.refresh,
        "secretStoreRef": {"kind": kind or "SecretStore", "name": name},
        "target": {"name": declared.name},
    }
    template: Document = {}
    if declared.type != "Opaque":
        template["type"] = declared.type
    if marks := _marks(declared):
        template["metadata"] = marks
    if any(key.template for key in declared.keys.values()):
        values, texts = _templated(declared)
        template["data"] = texts
    else:
        values = {name: key.values[""] for name, key in declared.keys.items()}
    if template:
        spec["target"]["template"] = {"engineVersion": "v2", **template}
    if values:
        spec["data"] = [
            {"secretKey": name, "remoteRef": {"key": value.path, "property": value.property}}
            for name, value in values.items()
        ]
    if declared.all_of:
        spec["dataFrom"] = [{"extract": {"key": path}} for path in declared.all_of]
    return {"apiVersion": api_version(operators.eso), "kind": KINDS[ESO][1], "metadata": {}, "spec": spec}


def _templated(declared: Declared) -> tuple[dict[str, Value], dict[str, str]]:
    """The values of a Secret of which a key has a template, by their names in it, and the template of each key."""
    values = {name: value for key in declared.keys.values() if key.template for name, value in key.values.items()}
    plain = dict(identifiers([name for name, key in declared.keys.items() if not key.template], values))
    values |= {alias: declared.keys[name].values[""] for name, alias in plain.items()}
    texts = {name: key.template or f"{{{{ .{plain[name]} }}}}" for name, key in declared.keys.items()}
    return values, texts


def _static(declared: Declared, operators: Operators) -> Document:
    transformation: Document = {"excludeRaw": True}
    if declared.keys and not declared.all_of:
        transformation["excludes"] = [".*"]
    if declared.keys:
        transformation["templates"] = {name: {"text": _of_one_path(declared, name)} for name in declared.keys}
    destination: Document = {"name": declared.name, "create": True}
    if declared.type != "Opaque":
        destination["type"] = declared.type
    destination |= _marks(declared)
    spec: Document = {
        "vaultAuthRef": declared.through or operators.auth,
        "mount": operators.mount,
        "type": "kv-v2",
        "path": declared.paths[0],
        "refreshAfter": declared.refresh,
        "destination": {**destination, "transformation": transformation},
    }
    if declared.consumers:
        spec["rolloutRestartTargets"] = [{"kind": each.kind, "name": each.name} for each in declared.consumers]
    return {"apiVersion": f"{VAULT}/v1beta1", "kind": KINDS[VSO][1], "metadata": {}, "spec": spec}


def _of_one_path(declared: Declared, name: str) -> str:
    key = declared.keys[name]
    if not key.template:
        return f'{{{{ get .Secrets "{key.values[""].property}" }}}}'
    return of_secrets(key.template, {alias: value.property for alias, value in key.values.items()})


def _marks(declared: Declared) -> Document:
    """The labels and annotations of the Secret."""
    found = {"labels": dict(declared.labels), "annotations": dict(declared.annotations)}
    return {kind: marks for kind, marks in found.items() if marks}
