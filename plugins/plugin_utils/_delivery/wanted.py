# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted of the operators: which of them, their charts, the store of ESO and the login of VSO. Pure.

The defaults are those of the repository that the collection is made for.
Private: other collections must not import it.
"""

from __future__ import annotations

import posixpath
import re
import typing as t
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.entries import (
    DATA_KEY,
    LABEL_NAME,
    MARK,
    MARK_KEY,
    OBJECT_NAME,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import api_version

RELOADER, TAILSCALE = "reloader", "tailscale"
# The other parts of the tree.
NAMESPACES, STORE, LOGIN = "namespaces", "store", "login"
AUDIENCE: t.Final = "https://kubernetes.default.svc.cluster.local"

_LONGEST_RELEASE: t.Final = 53  # of Helm's names
_VERSION: t.Final = re.compile(r"v?\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
_MOUNT: t.Final = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_ROLE: t.Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@dataclass(frozen=True)
class Chart:
    """What an operator is installed from: the chart, and the HelmRepository that has it."""

    name: str
    repository: str
    url: str


CHARTS: t.Final[Mapping[str, Chart]] = MappingProxyType(
    {
        ESO: Chart("external-secrets", "external-secrets", "https://charts.external-secrets.io"),
        VSO: Chart("vault-secrets-operator", "hashicorp", "https://helm.releases.hashicorp.com"),
        RELOADER: Chart("reloader", "stakater", "https://stakater.github.io/stakater-charts"),
        TAILSCALE: Chart("tailscale-operator", "tailscale", "https://pkgs.tailscale.com/helmcharts"),
    }
)


@dataclass(frozen=True)
class Operator:
    """One operator. C(labels) are those of its namespace where that is new; C(url), where its chart is fetched from:
    nothing is as the repository says it, or where the operator's makers have it."""

    version: str
    namespace: str
    release: str
    labels: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


OPERATORS: t.Final[Mapping[str, Operator]] = MappingProxyType(
    {
        ESO: Operator("0.10.3", "external-secrets", "external-secrets"),
        VSO: Operator("1.4.0", "vso-system", "vault-secrets-operator"),
        RELOADER: Operator("1.2.1", "reloader", "reloader"),
        TAILSCALE: Operator(
            "1.96.5", "tailscale", "tailscale-operator", {"pod-security.kubernetes.io/enforce": "restricted"}
        ),
    }
)


@dataclass(frozen=True)
class SecretKey:
    """A key of a Secret, in the namespace of who reads it."""

    name: str
    key: str


@dataclass(frozen=True)
class Jwt:
    """A login at Vault with a token of a service account."""

    role: str
    service_account: str
    mount: str = "jwt"
    audiences: tuple[str, ...] = (AUDIENCE,)


@dataclass(frozen=True)
class Store:
    """The ClusterSecretStore of ESO. Without C(ca), Vault is trusted as the system trusts it."""

    url: str
    name: str = "tazlab-secrets-vault"
    mount: str = "secret"
    ca: SecretKey | None = SecretKey("vault-ca-cert", "ca.crt")
    login: SecretKey | Jwt = SecretKey("vault-eso-token", "token")


