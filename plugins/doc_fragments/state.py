# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say where a cluster's state is, documented once."""

from __future__ import annotations


class ModuleDocFragment:
    """What C(extends_documentation_fragment: tazlab.bootstrap.state) adds."""

    DOCUMENTATION = r"""
options:
  state_dir:
    description:
      - The directory that keeps the cluster's identity - C(secrets.yaml) - and the C(talosconfig) and C(kubeconfig)
        that are made of it.
      - It is made with mode 0700, its files with mode 0600.
    type: path
    required: true
  state_home:
    description:
      - Where what cannot be made anew is kept, where that is not O(state_dir).
      - Vault is reached as the variables C(tazlab_vault_...) of the inventory say. While it does not answer, a copy in
        the anchor is read, and what is to be written waits in O(state_dir).
    type: dict
    suboptions:
      backend:
        description: V(directory) is O(state_dir), V(vault) a secret of KV version 2.
        type: str
        choices: [directory, vault]
        default: directory
      cluster:
        description: The cluster's name.
        type: str
        default: ""
      path:
        description: The secret's path in the mount. By default C(tazlab-k8s/state/) and the cluster's name.
        type: str
      token:
        description:
          - The token that reads and writes it. Without it, the variable E(TAZLAB_STATE_TOKEN) of the environment, the
            file C(~/.config/tazlab/state-token-NAME), and C(state-token.txt) in the anchor.
        type: str
      anchor:
        description:
          - Where a copy of C(secrets.yaml) is, as providers of type V(file) (the file C(talos-secrets.yaml)) or
            V(command) (C({name}) is V(TALOS_SECRETS)). By default the recovery anchor.
        type: list
        elements: dict
      new_secrets:
        description:
          - The confirmation that a cluster of which no machine is left may be born with new secrets, while neither
            Vault nor a copy can be read, or although a copy or a mount that trusts its key tells of earlier ones. It
            must equal O(state_home.cluster).
        type: str
"""
