# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Vault is reached and what it is asked, for modules and for the lookup."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  token:
    description:
      - The token that may read the bundle. Quotes and blanks around it are cut away.
      - If not given, the first of these that is there serves. O(token_file); the environment variables E(VAULT_TOKEN)
        and E(BAO_TOKEN); C(~/.config/tazlab/bootstrap-token); C(bootstrap-token.txt) in O(anchor).
    type: str
  token_file:
    description: A file that holds the token.
    type: path
  unwrap:
    description:
      - Whether the token is a wrapping token, as C(-wrap-ttl) makes one, which is to be unwrapped. What comes out is
        used in this run, and stored nowhere.
      - If V(false), a wrapping token that is given as O(token) or in the environment is recognised before it is used
        up, and refused. Of a token in a file nobody asks, which would cost a request.
    type: bool
    default: false
  version:
    description: The version of the bundle. If not given, it is the newest.
    type: int
  renew:
    description:
      - V(auto) renews the token when less than half of its period or TTL is left, V(always) in any case.
      - V(never) reads the bundle and asks nothing else, so that the token's life is not known.
      - A renewal that fails is a warning. In check mode nothing is renewed.
    type: str
    choices:
      - auto
      - always
      - never
    default: auto
  check_token:
    description:
      - Warn about a token that may do more than read the bundle. It costs one more request, for the capabilities on
        some telling paths.
    type: bool
    default: false
  cache:
    description:
      - Share one outcome, success or failure, with all modules and lookups of this run that ask the same of Vault.
      - If V(false), Vault is asked anew.
    type: bool
    default: true
"""

    LOGIN = r"""
notes:
  - The token of a login is used for the one read that a run needs, and revoked right after it, within the same
    O(timeout). Where Vault does not revoke it, a warning names its accessor.
options:
  auth_method:
    description:
      - How to log in. V(token) takes a token that is there already, V(approle) the pair of an AppRole, V(jwt) a JWT,
        such as the OIDC token of a CI. One logs in for check mode, too.
    type: str
    choices:
      - token
      - approle
      - jwt
    default: token
  auth_mount_point:
    description: Where the auth method is mounted, without C(auth/). By default it has the name of the method.
    type: str
  role_id:
    description:
      - The role ID, with O(auth_method=approle), or the role's name, with O(auth_method=jwt). There, the default is the
        mount's default role.
    type: str
  secret_id:
    description: The secret ID, with O(auth_method=approle), unless the role does without.
    type: str
  jwt:
    description: The JWT, with O(auth_method=jwt), for instance V({{ lookup('env', 'VAULT_ID_TOKEN') }}).
    type: str
"""

    CONNECTION = r"""
notes:
  - Of the variables of C(vault) and C(bao) beside those that stand at an option, these are read as well.
    E(VAULT_CLIENT_CERT) and E(VAULT_CLIENT_KEY) for a listener that demands a client certificate, and
    E(VAULT_TLS_SERVER_NAME) for a certificate with another name than the address has; E(VAULT_PROXY_ADDR) and
    E(VAULT_HTTP_PROXY) for a proxy to Vault alone, before E(HTTPS_PROXY); and the same with C(BAO_).
  - Where a variable is set as C(VAULT_) and as C(BAO_), the first one is taken, and a warning says so if they differ.
options:
  url:
    description:
      - The address of Vault or OpenBao.
      - If not given, the environment variables E(VAULT_ADDR) and E(BAO_ADDR) are asked in this order.
    type: str
  ca_cert:
    description:
      - A file with the certificates of the CA that signed Vault's certificate. No other CA is trusted then.
      - If not given, the file named by E(VAULT_CACERT) or E(BAO_CACERT) serves, else the files of the directory
        E(VAULT_CAPATH) or E(BAO_CAPATH), else the copy of the field V(VAULT_CA_CRT) in O(anchor), else the system's
        store.
    type: path
  validate_certs:
    description:
      - Whether Vault must prove that it is Vault. If V(false), a warning says so each time.
      - The default is V(true), unless the environment variable E(VAULT_SKIP_VERIFY) or E(BAO_SKIP_VERIFY) is set.
    type: bool
  namespace:
    description:
      - The namespace in Vault.
      - If not given, the environment variables E(VAULT_NAMESPACE) and E(BAO_NAMESPACE) are asked in this order.
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
