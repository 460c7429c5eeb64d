# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle whose newest version is deleted is not empty: its values can come back, so nothing is written over them.

No network here but what the caller lends. Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.tazlab.bootstrap.plugins.module_utils._bundle_publish import DELETED, DESTROYED, StoredBundle
from ansible_collections.tazlab.bootstrap.plugins.module_utils._errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.module_utils._token_health import iso
from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_commands import rollback, undelete, vault_tool
from ansible_collections.tazlab.bootstrap.plugins.module_utils._vault_settings import VaultSettings


def refuse_gone(
    settings: VaultSettings,
    stored: StoredBundle,
    older: Callable[[int], StoredBundle],
    doing: str,
    over: int | None,
) -> None:
    """Raise where the newest version is gone and values can be brought back, unless C{over} is that version.

    A newest version that was destroyed after all older ones hides nothing.
    """
    if not stored.gone or stored.version == over:
        return
    tool = vault_tool()
    place, newest = f"{settings.mount_point}/{settings.path}", stored.version
    found = f"The newest version of {place}, {newest}, was"
    needed = f"{settings.mount_point}/undelete/{settings.path}"
    if stored.gone == DELETED:
        found += f" deleted on {iso(stored.deletion)}, and its values can be brought back"
        way = f"bring it back, with a token that has update on {needed}:\n    {undelete(tool, settings, newest)}"
    else:
        last = _last_kept(newest, older)
        if last is None:
            return
        again = rollback(tool, settings, last.version)
        found += f" destroyed, while version {last.version}"
        way = f"make that the newest one:\n    {again}"
        if last.gone == DELETED:
            found += f", deleted on {iso(last.deletion)},"
            way = f"bring that back, with a token that has update on {needed}, and make it the newest one:\n    "
            way += f"{undelete(tool, settings, last.version)} &&\n    {again}"
        found += " is still there"
    wrong = "" if over is None else f" over_deleted is {over}, which is not that version."
    raise BootstrapError(
        f"{doing}: {found}. Nothing was changed.{wrong}\n  To {way}{tool.line}\n  Or, if those values are not wanted "
        f"any more, publish over them: tazlab.bootstrap.publish -e tazlab_over_deleted={newest}"
    )


def _last_kept(newest: int, older: Callable[[int], StoredBundle]) -> StoredBundle | None:
    """The last version before the newest one that was not destroyed, if there is one."""
    for number in range(newest - 1, 0, -1):
        stored = older(number)
        if not stored.version:  # Vault keeps no older ones
            return None
        if stored.gone != DESTROYED:
            return stored
    return None
