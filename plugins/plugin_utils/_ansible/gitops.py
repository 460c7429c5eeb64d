# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of whatever reads a GitOps repository, and what they become.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import Operators
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import Builder
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Known, Repository, read
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree

VARIABLES: t.Final = ("ConfigMap", "flux-system", "cluster-vars")  # which the engine layer seeds

OPERATORS: t.Final[Mapping[str, t.Any]] = {
    "eso_version": {"type": "str", "default": Operators.eso},
    "store": {"type": "str", "default": Operators.store},
    "vault_auth": {"type": "str", "default": Operators.auth},
    "mount_point": {"type": "str", "default": Operators.mount},
    "variables": {"type": "dict", "default": {}},
}


def operators(params: Mapping[str, t.Any]) -> Operators:
    kind, _, name = str(params["store"]).rpartition("/")
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


def reader(path: str, variables: Mapping[str, t.Any], deadline: Deadline) -> Callable[[Tree], Repository]:
    """What makes a model of a tree, from the cluster's folder on."""
    known: Known = {VARIABLES: {str(key): str(value) for key, value in variables.items()}} if variables else {}

    def model(tree: Tree) -> Repository:
        folder = tree.normal(path.strip().lstrip("/") or ".")
        if not tree.is_folder(folder):
            raise BootstrapError(f"path: the repository has no folder {folder}. Name the folder of the cluster in it.")
        return read(Builder(tree, deadline), folder, known)

    return model
