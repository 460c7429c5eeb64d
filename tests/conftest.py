# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes C(ansible_collections.tazlab.bootstrap) importable, by Ansible's own loader, and takes a share of the sweeps.

A sweep is a test with many points that are alike: moments of a kill, faults, sizes, versions. It is marked C(sweep),
and with C(--share SEED) a part of its points is run. Each seed, such as a commit, chooses a part of its own. Several
tests are points of one sweep where its name is the mark's argument. What is marked C(seldom) is in no share.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import pytest
from ansible.plugins.loader import init_plugin_loader

PART = 6  # a share is one of so many parts

init_plugin_loader()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--share", metavar="SEED", help="of each sweep, run only the part that this seed chooses")


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("--share")
    return f"sweeps: one point in {PART}, chosen by {seed}" if seed else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--share")
    if not seed:
        return

    sweeps = {item.nodeid: _sweep_of(item) for item in items if item.get_closest_marker("sweep")}
    left = left_out(sweeps, seed) | {item.nodeid for item in items if item.get_closest_marker("seldom")}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left])
    items[:] = [item for item in items if item.nodeid not in left]


def _sweep_of(item: pytest.Item) -> str:
    mark = item.get_closest_marker("sweep")
    return str(mark.args[0]) if mark and mark.args else item.nodeid.partition("[")[0]


def left_out(sweeps: Mapping[str, str], seed: str) -> set[str]:
    """The points, by their ids, that this seed does not choose. C(sweeps) has the sweep of each."""
    left: set[str] = set()
    for sweep in set(sweeps.values()):
        points = (point for point, its in sweeps.items() if its == sweep)
        ranked = sorted(points, key=lambda point: hashlib.sha256(f"{seed} {point}".encode()).digest())
        left.update(ranked[math.ceil(len(ranked) / PART) :])
    return left
