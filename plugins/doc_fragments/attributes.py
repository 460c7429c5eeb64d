# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules have in common in how they run, documented once."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  action:
    description: Runs on the controller; no host is contacted.
    support: full
"""

    READS = r"""
options: {}
attributes:
  check_mode:
    description: Works alike in check mode, as nothing is changed.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
  idempotent:
    description: Nothing is ever changed.
    support: full
"""

    ASKS_VAULT = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/tazlab.bootstrap.vault) in C(module_defaults) to say once how Vault is reached.
    support: full
    membership:
      - tazlab.bootstrap.vault
"""

    ASKS_KUBERNETES = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/tazlab.bootstrap.kubernetes) in C(module_defaults) to name the kubeconfig once.
    support: full
    membership:
      - tazlab.bootstrap.kubernetes
"""
