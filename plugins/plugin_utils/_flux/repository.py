# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository says about Flux itself: its components and what it follows, read out of <path>/flux-system.

Private: other collections must not import it.
"""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base import yaml as _yaml
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.git import Checkout
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree

FOLDER = "flux-system"  # of the components in a cluster's folder; Flux gives its namespace and objects the same name

# The groups of what Flux follows. An object of these is not a component.
SYNC_GROUPS = ("source.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io")
FIRST_KINDS = frozenset({"Namespace", "CustomResourceDefinition"})

Document = dict[str, t.Any]


@dataclass
class Flux:
    """The documents in the order in which they are applied, and what they follow."""

    definitions: list[Document] = field(default_factory=list)  # Namespaces and CustomResourceDefinitions
    controllers: list[Document] = field(default_factory=list)  # everything else of the components
    sync: list[Document] = field(default_factory=list)  # GitRepository and Kustomization
    secret: str = FOLDER
    namespace: str = FOLDER
    own: bool = True  # the repository itself holds all of that


@dataclass(frozen=True)
class Wanted:
    """What the inventory says that Flux shall follow."""

    url: str
    branch: str
    path: str
    login: bool = True  # a public repository needs none

    @property
    def folder(self) -> str:
        """The path as the repository has it: no ./ before it, no / after it. The root is ''."""
        return normal(self.path)


def normal(path: str) -> str:
    folder = posixpath.normpath(path.strip().lstrip("/") or ".")
    if folder.startswith(".."):
        raise BootstrapError(f"tazlab_flux.path: {path!r} leads out of the repository. Give a folder inside it.")
    return "" if folder == "." else folder


def read(checkout: Checkout, wanted: Wanted, components: Sequence[Document] | None) -> Flux:
    """Read what the commit says. C(components) serve a repository that has none of its own."""
    folder = wanted.folder
    if folder and not checkout.exists(folder):
        raise BootstrapError(
            f"Git repository {wanted.url}: branch {wanted.branch} has no folder {folder}. "
            f"{_neighbours(checkout, folder)}Set tazlab_flux.path to the cluster's folder."
        )
    system = posixpath.join(folder, FOLDER)
    documents: list[Document] = []
    if checkout.exists(system):
        documents = _documents(checkout, system)
    flux = sort(documents)
    if not flux.controllers:
        if components is None:
            raise BootstrapError(
                f"Git repository {wanted.url}: branch {wanted.branch} has no components of Flux in {system}. Put them "
                "there (flux install --export), or set flux_bootstrap_components to a file or address that has them."
            )
        given = sort(components)
        flux.definitions, flux.controllers = given.definitions, given.controllers
        flux.own = False
    if flux.sync:
        _agree(flux, wanted, system)
    else:
        flux.sync = rendered(wanted)
        flux.own = False
    return flux


def sort(documents: Sequence[Document]) -> Flux:
    """Components apart from what they follow, and of the components first what others need."""
    flux = Flux()
    for each in documents:
        if each["apiVersion"].partition("/")[0] in SYNC_GROUPS:
            flux.sync.append(each)
        elif each["kind"] in FIRST_KINDS:
            flux.definitions.append(each)
        else:
            flux.controllers.append(each)
    flux.definitions.sort(key=lambda each: str(each["kind"]) != "Namespace")
    flux.sync.sort(key=lambda each: str(each["kind"]) != "GitRepository")
    return flux


def components(flux: Flux) -> list[dict[str, str]]:
    """The controllers with their images, which carry their versions."""
    found = []
    for each in flux.controllers:
        if each["kind"] == "Deployment":
            containers = each["spec"]["template"]["spec"]["containers"]
            found.append({"name": str(each["metadata"]["name"]), "image": str(containers[0]["image"])})
    return found


def rendered(wanted: Wanted) -> list[Document]:
    """GitRepository and Kustomization as flux bootstrap writes them."""
    metadata = {"name": FOLDER, "namespace": FOLDER}
    return [
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": dict(metadata),
            "spec": {
                "interval": "1m0s",
                "ref": {"branch": wanted.branch},
                **({"secretRef": {"name": FOLDER}} if wanted.login else {}),
                "url": wanted.url,
            },
        },
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": dict(metadata),
            "spec": {
                "interval": "10m0s",
                "path": f"./{wanted.folder}",
                "prune": True,
                "sourceRef": {"kind": "GitRepository", "name": FOLDER},
            },
        },
    ]


def _agree(flux: Flux, wanted: Wanted, system: str) -> None:
    """What the repository says it follows must be what the inventory says: Flux would go by the repository."""
    sources = [each for each in flux.sync if each["kind"] == "GitRepository"]
    roots = [each for each in flux.sync if each["kind"] == "Kustomization"]
    if len(sources) != 1 or len(roots) != 1:
        raise BootstrapError(
            f"{system} of the repository has {len(sources)} GitRepositories and {len(roots)} Kustomizations. It must "
            "have one of each: those that flux bootstrap wrote to gotk-sync.yaml. Move others out of this folder."
        )
    source, root = sources[0].get("spec") or {}, roots[0].get("spec") or {}
    followed = (
        ("url", same_url, str(source.get("url") or ""), wanted.url),
        ("branch", str, str((source.get("ref") or {}).get("branch") or ""), wanted.branch),
        ("path", normal, str(root.get("path") or ""), wanted.path),
    )
    differ = [
        f"{name} is {theirs!r} there and {ours!r} in tazlab_flux"
        for name, same, theirs, ours in followed
        if same(theirs) != same(ours)
    ]
    if differ:
        raise BootstrapError(
            f"{system}/gotk-sync.yaml of the repository does not follow what the inventory says: {'; '.join(differ)}. "
            "Flux goes by the repository. Make the two equal."
        )
    flux.namespace = str(sources[0]["metadata"].get("namespace") or FOLDER)
    login = str((source.get("secretRef") or {}).get("name") or "")
    if login and not wanted.login:
        raise BootstrapError(
            f"{system}/gotk-sync.yaml of the repository logs in with the Secret {login}, and no token is given. Give "
            "one that reads the repository; or, where it is public, take secretRef out of that file."
        )
    flux.secret = login or FOLDER


def same_url(url: str) -> str:
    """An address such that those with and without .git, and with a / at the end, are equal."""
    parts = urlsplit(url.strip())
    return f"{parts.scheme}://{parts.netloc}".lower() + parts.path.rstrip("/").removesuffix(".git")


def _neighbours(checkout: Checkout, folder: str) -> str:
    """Which folders there are at the deepest place of this path that exists."""
    parent = posixpath.dirname(folder)
    while parent and not checkout.exists(parent):
        parent = posixpath.dirname(parent)
    names = checkout.folders(parent)
    return f"In {parent or 'its root'} it has: {few(names)}. " if names else ""


def _documents(checkout: Checkout, system: str) -> list[Document]:
    """The objects of the folder, built as Flux builds it. What SOPS encrypted is left out: only Flux can read it."""
    builder = Builder(Tree(checkout.unpack()), checkout.deadline)
    found = [each.document for each in builder.build(system)]
    if builder.skipped:
        raise BootstrapError(
            f"{system}/kustomization.yaml of the repository does more than list files, and neither kubectl nor "
            "kustomize is on PATH to build it. Install one of them."
        )
    return [each for each in found if "sops" not in each]


def parse(content: bytes, name: str) -> list[Document]:
    """The Kubernetes objects of a file. What SOPS encrypted is left out: only Flux can read it."""
    documents = []
    for each in _load(content, name):
        if each is None:
            continue
        if (
            not isinstance(each, dict)
            or not all(isinstance(each.get(key), str) for key in ("apiVersion", "kind"))
            or not (isinstance(each.get("metadata"), Mapping) and each["metadata"].get("name"))
        ):
            raise BootstrapError(
                f"{name}: a document is not at a Kubernetes object: it lacks apiVersion, kind or a name."
            )
        if "sops" not in each:
            documents.append(each)
    return documents


def _load(content: bytes, name: str) -> list[t.Any]:
    try:
        return _yaml.documents(content)
    except _yaml.NotYaml as error:
        raise BootstrapError(f"{name}: is not YAML ({error}).") from None
