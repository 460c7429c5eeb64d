# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The providers of machines that there are: the one place that names them all. Private."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from types import MappingProxyType

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.provider import PROXMOX
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.existing import EXISTING
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.provider import Provider

DEFAULT: t.Final = PROXMOX
PROVIDERS: t.Final[Mapping[str, Provider]] = MappingProxyType({each.name: each for each in (PROXMOX, EXISTING)})


def provider(name: t.Any) -> Provider:
    """The provider of this name. For a name that there is not, one that does nothing: the preflight tells of it."""
    return PROVIDERS.get(str(name), EXISTING) if name else DEFAULT


def provider_problems(name: t.Any) -> list[Problem]:
    """What is wrong with the choice of a provider."""
    if not name or str(name) in PROVIDERS:
        return []
    step = f"It is one of {', '.join(PROVIDERS)}."
    return [Problem("unknown_provider", "tazlab_provider", f"{str(name)!r} is not known.", step)]
