# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(talos_adopt): the state of a cluster that others made, proven on its machines."""

from __future__ import annotations

import datetime
import os
import typing as t
from dataclasses import replace
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.state import STATE_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.talos import TalosAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError, refusal
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import change_facts, read_facts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import (
    KUBECONFIG,
    SECRETS,
    TALOSCONFIG,
    Directory,
    State,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.adopt import (
    Candidate,
    Proven,
    from_file,
    from_machines,
    names,
    prove,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import (
    CLUSTER_OPTIONS,
    Cluster,
    Node,
    cluster_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import (
    Generator,
    credentials_problem,
    differences,
    made,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.contract import born_with
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.etcd import fetch_kubeconfig, kubeconfig_serves
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.extension import keep_login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.forms import install_disk
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found, Nodes, Standing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.secrets import authority, difference
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Talosctl
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.versions import change_problems, living

FETCH_SECONDS: t.Final = 30


class ActionModule(TalosAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **CLUSTER_OPTIONS,
        **STATE_OPTIONS,
        "source": {"type": "path"},
        "credentials": {"type": "path"},
        "secretbox_key": {"type": "str", "no_log": True},
        "anchor": {"type": "path"},
        "scratch": {"type": "path"},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        state = self.state(params)
        problem = state.problem(params["anchor"])
        if problem:
            raise refusal([problem])
        cluster = cluster_of(params, read_facts(state).contract)
        talosctl = self.talosctl(cluster.version)
        proven = prove(talosctl, cluster, self._candidates(params, state, talosctl, cluster))
        proven = _on_their_disks(proven)
        cluster = replace(cluster, nodes=tuple(proven.seen))
        found = names(proven.seen)
        if found != [cluster.name]:
            raise refusal([_other_name(found, cluster)])
        generator = Generator(talosctl, cluster, proven.candidate.content)
        contract = read_facts(state).contract or born_with(generator, proven.seen)
        generator = replace(generator, cluster=replace(cluster, contract=contract))
        self.progress(f"the secrets of {proven.candidate.place} are those of the living cluster {cluster.name}")
        self.progress(f"its machine configurations have the form of contract {contract}")
        wanted = made(cluster.nodes, generator)
        written = self._kept(state, proven, contract)
        kubeconfig, credentials = self._credentials(params["scratch"], state, generator)
        written += credentials
        for place in written:
            self.progress(f"{'would write' if self.check_mode else 'wrote'} {place}")
        problems = list(change_problems(living(proven.seen, wanted), cluster))
        if params["secretbox_key"]:
            key = difference(proven.candidate.content, state.place(SECRETS), params["secretbox_key"])
            problems += [replace(key, subject="secretbox key")] if key else []
        return {
            "changed": bool(written),
            "contract": contract,
            "written": written,
            "problems": [problem.as_dict() for problem in problems],
            "nodes": [_compared(node, found, wanted[node]) for node, found in proven.seen.items()],
            "kubeconfig": str(kubeconfig),
        }

    def _candidates(
        self, params: dict[str, t.Any], state: State, talosctl: Talosctl, cluster: Cluster
    ) -> list[Candidate]:
        stored = state.read(SECRETS)
        if stored is not None:
            return [Candidate(state.place(SECRETS), stored)]
        if params["source"]:
            return from_file(talosctl, Path(params["source"]))
        given = params["credentials"] or os.environ.get("TALOSCONFIG") or Path.home() / ".talos" / "config"
        path = Path(given).expanduser()
        if not path.is_file():
            raise BootstrapError(
                f"{path} is not there, so no machine can be asked for the cluster's secrets. Give a talosconfig of the "
                "cluster (tazlab_adopt.talosconfig), or a file with its secrets (tazlab_adopt.from): a control plane's "
                "machine configuration, or Terraform's state."
            )
        return [from_machines(talosctl, path, cluster.control_planes)]

    def _kept(self, state: State, proven: Proven, contract: str) -> list[str]:
        """Keep the secrets and the contract, where they are not yet. Returns the places."""
        written = []
        if not self.check_mode:
            state.tighten()
        if state.read(SECRETS) is None:
            written.append(state.place(SECRETS))
            if not self.check_mode and not state.create(SECRETS, proven.candidate.content):
                raise BootstrapError(f"{state.place(SECRETS)}: somebody else has written it meanwhile. Run this again.")
        if read_facts(state).contract != contract and not self.check_mode:
            change_facts(state, lambda facts: replace(facts, contract=contract))
        return written

    def _credentials(self, scratch: str | None, state: State, generator: Generator) -> tuple[Path, list[str]]:
        """A talosconfig and a kubeconfig of our own, where there are none that serve. Returns the kubeconfig to use.

        In check mode that one lies in C(scratch), if there is one.
        """
        written = []
        now = datetime.datetime.now(datetime.UTC)
        expected = authority(generator.secrets, state.place(SECRETS))
        stored = state.read(TALOSCONFIG)
        talosconfig = generator.talosconfig()
        if stored is None or credentials_problem(stored, generator.cluster, expected, now):
            written.append(state.place(TALOSCONFIG))
            if not self.check_mode:
                state.replace(TALOSCONFIG, talosconfig)
        nodes = Nodes(generator.talosctl, talosconfig)
        first = generator.cluster.control_planes[0]
        fetched = fetch_kubeconfig(nodes, first, Deadline(FETCH_SECONDS), self.progress)
        if kubeconfig_serves(state.read(KUBECONFIG), fetched, now):
            return state.path(KUBECONFIG), written
        written.append(state.place(KUBECONFIG))
        if not self.check_mode:
            state.replace(KUBECONFIG, fetched)
        elif scratch:
            Directory(Path(scratch)).replace(KUBECONFIG, fetched)
            return Path(scratch) / KUBECONFIG, written
        return state.path(KUBECONFIG), written


def _compared(node: Node, found: Found, wanted: bytes) -> dict[str, t.Any]:
    """What site.yml would change of a node's configuration, by paths."""
    ours = found.standing is Standing.OURS
    return {
        "name": node.name,
        "address": node.address,
        "answers": ours,
        "differences": differences(found.persistent, keep_login(found.persistent, wanted)) if ours else [],
    }


def _other_name(found: t.Sequence[str], cluster: Cluster) -> Problem:
    if len(found) == 1:
        step = f"Set tazlab_talos.cluster_name: {found[0]}"
    else:
        step = "Give each cluster an inventory of its own."
    theirs = " and ".join(found)
    what = f"the machines are configured as cluster {theirs}, and this is {cluster.name}. Nothing was changed."
    return Problem("other_cluster", "tazlab_talos.cluster_name", what, step)


def _on_their_disks(proven: Proven) -> Proven:
    """The nodes with the disks on which their machines were installed, where the inventory names none."""
    return replace(
        proven,
        seen={
            replace(node, install_disk=node.install_disk or install_disk(found.persistent)): found
            for node, found in proven.seen.items()
        },
    )
