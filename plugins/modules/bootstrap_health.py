# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_health
short_description: Tell whether the cluster could be reborn right now, from Vault and from the recovery anchor
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Uses each credential of the bundle once, reading only, as it comes from Vault and again as it comes from the anchor.
    Where both hold the same value, it is used once.
  - Proxmox is asked for the privileges that C(site.yml) needs, Git for the branch, Tailscale for a token. The ESO
    reader's token looks itself up and reads. The secretbox key is compared with C(secrets.yaml), and the CA with the
    very server that the bundle comes from.
  - A field that no system here takes is looked at, too, whether it is there and well formed.
  - Says when each token dies unless it is renewed, and where the anchor is stale, and ends in a line for each source
    and a table.
  - Says when Vault will delete the bundle by itself, since C(delete_version_after) is set on it or on its mount.
  - Fails when the cluster could not be reborn from one of the two sources, or not from Vault in seven days, since it
    will have deleted the bundle by then; when Vault refuses the bootstrap token, the ESO reader's token or a login of
    O(cluster_logins); when one of
    the two dies within seven days, renewed or not; when one is a root token, or the bootstrap token may do more than
    read the bundle; and when a renewal was asked for and failed. An anchor that differs is reported, and does not fail.
extends_documentation_fragment:
  - tazlab.bootstrap.state
  - tazlab.bootstrap.bundle
  - tazlab.bootstrap.vault.connection
  - tazlab.bootstrap.vault.login
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.asks_vault
attributes:
  check_mode:
    description: Uses the credentials for real, but renews no token and writes no file.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
  idempotent:
    description: Reads only. A renewal is never a change.
    support: full
options:
  token:
    description:
      - The bootstrap token. If not given, it is that of O(token_file), else the one of
        C(~/.config/tazlab/bootstrap-token), else the anchor's copy.
      - E(VAULT_TOKEN) and E(BAO_TOKEN) serve only if there is none of these, since they may hold an operator's token.
    type: str
  token_file:
    description: A file that holds the bootstrap token.
    type: path
  cluster:
    description: The cluster's name.
    type: str
    default: ""
  machines:
    description: The VMs, as the filter P(tazlab.bootstrap.machines#filter) returns them.
    type: list
    elements: dict
    default: []
  provider:
    description: The provider of machines, as C(tazlab_provider). By default V(proxmox).
    type: str
    default: ""
  provider_settings:
    description: Where the provider is, and what the machines use there; for Proxmox VE what C(tazlab_proxmox) holds.
    type: dict
    default: {}
  flux:
    description: The repository that Flux follows - C(url), C(branch), C(username), C(ca_cert).
    type: dict
    default: {}
  tailscale_token_url:
    description: Where Tailscale gives tokens to OAuth clients.
    type: str
    default: https://api.tailscale.com/api/v2/oauth/token
  tailscale_ca_cert:
    description: A file with the CA that signed its certificate, if it is none of the system's.
    type: path
  logins:
    description:
      - For C(git) and for C(eso), the ESO reader, the field of the bundle with which one logs in there, if it is not
        V(GITHUB_TOKEN) or V(ESO_READER_TOKEN).
    type: dict
    default: {}
  eso_path:
    description: The path below which the ESO reader may read.
    type: str
    default: tazlab-k8s/static
  cluster_logins:
    description:
      - How service accounts of the cluster log in to Vault, as M(tazlab.bootstrap.vault_cluster_login) sets it up.
      - Each role is tried by a login, with a token that is signed for its first account with the cluster's own key, and
        revoked at once. So it is known before the cluster exists.
    type: dict
    suboptions:
      mount:
        description: The path of the auth mount.
        type: str
        required: true
      issuer:
        description: The issuer of the cluster's tokens.
        type: str
        required: true
      audiences:
        description: The audiences of these tokens. The first one is tried.
        type: list
        elements: str
        default: [vault]
      roles:
        description: The roles.
        type: list
        elements: dict
        required: true
        suboptions:
          name:
            description: The role's name.
            type: str
            required: true
          accounts:
            description: The service accounts that may log in, as V(namespace/name). The first one is tried.
            type: list
            elements: str
            required: true
          policies:
            description: The policies that the login gives.
            type: list
            elements: str
            required: true
          proof:
            description: A path in Vault that the login must be allowed to read, whether there is something or not.
            type: str
  renew_tokens:
    description: Renew the bootstrap token, the ESO reader's, and that of a state in Vault, each with itself.
    type: bool
    default: false
  snapshots:
    description: The snapshots of etcd. The newest one's age and size are told; none is needed.
    type: dict
    default: {}
    suboptions:
      directory:
        description: Their folder. Empty where none are made.
        type: path
        default: ""
      cluster:
        description: The name that the cluster has in its machine configurations, which is part of theirs.
        type: str
        default: ""
  json_file:
    description: A file that gets the report as JSON (0600), written at once. A place inside the anchor is refused.
    type: path
"""

EXAMPLES = r"""
- name: The cluster could be reborn, and its tokens live on
  tazlab.bootstrap.bootstrap_health:
    cluster: "{{ tazlab_cluster }}"
    state_dir: "~/.config/tazlab/{{ tazlab_cluster }}"
    machines: "{{ groups | tazlab.bootstrap.machines(hostvars) }}"
    provider_settings: "{{ tazlab_proxmox }}"
    flux: "{{ tazlab_flux }}"
    renew_tokens: true
"""

RETURN = r"""
health:
  description: The report, also when the task fails.
  returned: always
  type: dict
  contains:
    reborn:
      description: For V(vault) and V(anchor), whether the cluster could be reborn from it, and the reasons if not.
      type: dict
    checks:
      description: Each check's state (V(yes), V(NO) or V(not tried)) by source.
      type: list
      elements: dict
    tokens:
      description: How the bootstrap token and the ESO reader's token fare.
      type: list
      elements: dict
      contains:
        name:
          description: Which token it is, and where it comes from.
          type: str
        state:
          description:
            - V(alive) or V(unknown), which are not failures.
            - V(dead), V(dying), V(too wide) or V(not renewed), with which the task fails.
          type: str
        text:
          description: When it dies unless it is renewed, or what is wrong.
          type: str
        token:
          description: What Vault says of it, as M(tazlab.bootstrap.vault_bootstrap_token) returns it.
          type: dict
    logins:
      description: How the logins of the cluster's service accounts fare, each role of O(cluster_logins).
      type: list
      elements: dict
      contains:
        name:
          description: The word login and the role.
          type: str
        place:
          description: The mount and the account.
          type: str
        state:
          description: V(works), V(refused), with which the task fails, or V(unknown).
          type: str
        text:
          description: What came of it, and why.
          type: str
    bundle:
      description: The C(version) that Vault has, and its C(deletion_time) if Vault will delete it by itself.
      type: dict
      sample:
        version: 3
        deletion_time: null
    warnings:
      description: What else is wrong with the way to Vault or with the bundle there.
      type: list
      elements: str
    drift:
      description: Where the anchor differs from Vault.
      type: list
      elements: str
    time:
      description: When that was, in seconds of Unix time.
      type: int
"""
