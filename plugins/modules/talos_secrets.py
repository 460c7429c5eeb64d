# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_secrets
short_description: Make a Talos cluster's secrets once, and keep them
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Where the state directory holds no C(secrets.yaml), waits until every node answers, makes sure that none is
    configured, and generates it with C(talosctl gen secrets), the given secretbox key in place of the generated one.
  - Secrets that are there are never made anew. Another secretbox key than theirs is refused, as it would destroy what
    etcd holds.
  - Writes C(talosconfig), the credentials of the Talos API, where there is none that serves.
  - Keeps others out of the state directory (mode 0700) and its files (mode 0600).
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.cluster
  - tazlab.bootstrap.talos.waiting
  - tazlab.bootstrap.talos.action
attributes:
  check_mode:
    description: Asks each node once, whether it is configured, and writes nothing.
    support: full
  diff_mode:
    description: What would be written is secret.
    support: none
  idempotent:
    description: Secrets are generated once; the talosconfig is written again when it is about to expire.
    support: full
options:
  secretbox_key:
    description: The key that encrypts what etcd holds, base64 of 32 bytes.
    type: str
    required: true
  anchor:
    description: The recovery anchor, in which the state directory must not lie.
    type: path
  ahead:
    description:
      - Whether the secrets are made before the machines, for whoever needs a key of the cluster already. Each node is
        asked once, whether it is configured, and none is waited for. Those that do not answer are named.
    type: bool
    default: false
seealso:
  - module: tazlab.bootstrap.vault_cluster_login
  - module: tazlab.bootstrap.talos_config
"""

EXAMPLES = r"""
- name: The cluster has its secrets
  tazlab.bootstrap.talos_secrets:
    state_dir: ~/.config/tazlab/home
    secretbox_key: "{{ lookup('tazlab.bootstrap.vault_bundle', 'TALOS_SECRETBOX_KEY') }}"
    cluster: home
    version: v1.12.6
    kubernetes_version: 1.35.4
    schematic: 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba
    nodes: "{{ groups | tazlab.bootstrap.machines(hostvars, patches=true) }}"
  no_log: true
"""

RETURN = r"""
created:
  description: Whether this run generated the secrets, or in check mode would.
  returned: success
  type: bool
waiting:
  description: What somebody has to do for these secrets, such as to copy them into the anchor, with the command.
  returned: success
  type: list
  elements: str
secrets:
  description: Where the secrets lie. Keep a backup of this file.
  returned: success
  type: str
talosconfig:
  description: Where the credentials of the Talos API lie.
  returned: success
  type: str
"""
