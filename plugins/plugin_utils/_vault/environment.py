# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables that tell the clients of Vault and OpenBao where to go: VAULT_... and BAO_.... Private."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text

FAMILIES: t.Final = ("VAULT", "BAO")


def variable(environ: Mapping[str, str], name: str, warnings: list[str] | None = None) -> tuple[str, str]:
    """The variable of this name that is set, and its value; ('', '') where none is.

    Where both families have one VAULT_... wins, as this collection asks either server. That they differ is a warning.
    """
    given = [(f"{family}_{name}", environ.get(f"{family}_{name}", "").strip()) for family in FAMILIES]
    found = [(variable, value) for variable, value in given if value]
    if len(found) == len(FAMILIES) and found[0][1] != found[1][1] and warnings is not None:
        warnings.append(f"{found[0][0]} and {found[1][0]} are both set, and differ: {found[0][0]} is taken.")
    return found[0] if found else ("", "")


def client_certificate(environ: Mapping[str, str], home: Path, warnings: list[str]) -> tuple[str, str] | None:
    """The files of the certificate and key with which we prove who we are, where a listener asks for one."""
    certificate, key = (variable(environ, name, warnings) for name in ("CLIENT_CERT", "CLIENT_KEY"))
    if not certificate[1] and not key[1]:
        return None
    if not certificate[1] or not key[1]:
        there, lacking = (certificate, "CLIENT_KEY") if certificate[1] else (key, "CLIENT_CERT")
        family = there[0].partition("_")[0]
        raise BootstrapError(f"{there[0]} is set, and {family}_{lacking} is not. Set both, or neither.")
    paths = []
    for name, value in (certificate, key):
        path = home / value[2:] if value.startswith("~/") else Path(value)
        content = read_text(path)
        if content.text is None:
            raise BootstrapError(f"{name} {path} {content.problem or 'does not exist'}.")
        paths.append(str(path.absolute()))
    return paths[0], paths[1]


def authorities_of(directory: Path) -> str:
    """The text of every file of a directory that holds certificates, in the order of their names."""
    try:
        files = sorted(path for path in directory.iterdir() if path.is_file())
    except OSError:
        return ""
    texts = [content.text for path in files if (content := read_text(path)).text]
    return "\n".join(text for text in texts if "-----BEGIN" in text)
