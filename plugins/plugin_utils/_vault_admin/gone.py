# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Vault held and holds is not written over unasked: deleted versions that can come back, and newer values.

No network here but what the caller lends. Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.keepers import Keeper
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.commands import (
    Tool,
    rollback,
    take,
    undelete,
    vault_tool,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import iso
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
    DELETED,
    DESTROYED,
    StoredBundle,
    Undoes,
    Undone,
)


def refuse_gone(
    settings: VaultSettings,
    stored: StoredBundle,
    older: Callable[[int], StoredBundle],
    doing: str,
    over: int | None,
) -> None:
    """Raise where the newest version is gone and values can be brought back, unless C(over) is that version.

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
        "any more, publish over them: ansible-playbook -i INVENTORY tazlab.bootstrap.publish -e "
        f"tazlab_over_deleted={newest}"
    )


def given_up(place: str, stored: StoredBundle) -> str:
    """What is said where a version that is gone is written over."""
    return f"{place}: what version {stored.version} held, which is {stored.gone}, is given up"


def _last_kept(newest: int, older: Callable[[int], StoredBundle]) -> StoredBundle | None:
    """The last version before the newest one that was not destroyed, if there is one."""
    for number in range(newest - 1, 0, -1):
        stored = older(number)
        if not stored.version:  # Vault keeps no older ones
            return None
        if stored.gone != DESTROYED:
            return stored
    return None


def refuse_outdated(
    undone: Sequence[Undone],
    wanted: Mapping[str, Found],
    keepers: Mapping[str, Keeper],
    settings: VaultSettings,
) -> None:
    """A field that was rotated in Vault or taken out, and in the anchor not yet, is never set back unasked."""
    if not undone:
        return
    tool = vault_tool()
    lines = [
        *_values_undone([one for one in undone if one.undoes is Undoes.VALUE], wanted, keepers, settings, tool),
        *_absence_undone([one for one in undone if one.undoes is Undoes.ABSENCE], wanted, keepers, settings, tool),
        *_deletion_undone([one for one in undone if one.undoes is Undoes.DELETED], wanted, settings, tool),
    ]
    raise BootstrapError(
        f"Publishing the anchor's values would undo what is in Vault. Nothing was published.{''.join(lines)}{tool.line}"
    )


def _named(undone: Sequence[Undone]) -> str:
    """How to publish some fields whatever Vault holds."""
    names = ",".join(one.name for one in undone)
    return f"ansible-playbook -i INVENTORY tazlab.bootstrap.publish -e tazlab_publish={names}"


def _values_undone(
    undone: Sequence[Undone],
    wanted: Mapping[str, Found],
    keepers: Mapping[str, Keeper],
    settings: VaultSettings,
    tool: Tool,
) -> t.Iterator[str]:
    if not undone:
        return
    yield (
        "\n Vault holds newer values of these fields: were they rotated there? Take them into the anchor by hand. To "
        f"publish the anchor's old ones all the same, name the fields (names): {_named(undone)}"
    )
    for one in undone:
        version = None if one.newest else one.version
        where = "" if one.newest else f" of version {one.version}, the last that is valid"
        doubt = ""
        if one.untold:
            doubt = " Vault keeps no version from before that file, so which of the two is newer cannot be told."
        command = take(tool, settings, one.name, keepers[one.name], version)
        yield f"\n  {one.name}, {wanted[one.name].provenance.label}.{doubt} To take Vault's value{where}: {command}"


def _absence_undone(
    undone: Sequence[Undone],
    wanted: Mapping[str, Found],
    keepers: Mapping[str, Keeper],
    settings: VaultSettings,
    tool: Tool,
) -> t.Iterator[str]:
    if not undone:
        return
    yield (
        "\n Vault had these fields before, and its newest version does not: were they taken out, or lost when somebody "
        "wrote the others alone (kv put)? If they were taken out, take them out of tazlab_fields, too. If they were "
        "lost, put the anchor's values back; the other fields stay as Vault has them now. Name the fields (names): "
        f"{_named(undone)}"
    )
    for one in undone:
        yield f"\n  {one.name}, {wanted[one.name].provenance.label}: version {one.version} was the last to have it"
        if one.same:
            yield ", with the same value"
        else:
            command = take(tool, settings, one.name, keepers[one.name], one.version)
            yield f", with another value. To take that one first: {command}"


def _deletion_undone(
    undone: Sequence[Undone], wanted: Mapping[str, Found], settings: VaultSettings, tool: Tool
) -> t.Iterator[str]:
    for version in sorted({one.version for one in undone}):
        some = [one for one in undone if one.version == version]
        fields = ", ".join(f"{one.name} ({wanted[one.name].provenance.label})" for one in some)
        yield (
            f"\n Version {version} is deleted, can be brought back, and may hold other values of {fields}. To look at "
            f"it, bring it back, with a token that has update on {settings.mount_point}/undelete/{settings.path}:\n"
            f"  {undelete(tool, settings, version)}\n"
            "  To publish the anchor's values without it, name the fields (names), or give that version up "
            f"(-e tazlab_over_deleted={version}): {_named(some)}"
        )
