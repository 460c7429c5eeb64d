# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of Talos are supported. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem

# Below, a machine configuration is not made of several documents, the hostname among them. Above, Talos writes
# documents for what we set in cluster.* (KubeCoreDNSConfig beside cluster.coreDNS), and refuses to have it in both.
TALOS = ((1, 12), (1, 13))


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version: v1.12.6-beta.1 is (1, 12, 6)."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("-")[0]))


def talos_problem(version: str, subject: str) -> Problem | None:
    """Why a version of Talos is not supported, if it is not."""
    oldest, newest = ("v" + ".".join(map(str, end)) for end in TALOS)
    minor = numbers(version)[:2]
    if minor < TALOS[0]:
        return Problem(
            "unsupported", subject, f"{version} is too old.", f"Use Talos {oldest} or newer, up to {newest}."
        )
    if minor > TALOS[1]:
        return Problem(
            "unsupported",
            subject,
            f"{version} is not supported yet: from v1.14 on, Talos writes its configuration as documents, and refuses "
            "settings that are made here beside them (cluster.coreDNS).",
            f"Use Talos {oldest} to {newest}.",
        )
    return None
