# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(cluster_lock): one run at a time works on a cluster."""

from __future__ import annotations

import typing as t
from dataclasses import asdict
from pathlib import Path

from ansible import context

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import run_root
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.cluster_lock import ClusterLock
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.run_record import RunRecord, Standing, this_run


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "cluster": {"type": "str", "required": True},
        "state_dir": {"type": "path", "required": True},
        "anchor": {"type": "path"},
        "state": {"type": "str", "choices": ["held", "free"], "default": "held"},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if not str(params["cluster"]).strip():
            if params["state"] == "free":  # what has no name was never held
                return {"holder": {}}
            raise BootstrapError("cluster: it is empty. Give the cluster's name (tazlab_cluster). Nothing was changed.")
        lock = ClusterLock(str(params["cluster"]), Path(params["state_dir"]), params["anchor"])
        here = this_run(run_root(), _command())
        if params["state"] == "free":
            if not self.check_mode:
                lock.free(here)
            return {"holder": {}}
        if self.check_mode:
            return self._looked(lock, here)
        previous = lock.take(here)
        if previous is not None:
            self.progress(f"a run that has ended without saying so is followed: {previous.description(here.since)}")
        return {"holder": asdict(here)}

    def _looked(self, lock: ClusterLock, here: RunRecord) -> dict[str, t.Any]:
        found = lock.look(here)
        if found is None or found.standing in (Standing.GONE, Standing.OURS):
            return {"holder": {}}
        return {"holder": asdict(found.record), "warnings": [lock.problem(found)]}


def _command() -> str:
    """What the user started: the program and its playbooks. Other arguments may hold secrets."""
    given = context.CLIARGS.get("args", ())
    return f"ansible-playbook {' '.join(given)}" if isinstance(given, tuple) else "ansible"
