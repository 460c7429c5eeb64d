# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_bootstrap_token
short_description: Issue, inspect, renew or revoke a narrow periodic token
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Issues a periodic token without parent through a token role, proves it by a read, and stores it in a private file or
    in a field of the bundle. A token that is there and as it should be stays. One that lives and is another than asked
    for stays as well, with a warning, until O(rotate) is true.
  - With O(rotate) a new token replaces the one that is there, without a gap. The new one is proven and safely stored
    before the old one revokes itself, or is revoked by its accessor. Killed at any point, one of the two works, and the
    next run finishes what was begun. Nothing but that one token is ended. One that was not issued through O(role), or
    without a token role and with other policies, may be somebody else's, and one that may have issued tokens would end
    those with it. Such a token is left alone and named, with the command to revoke it.
  - A bundle whose newest version is deleted and can be brought back is never written, and no token is issued for it.
  - Inspects or renews a token with that token itself, and says when it dies unless it is renewed.
  - The token's value is never part of the result.
extends_documentation_fragment:
  - tazlab.bootstrap.bundle
  - tazlab.bootstrap.bundle.providers
  - tazlab.bootstrap.vault_operator
  - tazlab.bootstrap.vault.connection
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.asks_vault
attributes:
  check_mode:
    description: Reads for real, checks the permissions, and neither issues, renews nor revokes.
    support: full
  diff_mode:
    description: Shows accessors, with which nobody can log in.
    support: full
  idempotent:
    description: A token that serves is left as it is, unless O(rotate) is true. A renewal is never a change.
    support: full
options:
  operation:
    description:
      - V(issue) and V(revoke) use the operator's own token, which is never the bootstrap token.
      - V(inspect) and V(renew) use the token itself. It is that of O(dest), or of O(field) as the bundle has it, or
        else the bootstrap token, which is searched for as M(tazlab.bootstrap.vault_bootstrap_bundle) does. With
        O(field), the bundle is read with the bootstrap token.
    type: str
    required: true
    choices:
      - issue
      - inspect
      - renew
      - revoke
  dest:
    description:
      - The file that holds the token, readable by its owner alone and written at once or not at all.
      - A place inside O(anchor) is refused, with the command to copy it there by hand.
      - A file that holds something else than a token is refused.
      - A token that is there and was not issued for this, or that Vault does not know, is kept in C(<dest>.before) when
        a new one takes its place.
      - While a rotation runs, C(<dest>.superseded) beside it holds the token that is being replaced.
    type: path
  field:
    description: The field of the bundle that holds the token. It is written by check-and-set.
    type: str
  role:
    description: The token role to issue it through, for O(operation=issue).
    type: str
  policies:
    description: The policies that the token has to have, and no other.
    type: list
    elements: str
  period:
    description: Within how many seconds the token must be renewed to live on.
    type: int
    default: 2764800
  proof:
    description: The path in Vault that a new token must be able to read before it is stored. Nothing needs to be there.
    type: str
  rotate:
    description: Issue a new token even though the one that is there serves, and end that one.
    type: bool
    default: false
  wrap_ttl:
    description:
      - If not 0, O(dest) gets a wrapping token instead, which serves once within so many seconds. Another machine
        unwraps it, with the command that is shown, and nobody else has seen the token then.
    type: int
    default: 0
  accessor:
    description: The accessor of the token to revoke.
    type: str
  over_deleted:
    description:
      - With O(field), the number of the bundle's newest version, if that one is deleted and may be written over.
    type: int
  kept_as:
    description:
      - What the token of O(dest) is for, which decides under which name the anchor's owner keeps a copy of it - the
        file C(bootstrap-token.txt) or C(state-token.txt) of O(anchor), or what C({name}) of a provider stands for.
    type: str
    choices: [BOOTSTRAP_TOKEN, STATE_TOKEN]
    default: BOOTSTRAP_TOKEN
  providers:
    description:
      - Where the anchor's owner keeps values, as M(tazlab.bootstrap.secret_fallback) has it, which decides on the
        command that is shown for a copy. Nobody is asked and nothing is written there.
      - If not given, the variable C(tazlab_vault_providers) serves, else it is the files in O(anchor).
    type: list
    elements: dict
seealso:
  - module: tazlab.bootstrap.vault_bootstrap_access
  - module: tazlab.bootstrap.vault_bundle_publish
"""

EXAMPLES = r"""
- name: The bootstrap token is in its file
  tazlab.bootstrap.vault_bootstrap_token:
    operation: issue
    role: tazlab-bootstrap
    policies: [tazlab-bootstrap]
    proof: secret/data/tazlab-k8s/bootstrap
    dest: ~/.config/tazlab/bootstrap-token

- name: The bootstrap token lives on
  tazlab.bootstrap.vault_bootstrap_token:
    operation: renew
"""

RETURN = r"""
state:
  description:
    - For V(issue), one of V(unchanged), V(kept) (it lives, is not as asked for, and was left as it is), V(issued),
      V(rotated), V(resumed) (an interrupted rotation was finished) and V(wrapped).
    - For V(inspect) and V(renew), one of V(alive), V(dead) (Vault refuses it) and V(absent).
  returned: when O(operation) is not V(revoke)
  type: str
token:
  description:
    - What Vault says of the token, with dates by Vault's own clock.
    - V(null) for one that may not look itself up, also when it is alive.
  returned: when O(operation) is not V(revoke)
  type: dict
  sample:
    accessor: 8zyeA1xdB2VAriO7Zs2vJUza
    orphan: true
    type: service
    policies: [tazlab-bootstrap]
    ttl: 2764800
    period: 2764800
    renewable: true
    expires_at: "2026-12-26T04:24:13Z"
    dies_at: null
    says: dies on 2026-12-26T04:24:13Z unless renewed
previous_accessors:
  description:
    - The accessors of the tokens that were there before. Those of a field of the bundle still live, and only those that
      were issued through O(role) are listed, so that they can be revoked; somebody else's is told in RV(notes).
    - With O(rotate) and O(field), also those that older versions of the bundle hold and that still live, as an
      interrupted rotation leaves them.
  returned: for O(operation=issue)
  type: list
  elements: str
notes:
  description:
    - What its owner may do next, such as the command that copies it into the anchor. It names the client that is
      installed and Vault's address, and changes nothing when it fails.
    - For O(operation=inspect), the same where O(dest) holds a living token and the anchor's file holds another or none.
  returned: for O(operation=issue), O(operation=inspect) and O(operation=renew)
  type: list
  elements: str
"""
