# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a field's declaration may say, and what it says when it says nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import (
    DEFAULT_FIELDS,
    Field,
    declared_fields,
)


def test_the_eight_fields_are_those_of_the_bundle() -> None:
    assert {known.name: known.kind for known in declared_fields(None)} == {
        "PROXMOX_TOKEN_ID": "token",
        "PROXMOX_TOKEN_SECRET": "token",
        "GITHUB_TOKEN": "token",
        "TALOS_SECRETBOX_KEY": "base64key",
        "TAILSCALE_OPERATOR_CLIENT_ID": "token",
        "TAILSCALE_OPERATOR_CLIENT_SECRET": "token",
        "VAULT_CA_CRT": "pem",
        "ESO_READER_TOKEN": "token",
    }
    assert all(known.required for known in DEFAULT_FIELDS.values())


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("PROXMOX_TOKEN_ID", ("proxmox-token-id", "proxmox-token-id.txt")),
        ("VAULT_CA_CRT", ("vault-ca-crt", "vault-ca-crt.txt", "vault-ca.crt")),
    ],
)
def test_file_names_are_kebab_case(name: str, files: tuple[str, ...]) -> None:
    assert DEFAULT_FIELDS[name].file_names == files


def test_what_is_named_replaces_the_eight_and_known_fields_keep_what_is_not_said() -> None:
    fields = declared_fields({"VAULT_CA_CRT": {"required": False}, "OTHER": None})
    assert fields == (
        Field("VAULT_CA_CRT", "pem", required=False, files=("vault-ca-crt", "vault-ca-crt.txt", "vault-ca.crt")),
        Field("OTHER"),
    )


def test_every_option_is_read() -> None:
    options: dict[str, Any] = {
        "kind": "base64key",
        "required": "no",
        "pattern": "[a-z]+",
        "files": ["one", "two.txt"],
        "env": "ONE",
        "expression": "a.b",
        "bytes": "16",
    }
    assert declared_fields({"X": options}) == (
        Field("X", "base64key", False, "[a-z]+", ("one", "two.txt"), ("ONE",), "a.b", 16),
    )


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ({}, "names no field"),
        ({"A B": {}}, "a field's name is made of"),
        ({"A": "token"}, "is not a dictionary"),
        ({"A": {"kinds": "token"}}, "unknown option kinds"),
        ({"A": {"kind": "secret"}}, "one of token, pem, base64key, text"),
        ({"A": {"required": "perhaps"}}, "true or false"),
        ({"A": {"pattern": "("}}, "not a regular expression"),
        ({"A": {"pattern": "a{4294967295}"}}, "not a regular expression"),
        ({"A": {"pattern": "(" * 5000 + ")" * 5000}}, "not a regular expression"),
        ({"A": {"files": ["../other"]}}, "file names without a directory"),
        ({"A": {"files": [".."]}}, "file names without a directory"),
        ({"A": {"env": ["1A"]}}, "names of environment variables"),
        ({"A": {"env": 1}}, "names of environment variables"),
        ({"A": {"expression": "a["}}, "not a JMESPath expression"),
        ({"A": {"bytes": 0}}, "number of bytes"),
        ({"A": {"bytes": True}}, "number of bytes"),
    ],
)
def test_a_malformed_declaration_is_refused_with_its_place(declaration: dict[str, Any], message: str) -> None:
    with pytest.raises(BootstrapError, match=re.escape(message)):
        declared_fields(declaration)


def test_jmespath_is_imported_only_for_an_expression() -> None:
    code = (
        "import sys, runpy; runpy.run_path('tests/conftest.py');"
        "from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import declared_fields as d;"
        "d(None); before = 'jmespath' in sys.modules; d({'A': {'expression': 'a.b'}});"
        "assert (before, 'jmespath' in sys.modules) == (False, True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
