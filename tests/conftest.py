# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes C(ansible_collections.tazlab.bootstrap) importable, by Ansible's own loader, and takes a share of the sweeps.

A sweep is a test with many points that are alike: moments of a kill, faults, sizes, versions. It is marked C(sweep),
and with C(--share SEED) a part of its points is run. Each seed, such as a commit, chooses a part of its own.
"""

from __future__ import annotations

import hashlib
import itertools
import math

import pytest
from ansible.plugins.loader import init_plugin_loader

PART = 4  # a share is one of so many parts

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

    def test_of(item: pytest.Item) -> str:
        return item.nodeid.partition("[")[0]

    sweeps = sorted((item for item in items if item.get_closest_marker("sweep")), key=test_of)
    left: set[pytest.Item] = set()
    for _, points in itertools.groupby(sweeps, key=test_of):
        ranked = sorted(points, key=lambda item: hashlib.sha256(f"{seed} {item.nodeid}".encode()).digest())
        left.update(ranked[math.ceil(len(ranked) / PART) :])
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = [item for item in items if item not in left]
