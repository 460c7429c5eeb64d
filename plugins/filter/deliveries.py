# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter deliveries: who delivers what, as a table."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import table


def deliveries(result: Mapping[str, t.Any]) -> list[str]:
    """The lines of a table of what gitops_delivery returned."""
    rows = [
        (
            f"{each['namespace']}/{each['name']}",
            str(each["writer"]),
            str(len(each["paths"])),
            str(each["state"]),
            str(each["file"]),
        )
        for each in result["secrets"]
    ]
    unread = [f"Not looked into: {line}" for line in result["skipped"]]
    return [*table([("Secret", "writer", "paths", "state", "file"), *rows], header=True), *unread]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"deliveries": deliveries}
