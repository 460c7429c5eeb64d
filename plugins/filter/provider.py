# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(tazlab.bootstrap.provider): what the playbooks know of the provider of machines."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.providers import provider, provider_problems


def _provider(name: t.Any) -> dict[str, t.Any]:
    return {**provider(name).as_dict(), "problems": [problem.as_dict() for problem in provider_problems(name)]}


class FilterModule:
    """Filters for the playbooks of this collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"provider": _provider}
