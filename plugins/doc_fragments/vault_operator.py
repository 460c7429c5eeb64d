# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an operator reaches Vault to change something there."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
notes:
  - Apart from O(token) and O(token_file), the options of the connection may stand in the inventory as the variable
    C(tazlab_vault_<option>), C(anchor) as C(tazlab_anchor) and C(fields) as C(tazlab_fields). An option of the task
    wins over the variable, which wins over the environment.
  - Needs the Python package hvac on the controller. Works alike on HashiCorp Vault and OpenBao.
  - What is missing among the permissions of the operator's token is reported together, before anything is changed.
options:
  token:
    description:
      - The operator's own token, which is used and never stored. The bootstrap token is refused, as it may only read.
      - If not given, the first of these that is there serves. O(token_file); the environment variables E(VAULT_TOKEN)
        and E(BAO_TOKEN); C(~/.vault-token), where C(bao login) and C(vault login) put it.
    type: str
  token_file:
    description: A file that holds the operator's token.
    type: path
"""
