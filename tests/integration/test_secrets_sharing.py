# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One outcome a run: however many lookups, hosts and forks, Vault is asked once, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.bundle import bundle, write_anchor
from lab.playbook import Run, private_environment
from lab.process import wait_until
from lab.tls import Authority
from lab.vault import Request, VaultServer

READ = "secret/data/tazlab-k8s/bootstrap"
ALONE = [READ, "auth/token/lookup-self"]
FIELDS = list(bundle(""))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[VaultServer]:
    with VaultServer(tmp_path_factory.mktemp("vault"), authority) as server:
        yield server


@dataclass
class World:
    server: VaultServer
    home: Path
    run: Callable[..., Run]
    vault: dict[str, str]
    asked: int

    def requests(self) -> list[Request]:
        return list(self.server.audited())[self.asked :]

    def inventory(self, hosts: int) -> Path:
        path = self.home / "inventory.yml"
        names = {f"host{number}": {"ansible_connection": "local"} for number in range(hosts)}
        path.write_text(yaml.safe_dump({"all": {"hosts": names}}))
        return path

    def sockets(self) -> list[Path]:
        return list(self.home.rglob("tazlab.socket"))


@pytest.fixture
def world(server: VaultServer, authority: Authority, tmp_path: Path, ansible_playbook: Callable[..., Run]) -> World:
    home = tmp_path / "home"
    vault = bundle(authority.ca_pem)
    server.write_bundle(vault)
    write_anchor(home / "secrets", bundle(authority.ca_pem))
    (home / "secrets" / "bootstrap-token.txt").write_text(server.scoped_token())
    return World(server, home, ansible_playbook, vault, len(list(server.audited())))


def lookup(name: str, **options: Any) -> str:
    extra = "".join(f", {option}={value!r}" for option, value in options.items())
    return "lookup('tazlab.bootstrap.vault_bundle', '" + name + "'" + extra + ")"


def play(*tasks: dict[str, Any], hosts: str = "all") -> dict[str, Any]:
    return {"hosts": hosts, "gather_facts": False, "tasks": list(tasks)}


def known(name: str, **options: Any) -> dict[str, Any]:
    return {"ansible.builtin.assert": {"that": [f"{lookup(name, **options)} | length > 0"]}}


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_lookups_of_fifty_forks_at_once_are_one_read_on_one_connection(world: World, strategy: str) -> None:
    plays = [{**play(*map(known, FIELDS[:3])), "strategy": strategy}]
    run = world.run(
        plays,
        inventory=world.inventory(50),
        variables={"tazlab_vault_url": world.server.url},
        arguments=["--forks", "50"],
    )
    assert run.returncode == 0, run.output
    requests = world.requests()
    assert [request.path for request in requests] == ALONE
    assert len({request.remote_port for request in requests}) == 1
    assert world.sockets() == []


def test_modules_lookups_loops_and_plays_share(world: World) -> None:
    module = {"tazlab.bootstrap.vault_bootstrap_bundle": {}, "register": "r", "loop": [1, 2, 3]}
    same = {"ansible.builtin.assert": {"that": [f"r.results[2].bundle.GITHUB_TOKEN == {lookup('GITHUB_TOKEN')}"]}}
    plays = [play(known("GITHUB_TOKEN"), module, same, hosts="localhost"), play(module, same)]
    run = world.run(plays, inventory=world.inventory(3), variables={"tazlab_vault_url": world.server.url})
    assert run.returncode == 0, run.output
    assert [request.path for request in world.requests()] == ALONE


