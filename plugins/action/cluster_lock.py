# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(cluster_lock): one run at a time works on a cluster."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import asdict
from pathlib import Path

from ansible import context

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import run_root
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS, InVault, in_vault
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.cluster_lock import ClusterLock
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.keeper import start as start_keeper
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.run_record import RunRecord, Standing, this_run
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_home import AWAY
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_lock import VaultLock, lock_settings


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **STATE_OPTIONS,
        "cluster": {"type": "str", "required": True},
        "anchor": {"type": "path"},
        "take": {"type": "str", "default": ""},
        "state": {"type": "str", "choices": ["held", "free"], "default": "held"},
    }
    secret_result: t.ClassVar[bool] = True  # what it is given may hold the token of the state

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        cluster = str(params["cluster"])
        if not cluster.strip():
            if params["state"] == "free":  # what has no name was never held
                return {"holder": {}}
            raise BootstrapError("cluster: it is empty. Give the cluster's name (tazlab_cluster). Nothing was changed.")
        local = ClusterLock(cluster, Path(params["state_dir"]), params["anchor"])
        vault = in_vault(self, params["state_home"])
        here = this_run(run_root(), _command())
        if params["state"] == "free":
            if not self.check_mode:
                local.free(here)
                if vault:
                    return {"holder": {}, "warnings": self._freed_in_vault(vault, params, here)}
            return {"holder": {}}
        if self.check_mode:
            return self._looked(local, vault, params, here)
        previous = local.take(here)
        warnings: list[str] = []
        if vault:
            try:
                previous = self._take_in_vault(vault, params, here, warnings) or previous
            except BootstrapError:
                local.free(here)
                with contextlib.suppress(BootstrapError):
                    self._freed_in_vault(vault, params, here)
                raise
        if previous is not None:
            self.progress(f"a run that has ended without saying so is followed: {previous.description(here.since)}")
        return {"holder": asdict(here), "warnings": warnings}

    def _take_in_vault(
        self, vault: InVault, params: dict[str, t.Any], here: RunRecord, warnings: list[str]
    ) -> RunRecord | None:
        """Take the lock for all machines, show from now on that we live, and store what waits for Vault."""

        def take(lock: VaultLock) -> RunRecord | None:
            previous = lock.take(here)
            with contextlib.suppress(BootstrapError):  # one that cannot be renewed is the health report's to tell
                lock.vault.write("auth/token/renew-self", {}, "Renewing the token of the cluster's state")
            return previous

        try:
            previous: RunRecord | None = self._in_vault(vault, params, take)
        except BootstrapError as error:
            if error.code not in AWAY:
                raise
            warnings.append(
                f"Vault is away: the lock on cluster {params['cluster']} holds on this machine alone. {error}"
            )
            return None
        start_keeper(str(params["cluster"]), lock_settings(vault.settings), here)
        stored = vault.home(Path(params["state_dir"])).catch_up()
        if stored:
            self.progress(f"stored in Vault, which was away before: {', '.join(stored)}")
        return previous

    def _freed_in_vault(self, vault: InVault, params: dict[str, t.Any], here: RunRecord) -> list[str]:
        """Give the lock back in Vault. While that is away, nothing of ours is there that lives: it grows stale."""
        try:
            self._in_vault(vault, params, lambda lock: lock.free(here))
        except BootstrapError as error:
            if error.code not in AWAY:
                raise
            return [f"Vault is away, so a lock of this run may still be there. It grows stale by itself. {error}"]
        return []

    def _looked(
        self, local: ClusterLock, vault: InVault | None, params: dict[str, t.Any], here: RunRecord
    ) -> dict[str, t.Any]:
        found = local.look(here)
        if found is not None and found.standing not in (Standing.GONE, Standing.OURS):
            return {"holder": asdict(found.record), "warnings": [local.problem(found)]}
        try:
            other = self._in_vault(vault, params, lambda lock: lock.look(here)) if vault else None
        except BootstrapError as error:
            if error.code not in AWAY:
                raise
            return {"holder": {}, "warnings": [str(error)]}
        if other is not None:
            return {"holder": asdict(other[0]), "warnings": [other[1]]}
        return {"holder": {}}

    @staticmethod
    def _in_vault(vault: InVault, params: dict[str, t.Any], work: t.Callable[[VaultLock], t.Any]) -> t.Any:
        cluster = str(params["cluster"])
        return vault.at(
            lock_settings(vault.settings), lambda admin: work(VaultLock(cluster, admin, str(params["take"])))
        )


def _command() -> str:
    """What the user started: the program and its playbooks. Other arguments may hold secrets."""
    given = context.CLIARGS.get("args", ())
    return f"ansible-playbook {' '.join(given)}" if isinstance(given, tuple) else "ansible"
