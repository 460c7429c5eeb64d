# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_lock
short_description: Let one run at a time work on a cluster
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Notes in the cluster's state directory, in the file C(run.lock), which run of C(ansible-playbook) is at work on the
    cluster. A second run fails here, is told who that is and since when, and has changed nothing.
  - The run as a whole is what holds it - all its tasks, on all hosts. It needs not be freed - a run that has ended,
    also by C(kill -9), holds nothing any more, and the next one says that it follows it.
  - Where the state is kept in Vault (O(state_home)), the lock is noted there, too, for runs on other machines. The run
    shows every 20 seconds that it lives. One that has shown nothing for 3 minutes, by Vault's clock, may be taken for
    dead, by somebody who says so (O(take)). While Vault does not answer, the lock holds on this machine alone.
  - A run on another machine, or in another container, cannot be looked at from here, where several share a home
    directory; nor can one on a machine that has neither a machine-id nor a boot id. So it is freed at the end all the
    same, O(state=free). Where that run was killed, the message says which file to remove.
  - In check mode nothing is noted, and another run at work is a warning.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.state
attributes:
  check_mode:
    description: Warns of another run at work, and notes nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
  idempotent:
    description: A run that holds it already goes on. It never counts as a change.
    support: full
options:
  cluster:
    description: The cluster's name, for the messages.
    type: str
    required: true
  anchor:
    description: The recovery anchor, in which the state directory must not lie.
    type: path
  take:
    description:
      - The confirmation that a run on another machine, which has shown for minutes no sign of life, is dead, and that
        its lock may be taken. It must equal O(cluster).
    type: str
    default: ""
  state:
    description:
      - V(held) - this run is the one at work on the cluster.
      - V(free) - this run has ended its work. What another run holds is left alone.
    type: str
    choices: [held, free]
    default: held
seealso:
  - module: tazlab.bootstrap.bootstrap_preflight
"""

EXAMPLES = r"""
- name: Take the lock on the cluster
  tazlab.bootstrap.cluster_lock:
    cluster: home
    state_dir: ~/.config/tazlab/home

- name: Talos is up and every node is Ready
  ansible.builtin.import_role:
    name: tazlab.bootstrap.talos_cluster

- name: Release the lock on the cluster
  tazlab.bootstrap.cluster_lock:
    cluster: home
    state_dir: ~/.config/tazlab/home
    state: free
"""

RETURN = r"""
holder:
  description: The run that holds it. Empty where none does, and in check mode where no other one does.
  returned: success
  type: dict
  contains:
    command:
      description: The program and its playbooks.
      type: str
      sample: ansible-playbook tazlab.bootstrap.site
    user:
      description: Who started it.
      type: str
      sample: tazio
    pid:
      description: The number of its process.
      type: int
      sample: 4711
    started:
      description: When that process began, as the system says it.
      type: str
      sample: "208471"
    host:
      description: The machine's name.
      type: str
      sample: laptop
    machine:
      description: What tells machines of one name apart.
      type: str
      sample: 1f0d5c3b2a998877
    boot:
      description: Since which start the machine runs, and which processes can be seen.
      type: str
      sample: 0d9c2d5e-4c55-4f38-9d1d-2f0b7a6f1e77 pid:[4026531836]
    since:
      description: When the run took it, in seconds since the epoch.
      type: float
      sample: 1790000000.5
"""
