# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of secret_writer; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: secret_writer
short_description: Has another operator make a Secret of a living cluster, which stays the same Secret
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - An ExternalSecret and a VaultStaticSecret own the Secret that they make. Where the one takes the place of the other
    in the repository, Flux deletes the old one, and the Secret goes with it. This keeps the Secret, in two steps.
  - Before the repository is changed, V(protect) marks the old object in the cluster so that Flux does not prune it
    (C(kustomize.toolkit.fluxcd.io/prune)) and notes the Secret's uid beside that (C(tazlab.bootstrap/keeps-secret)).
  - After the change was pushed, V(finish) waits until Flux has let go of the old object, and until the new writer owns
    the Secret beside it. Then the old object alone is deleted, and what its operator has left on the Secret is taken
    away, namely labels and annotations. It ends when the new writer is the only one and has synced, and has no mark of
    its own from a change that was turned back. To turn one back, give the old writer and do both steps again.
  - Nothing done here deletes the Secret. One that somebody else made anew meanwhile is told, and gets its new writer.
  - What is left to do is found in the cluster alone, so a run that was broken off is simply run again.
  - Nothing is deleted that Flux still has in its inventory, and no object without the mark. Of a Secret its metadata
    and its type alone are read. Runs on the controller.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.asks_kubernetes
attributes:
  check_mode:
    description: Looks for real, once, and tells what would be marked and what is waited for.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
  idempotent:
    description: What is marked is not marked again, and a Secret with its new writer alone is left as it is.
    support: full
options:
  kubeconfig:
    description:
      - The kubeconfig of the cluster.
    type: path
    required: true
  operation:
    description:
      - V(protect) comes before anything of the change is pushed, V(finish) after it.
      - V(protect) refuses where there is no old object, where several make the Secret, where Flux did not make it, and
        where its Flux Kustomization is suspended or not Ready.
      - It also refuses where an operator would delete the Secret itself, which is ESO with C(deletionPolicy=Delete) on
        the old object, and VSO for a Secret of another type than is declared.
    type: str
    choices: [protect, finish]
    required: true
  secrets:
    description:
      - The Secrets and who shall make each, as RV(tazlab.bootstrap.gitops_delivery#module:writers) has them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - The Secret's name.
        type: str
        required: true
      namespace:
        description:
          - Its namespace.
        type: str
        required: true
      writer:
        description:
          - Who shall make it, ESO or VSO.
        type: str
        choices: [eso, vso]
        required: true
      type:
        description:
          - The type that it is declared to have.
        type: str
        default: Opaque
  pushed:
    description:
      - Whether the change was pushed, so that Flux is waited for. Otherwise what Flux has not done yet is told, and the
        rest is done.
    type: bool
    default: false
  wait:
    description:
      - Seconds for everything together.
    type: int
    default: 600
requirements:
  - kubernetes (Python package) on the controller
seealso:
  - module: tazlab.bootstrap.gitops_delivery
"""

EXAMPLES = r"""
- name: The living Secret is kept from Flux
  tazlab.bootstrap.secret_writer:
    kubeconfig: ~/.config/tazlab/home/kubeconfig
    operation: protect
    secrets: &secrets
      - name: web-token
        namespace: apps
        writer: eso

# Here the repository is changed, and pushed.

- name: The Secret has its new writer
  tazlab.bootstrap.secret_writer:
    kubeconfig: ~/.config/tazlab/home/kubeconfig
    operation: finish
    secrets: *secrets
    pushed: true
"""

RETURN = r"""
secrets:
  description: The Secrets.
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
    writer:
      description: Who shall make it.
      type: str
    state:
      description: >-
        V(protected) where the old object is marked, or would be in check mode, V(changed) where the new writer is the
        only one, V(waiting) where something is left.
      type: str
    uid:
      description: The Secret's uid; empty where there is none.
      type: str
    why:
      description: What is waited for.
      type: str
report:
  description: All of it for a person, with the next steps.
  returned: success
  type: list
  elements: str
"""
