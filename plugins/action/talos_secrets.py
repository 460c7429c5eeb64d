# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_secrets): a cluster's identity, made once and kept."""

from __future__ import annotations

import datetime
import typing as t
from dataclasses import replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import WAITING, TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import change_facts, read_facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS, TALOSCONFIG, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.vault_home import REKEY, VaultHome
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import (
    CLUSTER_OPTIONS,
    Cluster,
    cluster_of,
    secretbox_problem,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import Generator, credentials_problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    Nodes,
    Standing,
    refuse_foreign,
    wait_for_maintenance,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import authority, difference, generate
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl


class ActionModule(TalosAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **CLUSTER_OPTIONS,
        **STATE_OPTIONS,
        "secretbox_key": {"type": "str", "required": True, "no_log": True},
        "anchor": {"type": "path"},
        "ahead": {"type": "bool", "default": False},
        **WAITING,
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = self.state(params)
        cluster = cluster_of(params, read_facts(state).contract)
        problem = secretbox_problem(params["secretbox_key"]) or state.problem(params["anchor"])
        if problem:
            raise refusal([problem])
        talosctl = self.talosctl(cluster.version)
        stored = state.read(SECRETS)
        secrets, created = self._secrets(stored, params, talosctl, cluster, state)
        generator = Generator(talosctl, cluster, secrets)
        renewed = self._talosconfig(generator, state)
        tightened = bool(state.loose()) if self.check_mode else state.tighten()
        return {
            "changed": created or renewed or tightened,
            "created": created,
            "waiting": self._waiting(state) if created and not self.check_mode else [],
            "secrets": state.place(SECRETS),
            "talosconfig": str(state.path(TALOSCONFIG)),
        }

    def _secrets(
        self, stored: bytes | None, params: dict[str, t.Any], talosctl: Talosctl, cluster: Cluster, state: State
    ) -> tuple[bytes, bool]:
        """The secrets, and whether they are new."""
        key, place = params["secretbox_key"], state.place(SECRETS)
        created = False
        if stored is None:
            problem = state.home.only_a_copy(state) if isinstance(state.home, VaultHome) else None
            if problem:
                raise refusal([problem])
            if not params["pending"]:
                waits = not (self.check_mode or params["ahead"])
                self._refuse_configured(Nodes(talosctl), cluster, params["timeout"] if waits else 0)
            secrets = generate(talosctl, cluster.contract, key)
            if self.check_mode:
                self.progress(f"would generate {place}")
                return secrets, True
            state.tighten()
            created = state.create(SECRETS, secrets)
            if created:
                change_facts(state, lambda facts: replace(facts, contract=cluster.contract))
                self.progress(f"generated {place}: keep a backup, nobody can make it again")
            stored = secrets if created else state.read(SECRETS)
        problem = difference(stored or b"", place, key)
        if problem:
            raise refusal([problem])
        return stored or b"", created

    @staticmethod
    def _waiting(state: State) -> list[str]:
        """What only the cluster's owner can do after new secrets: a copy in the anchor, keys that lie elsewhere."""
        home = state.home
        if not isinstance(home, VaultHome):
            return []
        if home.away or home.copy().content is not None:  # there may have been secrets before, or there were
            return [f"The cluster was born with new secrets: {each}" for each in REKEY]
        return [
            f"The anchor has no copy of secrets.yaml, which is read while Vault is away. To take it:\n{home.filling()}"
        ]

    def _refuse_configured(self, nodes: Nodes, cluster: Cluster, timeout: int) -> None:
        """No node may be configured when secrets are generated. Without a time each is asked once."""
        if timeout:
            wait_for_maintenance(nodes, cluster.nodes, Deadline(timeout), self.progress)
            return
        looks = {node: nodes.look(node) for node in cluster.nodes}
        problems = refuse_foreign(looks, have_secrets=False)
        if problems:
            raise refusal(problems)
        silent = [f"{node.name} ({node.address})" for node, look in looks.items() if look.standing is Standing.SILENT]
        if silent:
            self.progress(f"not answering, so that nobody could ask whether it is configured: {', '.join(silent)}")

    def _talosconfig(self, generator: Generator, state: State) -> bool:
        """Write a talosconfig where there is none that serves."""
        stored = state.read(TALOSCONFIG)
        expected = authority(generator.secrets, state.place(SECRETS))
        why = "there is none"
        if stored is not None:
            now = datetime.datetime.now(datetime.UTC)
            found = credentials_problem(stored, generator.cluster, expected, now)
            if found is None:
                return False
            why = found
        if not self.check_mode:
            state.replace(TALOSCONFIG, generator.talosconfig())
        self.progress(f"{'would write' if self.check_mode else 'wrote'} {state.path(TALOSCONFIG)}: {why}")
        return True
