# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_bootstrap_access
short_description: Set up in Vault what narrow tokens need, the mount, the policies and the token roles
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Makes the KV version 2 secrets engine when it is missing. One of version 1, or another engine at that place, is an
    error and never migrated.
  - Makes the policies. One that is there with other rules is reported as drift and changed only when
    O(update_policies) says so.
  - A mount that is there is only looked at; how it is tuned is its owner's.
  - Makes the token roles, through which periodic tokens without parent and without the default policy are issued. One
    that is there with other settings is reported as drift and changed only when O(update_token_roles) says so.
  - Everything is looked at and every permission is checked before anything is changed.
extends_documentation_fragment:
  - tazlab.bootstrap.vault_operator
  - tazlab.bootstrap.vault.connection
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.asks_vault
attributes:
  check_mode:
    description: Reads for real, checks the permissions and changes nothing.
    support: full
  diff_mode:
    description: Shows the rules of policies and the settings of token roles. None of them is a secret.
    support: full
  idempotent:
    description: What is as it should be is not written.
    support: full
options:
  anchor:
    description: The directory of the recovery anchor, where a copy of Vault's CA may lie. It is read and never touched.
    type: path
    default: ~/secrets
  policies:
    description: The policies that have to stand.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The policy's name.
        type: str
        required: true
      rules:
        description: All its rules, in HCL.
        type: str
        required: true
  token_roles:
    description: The token roles that have to stand.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The role's name.
        type: str
        required: true
      policies:
        description: The policies that its tokens have, and no other.
        type: list
        elements: str
        required: true
      period:
        description: Within how many seconds each token must be renewed to live on. Vault caps it at its maximum TTL.
        type: int
        default: 2764800
  update_policies:
    description:
      - Replace a policy that is there with other rules, so that its rules are exactly those given. It may have been
        widened on purpose, or be another cluster's. Comments and spacing do not count.
    type: bool
    default: false
  update_token_roles:
    description: Correct a token role that is there with other settings.
    type: bool
    default: false
  writes_bundle:
    description:
      - Whether a later task writes the bundle. If its newest version is deleted and can be brought back, that is
        refused now, before anything is changed.
    type: bool
    default: false
  over_deleted:
    description:
      - With O(writes_bundle), the number of the bundle's newest version, if that one is deleted and may be written
        over.
    type: int
  dest:
    description:
      - Where a token will be stored. A place inside O(anchor), and a file that holds something else than a token, are
        refused now, before anything is changed.
    type: path
  needs:
    description: What later tasks will need of the same operator's token, so that it is checked now, too.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: A path in Vault.
        type: str
        required: true
      capabilities:
        description: What one must be allowed to do there.
        type: list
        elements: str
        required: true
      purpose:
        description: What for, as the error says it.
        type: str
        required: true
seealso:
  - module: tazlab.bootstrap.vault_bootstrap_token
  - module: tazlab.bootstrap.vault_bundle_publish
"""

EXAMPLES = r"""
- name: The bundle's mount, policy and token role stand
  tazlab.bootstrap.vault_bootstrap_access:
    url: https://vault.example.ts.net:8200
    policies:
      - name: tazlab-bootstrap
        rules: |
          path "secret/data/tazlab-k8s/bootstrap" { capabilities = ["read"] }
          path "auth/token/lookup-self" { capabilities = ["read"] }
          path "auth/token/renew-self" { capabilities = ["update"] }
          path "auth/token/revoke-self" { capabilities = ["update"] }
    token_roles:
      - name: tazlab-bootstrap
        policies: [tazlab-bootstrap]
"""

RETURN = r"""
parts:
  description: Each thing that was looked at.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: V(mount), V(policy) or V(token role).
      type: str
    name:
      description: Its name.
      type: str
    state:
      description: V(equal), V(new), V(changed), or V(drift), which was left as it is.
      type: str
    note:
      description: What differs.
      type: str
"""
