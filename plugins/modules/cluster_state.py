# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_state
short_description: Copy a cluster's state from one home to another
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Copies C(secrets.yaml), and what is known of the cluster's births, from where they are to where O(state_home) says
    that they are to be, and reads them back.
  - Where other secrets are there already, nothing is copied. Nothing is ever removed.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.attributes
attributes:
  check_mode:
    description: Compares, and copies nothing.
    support: full
  diff_mode:
    description: What would be written is secret.
    support: none
  idempotent:
    description: What is the same in both is left alone.
    support: full
options:
  source_dir:
    description: The directory with the state, where it is in one.
    type: path
  source_path:
    description: The path of the state in Vault, where it is there.
    type: str
"""

EXAMPLES = r"""
- name: The state is in Vault
  tazlab.bootstrap.cluster_state:
    source_dir: ~/.config/tazlab/home
    state_dir: ~/.config/tazlab/home
    state_home: {backend: vault, cluster: home}
"""

RETURN = r"""
copied:
  description: What was copied, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [secrets.yaml, facts.json]
source:
  description: Where it stays.
  returned: success
  type: str
place:
  description: Where it is now.
  returned: success
  type: str
"""
