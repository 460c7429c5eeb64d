# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that read a GitOps repository have in common, documented once."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  path:
    description:
      - The cluster's folder in the repository, for instance V(clusters/home), where its root Kustomization begins.
    type: str
    required: true
  eso_version:
    description:
      - The release of ESO that runs in the cluster. It says which version of its kinds is written, C(v1) from 0.16 on.
      - By default it is the one that the repository installs; else one that serves what its objects are of, or 0.10.3.
    type: str
    default: ""
  store:
    description:
      - The store that an ExternalSecret reads from, as C(KIND/NAME).
    type: str
    default: ClusterSecretStore/tazlab-secrets-vault
  vault_auth:
    description:
      - The VaultAuth that a VaultStaticSecret logs in with, as C(NAMESPACE/NAME). Without one VSO gets no new Secret.
    type: str
    default: ""
  mount_point:
    description:
      - The mount of the key-value store in Vault.
    type: str
    default: secret
  variables:
    description:
      - What the ConfigMap C(flux-system/cluster-vars) holds, from which the repository's variables are replaced, as far
        as the repository does not declare it.
    type: dict
    default: {}
  timeout:
    description:
      - Seconds for everything together.
    type: int
    default: 120
requirements:
  - PyYAML (Python package) on the controller
  - C(kustomize) or C(kubectl) on the controller, for a repository that does more than list its files
"""
