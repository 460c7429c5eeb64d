# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_consumers
short_description: List what uses a field of the bundle, so that nothing is forgotten when it is rotated
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Puts a marker in the field's place and looks which variables of which phase's role receive it, as the playbook at
    hand connects them, and which seeded objects name the field. Nothing is maintained by hand.
  - Nothing is contacted and nothing is changed.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.reads
options:
  field:
    description: The field's name. It must be one of the default fields, or of C(tazlab_fields) where that is set.
    type: str
    required: true
  objects:
    description: The objects that are seeded, as C(cluster_seed_objects) has them.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: What uses the token is listed
  tazlab.bootstrap.bootstrap_consumers:
    field: GITHUB_TOKEN
    objects: "{{ cluster_seed_objects }}"
"""

RETURN = r"""
consumers:
  description: What uses the field.
  returned: success
  type: list
  elements: dict
  contains:
    phase:
      description: The phase to run, by its tag.
      type: str
    what:
      description: The seeded object and key, or the role's variable.
      type: str
    command:
      description: How to run the phase.
      type: str
fixed_at_birth:
  description: Whether the field must not change while the cluster lives.
  returned: success
  type: bool
"""
