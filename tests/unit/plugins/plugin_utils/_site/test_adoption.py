# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of what differs between a living cluster and the inventory."""

from __future__ import annotations

from typing import Any

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.adoption import Row, lines, rows


def found(**more: Any) -> list[Row]:
    empty: dict[str, Any] = dict.fromkeys(("vms", "nodes", "seeds", "flux", "problems"), ())
    return rows(**{**empty, **more})


def test_a_path_says_what_its_change_restarts() -> None:
    paths = [
        "~ machine.kubelet.image",
        "+ cluster.apiServer.extraArgs.v",
        "~ machine.sysctls.x",
        "- cluster.etcd.image",
    ]
    effects = {row.what: row.effect for row in found(nodes=[{"name": "cp-1", "answers": True, "differences": paths}])}
    assert effects == {
        "~ machine.kubelet.image": "the kubelet starts anew",
        "+ cluster.apiServer.extraArgs.v": "kube-apiserver starts anew",
        "~ machine.sysctls.x": "restarts nothing",
        "- cluster.etcd.image": "needs a reboot",
    }


def test_a_node_that_was_not_compared_is_named() -> None:
    (row,) = found(nodes=[{"name": "worker-1", "answers": False, "differences": []}])
    assert (row.name, row.what) == ("worker-1", "does not answer, so it was not compared")
    assert not found(nodes=[{"name": "worker-1", "answers": True, "differences": []}])


def test_objects_that_are_not_there_are_one_row() -> None:
    objects = [{"kind": "Secret", "namespace": "a", "name": str(number), "change": "made"} for number in range(8)]
    (row,) = found(seeds=objects)
    assert (row.layer, row.name, row.effect) == ("seed", "", "is made")
    assert row.what.endswith(" and 2 more")


def test_the_table_has_80_columns() -> None:
    problem = {"subject": "", "what": "Talos v1.12.6 is wanted, and cp-1 runs v1.12.4. " * 3}
    drift = [{"setting": "cores", "found": "", "wanted": "2"}]
    printed = lines(found(vms=[{"name": "cp-1", "drift": drift}], problems=[problem]))
    assert printed[:2] == ["  VM cp-1", f"    {'cores is not set, wanted 2'.ljust(44)}  is left so"]
    assert max(map(len, printed)) <= 80
