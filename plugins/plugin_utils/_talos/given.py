# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine was given here, told from what somebody else has made of it since. Pure.

Only digests are kept: a configuration holds the cluster's keys. Private: other collections must not import it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import Facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import flat
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.extension import without_login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import KUBERNETES_IMAGES
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import VERSION


def digest(config: bytes) -> str:
    """What tells a configuration from any other; of the versions of Kubernetes, which talosctl moves itself, none.

    The key with which a machine joins its tailnet serves once, and does not count.
    """
    values = flat(without_login(config))
    for path in KUBERNETES_IMAGES & values.keys():
        name, _colon, tag = str(values[path]).rpartition(":")
        if VERSION.fullmatch(tag) and "@" not in name:  # a digest, or another tag, is somebody's choice
            values[path] = name
    text = json.dumps(sorted(values.items()), default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def with_given(facts: Facts, given: Mapping[str, Sequence[bytes]]) -> Facts:
    """The facts with the configurations that each of these nodes may have from now on."""
    digests = {name: tuple(map(digest, configs)) for name, configs in given.items()}
    return replace(facts, given={**facts.given, **digests})


def with_another(facts: Facts, name: str, config: bytes) -> Facts:
    """The facts when a node may get this configuration. What it has now is no more ours than it was."""
    return replace(facts, given={**facts.given, name: (*facts.given.get(name, ()), digest(config))})


def is_ours(living: bytes, given: Collection[str]) -> bool:
    """Whether a living configuration is one that was given here. Of machines that others made nothing is known."""
    return digest(living) in given
