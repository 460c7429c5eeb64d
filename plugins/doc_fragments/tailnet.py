# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say which tailnet nodes join, documented once."""

from __future__ import annotations


class ModuleDocFragment:
    """What C(extends_documentation_fragment: tazlab.bootstrap.tailnet) adds."""

    DOCUMENTATION = r"""
options:
  tailnet:
    description: The tailnet that the nodes join by their extension C(tailscale). Without tags none is used.
    type: dict
    suboptions:
      tags:
        description: The tags of the nodes, such as V(tag:k8s). The OAuth client must have them.
        type: list
        elements: str
        default: []
      client_id:
        description: The id of an OAuth client with the scopes C(auth_keys) and C(devices:core).
        type: str
      client_secret:
        description: Its secret.
        type: str
      url:
        description: The address of the tailnet's API.
        type: str
        default: https://api.tailscale.com
      ca_cert:
        description: A file with the CA that signed its certificate, if it is none of the system's.
        type: path
"""
