# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of secret_rotation; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: secret_rotation
short_description: Gives a secret in Vault a new value, and follows it to whatever in a cluster runs with it
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Writes the value by check-and-set as a new version of the secret, of which all other properties stay, unless Vault
    has it already. Nothing is deleted.
  - Looks for what the path feeds, with no declaration. These are the ExternalSecrets and VaultStaticSecrets of the
    cluster, whatever templates they have, and the copies that Reflector keeps of their Secrets. What O(repository)
    declares and the cluster lacks is told.
  - Has ESO sync each ExternalSecret by the annotation C(force-sync), and waits for VSO's C(refreshAfter), until every
    Secret holds the value, or what its template makes of it.
  - Then waits until the pods that read such a Secret, and were started before it changed, are gone and the new ones are
    ready, where Reloader or VSO restarts them. What nobody restarts is named at once, with the command that does.
  - Says whether the old value may be withdrawn at its issuer.
  - Run again with the same value it goes on where it was broken off, and writes nothing twice.
  - What reads the path in Vault itself, or a Secret through the API, is not seen.
extends_documentation_fragment:
  - tazlab.bootstrap.vault_operator
  - tazlab.bootstrap.vault.connection
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.asks_vault
attributes:
  check_mode:
    description: Reads for real, and tells what would be fed and who would be restarted. The value may be left out.
    support: full
  diff_mode:
    description: There is nothing to compare but secrets.
    support: none
  idempotent:
    description: A value that Vault has already is not written, and ESO is only told of it where a Secret lacks it.
    support: full
options:
  kv_path:
    description:
      - The path of the secret in the key-value store, with its mount or without, such as
        V(tazlab-k8s/static/web/TOKEN). The bundle, which is at O(path), is refused.
    type: str
    required: true
  property:
    description:
      - Which property of the secret gets the value.
    type: str
    default: value
  value:
    description:
      - The new value. A last line break is kept where the present value has one, or where there is none yet and the new
        one has several lines. Not needed in check mode.
    type: str
  value_file:
    description:
      - A file that holds the new value, in place of O(value).
    type: path
  anchor:
    description: The directory of the recovery anchor, where a copy of Vault's CA may lie. It is read and never touched.
    type: path
    default: ~/secrets
  kubeconfig:
    description:
      - The kubeconfig of the cluster.
    type: path
    required: true
  repository:
    description:
      - The repository that Flux follows. One that cannot be read is told, and nothing else.
    type: dict
    suboptions:
      checkout:
        description:
          - A clone of the repository. Either this or O(repository.url).
        type: str
      url:
        description:
          - The repository's address, as C(https://).
        type: str
      branch:
        description:
          - The branch that Flux follows. Needed with O(repository.url).
        type: str
      username:
        description:
          - The user name to log in with.
        type: str
        default: git
      password:
        description:
          - The token to log in with. Without one the repository must be public.
        type: str
        default: ""
      ca_cert:
        description:
          - The CA that signed the host's certificate, as PEM or as the file that holds it, when it is a private one.
        type: str
        default: ""
      path:
        description:
          - The cluster's folder in the repository.
        type: str
        required: true
      variables:
        description:
          - What the ConfigMap C(flux-system/cluster-vars) holds, as far as the repository does not declare it.
        type: dict
        default: {}
  wait:
    description:
      - Seconds to wait until the value has arrived everywhere. What VSO makes, and what reads that, has C(refreshAfter)
        besides, unless Vault tells VSO at once (C(instantUpdates)).
    type: int
    default: 900
seealso:
  - module: tazlab.bootstrap.vault_bundle_publish
  - module: tazlab.bootstrap.gitops_delivery
"""

EXAMPLES = r"""
- name: The database's password is a new one, everywhere
  tazlab.bootstrap.secret_rotation:
    url: https://vault.example.ts.net:8200
    kv_path: tazlab-k8s/static/db/PASSWORD
    value_file: ~/new-password
    kubeconfig: ~/.config/tazlab/home/kubeconfig
  register: rotated

- name: Show where it has arrived, and whether the old one may be withdrawn
  ansible.builtin.debug:
    msg: "{{ rotated.report }}"
"""

RETURN = r"""
path:
  description: The path, without its mount.
  returned: success
  type: str
version:
  description: The newest version of the secret afterwards.
  returned: success
  type: int
previous_version:
  description: The newest version before.
  returned: success
  type: int
secrets:
  description: The Secrets that the path feeds.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The Secret's name.
      type: str
    namespace:
      description: Its namespace.
      type: str
    written_by:
      description: The object that makes it.
      type: str
    holds:
      description: Whether it holds the value.
      type: bool
    since:
      description: When its data changed last, where it holds the value.
      type: str
    why:
      description: Why it does not.
      type: str
    consumers:
      description: What reads it. C(old) are the pods that were started before it changed.
      type: list
      elements: dict
withdrawable:
  description: Whether nothing in the cluster runs with the old value any more.
  returned: success
  type: bool
report:
  description: All of it for a person, with the next steps.
  returned: success
  type: list
  elements: str
notes:
  description: What the repository declares and the cluster lacks, and what of the repository could not be read.
  returned: success
  type: list
  elements: str
"""
