# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_bootstrap_bundle
short_description: Read the bootstrap bundle from Vault, once a run
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Reads one KV version 2 secret with one scoped token, cleans and checks its fields, and says where each came from,
    how old it is and how long the token lives.
  - All tasks and lookups of a run that ask the same share one outcome, on one connection, success or failure.
  - The result is hidden from the output at every verbosity, also when the task lacks C(no_log), while the registered
    variable stays usable. A short report of sources and ages is shown instead.
extends_documentation_fragment:
  - tazlab.bootstrap.vault
  - tazlab.bootstrap.vault.connection
  - tazlab.bootstrap.vault.login
  - tazlab.bootstrap.bundle
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.asks_vault
requirements:
  - hvac >= 2.3 (on the controller)
  - jmespath (on the controller, if a field has an C(expression))
attributes:
  check_mode:
    description: Reads in check mode, too, but renews no token.
    support: full
  diff_mode:
    description: Nothing is compared; a secret has no place in a diff.
    support: N/A
  idempotent:
    description: Reads only. A renewal of the token is not a change.
    support: full
options:
  on_unavailable:
    description:
      - What to do when something keeps the bundle from coming. That is the network, TLS, a sealed server, a refusal, a
        path without a bundle, or no token at all.
      - V(fail) fails. V(empty) warns and returns an empty bundle, so that M(tazlab.bootstrap.secret_fallback) goes on.
      - A malformed option fails always.
    type: str
    choices:
      - fail
      - empty
    default: fail
  on_invalid:
    description:
      - What to do when Vault holds a value that its field cannot have.
      - V(fail) fails and names all of them. V(report) leaves them out of RV(bundle) and lists them in RV(invalid), for
        M(tazlab.bootstrap.secret_fallback) to report with what is missing.
    type: str
    choices:
      - fail
      - report
    default: fail
seealso:
  - module: tazlab.bootstrap.secret_fallback
  - plugin: tazlab.bootstrap.vault_bundle
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: The bundle is read
  tazlab.bootstrap.vault_bootstrap_bundle:
    url: https://vault.example.ts.net:8200
    token_file: ~/secrets/bootstrap-token.txt
  register: vault

- name: The bundle is read, or the recovery anchor answers
  tazlab.bootstrap.vault_bootstrap_bundle:
    on_unavailable: empty
  register: vault
"""

RETURN = r"""
bundle:
  description: The value of each field that Vault has. Never printed.
  returned: success
  type: dict
sources:
  description: Where each of these values comes from.
  returned: success
  type: dict
  contains:
    source:
      description: The kind of source, here V(vault).
      type: str
    place:
      description: The path in Vault.
      type: str
    label:
      description: Source and place in short.
      type: str
      sample: vault v3
    version:
      description: The version of the secret.
      type: int
    age:
      description: Seconds since this version was written.
      type: int
missing:
  description: The names of the fields that Vault lacks.
  returned: success
  type: list
  elements: str
invalid:
  description: For each field of which Vault holds a wrong value, what is wrong. Empty unless O(on_invalid=report).
  returned: success
  type: dict
vault:
  description: How asking Vault went.
  returned: success
  type: dict
  contains:
    reachable:
      description: Whether something answered at the address.
      type: bool
    reason:
      description: V(ok), or a word for what kept the bundle from coming, such as V(refused) or V(sealed).
      type: str
    message:
      description: The same in a sentence, with the next step.
      type: str
    version:
      description: The version that was read.
      type: int
    deletion_time:
      description:
        - When Vault will delete this version by itself, since C(delete_version_after) is set on the secret or on its
          mount. V(null) if it will not.
        - RV(vault.warnings) says it, too, and how to keep the version.
      type: str
      sample: "2026-12-26T04:24:13Z"
    token:
      description: The token's C(source), whether its life is C(known), its C(ttl) in seconds, C(expires_at) unless it
        is renewed before, C(dies_at) renewed or not, C(renewable), C(period) in seconds, C(policies), whether it was
        C(renewed) now, and C(warnings).
      type: dict
    warnings:
      description: What else is wrong.
      type: list
      elements: str
"""
