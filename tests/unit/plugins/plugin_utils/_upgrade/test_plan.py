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
    moved,
    refusals,
    runs_image,
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


def installers(wanted: Cluster) -> dict[Node, str]:
    return dict.fromkeys((CP, WORKER), wanted.installer)


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
    assert [step.text for step in steps(runs(*now), cluster(*then), installers(cluster(*then)), newest)] == way


def test_the_node_that_lags_decides_where_the_way_begins() -> None:
    wanted = cluster("v1.14.1", "1.35.4")
    nodes = runs("v1.13.2", worker="v1.12.6")
    way = steps(nodes, wanted, installers(wanted), newest)
    assert [step.text for step in way] == ["Talos v1.13.9", "Talos v1.14.1"]
    assert [each.node for each in moved(nodes, way[0], wanted, installers(wanted))] == [WORKER], (
        "no patch release on the way"
    )
    assert [each.node for each in moved(nodes, way[1], wanted, installers(wanted))] == [CP, WORKER], (
        "control planes first"
    )


def test_other_extensions_are_an_upgrade_of_the_nodes_that_have_not_got_them() -> None:
    wanted = cluster("v1.12.6", "1.35.4", OTHER)
    theirs = installers(wanted)
    assert steps(runs("v1.12.6"), wanted, theirs, newest) == [Step(talos="v1.12.6")]
    assert steps(runs("v1.12.6", schematic=OTHER), wanted, theirs, newest) == []
    assert steps(runs("v1.12.6", schematic=None), wanted, theirs, newest) == [], "it does not tell"
    patched = dict.fromkeys((CP, WORKER), f"factory.talos.dev/nocloud-installer/{VANILLA}:v1.0.0")
    assert steps(runs("v1.12.6"), wanted, patched, newest) == [], "a patch names what it runs"


def test_what_a_node_runs_is_compared_with_its_image() -> None:
    image_ = f"factory.talos.dev/nocloud-installer/{VANILLA}:v1.14.0"
    assert runs_image("v1.14.0", VANILLA, image_)
    assert runs_image("v1.14.0", "", image_), "an image without extensions tells none"
    assert not runs_image("v1.14.0", OTHER, image_)
    assert not runs_image("v1.14.0-rc.1", VANILLA, image_)
    assert runs_image("v1.14.0", OTHER, "registry.example.net/talos/installer:v1.14.0"), "it is none of the factory's"


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
    assert image("[::1]:5000/talos/installer", "v1.13.9") == "[::1]:5000/talos/installer:v1.13.9"
    assert image("mirror:5000/talos/installer:v1.0.0@sha256:ab", "v1.13.9") == "mirror:5000/talos/installer:v1.13.9"
