# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rebirth_gates
short_description: Ask everybody who may stop a rebirth
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Takes what M(tazlab.bootstrap.bootstrap_health) said, runs the user's own gates, such as a check of a backup's age,
    and fails with everything that said no.
  - A no is overridden only by the name of what said it - V(vault) or V(anchor) for the health report's sources, a
    token's, state's or login's name, V(health) where no report could be made, or a gate's command.
  - A gate is run without a shell, with the environment without what may hold a secret. What it prints is shown.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes
attributes:
  check_mode:
    description: Gates are named, and not run.
    support: partial
  diff_mode:
    description: There is nothing to compare.
    support: N/A
  idempotent:
    description: Nothing is changed, unless a gate does.
    support: N/A
options:
  gates:
    description: The commands, each a list of words, that must end with status 0.
    type: list
    elements: list
    default: []
  despite:
    description: The names whose no is known and accepted. A text is taken apart at its commas.
    type: list
    elements: str
    default: []
  health:
    description: The result of M(tazlab.bootstrap.bootstrap_health).
    type: dict
    default: {}
  timeout:
    description: Seconds after which a gate is given up, which is a no.
    type: int
    default: 300
seealso:
  - module: tazlab.bootstrap.bootstrap_health
"""

EXAMPLES = r"""
- name: Nobody objects
  tazlab.bootstrap.rebirth_gates:
    gates:
      - [check-backup, --max-age, 24h]
"""

RETURN = r"""
objections:
  description: What said no and was overridden.
  returned: success
  type: list
  elements: str
"""
