# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that modules and lookup share; the doc fragments vault and bundle document them. Private."""

from __future__ import annotations

import typing as t

# How one logs in where no token lies.
LOGIN_OPTIONS: t.Final[dict[str, dict[str, t.Any]]] = {
    "auth_method": {"type": "str", "choices": ["token", "approle", "jwt"], "default": "token"},
    "auth_mount_point": {"type": "str"},
    "role_id": {"type": "str"},
    "secret_id": {"type": "str", "no_log": True},
    "jwt": {"type": "str", "no_log": True},
}

VAULT_OPTIONS: t.Final[dict[str, dict[str, t.Any]]] = {
    "url": {"type": "str"},
    "token": {"type": "str", "no_log": True},
    "token_file": {"type": "path", "no_log": False},
    "unwrap": {"type": "bool", "default": False},
    **LOGIN_OPTIONS,
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool"},
    "namespace": {"type": "str"},
    "mount_point": {"type": "str", "default": "secret"},
    "path": {"type": "str", "default": "tazlab-k8s/bootstrap"},
    "version": {"type": "int"},
    "renew": {"type": "str", "choices": ["auto", "always", "never"], "default": "auto"},
    "check_token": {"type": "bool", "default": False, "no_log": False},
    "timeout": {"type": "float", "default": 10.0},
    "cache": {"type": "bool", "default": True},
}

# The anchor's default is not imported: the lookup's quick way loads this file and as little else as it can.
BUNDLE_OPTIONS: t.Final[dict[str, dict[str, t.Any]]] = {
    "fields": {"type": "dict"},
    "anchor": {"type": "path", "default": "~/secrets"},
}

PROVIDERS_OPTION: t.Final[dict[str, dict[str, t.Any]]] = {
    "providers": {
        "type": "list",
        "elements": "dict",
        "options": {
            "type": {"type": "str", "required": True, "choices": ["env", "file", "command"]},
            "directory": {"type": "str"},
            "argv": {"type": "list", "elements": "str"},
            "timeout": {"type": "float"},
        },
    },
}

ON_UNAVAILABLE: t.Final = ["fail", "empty"]

LOOKUP_OPTIONS: t.Final[dict[str, dict[str, t.Any]]] = {
    **VAULT_OPTIONS,
    **BUNDLE_OPTIONS,
    **PROVIDERS_OPTION,
    "on_unavailable": {"type": "str", "choices": ON_UNAVAILABLE, "default": "empty"},
}

# Variables that stand for an option beside tazlab_vault_<option>.
SHORT_VARIABLES: t.Final = {"fields": "tazlab_fields", "anchor": "tazlab_anchor"}


def variable_names(option: str) -> tuple[str, ...]:
    """The variables of Ansible that give an option which a task leaves out, the first one first."""
    short = SHORT_VARIABLES.get(option)
    return (*((short,) if short else ()), f"tazlab_vault_{option}")
