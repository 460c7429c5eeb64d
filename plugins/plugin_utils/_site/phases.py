# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The five phases of a birth: their names, order and titles, and how long each took.

Private: other collections must not import it.
"""

from __future__ import annotations

import difflib
import typing as t
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem

# Where site.yml lies, and our other playbooks.
PLAYBOOKS: t.Final = Path(__file__).resolve().parents[3] / "playbooks"

# Tag of site.yml -> what holds when the phase has ended.
PHASES = {
    "secrets": "Secrets are resolved",
    "vms": "VMs run",
    "talos": "Talos is up and every node is Ready",
    "seed": "Namespaces, secrets and CoreDNS are seeded",
    "flux": "Flux follows the repository",
}

# What bootstrap_phase notes between the secrets and the first phase that makes something, and at the very end.
PREFLIGHT = "preflight"
COMPLETE = "complete"

EVERYTHING = frozenset({"all", "tagged"})
ALWAYS = "always"


MIDDLE: t.Final = "in_the_middle"  # the code of a run that did not begin at its beginning


def refuse_middle(name: str, begun: Sequence[object]) -> None:
    """Raise where a phase would begin without what stands before every phase: the secrets, the checks and the lock."""
    if not begun and name != next(iter(PHASES)):
        raise BootstrapError(
            f"{name} cannot begin: the secrets were not resolved before it. Leave out --skip-tags always and "
            "--start-at-task; a phase's own tag runs what it needs.",
            code=MIDDLE,
        )


def refuse_no_phase(begun: Sequence[object]) -> None:
    """Raise at the end of a run that began after the first phase, where Ansible alone may have spoken until now."""
    if not begun:
        raise BootstrapError(
            "This run did not begin with the first task of the playbook, which resolves the secrets: checks and lock "
            "were skipped with it. Neither --start-at-task nor --skip-tags always can be used here. To run a single "
            f"phase, choose it by its tag (--tags {', --tags '.join(PHASES)}): what it needs runs with it.",
            code=MIDDLE,
        )


def unknown_tags(run_tags: Sequence[str], inherited: Collection[str]) -> list[str]:
    """The tags of C(--tags) that choose nothing here, though another play of the same run may have them."""
    known = {*PHASES, *EVERYTHING, ALWAYS, *inherited}
    return [tag for tag in run_tags if tag not in known]


def chosen(run_tags: Sequence[str], skip_tags: Sequence[str], inherited: Collection[str] = ()) -> list[str]:
    """The phases that C(--tags) and C(--skip-tags) leave, in their order.

    The secrets are always resolved, as their tag C(always) says. C(inherited) are the tags of whoever imports the
    playbook, each of which chooses all of it.
    """
    everything = {*EVERYTHING, *inherited}.intersection(run_tags)
    return [name for name in PHASES if name not in skip_tags and (everything or name in run_tags or name == "secrets")]


def choice_problems(run_tags: Sequence[str], skip_tags: Sequence[str], inherited: Collection[str]) -> list[Problem]:
    """Choices of phases with which nothing useful could be done."""
    phases = chosen(run_tags, skip_tags, inherited)
    unknown = unknown_tags(run_tags, inherited)
    if "secrets" in skip_tags and phases:
        what = f"{' and '.join(phases)} cannot do without the secrets."
        return [Problem("no_secrets", "--skip-tags secrets", what, "Leave it out: resolving them changes nothing.")]
    # Other tags may be those of another play of the same run, and are only warned about.
    meant = [name for tag in unknown for name in difflib.get_close_matches(tag, list(PHASES), 1)]
    if meant and not {*PHASES, *EVERYTHING, *inherited}.intersection(run_tags):
        step = f"If {' and '.join(meant)} was meant, correct it. The phases are {', '.join(PHASES)}."
        return [Problem("no_phase", f"--tags {','.join(unknown)}", "no phase has such a tag.", step)]
    return []


@dataclass(frozen=True)
class Timing:
    """A phase and the seconds that it took."""

    phase: str
    seconds: float


def timings(starts: Sequence[tuple[str, float]], end: float) -> list[Timing]:
    """Each phase lasts until the next begins, the last one until C(end) (seconds since the epoch)."""
    ends = [started[1] for started in starts[1:]] + [end]
    return [Timing(name, stop - start) for (name, start), stop in zip(starts, ends, strict=True)]
