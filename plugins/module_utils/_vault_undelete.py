# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that bring back what Vault keeps of a deleted bundle, for the tool that is installed here.

No network here. Private: other collections must not import it.
"""

from __future__ import annotations

import shlex
import shutil
import typing as t

from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_settings import VaultSettings

TOOLS: t.Final = {"bao": "BAO", "vault": "VAULT"}  # each prefers the variables of its own name


def undelete_command(settings: VaultSettings, version: int) -> str:
    """Brings a deleted version back; its deletion to come is put off or called off as well."""
    return _kv_command(settings, "undelete", f"-versions={version}")


def rollback_command(settings: VaultSettings, version: int) -> str:
    """Writes the values of an older version as the newest one."""
    return _kv_command(settings, "rollback", f"-version={version}")


def _kv_command(settings: VaultSettings, verb: str, option: str) -> str:
    """With the tool that is installed, at the address and in the namespace in use, with the CA in use."""
    tool = next((name for name in TOOLS if shutil.which(name)), "bao")
    variables = {
        "ADDR": settings.url,
        "NAMESPACE": settings.namespace,
        "CACERT": settings.ca_file,
        "SKIP_VERIFY": None if settings.validate_certs else "true",
    }
    words = [f"{TOOLS[tool]}_{name}={shlex.quote(value)}" for name, value in variables.items() if value]
    words += [tool, "kv", verb, f"-mount={settings.mount_point}", option, settings.path]
    return " ".join([*words[:-3], *map(shlex.quote, words[-3:])])
