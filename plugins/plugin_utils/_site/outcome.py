# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a playbook came that did not come to its own end, in words. Private: other collections must not import it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import COMPLETE, PHASES, PREFLIGHT

CHANGE_NOTHING = ("secrets", PREFLIGHT)


@dataclass
class Progress:
    """What began of one playbook: its phases, and the last task."""

    playbook: str
    check_mode: bool = False
    phases: list[str] = field(default_factory=list)
    task: str = ""

    def begin(self, task: str, phase: str | None) -> None:
        """Note a task; C(phase) is that which it begins, if it begins one."""
        self.task = task
        if phase:
            self.phases.append(phase)


def broken_off(progress: Progress) -> str:
    """What to say of a playbook that somebody broke off: where, what is complete, and what to do."""
    *complete, now = progress.phases or [""]
    done = [phase for phase in complete if phase in PHASES]
    where = f"in phase {now} ({list(PHASES).index(now) + 1} of {len(PHASES)}), " if now in PHASES else ""
    where = f"in the {now}, " if now == PREFLIGHT else where
    held = f" Complete before: {', '.join(done)}." if done else ""
    if progress.check_mode or now in CHANGE_NOTHING:
        after = " Nothing was changed."
    elif now == COMPLETE:
        after = " Every chosen phase is complete."
    else:
        after = " Nothing of it is lost: the same command goes on from there."
    return f"{progress.playbook} was broken off {where}in the task {progress.task!r}.{held}{after}"


def nothing_ran(progress: Progress, limit: str | None) -> str:
    """What to say of a playbook of which no task ran."""
    cause = f"--limit {limit} leaves out localhost, where all of it runs" if limit else "no host of its plays matched"
    return (
        f"{progress.playbook}: no task of it ran, since {cause}. Nothing was done. Leave --limit out; a phase is "
        "chosen by its tag (--tags)."
    )
