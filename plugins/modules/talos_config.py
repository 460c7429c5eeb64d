# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: talos_config
short_description: Give Talos nodes their machine configuration
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Generates each node's configuration with C(talosctl) out of the secrets in the state directory, adds the node's
    hostname and patches, and validates it. This collection's own choices come first, so that patches may change them.
  - A node in maintenance mode gets its configuration; it then installs itself and comes up.
  - Of a node that is configured already, the configuration is compared, key by key. A difference is applied where that
    takes effect without a reboot, and where the node has what it was given here. What needs a reboot, and what somebody
    else has changed or made, is left as it is and returned in RV(waiting), for M(tazlab.bootstrap.talos_apply). No node
    is ever rebooted.
  - Which configurations a node was given is kept in the state as digests. Tags of Kubernetes' images do not count, as
    C(talosctl upgrade-k8s) moves them, by hand or in M(tazlab.bootstrap.talos_upgrade).
  - A change of the cluster's CAs or keys is refused.
  - A node that was configured with other secrets is an error. So is another version of Talos or Kubernetes, or another
    schematic, than a configured node runs, since these move node by node, as M(tazlab.bootstrap.talos_upgrade) does it.
  - With O(tailnet), each machine that gets its first configuration gets a fresh key, which serves once within an hour,
    for the extension C(tailscale). The key is no difference later.
  - A birth is noted in the state directory (C(birth)) before the first node is configured. It is refused beside
    machines that an older etcd knows. Nothing is changed before all nodes were looked at.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.tailnet
  - tazlab.bootstrap.talos.nodes
  - tazlab.bootstrap.talos.cluster
  - tazlab.bootstrap.talos.living
  - tazlab.bootstrap.talos.waiting
  - tazlab.bootstrap.talos.action
attributes:
  check_mode:
    description: Generates, validates and compares, and applies nothing. Nodes that do not answer are not waited for.
    support: full
  diff_mode:
    description:
      - The paths of the keys that differ are shown while the task runs, in check mode as well, with both values where
        they are no secret. The paths are returned, too.
    support: partial
  idempotent:
    description: The same secrets, options and patches give the same configuration, which is then left alone.
    support: full
options:
  only:
    description: The names of the nodes to configure. Without it, all of them.
    type: list
    elements: str
  wait_for_workers:
    description:
      - Whether to wait for workers that do not answer yet, as is always waited for control planes.
      - Without it they are left alone and returned in RV(deferred), to be configured later. A worker that an
        interrupted run has configured may answer only when the control plane runs.
    type: bool
    default: false
seealso:
  - module: tazlab.bootstrap.talos_secrets
  - module: tazlab.bootstrap.talos_bootstrap
"""

EXAMPLES = r"""
- name: Nodes are configured
  tazlab.bootstrap.talos_config:
    cluster: home
    nodes:
      - name: cp-1
        address: 192.0.2.11
        role: control_plane
        patches:
          - cluster:
              allowSchedulingOnControlPlanes: true
    version: v1.12.6
    kubernetes_version: 1.35.4
    schematic: 376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba
    state_dir: ~/.config/tazlab/home
"""

RETURN = r"""
nodes:
  description: What was done to each node, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The node's name.
      type: str
    address:
      description: The node's address.
      type: str
    role:
      description: What the node is for.
      type: str
    configuration:
      description:
        - One of V(configured), V(updated), V(unchanged), V(not answering yet); or why the node was left as it is,
          V(the change needs a reboot), V(it runs with an older configuration until its next reboot),
          V(somebody else has changed it, or made it).
      type: str
    changed:
      description: Whether the node's configuration was changed.
      type: bool
    differences:
      description: The paths of the keys that differed, or differ still - added (C(+)), removed (C(-)), changed (C(~)).
      type: list
      elements: str
waiting:
  description: A line for each node that was left as it is, with its paths, who has what it lacks, and what to do.
  returned: success
  type: list
  elements: str
deferred:
  description: The names of the nodes that did not answer.
  returned: success
  type: list
  elements: str
"""
