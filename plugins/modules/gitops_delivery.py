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
  - A change of writer is refused, unless O(change_writer) names the Secret. The old object leaves its file then, and a
    file with nothing left goes, as does its name in what lists it. What keeps the living Secret is
    M(tazlab.bootstrap.secret_writer), which comes before anything is written.
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
  operators:
    description:
      - The operators that Flux shall install, each with what is not as by default. What of their tree is missing is
        written, what is there is changed in its place, and only in what is ours. See the guide to delivery.
      - ESO gets the store and VSO the login, where O(vault_url) is given.
    type: dict
    suboptions:
      eso:
        description:
          - The External Secrets Operator.
        type: dict
        suboptions:
          version:
            description:
              - The version of its chart, by default V(0.10.3).
            type: str
          namespace:
            description:
              - The namespace that it runs in, by default V(external-secrets).
            type: str
          release:
            description:
              - The name of its HelmRelease, by default V(external-secrets).
            type: str
          labels:
            description:
              - The labels of its namespace where that is new.
            type: dict
          url:
            description:
              - The address of its HelmRepository, by default what the repository says, or its makers'.
            type: str
      vso:
        description:
          - The Vault Secrets Operator.
        type: dict
        suboptions:
          version:
            description:
              - The version of its chart, by default V(1.4.0).
            type: str
          namespace:
            description:
              - The namespace that it runs in, by default V(vso-system).
            type: str
          release:
            description:
              - The name of its HelmRelease, by default V(vault-secrets-operator).
            type: str
          labels:
            description:
              - The labels of its namespace where that is new.
            type: dict
          url:
            description:
              - The address of its HelmRepository, by default what the repository says, or its makers'.
            type: str
      reloader:
        description:
          - Reloader, which restarts who uses a changed Secret.
        type: dict
        suboptions:
          version:
            description:
              - The version of its chart, by default V(1.2.1).
            type: str
          namespace:
            description:
              - The namespace that it runs in, by default V(reloader).
            type: str
          release:
            description:
              - The name of its HelmRelease, by default V(reloader).
            type: str
          labels:
            description:
              - The labels of its namespace where that is new.
            type: dict
          url:
            description:
              - The address of its HelmRepository, by default what the repository says, or its makers'.
            type: str
      tailscale:
        description:
          - Tailscale's operator, with the seeded OAuth client.
        type: dict
        suboptions:
          version:
            description:
              - The version of its chart, by default V(1.96.5).
            type: str
          namespace:
            description:
              - The namespace that it runs in, by default V(tailscale).
            type: str
          release:
            description:
              - The name of its HelmRelease, by default V(tailscale-operator).
            type: str
          labels:
            description:
              - The labels of its namespace where that is new.
            type: dict
          url:
            description:
              - The address of its HelmRepository, by default what the repository says, or its makers'.
            type: str
  vault_url:
    description:
      - Vault's address as pods reach it, for the store and the login of the operators' tree.
    type: str
    default: ""
  eso_login:
    description:
      - How ESO logs in with a token of a service account. Without it, it has the seeded token.
    type: dict
    suboptions:
      role:
        description:
          - The role that Vault has for it.
        type: str
        required: true
      service_account:
        description:
          - The service account that logs in, by default V(external-secrets).
        type: str
      mount:
        description:
          - The mount of Vault's JWT method, by default V(jwt).
        type: str
      audiences:
        description:
          - What the role is bound to, by default V(https://kubernetes.default.svc.cluster.local).
        type: list
        elements: str
  vso_login:
    description:
      - How VSO logs in with a token of a service account of each namespace that it makes Secrets in. Without it no
        VaultConnection and VaultAuth are made.
    type: dict
    suboptions:
      role:
        description:
          - The role that Vault has for it.
        type: str
        required: true
      service_account:
        description:
          - The service account that logs in, by default V(vault-auth).
        type: str
      mount:
        description:
          - The mount of Vault's JWT method, by default V(jwt).
        type: str
      audiences:
        description:
          - What the role is bound to, by default V(https://kubernetes.default.svc.cluster.local).
        type: list
        elements: str
  places:
    description:
      - Where the parts of the operators' tree stand, as far as that is not as by default.
    type: dict
    suboptions:
      namespaces:
        description:
          - The place of the part namespaces.
        type: dict
        suboptions: &place
          kustomization:
            description:
              - The name of the Flux Kustomization.
            type: str
          folder:
            description:
              - The folder that it builds.
            type: str
          files:
            description:
              - The folder of the files, if it is another one.
            type: str
          listed:
            description:
              - Whether a new folder gets a kustomization that lists its files.
            type: bool
      eso:
        description:
          - The place of the part eso.
        type: dict
        suboptions: *place
      vso:
        description:
          - The place of the part vso.
        type: dict
        suboptions: *place
      reloader:
        description:
          - The place of the part reloader.
        type: dict
        suboptions: *place
      tailscale:
        description:
          - The place of the part tailscale.
        type: dict
        suboptions: *place
      store:
        description:
          - The place of the part store.
        type: dict
        suboptions: *place
      login:
        description:
          - The place of the part login.
        type: dict
        suboptions: *place
  change_writer:
    description:
      - The Secrets whose writer may become the one that is declared, each as C(NAMESPACE/NAME). Names of keys and the
        type stay the same. Reloader's annotation of consumers stays where VSO takes over, as it may serve others.
    type: list
    elements: str
    default: []
  commit:
    description:
      - The message with which the files are committed, and nothing else of the checkout. Without one nothing is.
      - Then all is planned on the last commit. Files that lie there as they would be written are committed as well, so
        a run that was killed is gone on with by the same words.
    type: str
    default: ""
  push:
    description:
      - Whether the branch is pushed, with all that is committed on it and the login that the user's own Git has. What
        others have pushed meanwhile goes before it once; where that does not go together with it, or with what is not
        committed, it is told, and nothing is pushed. Never forced.
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
    description: Plans and proves the same, says what would be committed and pushed, and writes nothing.
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
  - module: tazlab.bootstrap.secret_writer
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
writers:
  description: >-
    The Secrets of O(change_writer), each with C(name), C(namespace), C(writer) and C(type), as they are declared.
  returned: success
  type: list
  elements: dict
files:
  description: >-
    The files that were written, or would be in check mode, each with C(path) and C(state), which is C(new), C(changed)
    or C(gone).
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