@dataclass(frozen=True)
class Login:
    """VaultConnection and VaultAuth of VSO. C(ca) is a Secret whose key is C(ca.crt).

    C(namespaces) are those whose Secrets are made through it; those that the repository has come to them.
    """

    url: str
    jwt: Jwt
    connection: str = "vault-connection"
    auth: str = "vault-auth"
    ca: str = "vault-ca-cert"
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a part stands: its Flux Kustomization, the folder that this builds, and where its files lie, if elsewhere.

    C(listed): a new folder gets a kustomization that lists its files; without one Flux takes all that lies in it.
    """

    kustomization: str
    folder: str
    files: str = ""
    listed: bool = True

    @property
    def home(self) -> str:
        return self.files or self.folder


_INFRASTRUCTURE: t.Final = "infrastructure/operators"
PLACES: t.Final[Mapping[str, Place]] = MappingProxyType(
    {
        **{
            part: Place(f"infrastructure-operators-{part}", f"{_INFRASTRUCTURE}/{part}")
            for part in (NAMESPACES, ESO, VSO, RELOADER, TAILSCALE)
        },
        STORE: Place("infrastructure-configs", "infrastructure/configs", "infrastructure/configs/vault", listed=False),
        LOGIN: Place(
            "infrastructure-operators-vso-secrets", f"{_INFRASTRUCTURE}/vso-secrets", f"{_INFRASTRUCTURE}/vso"
        ),
    }
)


@dataclass(frozen=True)
class Wanted:
    """All of it. C(places) are those that are not as by default; C(declared) is where a new Flux Kustomization is
    declared, in the folder of the cluster."""

    operators: Mapping[str, Operator]
    store: Store | None = None
    login: Login | None = None
    places: Mapping[str, Place] = field(default_factory=dict)
    declared: str = "{kustomization}.yaml"


def problems(wanted: Wanted) -> list[Problem]:
    """Everything that is wrong with the form of what is wanted."""
    found: list[Problem] = []
    for name, operator in wanted.operators.items():
        if name not in CHARTS:
            what = "is no operator that is known here."
            found.append(Problem("malformed", name, what, f"Known are {', '.join(CHARTS)}."))
            continue
        found += [Problem(code, name, what, step) for code, what, step in _of_operator(name, operator)]
    for part, given, needed in ((STORE, wanted.store, ESO), (LOGIN, wanted.login, VSO)):
        if given is not None and needed not in wanted.operators:
            what = f"nothing serves its kinds without {needed}."
            found.append(Problem("missing", part, what, f"Have {needed} among the operators."))
    if wanted.store:
        found += [Problem("malformed", STORE, what, step) for what, step in _of_store(wanted.store)]
    if wanted.login:
        found += [Problem("malformed", LOGIN, what, step) for what, step in _of_login(wanted.login)]
    for part, place in wanted.places.items():
        found += [Problem("malformed", f"place of {part}", what, step) for what, step in _of_place(place)]
    if not _is_pattern(wanted.declared) or _leads_out(wanted.declared):
        what = f"{wanted.declared} is no file of the cluster's folder for each Kustomization."
        found.append(Problem("malformed", "declared", what, "Name it like {kustomization}.yaml."))
    return found


_LABEL_STEP: t.Final = "Lower case letters, digits and -, 63 at most."


def _of_operator(name: str, operator: Operator) -> Iterator[tuple[str, str, str]]:
    if not _VERSION.fullmatch(operator.version):
        yield "version", f"{operator.version!r} is not the version of a chart.", "Name one, like 0.10.3."
    elif name == ESO and api_version(operator.version) is None:
        what = f"no version of its kinds is known that ESO {operator.version} serves."
        yield "version", what, "Name a release from 0.5 on."
    for what, given in (("namespace", operator.namespace), ("release", operator.release)):
        if not LABEL_NAME.fullmatch(given):
            yield "malformed", f"its {what} {given!r} is not a DNS label.", _LABEL_STEP
    if len(operator.release) > _LONGEST_RELEASE:
        yield "malformed", f"its release has more than {_LONGEST_RELEASE} letters.", "Helm takes no more."
    for key, value in operator.labels.items():
        if not MARK_KEY.fullmatch(key) or not MARK.fullmatch(value):
            yield "malformed", f"{key} of its labels is none that Kubernetes allows.", ""
    if operator.url and (wrong := _of_url(operator.url, ("https", "http", "oci"))):
        yield "malformed", wrong, "It is like https://charts.example.net or oci://registry.example.net/charts."


def _of_store(store: Store) -> Iterator[tuple[str, str]]:
    yield from _of_vault(store.url)
    yield from _names({"name": store.name})
    if not _MOUNT.fullmatch(store.mount):
        yield f"its mount {store.mount!r} is none of Vault.", "It is like secret."
    keys = [each for each in (store.ca, store.login) if isinstance(each, SecretKey)]
    for each in keys:
        if not OBJECT_NAME.fullmatch(each.name) or not DATA_KEY.fullmatch(each.key):
            yield f"{each.name}/{each.key} is not a Secret's name and key.", ""
    if isinstance(store.login, Jwt):
        yield from _of_jwt(store.login)


def _of_login(login: Login) -> Iterator[tuple[str, str]]:
    yield from _of_vault(login.url)
    yield from _of_jwt(login.jwt)
    yield from _names({"connection": login.connection, "auth": login.auth})
    for each in login.namespaces:
        yield from _names({"namespace": each})
    if login.ca and not OBJECT_NAME.fullmatch(login.ca):
        yield f"{login.ca!r} is not a Secret's name.", ""


def _of_jwt(jwt: Jwt) -> Iterator[tuple[str, str]]:
    yield from _names({"service account": jwt.service_account})
    if not _MOUNT.fullmatch(jwt.mount):
        yield f"its mount {jwt.mount!r} is none of Vault.", "It is like jwt."
    if not _ROLE.fullmatch(jwt.role):
        yield "its role is missing or none of Vault.", "Name the role that Vault has for it."
    if not jwt.audiences or not all(each and each.isprintable() for each in jwt.audiences):
        yield "it has no audiences.", f"Name what Vault's role is bound to, like {AUDIENCE}."


def _of_vault(url: str) -> Iterator[tuple[str, str]]:
    if wrong := _of_url(url, ("https", "http")):
        yield wrong, "It is Vault's address as pods reach it, like https://vault.example.net:8200."


def _of_url(url: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # which raises where it is none
    except ValueError:
        return "its url is not an address."
    if parts.username is not None or parts.password is not None:
        return "its url has a login in it, which would be in Git."
    if "${" in url:
        return "its url has a variable in it, which nothing replaces in what is new."
    if parts.scheme not in schemes or not parts.hostname or not url.isprintable() or " " in url:
        return "its url is missing or not an address."
    return ""


def _of_place(place: Place) -> Iterator[tuple[str, str]]:
    yield from _names({"kustomization": place.kustomization})
    for path in (place.folder, place.files):
        if _leads_out(path) or (not path and path is place.folder):
            yield f"{path!r} is not a folder inside the repository.", "Name one, like infrastructure/operators/eso."


def _names(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for what, given in names.items():
        if not LABEL_NAME.fullmatch(given):
            yield f"its {what} {given!r} is not a DNS label.", _LABEL_STEP


def _is_pattern(file: str) -> bool:
    try:
        return file.format(kustomization="x") != file and file.endswith((".yaml", ".yml"))
    except (KeyError, IndexError, ValueError):
        return False


def _leads_out(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/") or (bool(path) and posixpath.normpath(path) != path)
