# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said where a living cluster's versions or schematic would change: the way there, or that there is none."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Found, Look, Standing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.versions import (
    VANILLA,
    change_problems,
    living,
)

CP = Node("cp-1", "192.0.2.11", "control_plane")
WORKER = Node("worker-1", "192.0.2.21", "worker")
OLD, NEW = "3765" * 16, "ce4c" * 16


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
    has: str | None = OLD,
) -> list[str]:
    """The problems of a cluster that runs C(runs) with the configuration C(now)."""
    before = now or config()
    found = {
        WORKER: Found(Look(standing, version=worker or runs), before, before, has),
        CP: Found(Look(standing, version=runs), before, before, has),
    }
    nodes = living(found, {WORKER: wanted, CP: wanted})
    return texts(change_problems(nodes, SimpleNamespace(version=talos, schematic=schematic)))


def test_the_same_versions_are_no_problem_and_neither_is_a_node_without_configuration() -> None:
    assert said(config()) == []
    assert said(config("1.36.0"), standing=Standing.MAINTENANCE) == []


def test_the_playbook_that_upgrades_is_named_and_the_rebirth_once() -> None:
    (problem,) = said(config(talos="v1.13.2", schematic=NEW), talos="v1.13.2", schematic=NEW)
    assert "Talos v1.13.2 is wanted, and worker-1, cp-1 run v1.12.6" in problem
    assert problem.count("tazlab.bootstrap.upgrade --check") == 1
    assert problem.count("tazlab.bootstrap.rebirth --check") == 1


def test_only_the_nodes_that_lag_are_moved() -> None:
    (problem,) = said(config(talos="v1.12.6"), worker="v1.12.5")
    assert "worker-1 runs v1.12.5" in problem
    assert "cp-1" not in problem


def test_no_node_is_moved_back_although_another_one_lags() -> None:
    (problem,) = said(config(talos="v1.13.0"), talos="v1.13.0", worker="v1.13.2")
    assert "Set tazlab_talos.version to v1.13.2, which runs" in problem
    assert "bootstrap.upgrade" not in problem


@pytest.mark.parametrize("wanted", ["v1.12.5", "v1.11.0"])
def test_there_is_no_way_back(wanted: str) -> None:
    (problem,) = said(config(talos=wanted), talos=wanted)
    assert "does not go back" in problem
    assert "bootstrap.upgrade" not in problem


def test_other_extensions_are_installed_like_an_upgrade() -> None:
    (problem,) = said(config(schematic=NEW), schematic=NEW)
    assert f"The schematic {NEW[:12]}... is wanted" in problem
    assert "bootstrap.upgrade" in problem


@pytest.mark.parametrize(
    ("has", "wanted", "words"),
    [
        ("", OLD, "run none"),  # installed from an image that is not the Image Factory's
        ("", VANILLA, None),  # which has no extensions either
        (None, OLD, None),  # a Talos that does not tell
        (NEW, OLD, f"run {NEW[:12]}..."),  # its configuration names the wanted image, and was never installed
    ],
)
def test_the_schematic_is_the_one_that_runs_whatever_the_configuration_names(
    has: str | None, wanted: str, words: str | None
) -> None:
    problems = said(config(schematic=wanted), schematic=wanted, now=config(schematic=wanted), has=has)
    assert [words in problem for problem in problems] == ([True] if words else [])


def test_an_installer_that_is_written_otherwise_is_no_other_schematic() -> None:
    """As after an upgrade by hand: the node runs what is wanted, and its configuration names the image before."""
    assert said(config(), now=config(schematic=NEW)) == []


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("1.35.7", "bootstrap.upgrade --check"),
        ("1.37.0", "bootstrap.upgrade --check"),
        ("1.35.3", "does not go back"),
        ("1.31.9", "does not go back"),
    ],
)
def test_kubernetes_moves_forward_alone(wanted: str, words: str) -> None:
    (problem,) = said(config(wanted))
    assert f"Kubernetes v{wanted} is wanted, and worker-1, cp-1 run v1.35.4" in problem
    assert words in problem


def test_an_image_of_another_registry_is_no_other_version() -> None:
    mirrored = config().replace(b"ghcr.io/siderolabs", b"registry.example.net/mirror")
    assert said(mirrored) == []


@pytest.mark.parametrize("image", ["kubelet:v1.35.4@sha256:0123abcd", "kubelet:custom", "kubelet"])
def test_a_digest_or_a_tag_without_a_version_is_no_other_version(image: str) -> None:
    assert said(config(), now=config().replace(b"kubelet:v1.35.4", image.encode())) == []
    assert said(config().replace(b"kubelet:v1.35.4", image.encode())) == []


def test_both_moves_are_told_at_once() -> None:
    assert len(said(config("1.36.0", talos="v1.12.7"), talos="v1.12.7")) == 2
