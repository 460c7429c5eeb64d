# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter awaited: of objects that were applied, those worth waiting for, each with its condition."""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Iterable, Mapping

# Whoever makes an object of such a kind says with this condition that it can be used.
CONDITIONS = {
    "CustomResourceDefinition": "Established",
    "Deployment": "Available",
    "GitRepository": "Ready",
    "Kustomization": "Ready",
}


def awaited(objects: Iterable[Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """What kubernetes_objects returned, as kubernetes_ready takes it."""
    return [
        {
            "api_version": each["api_version"],
            "kind": each["kind"],
            "namespace": each["namespace"],
            "name": each["name"],
            "condition": CONDITIONS[each["kind"]],
        }
        for each in objects
        if each["kind"] in CONDITIONS
    ]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., t.Any]]:
        return {"awaited": awaited}
