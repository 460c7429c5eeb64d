# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_snapshot
short_description: Take a snapshot of a cluster's etcd
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Writes C(etcd-CLUSTER-TIME.snapshot) into a folder of yours, 0600, the time in UTC. C(talosctl) checks it before it
    gets that name, so that what a broken run leaves is never taken for a snapshot.
  - It is taken from the first control plane that gives one.
  - B(A snapshot is secret.) It has every Secret of the cluster, and only C(cluster.secretboxEncryptionSecret) keeps it
    closed. What is older is not removed.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.action
attributes:
  check_mode:
    description: Tells the newest snapshot that is there, and takes none.
    support: full
  diff_mode:
    description: A snapshot is secret.
    support: none
  idempotent:
    description: Each call takes another one.
    support: none
options:
  cluster:
    description: The cluster's name, which stands in the file's.
    type: str
    required: true
  directory:
    description: The folder. It is made, 0700, where it is not there; it is never the recovery anchor.
    type: path
    required: true
  anchor:
    description: The recovery anchor, which is never written.
    type: path
    default: ~/secrets
  timeout:
    description: Seconds for a control plane to give it.
    type: int
    default: 300
seealso:
  - module: tazlab.bootstrap.talos_upgrade
"""

EXAMPLES = r"""
- name: A snapshot of etcd is kept
  tazlab.bootstrap.talos_snapshot:
    cluster: home
    nodes: "{{ groups | tazlab.bootstrap.machines(hostvars) }}"
    state_dir: ~/.config/tazlab/home
    directory: ~/backups/home
"""

RETURN = r"""
path:
  description: The file; empty in check mode.
  returned: success
  type: str
size:
  description: Its size in bytes.
  returned: success
  type: int
"""
