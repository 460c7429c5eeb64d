# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of whatever reads a GitOps repository, and what they become.

Private: other collections must not import it.
"""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import Operators
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import (
    CHARTS,
    PLACES,
    Jwt,
    Login,
    Store,
    Wanted,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import OPERATORS as OPERATORS_OF
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.git import Checkout, Remote
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Known, Repository, read
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree

_JWT: t.Final[Mapping[str, t.Any]] = {
    "role": {"type": "str", "required": True},
    "service_account": {"type": "str"},
    "mount": {"type": "str"},
    "audiences": {"type": "list", "elements": "str"},
}
_OPERATOR: t.Final[Mapping[str, t.Any]] = {
    "version": {"type": "str"},
    "namespace": {"type": "str"},
    "release": {"type": "str"},
    "labels": {"type": "dict"},
    "url": {"type": "str"},
}
_PLACE: t.Final[Mapping[str, t.Any]] = {
    "kustomization": {"type": "str"},
    "folder": {"type": "str"},
    "files": {"type": "str"},
    "listed": {"type": "bool"},
}
TREE: t.Final[Mapping[str, t.Any]] = {
    "operators": {"type": "dict", "options": {name: {"type": "dict", "options": _OPERATOR} for name in CHARTS}},
    "vault_url": {"type": "str", "default": ""},
    "eso_login": {"type": "dict", "options": _JWT},
    "vso_login": {"type": "dict", "options": _JWT},
    "places": {"type": "dict", "options": {part: {"type": "dict", "options": _PLACE} for part in PLACES}},
}

VARIABLES: t.Final = ("ConfigMap", "flux-system", "cluster-vars")  # which the engine layer seeds

# The service accounts that log in, where no other is named: ESO's own, and one in each namespace that uses VSO.
ESO_ACCOUNT, VSO_ACCOUNT = "external-secrets", "vault-auth"

OPERATORS: t.Final[Mapping[str, t.Any]] = {
    "eso_version": {"type": "str", "default": Operators.eso},
    "store": {"type": "str", "default": Operators.store},
    "vault_auth": {"type": "str", "default": Operators.auth},
    "mount_point": {"type": "str", "default": Operators.mount},
    "variables": {"type": "dict", "default": {}},
}

# Where a repository is: in a clone, or at its address.
SOURCE: t.Final[dict[str, t.Any]] = {
    "checkout": {"type": "str"},
    "url": {"type": "str"},
    "branch": {"type": "str"},
    "username": {"type": "str", "default": "git"},
    "password": {"type": "str", "default": "", "no_log": True},
    "ca_cert": {"type": "str", "default": ""},
}
SOURCE_RULES: t.Final[dict[str, t.Any]] = {
    "required_one_of": [["checkout", "url"]],
    "mutually_exclusive": [["checkout", "url"]],
    "required_by": {"url": ["branch"]},
}


def operators(params: Mapping[str, t.Any]) -> Operators:
    kind, _slash, name = str(params["store"]).rpartition("/")
    if kind not in ("ClusterSecretStore", "SecretStore") or not name:
        raise BootstrapError(
            f"store: {params['store']!r} is not a store of ESO. Write ClusterSecretStore/NAME, or SecretStore/NAME."
        )
    return Operators(
        eso=str(params["eso_version"]).strip(),
        store=str(params["store"]),
        auth=str(params["vault_auth"]).strip(),
        mount=str(params["mount_point"]).strip("/"),
    )


def wanted(params: Mapping[str, t.Any], namespaces: Iterable[str]) -> Wanted | None:
    """The operators' tree, when operators are named. C(namespaces) are those whose Secrets VSO makes."""
    named = {name: given for name, given in (params["operators"] or {}).items() if given is not None}
    if not named:
        return None
    url = str(params["vault_url"]).strip()
    auth_space, _slash, auth = str(params["vault_auth"]).strip().rpartition("/")
    kind, _slash, store = str(params["store"]).rpartition("/")
    installed = {name: replace(OPERATORS_OF[name], **_given(given)) for name, given in named.items()}
    if VSO in installed and auth and auth_space != installed[VSO].namespace:
        raise BootstrapError(
            f"vault_auth: {params['vault_auth']!r} is not in VSO's own namespace {installed[VSO].namespace}, where it "
            "is made. Correct one of them, or leave VSO out of operators."
        )
    eso_jwt = _given(params["eso_login"])
    return Wanted(
        operators=installed,
        store=Store(
            url,
            name=store,
            mount=str(params["mount_point"]).strip("/"),
            login=_jwt(eso_jwt, ESO_ACCOUNT) if eso_jwt else Store.login,
        )
        if ESO in installed and url and kind == "ClusterSecretStore"
        else None,
        login=Login(
            url, _jwt(_given(params["vso_login"]), VSO_ACCOUNT), auth=auth, namespaces=tuple(sorted(namespaces))
        )
        if VSO in installed and url and auth and params["vso_login"]
        else None,
        places={part: replace(PLACES[part], **_given(given)) for part, given in _given(params["places"]).items()},
    )


def _given(options: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Of options those that the user has set."""
    return {name: value for name, value in (options or {}).items() if value is not None}


def _jwt(given: Mapping[str, t.Any], account: str) -> Jwt:
    audiences = {"audiences": tuple(given["audiences"])} if given.get("audiences") else {}
    return Jwt(**{"service_account": account, **given, **audiences})


def reader(path: str, variables: Mapping[str, t.Any], deadline: Deadline) -> Callable[[Tree], Repository]:
    """What makes a model of a tree, from the cluster's folder on."""
    built: dict[bytes, t.Any] = {}  # what several trees have in common is built once
    known: Known = {VARIABLES: {str(key): str(value) for key, value in variables.items()}} if variables else {}

    def model(tree: Tree) -> Repository:
        folder = tree.normal(path.strip().lstrip("/") or ".")
        if not tree.is_folder(folder):
            raise BootstrapError(f"path: the repository has no folder {folder}. Name the folder of the cluster in it.")
        return read(Builder(tree, deadline, built), folder, known)

    return model


def authority(ca_cert: str) -> str:
    """The CA as PEM: the option holds it, or names the file that does."""
    if not ca_cert or "-----BEGIN" in ca_cert:
        return ca_cert
    path = Path(ca_cert).expanduser()
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        raise BootstrapError(f"ca_cert: {path} cannot be read as a certificate. Name the PEM file of the CA.") from None


@contextlib.contextmanager
def tree_of(params: Mapping[str, t.Any], deadline: Deadline) -> Iterator[Tree]:
    """The files of a repository, as C(SOURCE) names it."""
    if params["checkout"]:
        place = Path(params["checkout"]).expanduser()
        if not place.is_dir():
            raise BootstrapError(f"checkout: {place} is not a directory. Name a clone of the repository, or its url.")
        yield Tree(place)
        return
    remote = Remote(
        url=str(params["url"]).strip(),
        branch=str(params["branch"]).strip(),
        username=str(params["username"]).strip(),
        password=str(params["password"]).strip(),
        ca_pem=authority(str(params["ca_cert"])),
    )
    with Checkout(remote, deadline) as checkout:
        yield Tree(checkout.unpack())
