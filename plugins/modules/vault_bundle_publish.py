# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_bundle_publish
short_description: Publish the recovery anchor's values as a new version of the bundle
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Reads the recovery anchor, cleans and checks every field, and writes one new KV version 2 version of the bundle, if
    anything differs. What is unchanged is never written.
  - Writes with check-and-set. When somebody else writes at the same time, it is tried once more on fresh data, so that
    nobody's change is lost, and then reported.
  - Fields of the bundle that it does not know stay.
  - A file of the anchor that is older than the value that Vault holds instead is refused, since that one was rotated
    after it was written. The file's modification time is compared with that of the version which brought Vault's value.
    The same holds for a field that was taken out of the bundle after its file was written.
  - The time of a file does not count where the anchor's value is one that Vault held before another one, as from a copy
    of the anchor or a provider without times. Up to twenty older versions are looked at. A deleted one that may hold a
    newer value is named.
  - A value in Vault that is not valid for its field is replaced.
  - A newest version that is deleted is not empty. As long as its values, or those of a version before a destroyed one,
    can be brought back, nothing is written, and the error says how to bring them back. O(over_deleted) gives them up.
  - What is kept beside the bundle (C(max_versions), C(delete_version_after), C(cas_required), custom metadata) stays as
    its owner set it, apart from what O(max_versions) and O(custom_metadata) name.
  - Shows for each field whether it is new, changed, equal or kept. Values are never shown.
extends_documentation_fragment:
  - tazlab.bootstrap.bundle
  - tazlab.bootstrap.bundle.providers
  - tazlab.bootstrap.vault_operator
  - tazlab.bootstrap.vault.connection
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.asks_vault
attributes:
  check_mode:
    description: Reads for real, checks the permissions and writes nothing.
    support: full
  diff_mode:
    description: Names the fields, with a word in place of each value.
    support: full
  idempotent:
    description: What is unchanged is not written. A value that differs only in its last newline is unchanged.
    support: full
options:
  state:
    description: V(absent) takes the fields in O(names) out of the bundle. Older versions keep them.
    type: str
    choices:
      - present
      - absent
    default: present
  names:
    description:
      - The fields that this is about. If not given, all; V(absent) needs it.
      - A field that is named here is published whatever Vault holds, or held, instead.
    type: list
    elements: str
  values:
    description: The values to publish, by field, in place of the anchor's.
    type: dict
  value_files:
    description: Files that hold the values to publish, by field, in place of the anchor's.
    type: dict
  providers:
    description:
      - Where the values come from, as M(tazlab.bootstrap.secret_fallback) has it. By default it is the anchor's
        files alone.
      - For what O(values) or O(value_files) gave, the command is shown with which the anchor's owner takes a copy. It
        is that of the variable C(tazlab_vault_providers), by default for the files in O(anchor).
    type: list
    elements: dict
  keep:
    description:
      - Fields that Vault itself issues. As long as the bundle has a value for one of them, the anchor's copy is not
        published.
    type: list
    elements: str
    default: []
  over_deleted:
    description:
      - The number of the bundle's newest version, if that one is deleted, or destroyed while older ones are still
        there, and those values are not wanted any more. Any other number is refused.
      - An older version that is deleted, and all before it, are not looked at for values that would be rolled back.
    type: int
  custom_metadata:
    description: Texts to keep beside the bundle, such as its owner and purpose. Others that are there stay.
    type: dict
  custom_metadata_defaults:
    description: As O(custom_metadata), but a text that is there stays.
    type: dict
  max_versions:
    description:
      - How many versions of the bundle Vault keeps, or more if the mount keeps more. If not given, that stays as it is.
      - Versions beyond it are destroyed by Vault at its next write. They are named, in check mode, too.
    type: int
seealso:
  - module: tazlab.bootstrap.vault_bootstrap_access
  - module: tazlab.bootstrap.vault_bootstrap_bundle
"""

EXAMPLES = r"""
- name: The anchor's values are in Vault
  tazlab.bootstrap.vault_bundle_publish:
    url: https://vault.example.ts.net:8200
    anchor: ~/secrets
    keep: [ESO_READER_TOKEN]
    custom_metadata:
      owner: home operations
    custom_metadata_defaults:
      purpose: bootstrap of cluster home

- name: The anchor's values are in Vault, and those of version 3, which is deleted, are given up
  tazlab.bootstrap.vault_bundle_publish:
    url: https://vault.example.ts.net:8200
    over_deleted: 3

- name: A field that nobody needs any more is gone
  tazlab.bootstrap.vault_bundle_publish:
    state: absent
    names: [OLD_TOKEN]
"""

RETURN = r"""
fields:
  description: What became of each field.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The field's name.
      type: str
    state:
      description: V(new), V(changed), V(equal), V(kept), V(missing), V(removed) or V(absent).
      type: str
    source:
      description: Where the value comes from.
      type: str
    note:
      description: What else there is to say.
      type: str
version:
  description: The bundle's newest version afterwards.
  returned: success
  type: int
previous_version:
  description: The bundle's newest version before.
  returned: success
  type: int
notes:
  description: The commands with which the anchor's owner takes over what O(values) or O(value_files) gave.
  returned: success
  type: list
  elements: str
metadata:
  description: What of the metadata was written.
  returned: success
  type: list
  elements: str
versions_lost:
  description: The versions that Vault destroys at its next write, since O(max_versions) is lower than before.
  returned: success
  type: list
  elements: int
"""