def test_no_run_mixes_two_states_of_the_world(world: World) -> None:
    """A new version that is written during the run is not seen by it; failure is shared as success is."""
    new = world.home / "new.py"
    world.home.mkdir(exist_ok=True)
    new.write_text(
        "import hvac, sys\n"
        f"ca = {str(world.server.ca_file)!r}\n"
        f"c = hvac.Client(url={world.server.url!r}, token=sys.stdin.read().strip(), verify=ca)\n"
        "c.secrets.kv.v2.patch('tazlab-k8s/bootstrap', {'GITHUB_TOKEN': 'changed'})\n"
    )
    change = {"ansible.builtin.command": {"argv": [sys.executable, str(new)], "stdin": world.server.root_token}}
    first = {"ansible.builtin.set_fact": {"first": "{{ " + lookup("GITHUB_TOKEN") + " }}"}}
    checks = [f"first == {lookup('GITHUB_TOKEN')}", f"{lookup('GITHUB_TOKEN', cache=False)} == 'changed'"]
    run = world.run(
        [play(first, {**change, "no_log": True}, {"ansible.builtin.assert": {"that": checks}}, hosts="localhost")],
        variables={"tazlab_vault_url": world.server.url},
    )
    assert run.returncode == 0, run.output
    assert [request.path for request in world.requests()] == ALONE * 2


def test_what_is_asked_otherwise_is_another_outcome(world: World) -> None:
    world.server.write_bundle({**world.vault, "GITHUB_TOKEN": "second"})
    version = world.server.client.secrets.kv.v2.read_secret_metadata("tazlab-k8s/bootstrap")["data"]
    older = lookup("GITHUB_TOKEN", version=version["current_version"] - 1)
    checks = [f"{lookup('GITHUB_TOKEN')} == 'second'", f"{older} != 'second'"]
    run = world.run(
        [play({"ansible.builtin.assert": {"that": checks}}, hosts="localhost")],
        variables={"tazlab_vault_url": world.server.url},
    )
    assert run.returncode == 0, run.output
    assert [request.path for request in world.requests()] == ALONE * 2


@contextlib.contextmanager
def silent() -> Iterator[tuple[int, list[socket.socket]]]:
    """A port whose connections are taken and never answered, and those connections."""
    taken: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(listener.accept()[0])

    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listener.getsockname()[1], taken
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    for connection in taken:
        connection.close()


def test_a_hanging_vault_is_waited_for_once(world: World) -> None:
    module = {"tazlab.bootstrap.vault_bootstrap_bundle": {"on_unavailable": "empty"}, "loop": [1, 2]}
    with silent() as (port, taken):
        run = world.run(
            [play(*map(known, FIELDS), module)],
            inventory=world.inventory(20),
            variables={"tazlab_vault_url": f"https://127.0.0.1:{port}", "tazlab_vault_timeout": 2},
            arguments=["--forks", "20"],
        )
    assert run.returncode == 0, run.output
    assert run.stats("host19")["ok"] == len(FIELDS) + 1
    assert "gave no answer within 2 s" in run.output
    assert len(taken) == 1, "160 lookups and 40 modules"


def test_a_module_in_fifty_forks_is_one_read(world: World) -> None:
    module = {"tazlab.bootstrap.vault_bootstrap_bundle": {}, "loop": [1, 2, 3]}
    run = world.run(
        [play(module)],
        inventory=world.inventory(50),
        variables={"tazlab_vault_url": world.server.url},
        arguments=["--forks", "50"],
    )
    assert run.returncode == 0, run.output
    requests = world.requests()
    assert [request.path for request in requests] == ALONE
    assert len({request.remote_port for request in requests}) == 1


def test_lookups_in_check_mode_renew_nothing(world: World) -> None:
    run = world.run(
        [play(known("GITHUB_TOKEN"), known("ESO_READER_TOKEN"), hosts="localhost")],
        variables={"tazlab_vault_url": world.server.url, "tazlab_vault_renew": "always"},
        arguments=["--check"],
    )
    assert run.returncode == 0, run.output
    assert [request.path for request in world.requests()] == ALONE


