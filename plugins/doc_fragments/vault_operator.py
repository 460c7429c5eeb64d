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
  url:
    description:
      - The address of Vault or OpenBao.
      - If not given, the environment variables E(VAULT_ADDR) and E(BAO_ADDR) are asked in this order.
    type: str
  token:
    description:
      - The operator's own token, which is used and never stored. The bootstrap token is refused, as it may only read.
      - If not given, the first of these that is there serves. O(token_file); the environment variables E(VAULT_TOKEN)
        and E(BAO_TOKEN); C(~/.vault-token), where C(bao login) and C(vault login) put it.
    type: str
  token_file:
    description: A file that holds the operator's token.
    type: path
  ca_cert:
    description:
      - A file with the certificates of the CA that signed Vault's certificate. No other CA is trusted then.
      - If not given, the file named by E(VAULT_CACERT) serves, else the copy of the field V(VAULT_CA_CRT) in O(anchor),
        else the system's store.
    type: path
  validate_certs:
    description:
      - Whether Vault must prove that it is Vault. If V(false), a warning says so each time.
      - The default is V(true), unless the environment variable E(VAULT_SKIP_VERIFY) is set.
    type: bool
  namespace:
    description: The namespace in Vault. If not given, the environment variable E(VAULT_NAMESPACE) serves.
    type: str
  mount_point:
    description: Where the KV version 2 secrets engine is mounted.
    type: str
    default: secret
  path:
    description: The bundle's path in the secrets engine, without C(data/).
    type: str
    default: tazlab-k8s/bootstrap
  timeout:
    description: Seconds for everything that is asked of Vault, the name's resolution and TLS included.
    type: float
    default: 10.0
"""
