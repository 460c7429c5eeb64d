# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(cluster_birth): how far a rebirth has come, and how long births took."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Mapping
from dataclasses import replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import run_root
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS, state_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import COMPLETE, PHASES, PREFLIGHT, timings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.rebirth import told
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import (
    Birth,
    Facts,
    Rebirth,
    change_facts,
    read_facts,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.run_record import this_run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Birth as Stage
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Note

DESTROY: t.Final = "destroy"  # what the removal of the machines is called among the phases


class ActionModule(ControllerAction):
    secret_result: t.ClassVar[bool] = True  # what it is given may hold the token of the state
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **STATE_OPTIONS,
        "stage": {
            "type": "str",
            "choices": ["look", "restoring", "destroying", "bearing", "complete"],
            "required": True,
        },
        "born": {"type": "bool", "default": False},
        "expected": {"type": "str"},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = state_of(self, params)
        facts = read_facts(state)
        text = ""
        if params["stage"] == "look" and facts.rebirth is not None:
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(facts.rebirth.begun))
            if facts.rebirth.gone:
                self.progress(
                    f"the rebirth that began on {since} goes on: its machines were removed, and none is removed again "
                    "before a whole run of site.yml has ended it"
                )
            else:
                self.progress(f"the rebirth that began on {since} was broken off before all its machines were removed")
        if params["stage"] == "restoring":
            self._restore(Note(state))
        elif params["stage"] == "complete":
            text = self._complete(state, facts, task_vars, born=params["born"])
        elif params["stage"] != "look" and not self.check_mode:
            if params["expected"] not in (None, _mark(facts)):
                raise BootstrapError(
                    "Another run has destroyed or borne this cluster since this one looked at it. Nothing was removed "
                    "by this one. Run it again, if that is still wanted."
                )
            facts = self._note(state, facts, gone=params["stage"] == "bearing")
        return {
            "mark": _mark(facts),
            "under_way": facts.rebirth is not None,
            "gone": facts.rebirth is not None and facts.rebirth.gone > 0,
            "text": text,
        }

    def _restore(self, note: Note) -> None:
        """Note that etcd is made from a snapshot, before anything is made that another run could take for a birth."""
        if not self.check_mode and note.read() not in (Stage.RESTORING, Stage.RESTORED):
            note.write(Stage.INTENDED)

    def _note(self, state: State, facts: Facts, *, gone: bool) -> Facts:
        now, run = time.time(), _run()
        found = facts.rebirth or Rebirth(now, run)
        if gone and found.gone:
            return facts
        # Who goes on after somebody else, has not seen all of the time.
        found = replace(found, run=run if found.run == run else "", gone=now if gone else 0.0)
        change_facts(state, lambda before: replace(before, rebirth=found))
        return replace(facts, rebirth=found)

    def _complete(self, state: State, facts: Facts, task_vars: Mapping[str, t.Any], *, born: bool) -> str:
        """Keep the birth, and say how long it took."""
        starts = [(str(each["name"]), float(each["started"])) for each in task_vars.get("bootstrap_phases", [])]
        names = {name for name, _started in starts}
        if not set(PHASES) <= names or not (born or facts.rebirth):
            return ""
        spent = timings(starts, time.time())
        seconds = {each.phase: each.seconds for each in spent if each.phase not in (PREFLIGHT, COMPLETE)}
        rebirth = facts.rebirth
        if rebirth is not None:
            seconds = {DESTROY: max(0.0, rebirth.gone - rebirth.begun), **seconds}
        whole = rebirth is None or rebirth.run == _run()
        last = [birth for birth in facts.births if (DESTROY in birth.seconds) == (rebirth is not None)]
        if not self.check_mode:
            kept = Birth(starts[0][1], {phase: round(spent, 1) for phase, spent in seconds.items()})
            change_facts(state, lambda before: replace(before.with_birth(kept) if whole else before, rebirth=None))
        if not whole:
            return "reborn, after it had been broken off; its time is not compared"
        return told("reborn" if rebirth else "born", seconds, last[-1].all_seconds if last else None)


def _mark(facts: Facts) -> str:
    """What tells how often the cluster was born, and how far a rebirth is, from before and after."""
    last = facts.births[-1].begun if facts.births else 0.0
    return f"{last} {facts.rebirth.begun if facts.rebirth else 0.0} {facts.rebirth.gone if facts.rebirth else 0.0}"


def _run() -> str:
    """What tells this run from any other one."""
    here = this_run(run_root(), "")
    return f"{here.host} {here.pid} {here.started}"
