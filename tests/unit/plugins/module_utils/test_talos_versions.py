# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said where a living cluster's versions or schematic would change: the way there, or that there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.module_utils._talos_cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.module_utils._talos_nodes import Found, Look, Standing
from ansible_collections.tazlab.bootstrap.plugins.module_utils._talos_versions import Wanted, change_problems, living

CP = Node("cp-1", "192.0.2.11", "control_plane")
WORKER = Node("worker-1", "192.0.2.21", "worker")
OLD, NEW = "3765" * 16, "ce4c" * 16
TALOSCONFIG = Path("/state of mine/talosconfig")


def config(kubernetes: str = "1.35.4", schematic: str = OLD, talos: str = "v1.12.6", more: str = "") -> bytes:
    return (
        f"machine:\n  kubelet: {{image: 'ghcr.io/siderolabs/kubelet:v{kubernetes}'}}\n"
        f"  install: {{image: 'factory.talos.dev/nocloud-installer/{schematic}:{talos}'}}\n{more}"
    ).encode()


def said(
    wanted: bytes,
    *,
    talos: str = "v1.12.6",
    schematic: str = OLD,
    runs: str = "v1.12.6",
    now: bytes | None = None,
    standing: Standing = Standing.OURS,
    worker: str = "",
) -> list[str]:
    """The problems of a cluster that runs C{runs} with the configuration C{now}."""
    before = now or config()
    found = {
        WORKER: Found(Look(standing, version=worker or runs), before, before),
        CP: Found(Look(standing, version=runs), before, before),
    }
    nodes = living(found, {WORKER: wanted, CP: wanted}, lambda _node: OLD)
    return list(change_problems(nodes, Wanted(talos, schematic, TALOSCONFIG)))


def test_the_same_versions_are_no_problem_and_neither_is_a_node_without_configuration() -> None:
    assert said(config()) == []
    assert said(config("1.36.0"), standing=Standing.MAINTENANCE) == []


def test_talos_moves_node_by_node_control_planes_first_with_the_image_of_the_inventory() -> None:
    (problem,) = said(config(talos="v1.13.2", schematic=NEW), talos="v1.13.2", schematic=NEW)
    reach = "talosctl --talosconfig '/state of mine/talosconfig'"
    image = f"upgrade --image factory.talos.dev/nocloud-installer/{NEW}:v1.13.2"
    assert [line.strip() for line in problem.splitlines()[1:]] == [
        f"{reach} --endpoints {node.address} --nodes {node.address} {image}" for node in (CP, WORKER)
    ]
    assert "worker-1, cp-1 run v1.12.6" in problem


def test_only_the_nodes_that_lag_are_moved() -> None:
    (problem,) = said(config(talos="v1.12.6"), worker="v1.12.5")
    assert "worker-1 runs v1.12.5" in problem
    assert len(problem.splitlines()) == 2


@pytest.mark.parametrize(
    ("wanted", "words"), [("v1.12.5", "does not go back"), ("v1.11.0", "does not go back"), ("v1.14.0", "newest 1.13")]
)
def test_there_is_no_way_back_and_none_over_a_minor_version_of_talos(wanted: str, words: str) -> None:
    (problem,) = said(config(talos=wanted), talos=wanted)
    assert words in problem
    assert "talosctl" not in problem


def test_other_extensions_are_installed_like_an_upgrade() -> None:
    (problem,) = said(config(schematic=NEW), schematic=NEW)
    assert f"The schematic {NEW[:12]}... is wanted" in problem
    assert problem.count(f"--image factory.talos.dev/nocloud-installer/{NEW}:v1.12.6") == 2


def test_an_installer_that_is_written_otherwise_is_no_other_schematic() -> None:
    """As after an upgrade by hand: the node runs what is wanted, and its configuration names the image before."""
    assert said(config(), now=config(schematic=NEW)) == []


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("1.35.7", "upgrade-k8s --to 1.35.7"),
        ("1.36.0", "upgrade-k8s --to 1.36.0"),
        ("1.37.0", "newest 1.36 first"),
        ("1.35.3", "does not go back"),
        ("1.31.9", "does not go back"),
        ("2.0.0", "one minor version at a time"),
    ],
)
def test_kubernetes_moves_by_its_own_command(wanted: str, words: str) -> None:
    (problem,) = said(config(wanted))
    assert f"Kubernetes v{wanted} is wanted, and worker-1, cp-1 run v1.35.4" in problem
    assert words in problem


def test_an_image_of_another_registry_is_no_other_version() -> None:
    mirrored = config().replace(b"ghcr.io/siderolabs", b"registry.example.net/mirror")
    assert said(mirrored) == []


def test_both_moves_are_told_at_once() -> None:
    assert len(said(config("1.36.0", talos="v1.12.7"), talos="v1.12.7")) == 2
