# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of flux_repository; the work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: flux_repository
short_description: Reads what a Git repository says about Flux itself
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Fetches the newest commit of a branch over HTTPS and returns Flux' components and what Flux follows, from the folder
    C(flux-system) of the cluster's folder, built as a kustomization.
  - It is built as Flux builds it. A kustomization that only lists files is read directly, any other is built with
    C(kubectl) or C(kustomize), which see the files alone that it names. One that names something outside of the
    repository is refused, and so are C(generators), C(transformers), C(validators) and Helm charts in it.
  - What the folder's GitRepository and Kustomization follow must be what the options say.
  - The token stands in the environment of Git alone, for which nothing of the user's own configuration counts. No
    redirect is followed. Objects that SOPS encrypted are left out.
  - Told apart are a host that does not answer, TLS, a refused token, a missing repository, branch and folder.
  - Nothing is changed, and nothing stays on the disk. Runs on the controller.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes.reads
options:
  url:
    description:
      - The repository's address, as C(https://).
    type: str
    required: true
  branch:
    description:
      - The branch that Flux follows.
    type: str
    required: true
  path:
    description:
      - The cluster's folder in the repository, for instance V(./clusters/home).
    type: str
    required: true
  username:
    description:
      - The user name to log in with. Most hosts take any beside a token.
    type: str
    default: git
  password:
    description:
      - The token to log in with. It only needs to read. Without one the repository must be public.
    type: str
    default: ""
  ca_cert:
    description:
      - The CA that signed the host's certificate, as PEM or as the file that holds it, when it is a private one.
    type: str
    default: ""
  components:
    description:
      - A file or an C(https://) address with Flux' components (C(flux install --export)), for a repository without any.
    type: str
    default: ""
  timeout:
    description:
      - Seconds for everything together.
    type: int
    default: 60
requirements:
  - git on the controller
  - PyYAML (Python package) on the controller
"""

EXAMPLES = r"""
- name: The repository is read
  tazlab.bootstrap.flux_repository:
    url: https://github.com/you/cluster
    branch: main
    path: ./clusters/home
    password: "{{ lookup('tazlab.bootstrap.vault_bundle', 'GITHUB_TOKEN') }}"
  register: repository
  no_log: true
"""

RETURN = r"""
revision:
  description: The branch with its newest commit, in the form in which Flux reports it.
  returned: success
  type: str
  sample: main@sha1:6dcb09b5b57875f334f61aebed695e2e4193db5e
commit:
  description: The newest commit.
  returned: success
  type: str
definitions:
  description: Flux' namespaces and definitions of kinds, which must stand before the rest.
  returned: success
  type: list
  elements: dict
controllers:
  description: The rest of Flux' components.
  returned: success
  type: list
  elements: dict
sync:
  description: The GitRepository and the Kustomization; made from the options when the folder has none.
  returned: success
  type: list
  elements: dict
brings_flux:
  description: Whether the folder holds the components, the GitRepository and the Kustomization itself.
  returned: success
  type: bool
components:
  description: The controllers, each with C(name) and C(image).
  returned: success
  type: list
  elements: dict
namespace:
  description: The namespace of both.
  returned: success
  type: str
secret:
  description: The name of the Secret with which Flux logs in.
  returned: success
  type: str
ca_cert:
  description: The CA as PEM; empty when none was given.
  returned: success
  type: str
"""
