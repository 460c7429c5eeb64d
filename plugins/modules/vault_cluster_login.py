# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_cluster_login
short_description: Let a cluster's service accounts log in to Vault with their own tokens
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Makes an auth mount of type jwt that trusts the public half of the key with which the cluster signs its service
    accounts' tokens, and roles for the accounts that may log in. Vault never asks the cluster, so this works before it
    exists, and nobody has to renew anything.
  - The key is that of C(talosctl gen secrets) in the cluster's state. Its private half is used in memory alone.
  - A key that the mount trusts already stays, so that tokens of both are good for as long as it takes; it is named, and
    ends with O(only_key).
  - A configuration with another issuer or with keys from elsewhere, and a role with other settings, are reported as
    drift and changed only when O(update) says so; until then no role is made there. The keys of the other issuer end
    with the change, since they would open what is ours. A mount of another type is refused.
  - Everything is looked at and every permission is checked before anything is changed.
extends_documentation_fragment:
  - tazlab.bootstrap.vault_operator
  - tazlab.bootstrap.state
  - tazlab.bootstrap.vault.connection
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.asks_vault
attributes:
  check_mode:
    description:
      - Reads for real, checks the permissions and changes nothing. Where the cluster's secrets have still to be made,
        only that is said.
    support: full
  diff_mode:
    description: Shows the issuer, the fingerprints of the keys and the roles' settings. None of them is a secret.
    support: full
  idempotent:
    description: What is as it should be is not written. Keys are compared, not their text.
    support: full
options:
  anchor:
    description: The directory of the recovery anchor, where a copy of Vault's CA may lie. It is read and never touched.
    type: path
    default: ~/secrets
  mount:
    description: The path of the auth mount, such as V(jwt-home). One mount has one issuer, so each cluster has its own.
    type: str
    required: true
  issuer:
    description:
      - What the cluster's tokens say of who issued them (C(iss)). Talos takes the cluster's endpoint, such as
        V(https://192.0.2.11:6443), unless a patch sets C(service-account-issuer).
    type: str
    required: true
  audiences:
    description:
      - For whom the tokens must be meant (C(aud)); one of these. ESO and VSO ask for such tokens by name.
      - The default is no audience of the Kubernetes API, so that a token that was shown to Vault opens nothing else.
    type: list
    elements: str
    default: [vault]
  roles:
    description: Who may log in, and what the login gives.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The role's name, which whoever logs in gives.
        type: str
        required: true
      accounts:
        description: The service accounts, as V(namespace/name), and no other (C(bound_claims.sub)).
        type: list
        elements: str
        required: true
      policies:
        description:
          - The policies that its tokens have, and no other, not even the default one.
          - ESO looks its token up and revokes it, so its policy must allow C(auth/token/lookup-self) and
            C(auth/token/revoke-self).
        type: list
        elements: str
        required: true
      proof:
        description: A path in Vault that the login must be allowed to read. It is read where a login is tried.
        type: str
  ttl:
    description: For how many seconds a token of such a login lives, and at most lives, however it is renewed.
    type: int
    default: 600
  own:
    description:
      - Whether the mount is ours. With V(false) nothing is written. What its owner has to set is printed and returned,
        and compared with what is there.
      - Where that may not be read, a login is tried, with a token that is signed with the cluster's key and revoked.
    type: bool
    default: true
  update:
    description: Correct a configuration or a role that is there with other values.
    type: bool
    default: false
  only_key:
    description:
      - End every other key that the mount trusts. What is signed with one of them is refused from then on, until the
        cluster has signed it anew.
    type: bool
    default: false
seealso:
  - module: tazlab.bootstrap.talos_secrets
  - module: tazlab.bootstrap.bootstrap_health
"""

EXAMPLES = r"""
- name: ESO logs in by itself
  tazlab.bootstrap.vault_cluster_login:
    url: https://vault.example.ts.net:8200
    state_dir: ~/.config/tazlab/home
    mount: jwt-home
    issuer: https://192.0.2.11:6443
    roles:
      - name: tazlab-eso
        accounts: [external-secrets/external-secrets]
        policies: [tazlab-eso-reader]
  register: cluster

# What a ClusterSecretStore of ESO needs of it.
- name: Show how ESO logs in
  ansible.builtin.debug:
    msg:
      path: "{{ cluster.login.mount }}"
      role: "{{ cluster.login.roles[0].name }}"
      kubernetesServiceAccountToken:
        serviceAccountRef: "{{ cluster.login.roles[0].accounts[0] | combine({'audiences': cluster.login.audiences}) }}"

- name: What a mount of somebody else has to hold is told and verified
  tazlab.bootstrap.vault_cluster_login:
    url: https://vault.example.ts.net:8200
    state_dir: ~/.config/tazlab/home
    mount: jwt
    own: false
    issuer: https://192.0.2.11:6443
    audiences: [https://kubernetes.default.svc.cluster.local]
    roles:
      - name: tazlab-vso
        accounts: [dex/vso, grafana/vso]
        policies: [workloads]
"""

RETURN = r"""
login:
  description: What whoever logs in has to be told.
  returned: success
  type: dict
  contains:
    mount:
      description: The mount, as C(path) of ESO's C(auth.jwt) and C(mount) of a C(VaultAuth) take it.
      type: str
      sample: jwt-home
    path:
      description: The same as a path of Vault's API.
      type: str
      sample: auth/jwt-home
    issuer:
      description: The issuer of the tokens.
      type: str
    audiences:
      description: The audiences of which a token must have one - C(audiences) of C(serviceAccountRef) or C(VaultAuth).
      type: list
      elements: str
    public_key:
      description: The cluster's public key in PEM. Empty in check mode while there is none.
      type: str
    fingerprint:
      description: Its short name.
      type: str
      sample: sha256:0123456789abcdef
    roles:
      description: Each role's C(name), its C(accounts) with C(namespace) and C(name), and its C(policies).
      type: list
      elements: dict
parts:
  description: Each thing that was looked at.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(auth mount), V(JWT configuration) or V(JWT role).
      type: str
    name:
      description: Its name.
      type: str
    state:
      description:
        - V(equal), V(new), V(changed), or V(drift), which was left as it is.
        - Of a mount that is not ours V(equal), V(drift), V(missing) or V(not readable).
      type: str
    note:
      description: What differs, and which keys the mount trusts beside the cluster's.
      type: str
verified:
  description: V(as wanted), V(differs) or V(not readable). Empty in check mode while there is no key.
  returned: success
  type: str
wanted:
  description: Of a mount that is not ours, what has to stand there, by path. Public values alone.
  returned: success
  type: dict
commands:
  description: Commands with which its owner sets what differs. None where the mount trusts keys of another issuer.
  returned: when O(own=false)
  type: list
  elements: str
"""
