# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_birth
short_description: Note in a cluster's state how far a rebirth has come, and how long births took
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - A rebirth that was broken off goes on where it was - machines that were removed are not removed again once new ones
    are there. For that its stages are noted.
  - At the end of a birth, the seconds of each phase are kept and compared with those of the last one.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.attributes
attributes:
  check_mode:
    description: Reads, and notes nothing.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
  idempotent:
    description: What is noted already is left alone. It never counts as a change.
    support: full
options:
  stage:
    description:
      - V(look) - tell how far a rebirth has come.
      - V(restoring) - etcd is about to be made from a snapshot. Until it is, no other one is made.
      - V(destroying) - the machines are about to be removed.
      - V(bearing) - they are gone.
      - V(complete) - every phase holds. Nothing is noted where not all phases ran, or nothing was born.
    type: str
    choices: [look, restoring, destroying, bearing, complete]
    required: true
  born:
    description: Whether this run has made machines, for O(stage=complete).
    type: bool
    default: false
  expected:
    description: The RV(mark) of an earlier look. Where it is another one by now, O(stage=destroying) is refused.
    type: str
seealso:
  - module: tazlab.bootstrap.bootstrap_phase
"""

EXAMPLES = r"""
- name: Look how far a rebirth has come
  tazlab.bootstrap.cluster_birth:
    state_dir: ~/.config/tazlab/home
    stage: look
  register: rebirth
"""

RETURN = r"""
under_way:
  description: Whether a rebirth has begun and not ended.
  returned: success
  type: bool
gone:
  description: Whether its machines were removed already.
  returned: success
  type: bool
mark:
  description: Tells the cluster as it is now from how it was before a birth or a rebirth by another run.
  returned: success
  type: str
  sample: "1795714211.5 0.0 0.0"
text:
  description: How long the birth took, for O(stage=complete). Empty where nothing was born.
  returned: success
  type: str
  sample: "reborn in 9 min 12 s (last: 11 min 40 s); longest: talos"
"""
