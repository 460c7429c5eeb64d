# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that a cluster has and its inventory does not. Private: other collections must not import it."""

from __future__ import annotations

import typing as t
from collections.abc import Collection
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.drain import hosts

ASK_SECONDS: t.Final = 5.0


def strangers(kubeconfig: Path, names: Collection[str]) -> list[str]:
    """A line for each such node; none where Kubernetes does not answer, as at a birth."""
    if not kubeconfig.is_file():
        return []
    try:
        with Api(str(kubeconfig)) as api:
            found = sorted(set(hosts(api, ASK_SECONDS)) - set(names))
    except BootstrapError:
        return []
    return [
        f"Node {name} is in the cluster and not in the inventory. Write it there; if it shall leave, remove.yml takes "
        "it out then"
        for name in found
    ]
