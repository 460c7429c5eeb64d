# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of ansible-playbook that is killed changes nothing more: its workers, and what they started, end with it."""

from __future__ import annotations

import base64
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.kube import ControlPlane
from lab.playbook import children, is_gone, started_playbook
from lab.process import wait_until
from lab.pve import TOKEN_ID, TalosPve, serving
from lab.tls import Authority

SECRET = "5b0c9a3e-canary-4c55-9d1d-2f0b7a6f1e77"
WRITES = "^(POST|PUT|DELETE) "
MOMENT = 3.0  # seconds that a busy machine may need to end a process
HANGS = "#!/bin/sh\necho $$ > {0}.new\nmv {0}.new {0}\nsleep 120 & wait\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def pve(authority: Authority) -> Iterator[TalosPve]:
    with serving(TalosPve(SECRET), authority.certificate("pve")) as running:
        running.time_scale, running.task_secs = 1.0, 2.0
        running.store_file("local", "talos.qcow2", 1024, "import")
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    return home


def play(*tasks: dict[str, Any], hosts: str = "localhost") -> list[dict[str, Any]]:
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    return [{"hosts": hosts, "gather_facts": False, "vars": local, "tasks": list(tasks)}]


def machines(authority: Authority, pve: TalosPve, vms: Any) -> dict[str, Any]:
    return {
        "tazlab.bootstrap.proxmox_vm": {
            "url": pve.url,
            "ca_cert": str(authority.ca_file),
            "token_id": TOKEN_ID,
            "token_secret": SECRET,
            "cluster": "home",
            "storage": "local-lvm",
            "image": "local:import/talos.qcow2",
            "vms": vms,
        }
    }


def machine(vmid: int) -> dict[str, Any]:
    return {"name": f"node-{vmid}", "vmid": vmid, "node": "pve1", "disk": 32}


def kill(process: int) -> list[int]:
    """Kill the run, and only that; returns its workers once all have ended, which must be in a moment."""
    workers = [child for child in children(process) if not is_gone(child)]
    assert workers, "the run had no worker when it was killed"
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: all(map(is_gone, workers)), "the workers have ended", MOMENT)
    return workers


def changes_nothing_more(pve: TalosPve, before: int, machines: int) -> None:
    """Only what was on its way for each machine when the run was killed may have come since; and no other will."""
    came = pve.asked(WRITES)
    assert len(came) <= before + machines, came
    wait_until(lambda: all(task["status"] == "stopped" for task in pve.tasklog), "the nodes' tasks have ended", 30)
    assert pve.asked(WRITES) == came


@pytest.mark.sweep
@pytest.mark.parametrize("midst", ["qmcreate", "resize", "qmstart"])
def test_no_vm_is_made_after_the_kill(authority: Authority, pve: TalosPve, home: Path, midst: str) -> None:
    plays = play(machines(authority, pve, [machine(1001), machine(1002), machine(1003)]))
    with started_playbook(plays, home=home) as run:
        wait_until(lambda: any(task["type"] == midst for task in pve.tasklog), f"a {midst} runs", 60)
        before = len(pve.asked(WRITES))
        kill(run.pid)
        changes_nothing_more(pve, before, machines=3)


def test_no_vm_is_made_by_any_of_many_forks(authority: Authority, pve: TalosPve, home: Path) -> None:
    hosts = {f"host-{number}": {"number": 1000 + number} for number in range(12)}
    inventory = home / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    vm = {**machine(1001), "name": "node-{{ number }}", "vmid": "{{ number }}"}
    plays = play(machines(authority, pve, [vm]), hosts="all")
    with started_playbook(plays, home=home, inventory=inventory, arguments=["--forks", "12"]) as run:
        wait_until(lambda: len(pve.asked(f"{WRITES}nodes/pve1/qemu$")) >= 8, "most workers have begun", 90)
        workers = [child for child in children(run.pid) if not is_gone(child)]
        os.kill(run.pid, signal.SIGKILL)
        wait_until(lambda: all(map(is_gone, workers)), "the workers have ended", 2 * MOMENT)
        # Each worker may have had a request on its way.
        came = pve.asked(WRITES)
        wait_until(lambda: all(task["status"] == "stopped" for task in pve.tasklog), "the tasks have ended", 30)
        assert len(workers) >= 8
        assert pve.asked(WRITES) == came


