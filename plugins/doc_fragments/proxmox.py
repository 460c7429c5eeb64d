# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which modules reach Proxmox VE, documented once."""

from __future__ import annotations


class ModuleDocFragment:
    """What C(extends_documentation_fragment: tazlab.bootstrap.proxmox) adds."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - The address of the API, of any node of the cluster, such as V(https://pve.example.net:8006).
      - Without a port it is 8006.
    type: str
    required: true
  token_id:
    description:
      - The whole id of the API token, V(user@realm!name).
      - Blanks, line ends and quotes around it are cut away.
    type: str
    required: true
  token_secret:
    description:
      - The API token's secret.
      - Blanks, line ends and quotes around it are cut away.
    type: str
    required: true
  ca_cert:
    description:
      - The file of the CA that signed the API's certificate, in PEM form. On a node it is C(/etc/pve/pve-root-ca.pem).
      - Without it, the system's store of CAs decides.
    type: path
  validate_certs:
    description:
      - Whether the API's certificate is verified.
      - Without verification the token can be read by whoever sits between.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to connect, and seconds without any answer, after which a request has failed.
    type: int
    default: 30
requirements:
  - proxmoxer >= 2.2 (on the controller)
  - requests (on the controller)
"""

    ACTION = r"""
options: {}
attributes:
  action:
    description: Runs on the controller, in memory; no module is copied to a host.
    support: full
  action_group:
    description: Use C(group/tazlab.bootstrap.proxmox) in C(module_defaults) to set the options of the connection once.
    support: full
    membership:
      - tazlab.bootstrap.proxmox
"""
