# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(tazlab.bootstrap.malformed): which settings of the inventory are not written as they have to be."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.settings import form_problems


def _malformed(settings: Mapping[str, t.Any]) -> list[dict[str, str]]:
    return [problem.as_dict() for problem in form_problems(settings)]


class FilterModule:
    """Filters for the playbooks of this collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"malformed": _malformed}
