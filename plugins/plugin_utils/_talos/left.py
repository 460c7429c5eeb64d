# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of nodes whose configuration is left as it is, until somebody says that it may be changed. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    APPLIED,
    BOOTS,
    LEFT,
    OTHERS,
    SAME,
    STAGED,
    UPDATED,
    Change,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.shown import had_by

MANY: t.Final = 6  # paths of one node that are named

_NEXT: t.Final = {
    BOOTS: "configure.yml makes it, one node after the other",
    STAGED: "configure.yml boots it, one node after the other",
    OTHERS: "Write it into the inventory, or let configure.yml apply what stands there",
}


def waiting(changes: Sequence[Change], wanted: Mapping[Node, bytes], *, check: bool = False) -> Iterator[str]:
    """A line for each node that was left, with who has what it lacks: a change that only some nodes took."""
    has = (SAME, APPLIED) if check else (SAME, APPLIED, UPDATED)
    took = {change.node: wanted[change.node] for change in changes if change.state in has}
    for change in changes:
        if change.state in LEFT:
            yield (
                f"Node {change.node.name} differs from the inventory and is left so, as {change.state}: "
                f"{few(list(change.paths), MANY)}.{_had(change, wanted[change.node], took)} {_NEXT[change.state]}"
            )


def _had(change: Change, wanted: bytes, took: Mapping[Node, bytes]) -> str:
    """Which other nodes of its kind have what this one lacks."""
    alike = {other.name: config for other, config in took.items() if other.role == change.node.role}
    for path in change.paths:
        names = had_by(path, wanted, alike) if path[0] != "-" else []
        if names:
            return f" {path[2:]} is so on {' and '.join(names)}."
    return ""
