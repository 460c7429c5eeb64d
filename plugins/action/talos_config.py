# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_config): each node has the configuration that the inventory describes."""

from __future__ import annotations

import threading
import time
import typing as t
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.tailnet import TAILNET, tailnet_client
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import WAITING, TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import change_facts, read_facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import SECRETS, State
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.birth import Etcd, Note, Verdict
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import (
    CLUSTER_OPTIONS,
    Cluster,
    Node,
    cluster_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import Generator, made
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.contract import contract_of, raise_problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.extension import with_login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.given import is_ours, with_given
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.left import waiting
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import (
    APPLIED,
    DEFERRED,
    Change,
    Found,
    Nodes,
    Standing,
    configure,
    survey,
    survey_until,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.preflight import (
    NO_KEY,
    living_problems,
    usable_talosconfig,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import generate
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.snapshot import require_snapshot


class ActionModule(TalosAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **CLUSTER_OPTIONS,
        **STATE_OPTIONS,
        "only": {"type": "list", "elements": "str"},
        "wait_for_workers": {"type": "bool", "default": False},
        "etcd_lost": {"type": "str", "default": ""},
        "raise_contract": {"type": "str", "default": ""},
        "recover_from": {"type": "path"},
        "tailnet": TAILNET,
        **WAITING,
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = self.state(params)
        facts = read_facts(state)
        noted = facts.contract
        raised = params["raise_contract"]
        problem = raise_problem(raised, noted, params["version"]) if raised else None
        if problem:
            raise refusal([problem])
        cluster = cluster_of(params, "" if params["pending"] else noted)
        talosctl = self.talosctl(cluster.version)
        stored = state.read(SECRETS)
        if stored is None and not self.check_mode:
            raise BootstrapError(f"{state.place(SECRETS)} is not there. Run tazlab.bootstrap.talos_secrets first.")
        generator = Generator(talosctl, cluster, stored or generate(talosctl, cluster.contract, NO_KEY))
        only = params["only"]
        chosen = [node for node in cluster.nodes if only is None or node.name in only]
        if params["pending"]:
            waits = []
            changes = [Change(node, APPLIED, changed=True) for node in made(chosen, generator)]
            self._tell(f"{', '.join(node.name for node in chosen)}: {APPLIED}")
        else:
            nodes = Nodes(talosctl, usable_talosconfig(state, generator) if stored else None)
            deadline = Deadline(params["timeout"])
            if params["recover_from"]:
                require_snapshot(Path(params["recover_from"]), cluster.name)
            etcd = Etcd(cluster.name, Note(state), params["etcd_lost"], restores=bool(params["recover_from"]))

            @cache
            def wanted(contract: str) -> dict[Node, bytes]:
                return made(chosen, replace(generator, cluster=replace(cluster, contract=contract)))

            def permit(found: t.Mapping[Node, Found], contract: str = "") -> None:
                # Where no node is configured, its contract may not be known yet, and there is nothing to compare.
                living = Standing.OURS in _standings(found).values()
                form = contract or contract_of(noted, generator, _standings(found), found, raised)
                problems = living_problems(nodes, cluster, wanted(form) if living else {}, found)
                if problems:
                    raise refusal(problems)

            seen = self._permitted(nodes, cluster, permit, deadline, etcd)
            contract = contract_of(noted, generator, _standings(seen), seen, raised)
            configs = wanted(contract)
            if contract != noted and not self.check_mode:
                self._tell(f"the machine configurations have the form of contract {contract}")
                change_facts(state, lambda facts: replace(facts, contract=contract))
            changes = configure(
                nodes,
                configs,
                seen,
                deadline,
                self._tell,
                permit=partial(permit, contract=contract),
                wait_for_workers=params["wait_for_workers"],
                check=self.check_mode,
                join=self._joining(params, state),
                ours=lambda node, config: is_ours(config, facts.given.get(node.name, ())),
                note=partial(_note, state),
            )
            waits = list(waiting(changes, configs, check=self.check_mode))
        return self._result(changes, waits)

    def _permitted(
        self,
        nodes: Nodes,
        cluster: Cluster,
        permit: t.Callable[[t.Mapping[Node, Found]], None],
        deadline: Deadline,
        etcd: Etcd,
    ) -> dict[Node, Found]:
        """The nodes as they are, when nothing that lives would be harmed by what is wanted, and no second etcd made."""
        if self.check_mode:
            seen = survey(nodes, cluster.nodes)
            permit(seen)
            etcd.decide(_standings(seen))
            return seen
        seen = survey_until(nodes, cluster.nodes, deadline, self._tell, lambda node: node.is_control_plane)
        permit(seen)
        verdict = etcd.decide(_standings(seen))
        if verdict is Verdict.UNKNOWN and not etcd.is_confirmed_lost:
            seen = survey_until(nodes, cluster.nodes, deadline, self._tell, lambda _node: True, etcd.advice)
            permit(seen)
            verdict = etcd.decide(_standings(seen))
        etcd.begin(verdict)
        return seen

    def _joining(self, params: dict[str, t.Any], state: State) -> t.Callable[[Node, bytes], bytes]:
        """Gives a machine that gets its first configuration a key of its own, with which it joins its tailnet."""
        client = tailnet_client(params["tailnet"])
        if client is None:
            return lambda _node, config: config
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._tailnet.api import Tailnet

        one_by_one = threading.Lock()

        def join(node: Node, config: bytes) -> bytes:
            with one_by_one, Tailnet(client) as tailnet:
                # Noted before it is used: a run that is killed in between leaves a key, and no device that is unknown.
                change_facts(state, lambda facts: facts.with_key(node.name, time.time()))
                key = tailnet.mint(params["tailnet"]["tags"], f"{params['cluster']} {node.name}")
            return with_login(config, key)

        return join

    def _tell(self, line: str) -> None:
        self.progress(f"{line} (check mode: nothing is done)" if self.check_mode else line)

    def _result(self, changes: list[Change], waits: list[str]) -> dict[str, t.Any]:
        if self.diff_mode or self.check_mode:
            for change in changes:
                for line in change.shown:
                    self.progress(f"{change.node.name}: {line}")
        return {
            "changed": any(change.changed for change in changes),
            "nodes": [_reported(change) for change in changes],
            "deferred": [change.node.name for change in changes if change.state == DEFERRED],
            "waiting": waits,
        }


def _note(state: State, given: t.Mapping[Node, t.Sequence[bytes]]) -> None:
    """Keep what each node may have from now on, beside what is known of the others."""
    named = {node.name: configs for node, configs in given.items()}
    change_facts(state, lambda facts: with_given(facts, named))


def _standings(seen: t.Mapping[Node, Found]) -> dict[Node, Standing]:
    return {node: found.standing for node, found in seen.items()}


def _reported(change: Change) -> dict[str, t.Any]:
    node: Node = change.node
    return {
        "name": node.name,
        "address": node.address,
        "role": node.role,
        "configuration": change.state,
        "changed": change.changed,
        "differences": list(change.paths),
    }
