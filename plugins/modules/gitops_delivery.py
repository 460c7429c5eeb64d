# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of gitops_delivery; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: gitops_delivery
short_description: Writes what has Flux deliver declared Secrets into a checkout
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Each Secret is declared once, as an entry of O(secrets). What is fed by one path becomes a VaultStaticSecret, with
    its consumers as C(rolloutRestartTargets); what is fed by several, or has a template that VSO would not take,
    becomes an ExternalSecret, and its consumers get Reloader's annotation.
  - What the repository has already keeps its writer and its file, and only what differs is changed there. Comments,
    order and quotes of a file stay, and every other document of it. A file that cannot be written so is refused.
  - Before a file is written, the repository is built as Flux would build it then. Every Secret must be as it is
    declared, by one writer, and nothing else may be another object.
  - All that is wrong is told together, before anything is written, files with changes that are not committed included.
    A file is the old one or the new one at any moment. It is committed and pushed when told. Runs on the controller.
extends_documentation_fragment:
  - tazlab.bootstrap.gitops
options:
  checkout:
    description:
      - The clone of the repository that is changed.
    type: str
    required: true
  secrets:
    description:
      - The Secrets, a list of mappings.
      - C(name), and C(namespace) or C(namespaces).
      - C(keys) maps each key of the Secret to the path of its value in Vault, without the mount. The value is the
        property C(value) of it, or write C({path:, property:}). A key may also be C({template:, values:}), with a
        template in the notation of Go over named values; mark it C(!unsafe), so that Ansible leaves it alone.
      - C(all_of) lists paths of which each property becomes a key.
      - C(consumers) lists the workloads that are restarted when it changes, each as C({kind:, name:}), or as
        C({kind:, helm_release:}) where a chart makes it; then the name is derived as charts do, unless it is given.
      - C(writer) is C(eso) or C(vso), where it shall not be chosen.
      - C(type), C(labels) and C(annotations) of the Secret; C(refresh) (C(1h)); C(create_only), which ESO alone can.
      - C(through) is another store or VaultAuth than the default one.
      - C(file) is where a new one is declared; it may name C({namespace}) and C({name}).
    type: raw
    required: true
  files:
    description:
      - Where a new object is declared, by its writer; C({namespace}) and C({name}) are the Secret's.
    type: dict
    suboptions:
      eso:
        description:
          - The file of an ExternalSecret.
        type: str
        default: infrastructure/configs/{namespace}/externalsecret-{name}.yaml
      vso:
        description:
          - The file of a VaultStaticSecret.
        type: str
        default: infrastructure/operators/vso/{namespace}-{name}.yaml
  lists:
    description:
      - The kustomization that lists new files, by their writer, where their own folder has none.
    type: dict
    suboptions:
      eso:
        description:
          - For ExternalSecrets; nothing where a Flux Kustomization builds their folder whole.
        type: str
        default: ""
      vso:
        description:
          - For VaultStaticSecrets.
        type: str
        default: infrastructure/operators/vso-secrets/kustomization.yaml
  commit:
    description:
      - The message with which the files are committed, and nothing else of the checkout. Without one nothing is.
    type: str
    default: ""
  push:
    description:
      - Whether the branch is pushed, with the login that the user's own Git has. What others have pushed meanwhile goes
        before it once; where that does not go together it is told. It is never forced.
    type: bool
    default: false
  problems:
    description:
      - What is known to be wrong already, as M(tazlab.bootstrap.vault_paths) returns it, to be told with the rest.
    type: list
    elements: dict
    default: []
requirements:
  - git on the controller
  - ruamel.yaml (Python package) on the controller
attributes:
  check_mode:
    description: Plans and proves the same, and writes nothing.
    support: full
  diff_mode:
    description: Shows each file as it was and as it becomes. Secrets are named there by their paths alone.
    support: full
  idempotent:
    description: What is there as it is declared is not written again.
    support: full
  action:
    description: Runs on the controller; no host is contacted.
    support: full
seealso:
  - module: tazlab.bootstrap.gitops_secrets
"""

EXAMPLES = r"""
- name: Flux delivers what dex needs
  tazlab.bootstrap.gitops_delivery:
    checkout: ~/src/cluster
    path: clusters/home
    vault_auth: vso-system/vault-auth
    secrets:
      - name: dex
        namespace: auth
        keys:
          client-id: tazlab-k8s/static/auth/dex/GOOGLE_CLIENT_ID
          client-secret: tazlab-k8s/static/auth/dex/GOOGLE_CLIENT_SECRET
        consumers:
          - kind: Deployment
            helm_release: dex
"""

RETURN = r"""
secrets:
  description: The Secrets, each with C(name), C(namespace), C(writer), C(file), C(paths) and C(state).
  returned: success
  type: list
  elements: dict
  sample:
    - name: dex
      namespace: auth
      writer: eso
      file: infrastructure/configs/auth/externalsecret-dex.yaml
      state: new
      paths:
        - tazlab-k8s/static/auth/dex/GOOGLE_CLIENT_ID
files:
  description: The files that were written, or would be in check mode, each with C(path) and C(state).
  returned: success
  type: list
  elements: dict
commit:
  description: The id of the commit; empty where none was made.
  returned: success
  type: str
pushed:
  description: Whether the branch was pushed.
  returned: success
  type: bool
skipped:
  description: What of the repository was not looked into.
  returned: success
  type: list
  elements: str
"""
