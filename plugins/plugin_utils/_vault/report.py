# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may see of a read of the bundle: its version, its age and the token's life. Pure, private."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator
from dataclasses import asdict

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.report import age_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Resolution
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.outcome import OK, Outcome


def vault_report(outcome: Outcome) -> dict[str, t.Any]:
    """The return value C(vault)."""
    token = None
    if outcome.token:
        token = asdict(outcome.token)
        token.update(policies=list(outcome.token.policies), warnings=list(outcome.token.warnings))
    return {
        "reachable": outcome.reachable,
        "reason": outcome.reason,
        "message": outcome.message,
        "version": outcome.version,
        "deletion_time": outcome.deletion_time,
        "token": token,
        "warnings": list(outcome.warnings),
    }


def vault_lines(outcome: Outcome, bundle: Resolution, wanted: int) -> Iterator[str]:
    """How the read went, and how long the token lives."""
    if outcome.reason != OK:
        yield f"Vault gave no bundle ({outcome.reason})"
        return
    age = next((found.provenance.age for found in bundle.found.values()), None)
    written = "" if age is None else f", written {age_text(age)} ago"
    lacking = f"; Vault lacks {', '.join(bundle.missing)}" if bundle.missing else ""
    yield f"vault v{outcome.version}{written}: {len(bundle.found)} of {wanted} fields{lacking}"
    token = outcome.token
    if token is not None:
        life = "life unknown"
        if token.known:
            life = f"lives until {token.expires_at}" if token.expires_at else "never expires"
            life += ", renewed just now" if token.renewed else ""
            life += f", at the latest until {token.dies_at}" if token.dies_at else ""
        yield f"token from {token.source}: {life}"
