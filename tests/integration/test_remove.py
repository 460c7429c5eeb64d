# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes leave a living cluster, and one that is lost is made anew or removed; by the real talosctl."""

from __future__ import annotations

import os
import signal

import pytest

from lab.binaries import version
from lab.living import LivingWorld
from lab.machines import ALL
from lab.process import wait_until

NEW = version("talosctl-1.14")


def remove(made: LivingWorld, name: str, *arguments: str) -> str:
    """The output of a removal that goes well."""
    run = made.play("-e", f"tazlab_remove={name}", *arguments, playbook="remove.yml")
    assert run.returncode == 0, run.output
    return run.output


def refused(made: LivingWorld, name: str, words: str) -> None:
    run = made.play("-e", f"tazlab_remove={name}", playbook="remove.yml")
    assert run.returncode != 0, run.output
    assert words in run.output


@pytest.mark.kube
@pytest.mark.parametrize("made", [(3, 2, NEW)], indirect=True)
def test_a_node_leaves_when_it_is_named_and_a_lost_one_in_the_same_way(made: LivingWorld) -> None:
    made.deploy("app", 2, 1)
    before = made.etcd_members()
    refused(made, "worker-9", "the inventory has no node of that name")
    refused(made, "cp-1", "the cluster's endpoint is its address")
    check = remove(made, "worker-2", "--check", "-vvvvv", "--diff")
    assert "worker-2: wiped, out of Kubernetes" in check
    assert made.key not in check
    assert (made.ready(), made.etcd_members()) == (True, before)

    assert "Take worker-2 out of the inventory now" in remove(made, "worker-2")
    made.talos.wait("machine-5", "maintenance")
    assert made.client().find("v1", "Node", "worker-2") is None
    made.settled("app", 2)
    assert "worker-2 is not in the cluster." in remove(made, "worker-2")
    made.nodes.pop()

    # Who stands at another one's address is not taken for it.
    third, worker = made.nodes[2:4]
    third["address"], worker["address"] = worker["address"], third["address"]
    refused(made, "cp-3", "it is configured as worker-1")
    third["address"], worker["address"] = worker["address"], third["address"]

    # One that is lost is removed by the others, also while it still stands in the inventory alone.
    made.metal.power(3, on=False)
    made.talos.wait("machine-3", "off")
    wait_until(lambda: not made.ready(), "its Node is not Ready", 30)
    assert "cp-3" in made.etcd_members()
    said = remove(made, "cp-3")
    assert "it does not answer, and is removed without being wiped" in said
    assert "etcd then has 2 members, of which it can spare no more than of 1" in said
    assert made.etcd_members() == {"cp-1", "cp-2"}
    assert made.client().find("v1", "Node", "cp-3") is None

    # One that lives leaves etcd itself; the last one stays.
    del made.nodes[2]
    assert "its member is taken out of etcd" not in remove(made, "cp-2")
    made.talos.wait("machine-2", "maintenance")
    assert made.etcd_members() == {"cp-1"}
    del made.nodes[1]
    refused(made, "cp-1", "it is the only control plane")
    assert made.ready()
    found = made.results(*ALL)  # the talosconfig has fewer addresses
    assert [found[name]["changed"] for name in ("talos_config", "talos_bootstrap")] == [False, False]


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(3, 1)], indirect=True)
def test_a_lost_control_plane_is_made_anew_and_nobody_leaves_while_etcd_cannot_spare_one(made: LivingWorld) -> None:
    made.metal.replace(2)
    made.talos.wait("machine-2", "maintenance")
    refused(made, "cp-3", "cp-2")
    assert made.etcd_members() == {"cp-1", "cp-2", "cp-3"}
    found = made.results(*ALL)
    assert [node["configuration"] for node in found["talos_config"]["nodes"]] == [
        "unchanged",
        "configured",
        "unchanged",
        "unchanged",
    ]
    assert not found["talos_bootstrap"]["bootstrapped"]
    wait_until(made.ready, "every node is Ready", 60)
    assert made.etcd_members() == {"cp-1", "cp-2", "cp-3"}

    # Who is not in the inventory any more is told, and stays.
    gone = made.nodes.pop()
    (line,) = made.results("talos_bootstrap")["talos_bootstrap"]["waiting"]
    assert "Node worker-1 is in the cluster and not in the inventory" in line
    assert f"WARNING: {line}" in made.play(playbook="health.yml").output
    assert made.client().find("v1", "Node", "worker-1") is not None
    made.nodes.append(gone)

    # Broken off, the same command goes on.
    for moment, come in {
        "it is cordoned": lambda: made.held()["worker-1"][1] is not None,
        "it is wiped": lambda: made.talos.machine("machine-4").config_text == "",
    }.items():
        with made.started("talos_remove") as process:
            wait_until(come, moment, 60)
            os.killpg(process.pid, signal.SIGKILL)
    assert made.results("talos_remove")["talos_remove"]["steps"] == ["out of Kubernetes"]
    assert made.client().find("v1", "Node", "worker-1") is None
    made.nodes.pop()

    # One whose etcd is not well cannot leave by itself: the others take it out first.
    (third,) = [machine for machine in made.talos.machines() if machine.hostname == "cp-3"]
    made.talos.tell_members(third, [])
    assert "cp-3: its member is taken out of etcd" in remove(made, "cp-3")
    made.talos.wait("machine-3", "maintenance")
    assert made.etcd_members() == {"cp-1", "cp-2"}
