# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle as it would be in life, every value new in each lab: what leaks can be searched for by its value."""

from __future__ import annotations

import base64
import secrets
import string
import uuid
from collections.abc import Mapping
from pathlib import Path

from lab.tls import write_private

LETTERS = string.ascii_letters + string.digits
PROXMOX_TOKEN_ID = "tazlab@pve!bootstrap"
# The one value that is public.
PUBLIC = ("VAULT_CA_CRT",)


def _word(length: int) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def bundle(ca_pem: str) -> dict[str, str]:
    """The eight fields, in the shapes that their issuers give them."""
    client = f"k{_word(12)}CNTRL"
    return {
        "PROXMOX_TOKEN_ID": PROXMOX_TOKEN_ID,
        "PROXMOX_TOKEN_SECRET": str(uuid.uuid4()),
        "GITHUB_TOKEN": f"ghp_{_word(36)}",
        "TALOS_SECRETBOX_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        "TAILSCALE_OPERATOR_CLIENT_ID": client,
        "TAILSCALE_OPERATOR_CLIENT_SECRET": f"tskey-client-{client}-{_word(32)}",
        "VAULT_CA_CRT": ca_pem,
        "ESO_READER_TOKEN": f"s.{_word(24)}",
    }


def write_anchor(directory: Path, values: Mapping[str, str]) -> Path:
    """The recovery anchor: one 0600 file a field, named in kebab-case, with the last newline that editors leave."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, value in values.items():
        write_private(directory / name.lower().replace("_", "-"), value.rstrip("\n") + "\n")
    return directory