def test_a_list_of_fields_is_taken_as_names(world: World) -> None:
    names = FIELDS[:3]
    both = [f"query('tazlab.bootstrap.vault_bundle', {names}) == query('tazlab.bootstrap.vault_bundle', *{names})"]
    run = world.run(
        [play({"ansible.builtin.assert": {"that": both}}, hosts="localhost")],
        variables={"tazlab_vault_url": world.server.url},
    )
    assert run.returncode == 0, run.output


def test_options_are_templates_in_variables(world: World) -> None:
    variables = {"tazlab_vault_url": "https://{{ tazlab_vault_host }}", "tazlab_vault_host": "wrong", "limit": 7}
    variables |= {"tazlab_vault_host": world.server.url.removeprefix("https://"), "tazlab_vault_timeout": "{{ limit }}"}
    plays = [{**play(known("GITHUB_TOKEN"), hosts="localhost"), "vars": variables}]
    run = world.run(plays)
    assert run.returncode == 0, run.output
    assert [request.path for request in world.requests()] == ALONE


def _broker(run: subprocess.Popen[bytes]) -> list[int]:
    """The brokers of a run: their last argument is the process that they belong to."""
    found = []
    for process in Path("/proc").iterdir():
        argv = _read(process / "cmdline").split(b"\0") if process.name.isdecimal() else []
        if len(argv) > 4 and b".broker import" in argv[-4] and argv[-2] == b"%d" % run.pid:
            found.append(int(process.name))
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.fixture
def waiting(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """A run that has asked Vault and now waits for a minute."""
    world.home.mkdir(exist_ok=True)
    pause = {"ansible.builtin.wait_for": {"path": str(world.home / "go"), "timeout": 60, "sleep": 1}}
    tasks = [known("GITHUB_TOKEN"), pause, known("ESO_READER_TOKEN")]
    playbook = world.home / "waiting.yml"
    playbook.write_text(
        yaml.safe_dump([{**play(*tasks, hosts="localhost"), "vars": {"tazlab_vault_url": world.server.url}}])
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "ansible", "playbook", str(playbook)],
        env=private_environment(world.home),
        cwd=world.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_until(lambda: len(world.requests()) == 2 and len(_broker(run)) == 1, "the run has asked Vault", 45)
    yield run
    if run.poll() is None:
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_broker_outlives_its_run(world: World, waiting: subprocess.Popen[bytes], number: signal.Signals) -> None:
    assert waiting.poll() is None
    (broker,) = _broker(waiting)
    environment = _read(Path("/proc", str(broker), "environ"))
    assert environment == b""

    def ended() -> bool:
        if waiting.poll() is None:  # Ansible misses a Ctrl-C that comes while it forks a task: one presses again
            waiting.send_signal(number)
        return not Path("/proc", str(broker)).exists()

    wait_until(ended, "the broker has ended", 30, interval=1)
    for path in world.home.rglob("*"):
        if path.is_file() and "secrets" not in path.parts:
            assert world.vault["GITHUB_TOKEN"].encode() not in path.read_bytes()


def test_a_run_goes_on_when_its_broker_is_killed(world: World, waiting: subprocess.Popen[bytes]) -> None:
    (broker,) = _broker(waiting)
    os.kill(broker, signal.SIGKILL)
    (world.home / "go").touch()
    assert waiting.wait(60) == 0
    assert [request.path for request in world.requests()] == ALONE * 2


def test_a_run_without_a_private_directory_asks_for_itself(world: World) -> None:
    """Where others may look into Ansible's directory, no broker is used; each task asks, and all goes well."""
    widen = {"ansible.builtin.shell": "chmod 0755 $HOME/.ansible/tmp/ansible-local-*"}
    world.server.write_bundle({"GITHUB_TOKEN": "here"})
    run = world.run(
        [play(widen, known("GITHUB_TOKEN"), known("ESO_READER_TOKEN"), hosts="localhost")],
        variables={"tazlab_vault_url": world.server.url},
        arguments=["-v"],
    )
    assert run.returncode == 0, run.output
    assert [request.path for request in world.requests()] == ALONE * 2
    assert "cannot be shared" in run.output