def hanging(home: Path, name: str) -> tuple[Path, dict[str, str]]:
    """A program that says its number and ends in two minutes; and the environment in which it is found."""
    started, folder = home / "started", home / "bin"
    folder.mkdir()
    (folder / name).write_text(HANGS.format(started))
    (folder / name).chmod(0o755)
    return started, {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def asks_talosctl(home: Path) -> dict[str, Any]:
    return {
        "tazlab.bootstrap.talos_preflight": {
            "cluster": "home",
            "endpoint": "https://192.0.2.11:6443",
            "nodes": [{"name": "cp-1", "address": "192.0.2.11", "role": "control_plane"}],
            "version": "v1.12.6",
            "kubernetes_version": "1.35.4",
            "schematic": "0" * 64,
            "state_dir": str(home / "state"),
        }
    }


def asks_git(home: Path) -> dict[str, Any]:
    return {"tazlab.bootstrap.flux_repository": {"url": "https://git.example.net/x", "branch": "main", "path": "./x"}}


def asks_a_command(home: Path) -> dict[str, Any]:
    providers = [{"type": "command", "argv": ["gopass", "show", "{name}"]}]
    return {"tazlab.bootstrap.secret_fallback": {"fields": {"GITHUB_TOKEN": {}}, "providers": providers}}


def looks_up_a_command(home: Path) -> dict[str, Any]:
    """In a task that is none of ours."""
    lookup = (
        "lookup('tazlab.bootstrap.vault_bundle', 'GITHUB_TOKEN', url='https://127.0.0.1:1', token='t', "
        "providers=[{'type': 'command', 'argv': ['gopass', 'show', '{name}'], 'timeout': 120}])"
    )
    return {"ansible.builtin.set_fact": {"length": "{{ " + lookup + " | length }}"}}


CHILDREN = {
    "talosctl": ("talosctl", asks_talosctl),
    "git": ("git", asks_git),
    "command": ("gopass", asks_a_command),
    "lookup": ("gopass", looks_up_a_command),
}


@pytest.mark.sweep
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("what", CHILDREN)
def test_what_a_worker_started_ends_with_the_run(home: Path, what: str, number: signal.Signals) -> None:
    name, task = CHILDREN[what]
    started, environment = hanging(home, name)
    with started_playbook(play(task(home)), home=home, environment=environment) as run:
        wait_until(started.exists, "the program runs", 60)
        group = int(started.read_text())
        begun = time.monotonic()
        run.send_signal(number)
        wait_until(lambda: not group_lives(group), "the program has ended with all that it started", 4 * MOMENT)
        run.wait(60)
        assert run.returncode != 0
        assert time.monotonic() - begun < 60, "it ends by itself after two minutes"


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.kube
def test_no_object_is_applied_after_the_kill(home: Path, tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "kube", secretbox_key=base64.b64encode(os.urandom(32)).decode()) as plane:
        maps = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m-{number}", "namespace": "default"}}
            for number in range(3000)
        ]
        task = {"kubeconfig": str(plane.kubeconfig), "objects": maps, "field_manager": "t", "timeout": 300}
        made = lambda: sum(each["metadata"]["name"].startswith("m-") for each in plane.client().list("v1", "ConfigMap"))  # noqa: E731
        with started_playbook(play({"tazlab.bootstrap.kubernetes_objects": task}), home=home) as run:
            wait_until(lambda: made() >= 20, "the first objects are there", 120)
            kill(run.pid)
            there = made()
            assert there < len(maps), "the loop was over before the kill"
            run.wait(30)
        assert made() == there


def test_a_run_that_ends_by_itself_leaves_no_trace_of_the_guard(home: Path) -> None:
    """A worker whose task has ended is ended by Ansible; the thread holds nothing up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        closing = threading.Thread(target=lambda: server.accept()[0].close(), daemon=True)
        closing.start()
        task = {"tazlab.bootstrap.flux_repository": {"url": f"https://127.0.0.1:{port}/x", "branch": "m", "path": "x"}}
        with started_playbook(play({**task, "failed_when": False}), home=home) as run:
            assert run.wait(60) == 0, (home / "said").read_text()
