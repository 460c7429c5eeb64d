# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what is read of etcd's members in talosctl's tables."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import Nodes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import Private, Talosctl
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._upgrade.etcd import is_well, member_of

CP = Node("cp-1", "192.0.2.11", "control_plane")
MEMBERS = b"""\
NODE         ID                 HOSTNAME   PEER URLS                 CLIENT URLS               LEARNER
192.0.2.11   2afb4b1bd9b6e5b1   cp-1       https://192.0.2.11:2380   https://192.0.2.11:2379   false
192.0.2.11   3bfb4b1bd9b6e5b1              https://192.0.2.13:2380                             true
"""
STATUS = b"""\
NODE         MEMBER             DB SIZE   IN USE            LEADER             RAFT INDEX   LEARNER   ERRORS
192.0.2.11   2afb4b1bd9b6e5b1   17 MB     9.0 MB (50.00%)   2afb4b1bd9b6e5b1   12           false     WRONG
"""


@dataclass(frozen=True)
class Answering(Talosctl):
    """A talosctl with one answer."""

    answer: bytes = b""

    def run(self, *arguments: str | Private, timeout: float = 1.0, target: str = "", heard: object = None) -> bytes:
        return self.answer


def nodes(answer: bytes) -> Nodes:
    return Nodes(Answering(answer=answer), b"talosconfig")


@pytest.mark.parametrize(
    ("name", "address", "member"),
    [
        ("cp-1", "192.0.2.11", "2afb4b1bd9b6e5b1"),
        ("cp-3", "192.0.2.13", "3bfb4b1bd9b6e5b1"),  # it was added and never started: it has no name yet
        ("cp-2", "192.0.2.12", ""),
        ("cp-2", "192.0.2.11", ""),  # another one's address
    ],
)
def test_a_member_is_found_by_its_name_or_where_it_has_none_by_its_address(
    name: str, address: str, member: str
) -> None:
    assert member_of(nodes(MEMBERS), CP, Node(name, address, "worker")) == member


def test_a_member_that_reports_an_error_is_not_well() -> None:
    assert is_well(nodes(STATUS.replace(b"WRONG", b"")), CP)
    assert not is_well(nodes(STATUS), CP)
