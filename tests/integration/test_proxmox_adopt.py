# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs that others made are marked, and nothing else of them is changed; what may be somebody else's is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from lab.pve import TalosPve, serving
from lab.tls import Authority
from lab.vms import SECRET, WRITES, Layer, layer_of


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def pve(authority: Authority) -> Iterator[TalosPve]:
    with serving(TalosPve(SECRET), authority.certificate("pve")) as running:
        running.add_vm(1001, "node-1", status="running", config={"tags": "mine;talos", "cores": 2})
        running.add_vm(1002, "node-2", status="stopped", config={"cores": 2})
        yield running


@pytest.fixture
def layer(pve: TalosPve, authority: Authority, tmp_path: Path) -> Layer:
    return layer_of(pve, authority, tmp_path / "home")


def tags(pve: TalosPve) -> dict[int, Any]:
    return {vm.vmid: vm.config.get("tags") for vm in pve.vms}


def test_the_mark_is_added_to_the_tags_and_nothing_else_is_changed(layer: Layer, pve: TalosPve) -> None:
    before = {vm.vmid: (vm.status, {**vm.config, "tags": ""}) for vm in pve.vms}
    checked = layer.run("--check", "--diff", tasks_from="adopt")
    assert checked.returncode == 0, checked.output
    assert '+tags: "mine;talos;tazlab-home"' in checked.output
    assert pve.asked(WRITES) == []
    run = layer.run(tasks_from="adopt")
    assert run.returncode == 0, run.output
    assert run.stats()["changed"] == 1
    assert tags(pve) == {1001: "mine;talos;tazlab-home", 1002: "tazlab-home"}
    assert {vm.vmid: (vm.status, {**vm.config, "tags": ""}) for vm in pve.vms} == before, "nor is one started"
    sent = [set(parse_qs(body.decode())) for method, _path, body in pve.requests if method == "PUT"]
    assert sent == [{"tags", "digest"}] * 2, "whoever changes it meanwhile is not written over"
    assert [vm["actions"] for vm in layer.facts["result"]] == [["mark"], ["mark"]]
    again = layer.run(tasks_from="adopt")
    assert again.stats()["changed"] == 0
    assert pve.asked(WRITES) == []


@pytest.mark.parametrize(
    ("vmid", "change", "words"),
    [
        (1001, {"tags": "tazlab-another"}, "carries what marks another cluster: tazlab-another"),
        (1001, {"name": "else"}, "has another name, so it may be another machine. It is not marked."),
        (1002, {"template": 1}, "is not a VM that can run"),
        (1002, None, "there is no VM 1002 that the token may see"),
        (4711, {"tags": "tazlab-home"}, "it carries the tag tazlab-home, and the inventory does not name it."),
    ],
)
def test_what_may_be_somebody_elses_is_not_marked(
    layer: Layer, pve: TalosPve, vmid: int, change: dict[str, Any] | None, words: str
) -> None:
    if vmid == 4711:
        pve.add_vm(vmid, "stranger", status="stopped", config=dict(change or {}))
    elif change is None:
        pve.vms.remove(pve.vm(vmid))
    else:
        vm = pve.vm(vmid)
        vm.config.update(change)
        vm.name = str(change.get("name", vm.name))
        vm.template = bool(change.get("template"))
    run = layer.run(tasks_from="adopt")
    assert run.returncode != 0
    assert words in run.output
    assert pve.asked(WRITES) == []


def test_a_vm_that_is_not_ours_says_how_it_is_taken_over(layer: Layer, pve: TalosPve) -> None:
    run = layer.run()
    assert run.returncode != 0
    assert "has no tag tazlab-home. It is not touched." in run.output
    assert "tazlab.bootstrap.adopt" in run.output
