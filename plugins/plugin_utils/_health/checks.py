# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the health report, one a system: a new check is a new row here, and what it does stands in uses.

Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health.report import Check
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field

Use = Callable[..., str]


def checks(
    fields: Sequence[Field], logins: Mapping[str, Sequence[str]], uses: Mapping[str, tuple[str, Use]]
) -> list[Check]:
    """A check for each system, and one for each field that no system here takes.

    C(logins) has the fields of each system, C(uses) the system's name for people, and what is called with the fields'
    values. A system of whose fields one is not declared is left out.
    """
    declared = {known.name: known for known in fields}
    table = [
        Check(name, tuple(declared[field] for field in logins[system]), partial(_use, use, tuple(logins[system])))
        for system, (name, use) in uses.items()
        if all(field in declared for field in logins[system])
    ]
    used = {field.name for check in table for field in check.fields}
    return table + [Check(known.name, (known,), _looked_at) for known in fields if known.name not in used]


def _looked_at(_values: Mapping[str, str]) -> str:
    return "there and well formed"


def _use(use: Use, names: Sequence[str], values: Mapping[str, str]) -> str:
    return use(*(values[name] for name in names))
