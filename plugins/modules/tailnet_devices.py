# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tailnet_devices
short_description: Record which devices of a tailnet are a cluster's, and remove them with it
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - A device is told by its id, never by its name alone. The ids of the nodes are recorded in the cluster's state when
    they have joined, and those that the cluster's own Tailscale operator has made are read from it before it dies.
  - Others that carry the tags are listed, and removed only by their id (O(remove)).
  - Never removed are this machine, and the one that Vault runs on.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.tailnet
  - tazlab.bootstrap.attributes
attributes:
  check_mode:
    description: Looks, and records and removes nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
  idempotent:
    description: What is recorded or removed already is left alone.
    support: full
options:
  state:
    description:
      - V(checked) - the OAuth client may do all that the others ask of it. The state is not looked at.
      - V(recorded) - each node that was given a key is known by its device.
      - V(operator) - the devices of the cluster's own operator are known, as far as its API server answers.
      - V(removed) - all of these are gone from the tailnet.
    type: str
    choices: [checked, recorded, operator, removed]
    required: true
  nodes:
    description: The names of the cluster's nodes.
    type: list
    elements: str
    default: []
  kubeconfig:
    description: The cluster's kubeconfig, for O(state=operator).
    type: path
  vault_url:
    description: Where Vault is, so that its machine is left alone.
    type: str
    default: ""
  remove:
    description: The ids of other devices that shall go, too.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for machines to join.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: The cluster's devices are gone
  tazlab.bootstrap.tailnet_devices:
    state: removed
    state_dir: ~/.config/tazlab/home
    nodes: [cp-1, worker-1]
    tailnet:
      tags: ["tag:k8s"]
      client_id: "{{ tailnet_client_id }}"
      client_secret: "{{ tailnet_client_secret }}"
  no_log: true
"""

RETURN = r"""
devices:
  description: Those that were recorded or removed, or in check mode would be, each with C(id), C(name) and C(hostname).
  returned: success
  type: list
  elements: dict
others:
  description: Those that carry the tags and are not known as this cluster's.
  returned: success
  type: list
  elements: dict
taken:
  description: Those that still have a name which the next birth wants.
  returned: success
  type: list
  elements: dict
"""
