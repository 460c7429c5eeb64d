# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The order in which Talos and Kubernetes move, and what speaks against it."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Cluster, Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.supported import Minor, named
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.versions import VANILLA
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.plan import (
    Runs,
    Step,
    image,
    is_there,
    moved,
    refusals,
    steps,
)

CP = Node("cp-1", "192.0.2.11", "control_plane")
WORKER = Node("worker-1", "192.0.2.21", "worker")
OTHER = "ce4c" * 16


def cluster(talos: str, kubernetes: str, schematic: str = VANILLA) -> Cluster:
    installer = f"factory.talos.dev/nocloud-installer/{schematic}:{talos}"
    return Cluster(
        "home", "https://x:6443", (CP, WORKER), talos, kubernetes, schematic, installer, "nocloud", False, "v1.12"
    )


def runs(talos: str, kubernetes: str = "1.35.4", *, worker: str = "", schematic: str | None = VANILLA) -> list[Runs]:
    tags = frozenset({f"v{kubernetes}"})
    return [Runs(WORKER, worker or talos, schematic, tags), Runs(CP, talos, schematic, tags)]


def newest(minor: Minor) -> str:
    return f"v{named(minor)}.9"


@pytest.mark.parametrize(
    ("now", "then", "way"),
    [
        (("v1.12.6", "1.35.4"), ("v1.12.6", "1.35.4"), []),
        (("v1.12.5", "1.35.4"), ("v1.12.6", "1.35.4"), ["Talos v1.12.6"]),
        (("v1.12.6", "1.35.4"), ("v1.13.8", "1.35.4"), ["Talos v1.13.8"]),
        (("v1.12.6", "1.35.4"), ("v1.14.1", "1.35.4"), ["Talos v1.13.9", "Talos v1.14.1"]),
        (("v1.12.6", "1.35.4"), ("v1.14.1", "1.35.7"), ["Talos v1.13.9", "Talos v1.14.1", "Kubernetes 1.35.7"]),
        # What the next Talos does not run any more moves first, one minor version at a time.
        (("v1.12.6", "1.30.5"), ("v1.13.8", "1.31.7"), ["Kubernetes 1.31.7", "Talos v1.13.8"]),
        (
            ("v1.12.6", "1.30.5"),
            ("v1.14.1", "1.33.2"),
            ["Kubernetes 1.31.0", "Talos v1.13.9", "Kubernetes 1.32.0", "Talos v1.14.1", "Kubernetes 1.33.2"],
        ),
        (
            ("v1.12.6", "1.35.4"),
            ("v1.14.1", "1.37.0"),
            [
                "Talos v1.13.9",
                "Talos v1.14.1",
                "Kubernetes 1.36.0",
                "Kubernetes 1.37.0",
            ],
        ),
        (("v1.14.1", "1.35.4"), ("v1.15.0", "1.35.4"), ["Talos v1.15.0"]),
    ],
)
def test_each_minor_version_is_passed_in_an_order_in_which_every_pair_runs(
    now: tuple[str, str], then: tuple[str, str], way: list[str]
) -> None:
    assert [step.text for step in steps(runs(*now), cluster(*then), newest)] == way


def test_the_node_that_lags_decides_where_the_way_begins() -> None:
    wanted = cluster("v1.14.1", "1.35.4")
    nodes = runs("v1.13.2", worker="v1.12.6")
    way = steps(nodes, wanted, newest)
    assert [step.text for step in way] == ["Talos v1.13.9", "Talos v1.14.1"]
    assert [each.node for each in moved(nodes, way[0], wanted)] == [WORKER], "no patch release on the way"
    assert [each.node for each in moved(nodes, way[1], wanted)] == [CP, WORKER], "control planes first"


def test_other_extensions_are_an_upgrade_of_the_nodes_that_have_not_got_them() -> None:
    wanted = cluster("v1.12.6", "1.35.4", OTHER)
    assert steps(runs("v1.12.6"), wanted, newest) == [Step(talos="v1.12.6")]
    assert steps(runs("v1.12.6", schematic=OTHER), wanted, newest) == []
    assert steps(runs("v1.12.6", schematic=None), wanted, newest) == [], "it does not tell"
    assert not is_there(runs("v1.12.6", schematic="")[0], wanted)
    assert is_there(runs("v1.12.6", schematic="")[0], cluster("v1.12.6", "1.35.4")), "an image without any tells none"


@pytest.mark.parametrize(
    ("now", "then", "subject"),
    [
        (("v1.13.2", "1.35.4"), ("v1.12.6", "1.35.4"), "tazlab_talos.version"),
        (("v1.12.6", "1.35.4"), ("v1.12.6", "1.35.3"), "tazlab_talos.kubernetes_version"),
        (("v1.11.5", "1.33.4"), ("v1.12.6", "1.33.4"), "worker-1"),
    ],
)
def test_there_is_no_way_back_and_none_from_below(now: tuple[str, str], then: tuple[str, str], subject: str) -> None:
    assert [problem.subject for problem in refusals(runs(*now), cluster(*then))][:1] == [subject]


def test_the_installer_stays_the_inventorys() -> None:
    wanted = cluster("v1.14.1", "1.35.4", OTHER)
    assert image(wanted.installer, "v1.13.9") == f"factory.talos.dev/nocloud-installer/{OTHER}:v1.13.9"
