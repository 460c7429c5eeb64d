# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds where the user says nothing and more than one place must know it. Roles, playbooks and documentation say
the same, which a test checks. Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t

ANCHOR: t.Final = "~/secrets"
FACTORY_URL: t.Final = "https://factory.talos.dev"
BRIDGE: t.Final = "vmbr0"
TOKEN_PERIOD: t.Final = 32 * 24 * 3600  # seconds
GIT_USERNAME: t.Final = "git"
TAILNET_URL: t.Final = "https://api.tailscale.com"
TAILSCALE_TOKEN_URL: t.Final = "https://api.tailscale.com/api/v2/oauth/token"  # noqa: S105
