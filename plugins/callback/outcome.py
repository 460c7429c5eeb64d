# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback outcome: what a playbook of this collection cannot say itself, as no task of it runs then."""

from __future__ import annotations

DOCUMENTATION = r"""
---
name: outcome
type: aggregate
short_description: Says how far a playbook of this collection came where none of its tasks can
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Of a playbook that was broken off (Ctrl-C), says in which phase and task, which phases are complete, and what to do.
  - Ends a playbook of which no task ran with an error and exit status 2. Ansible itself calls it a success where
    C(--limit) leaves no host of it.
  - Acts on this collection's own playbooks alone, and does nothing else.
requirements:
  - Enable it with C(callbacks_enabled = tazlab.bootstrap.outcome) in the section C(defaults) of ansible.cfg. A playbook
    that is started by its path from a clone finds it by itself.
"""

import atexit
import os
import sys
import typing as t
from pathlib import Path

from ansible import context
from ansible.plugins.callback import CallbackBase

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.outcome import Progress, broken_off, nothing_ran
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import PLAYBOOKS

NOTHING_RAN: t.Final = 2  # the exit status


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Follows one playbook of ours after the other."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "tazlab.bootstrap.outcome"
    CALLBACK_NEEDS_ENABLED = True

    said: t.ClassVar[set[str]] = set()  # a clone's own callback may follow the same playbook
    playbooks: t.ClassVar[Path] = PLAYBOOKS  # which a clone replaces by its own

    def __init__(self) -> None:
        super().__init__()
        self._running: Progress | None = None
        atexit.register(self._at_exit, os.getpid())

    def v2_playbook_on_start(self, playbook: t.Any) -> None:
        path = Path(playbook._file_name).resolve()
        self._running = Progress(path.name, check_mode=bool(context.CLIARGS.get("check"))) if self._ours(path) else None

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        if self._running:
            phase = task.args.get("name") if task.action.endswith("bootstrap_phase") else None
            self._running.begin(task.get_name().strip(), phase)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        ended, self._running = self._running, None
        if ended and not ended.task:
            self._display.error(nothing_ran(ended, context.CLIARGS.get("subset")), wrap_text=False)
            # Ansible takes whatever else a callback raises for a warning.
            raise SystemExit(NOTHING_RAN)

    def _ours(self, path: Path) -> bool:
        return path.parent == self.playbooks

    def _at_exit(self, process: int) -> None:
        if not self._running or not self._running.task or os.getpid() != process:  # in a worker of Ansible's
            return
        text = broken_off(self._running)
        if text not in self.said:
            self.said.add(text)
            print(f"[ERROR]: {text}", file=sys.stderr)  # Ansible's display and its log may have ended already
