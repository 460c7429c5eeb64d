# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The five phases of a birth: their names, order and titles, and how long each took.

Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Tag of site.yml -> what holds when the phase has ended.
PHASES = {
    "secrets": "Secrets are resolved",
    "vms": "VMs run",
    "talos": "Talos is up and every node is Ready",
    "seed": "Namespaces, secrets and CoreDNS are seeded",
    "flux": "Flux follows the repository",
}

# What bootstrap_phase notes when the last chosen phase has ended.
COMPLETE = "complete"


def chosen(run_tags: Sequence[str], skip_tags: Sequence[str]) -> list[str]:
    """The phases that C{--tags} and C{--skip-tags} leave, in their order.

    The secrets are always resolved, as their tag C{always} says.
    """
    everything = {"all", "tagged"}.intersection(run_tags)
    return [name for name in PHASES if name not in skip_tags and (everything or name in run_tags or name == "secrets")]


@dataclass(frozen=True)
class Timing:
    """A phase and the seconds that it took."""

    phase: str
    seconds: float


def timings(starts: Sequence[tuple[str, float]], end: float) -> list[Timing]:
    """Each phase lasts until the next begins, the last one until C{end} (seconds since the epoch)."""
    ends = [started[1] for started in starts[1:]] + [end]
    return [Timing(name, stop - start) for (name, start), stop in zip(starts, ends, strict=True)]
