# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_phase
short_description: Note when a phase of the bootstrap begins
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Says which phase begins and adds it, with the time, to the fact C(bootstrap_phases), from which
    M(tazlab.bootstrap.bootstrap_report) tells how long each phase took.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.reads
options:
  name:
    description:
      - The phase, named as its tag in C(playbooks/site.yml).
      - V(preflight) notes that the secrets are known and everything is checked now, before anything is made.
      - V(complete) notes that the last phase has ended.
    type: str
    required: true
    choices:
      - secrets
      - vms
      - talos
      - seed
      - flux
      - preflight
      - complete
seealso:
  - module: tazlab.bootstrap.bootstrap_report
"""

EXAMPLES = r"""
- name: The phase begins
  tazlab.bootstrap.bootstrap_phase:
    name: vms
"""

RETURN = r"""
ansible_facts:
  description: The phases that have begun so far.
  returned: always
  type: dict
  contains:
    bootstrap_phases:
      description: One dictionary a phase, with C(name) and C(started) (seconds since the epoch).
      type: list
      elements: dict
"""
