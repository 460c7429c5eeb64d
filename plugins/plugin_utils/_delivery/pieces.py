# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that make the operators' tree: each as it is new, and what of it is ours where it is there already. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import (
    VAULT,
    Document,
    api_version,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import (
    CHARTS,
    LOGIN,
    NAMESPACES,
    RELOADER,
    STORE,
    TAILSCALE,
    Jwt,
    Login,
    Operator,
    Place,
    Store,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import HELM, KUSTOMIZE, SOURCE

# A namespace that nobody lists any more stays: with it went what others keep in it.
_KEPT: t.Final = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
_OAUTH: t.Final = {"clientId": "oauth.clientId", "clientSecret": "oauth.clientSecret"}
OAUTH_SECRET: t.Final = "tailscale-operator-oauth"  # noqa: S105  # its name
# What a chart is told beside its version, where the owner says nothing of it.
_VALUES: t.Final[Mapping[str, Document]] = {
    # ESO's kinds are templates of its chart: what removes the chart would remove every ExternalSecret with them.
    ESO: {"installCRDs": True, "crds": {"annotations": {"helm.sh/resource-policy": "keep"}}},
    RELOADER: {"reloader": {"watchGlobally": True}},
}
_METHODS: t.Final = ("tokenSecretRef", "appRole", "kubernetes", "ldap", "jwt", "cert", "iam", "userPass")
_VSO_METHODS: t.Final = ("kubernetes", "appRole", "aws", "gcp")


@dataclass(frozen=True)
class Piece:
    """An object of a part. Of one that is there, C(ours) is set in its spec, C(lacking) added where nothing is said of
    it, and what stands at the paths C(drops) is taken away."""

    part: str
    file: str
    document: Document
    ours: Document = field(default_factory=dict)
    lacking: Document = field(default_factory=dict)
    drops: tuple[tuple[str, ...], ...] = ()

    @property
    def identity(self) -> tuple[str, str, str, str]:
        metadata = self.document["metadata"]
        group = str(self.document["apiVersion"]).rpartition("/")[0]
        return group, self.document["kind"], metadata.get("namespace", ""), metadata["name"]

    @property
    def shown(self) -> str:
        _group, kind, namespace, name = self.identity
        return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"

    def said(self, raw: Mapping[str, t.Any], built: Mapping[str, t.Any]) -> Document:
        """An object of a file so that it says all of this. C(built) is its spec as Flux has it."""
        if "spec" not in self.document:
            return dict(raw)
        spec = with_lacking(with_ours(raw.get("spec"), built, self.ours), built, self.lacking)
        for path in self.drops:
            spec = without(spec, path)
        return {**raw, "spec": spec}


def namespace(name: str, labels: Mapping[str, str]) -> Piece:
    metadata: Document = {"name": name, "annotations": dict(_KEPT)}
    if labels:
        metadata["labels"] = dict(labels)
    return Piece(NAMESPACES, f"{name}.yaml", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def helm_repository(part: str, operator: Operator, name: str, flux: str) -> Piece:
    """The HelmRepository of an operator, in Flux' namespace. Where it is there, its address is its owner's."""
    url = operator.url or CHARTS[part].url
    spec: Document = {"type": "oci"} if url.startswith("oci://") else {}
    spec |= {"interval": "1h", "url": url}
    ours: Document = {key: spec[key] for key in ("type", "url") if operator.url and key in spec}
    drops = (("type",),) if operator.url and "type" not in spec else ()
    document = _object(f"{SOURCE}/v1", "HelmRepository", name, flux, spec)
    return Piece(part, "helmrepository.yaml", document, ours, drops=drops)


def helm_release(part: str, operator: Operator, flux: str) -> Piece:
    """The HelmRelease of an operator."""
    chart = CHARTS[part]
    lacking: Document = {
        "install": {"crds": "CreateReplace"},
        "upgrade": {"crds": "CreateReplace"},
    }
    if part in _VALUES:
        lacking["values"] = _VALUES[part]
    if part == TAILSCALE:
        lacking["valuesFrom"] = [
            {"kind": "Secret", "name": OAUTH_SECRET, "valuesKey": key, "targetPath": path}
            for key, path in _OAUTH.items()
        ]
    source = {"kind": "HelmRepository", "name": chart.repository, "namespace": flux}
    spec = {
        "interval": "1h",
        "chart": {"spec": {"chart": chart.name, "version": operator.version, "sourceRef": source}},
        **lacking,
        "install": {**lacking["install"], "remediation": {"retries": 3}},
    }
    document = _object(f"{HELM}/v2", "HelmRelease", operator.release, operator.namespace, spec)
    ours = {"chart": {"spec": {"version": operator.version}}}
    return Piece(part, "helmrelease.yaml", document, ours, lacking)


def store(wanted: Store, eso: Operator) -> Iterator[Piece]:
    """The ClusterSecretStore of ESO, and the service account by which it logs in."""
    if isinstance(wanted.login, Jwt):
        account = wanted.login.service_account
        if account != charts_account(eso):  # which the chart makes, and ESO itself runs with
            yield _service_account(STORE, f"serviceaccount-{account}.yaml", account, eso.namespace)
        reference = {"name": account, "namespace": eso.namespace, "audiences": list(wanted.login.audiences)}
        token: Document = {"serviceAccountRef": reference}
        auth: Document = {
            "jwt": {
                "path": wanted.login.mount,
                "role": wanted.login.role,
                "kubernetesServiceAccountToken": token,
            }
        }
    else:
        auth = {"tokenSecretRef": {**_of(wanted.login.name, eso), "key": wanted.login.key}}
    vault: Document = {"server": wanted.url, "path": wanted.mount, "version": "v2", "auth": auth}
    if wanted.ca:
        vault["caProvider"] = {"type": "Secret", **_of(wanted.ca.name, eso), "key": wanted.ca.key}
    spec = {"provider": {"vault": vault}}
    document = _object(str(api_version(eso.version)), "ClusterSecretStore", wanted.name, "", spec)
    drops = tuple(("provider", "vault", "auth", method) for method in _METHODS if method not in auth)
    yield Piece(STORE, "clustersecretstore.yaml", document, spec, drops=drops)


def charts_account(eso: Operator) -> str:
    """The service account that ESO's chart makes."""
    chart = CHARTS[ESO].name
    return eso.release if chart in eso.release else f"{eso.release}-{chart}"


def _of(name: str, eso: Operator) -> Document:
    return {"name": name, "namespace": eso.namespace}


def login(wanted: Login, vso: Operator, namespaces: Iterable[str]) -> Iterator[Piece]:
    """VaultConnection and VaultAuth of VSO, and a service account in each namespace that logs in through them."""
    connection: Document = {"address": wanted.url}
    if wanted.ca:
        connection["caCertSecretRef"] = wanted.ca
    api = f"{VAULT}/v1beta1"
    document = _object(api, "VaultConnection", wanted.connection, vso.namespace, connection)
    yield Piece(LOGIN, "vaultconnection.yaml", document, connection)
    account = wanted.jwt.service_account
    jwt = {"role": wanted.jwt.role, "serviceAccount": account, "audiences": list(wanted.jwt.audiences)}
    ours: Document = {"method": "jwt", "mount": wanted.jwt.mount, "jwt": jwt}
    logins = sorted(set(namespaces))
    allowed = [each for each in logins if each != vso.namespace]  # which is allowed to anyway
    lacking = {"vaultConnectionRef": wanted.connection, **({"allowedNamespaces": allowed} if allowed else {})}
    document = _object(api, "VaultAuth", wanted.auth, vso.namespace, {**lacking, **ours})
    drops = (*((method,) for method in _VSO_METHODS), ("jwt", "secretRef"))
    yield Piece(LOGIN, "vaultauth.yaml", document, ours, lacking, drops)
    for each in logins:
        yield _service_account(LOGIN, f"serviceaccount-{each}.yaml", account, each)


def _service_account(part: str, file: str, name: str, where: str) -> Piece:
    """Of which only tokens are asked for: no pod runs as it."""
    document: Document = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": where},
        "automountServiceAccountToken": False,
    }
    return Piece(part, file, document)


def kustomization(
    place: Place, flux: str, source: Mapping[str, t.Any], after: Iterable[str], *, wait: bool
) -> Document:
    """The Flux Kustomization of a part. With C(wait) it is Ready when all is that it applies."""
    spec: Document = {
        "interval": "10m",
        "retryInterval": "1m",
        "timeout": "5m",
        "path": f"./{place.folder}",
        "prune": True,
        "sourceRef": dict(source),
    }
    if wait:
        spec["wait"] = True
    if entries := [dependency(label, flux) for label in after]:
        spec["dependsOn"] = entries
    return _object(f"{KUSTOMIZE}/v1", "Kustomization", place.kustomization, flux, spec)


def dependency(label: str, where: str) -> Document:
    """An entry of dependsOn, for a Kustomization in a namespace."""
    space, _slash, name = label.partition("/")
    return {"name": name} if space == where else {"name": name, "namespace": space}


def health_check(document: Mapping[str, t.Any]) -> Document:
    """What waits for an object."""
    metadata = document["metadata"]
    found: Document = {"apiVersion": document["apiVersion"], "kind": document["kind"], "name": metadata["name"]}
    return {**found, "namespace": metadata["namespace"]} if metadata.get("namespace") else found


def _object(api: str, kind: str, name: str, where: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": where} if where else {"name": name}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


# -- what an object says that is there already


def with_ours(raw: t.Any, built: t.Any, ours: t.Any) -> t.Any:
    """A part of a file so that what is built of it says what is ours. What a variable fills in elsewhere is kept."""
    if not isinstance(ours, Mapping):
        return raw if built == ours or _is_open(built) else ours
    result = dict(raw) if isinstance(raw, Mapping) else {}
    there = built if isinstance(built, Mapping) else {}
    for key, value in ours.items():
        made = with_ours(result.get(key), there.get(key), value)
        if made is not None:
            result[key] = made
    return result


def with_lacking(raw: t.Any, built: t.Any, lacking: t.Any) -> t.Any:
    """A part of a file with what its owner says nothing of."""
    if isinstance(lacking, list) and isinstance(built, list):
        more = [each for each in lacking if not any(_covers(other, each) for other in built)]
        return [*(raw if isinstance(raw, list) else []), *more] if more else raw
    if not isinstance(lacking, Mapping) or not isinstance(built, Mapping):
        return raw
    result = dict(raw) if isinstance(raw, Mapping) else {}
    for key, value in lacking.items():
        if built.get(key) is None:
            result[key] = value
        elif key in result:
            result[key] = with_lacking(result[key], built[key], value)
    return result


def without(raw: Mapping[str, t.Any], path: tuple[str, ...]) -> Document:
    """A mapping without what stands at a path."""
    first, *rest = path
    if first not in raw:
        return dict(raw)
    if not rest:
        return {key: value for key, value in raw.items() if key != first}
    inner = raw[first]
    return {**raw, first: without(inner, tuple(rest))} if isinstance(inner, Mapping) else dict(raw)


def _covers(other: t.Any, entry: t.Any) -> bool:
    """Whether an entry of a list says of its subject what another one would."""
    if isinstance(entry, Mapping) and isinstance(other, Mapping):
        if "targetPath" in entry:
            return bool(other.get("targetPath") == entry["targetPath"])
        return all(other.get(key) == value for key, value in entry.items())
    return bool(other in (entry, "*"))


def _is_open(value: t.Any) -> bool:
    """Whether a text has a variable in it that is not known here."""
    return isinstance(value, str) and "${" in value
