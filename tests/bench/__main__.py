# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookups of ours against community.hashi_vault and a bare playbook: requests, wall time, CPU time, memory.

Ratios are to the first of the ways that were chosen, round by round. CPU time and memory are those of ansible-playbook
with its children; the broker of a run is none of them, and is measured in a run of its own. At the end stands each
goal, by the medians, and whether it is met.

./dev bench [--repeat N] [--round-trips 0,20,80] [--lookups 1,8,160] [--ways bare,ours] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from bench import machines
from bench.delay import Delay
from lab.bundle import bundle
from lab.playbook import private_environment
from lab.tls import Authority
from lab.vault import VaultServer

FIELDS = list(bundle(""))
# Lookups -> hosts and fields.
SHAPES = {1: (1, 1), 8: (1, 8), 160: (20, 8)}
EMPTY_LOOKUP = """\
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        return ["constant"]
"""
PATH = "secret/data/tazlab-k8s/bootstrap"


@dataclass(frozen=True)
class Figure:
    """One way at one shape and distance: the medians of the runs, and of the ratios to the first way of each round."""

    way: str
    lookups: int
    round_trip: int
    wall: float
    cpu: float
    memory: float
    requests: int  # the most of any run
    wall_ratio: float
    cpu_ratio: float


def _facts(expression: Callable[[str], str], fields: list[str]) -> list[dict[str, Any]]:
    """One task for each field that uses its value."""
    return [{"ansible.builtin.set_fact": {f"out_{name}": expression(name)}, "no_log": True} for name in fields]


def bare(fields: list[str]) -> list[dict[str, Any]]:
    return _facts(lambda name: "{{ 'value-of-' ~ '" + name + "' }}", fields)


def empty(fields: list[str]) -> list[dict[str, Any]]:
    """What Ansible itself takes to load a collection's lookup in each task's process."""
    return _facts(lambda name: "{{ lookup('bench.empty.constant', '" + name + "') }}", fields)


def ours(fields: list[str]) -> list[dict[str, Any]]:
    return _facts(lambda name: "{{ lookup('tazlab.bootstrap.vault_bundle', '" + name + "') }}", fields)


def kv2_get(fields: list[str]) -> list[dict[str, Any]]:
    start = "{{ lookup('community.hashi_vault.vault_kv2_get', 'tazlab-k8s/bootstrap', engine_mount_point='secret')"
    return _facts(lambda name: start + ".secret." + name + " }}", fields)


def _once(read: str, fields: list[str]) -> list[dict[str, Any]]:
    once = {"ansible.builtin.set_fact": {"bundle": read}, "run_once": True, "no_log": True}
    return [once, *_facts(lambda name: "{{ bundle." + name + " }}", fields)]


def ours_once(fields: list[str]) -> list[dict[str, Any]]:
    return _once("{{ lookup('tazlab.bootstrap.vault_bundle') }}", fields)


def read_once(fields: list[str]) -> list[dict[str, Any]]:
    return _once("{{ lookup('community.hashi_vault.vault_read', '" + PATH + "').data.data }}", fields)


WAYS = {
    "bare": bare,
    "empty lookup": empty,
    "ours": ours,
    "ours once": ours_once,
    "vault_read once": read_once,
    "vault_kv2_get": kv2_get,
}


class Bench:
    """One server and one HOME for all runs."""

    def __init__(self, home: Path, server: VaultServer, token: str) -> None:
        self.home = home
        self.server = server
        self.token = token
        plugin = home / "collections" / "ansible_collections" / "bench" / "empty" / "plugins" / "lookup" / "constant.py"
        plugin.parent.mkdir(parents=True)
        plugin.write_text(EMPTY_LOOKUP)
        self.collections = f"{os.environ['ANSIBLE_COLLECTIONS_PATH']}{os.pathsep}{home / 'collections'}"

    def run(
        self, way: str, lookups: int, port: int, watch: Callable[[int], None] | None = None
    ) -> tuple[float, float, float, int]:
        hosts, fields = SHAPES[lookups]
        names = {f"host{number}": {"ansible_connection": "local"} for number in range(hosts)}
        url = f"https://127.0.0.1:{port}"
        variables = {
            "tazlab_vault_url": url,
            "ansible_hashi_vault_url": url,
            "ansible_hashi_vault_auth_method": "token",
            "ansible_hashi_vault_token_validate": False,
            "ansible_hashi_vault_ca_cert": str(self.server.ca_file),
        }
        inventory = self.home / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": names, "vars": variables}}))
        play = {"hosts": "all", "gather_facts": False, "tasks": WAYS[way](FIELDS[:fields])}
        playbook = self.home / "playbook.yml"
        playbook.write_text(yaml.safe_dump([play]))
        before = len(list(self.server.audited()))
        argv = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), str(playbook)]
        environment = private_environment(
            self.home,
            {
                "VAULT_TOKEN": self.token,
                "VAULT_CACERT": str(self.server.ca_file),
                "ANSIBLE_FORKS": "20",
                "ANSIBLE_COLLECTIONS_PATH": self.collections,
            },
        )
        wall, cpu, memory = _measured(argv, environment, self.home, watch)
        return wall, cpu, memory, len(list(self.server.audited())) - before


def _measured(
    argv: list[str], environment: dict[str, str], directory: Path, watch: Callable[[int], None] | None
) -> tuple[float, float, float]:
    """Wall and CPU seconds, and MiB at the peak of the largest process, of a command with all its children."""
    begin = time.monotonic()
    with (directory / "output").open("wb") as output:
        child = subprocess.Popen(argv, env=environment, cwd=directory, stdout=output, stderr=subprocess.STDOUT)
    if watch:
        watch(child.pid)
    _pid, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        raise SystemExit((directory / "output").read_text())
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


@dataclass
class Broker:
    """What the broker of a run takes, as long as it can be seen."""

    cpu: float = 0.0
    memory: float = 0.0

    def watch(self, run: int) -> None:
        """Follow it until the run ends."""
        broker = None
        while os.waitid(os.P_PID, run, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if broker is None:
                broker = next((process for process in Path("/proc").iterdir() if self._is_broker(process, run)), None)
            else:
                with contextlib.suppress(OSError):  # it has ended
                    self._look(broker)
            time.sleep(0.1)

    def _look(self, broker: Path) -> None:
        times = (broker / "stat").read_text().rpartition(")")[2].split()
        self.cpu = (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
        peak = re.search(r"VmHWM:\s+(\d+) kB", (broker / "status").read_text())
        self.memory = int(peak.group(1)) / 1024 if peak else self.memory

    @staticmethod
    def _is_broker(process: Path, run: int) -> bool:
        try:
            argv = (process / "cmdline").read_bytes().split(b"\0") if process.name.isdecimal() else []
        except OSError:
            return False
        return len(argv) > 4 and b".broker import" in argv[-4] and argv[-2] == b"%d" % run


def goals(found: list[Figure], renewal: int | None) -> Iterator[tuple[str, float, float]]:
    """Each goal that these figures can tell: what is compared, the figure, and the most that it may be."""
    wall = {(figure.lookups, figure.round_trip, figure.way): figure.wall for figure in found}
    for distance in sorted({figure.round_trip for figure in found}):
        one = {way: wall[1, distance, way] for way in WAYS if (1, distance, way) in wall}
        all_of = {way: wall[160, distance, way] for way in WAYS if (160, distance, way) in wall}
        if distance == 20 and {"bare", "ours", "vault_kv2_get"} <= set(all_of):
            ratio = (all_of["ours"] - all_of["bare"]) / (all_of["vault_kv2_get"] - all_of["bare"])
            yield "160 lookups at 20 ms: time added to bare, ours / vault_kv2_get", ratio, 0.1
        if distance == 0 and {"bare", "ours"} <= set(one) & set(all_of):
            first = one["ours"] - one["bare"]  # it loads hvac and asks Vault
            ratio = (all_of["ours"] - first) / all_of["bare"]
            yield "160 lookups at 0 ms without what the first one takes: time, ours / bare", ratio, 1.15
            if "empty lookup" in all_of:
                ratio = (all_of["ours"] - first) / all_of["empty lookup"]
                yield "the same against as many lookups that do nothing: time, ours / empty lookup", ratio, 1.15
        for ours in ("ours", "ours once"):
            if {ours, "vault_read once"} <= set(all_of):
                ratio = all_of[ours] / all_of["vault_read once"]
                yield f"160 values at {distance} ms: time, {ours} / vault_read once", ratio, 1.0
    asked = [figure.requests for figure in found if figure.way.startswith("ours")]
    if asked:
        yield "requests of ours, the most of any run", max(asked), 2
    if renewal is not None:
        yield "requests of 160 lookups when the token has to be renewed", renewal, 3


def figures(bench: Bench, arguments: argparse.Namespace) -> Iterator[Figure]:
    for round_trip in arguments.round_trips:
        with Delay(bench.server.port, round_trip / 1000) as delay:
            port = delay.port if round_trip else bench.server.port
            for lookups in arguments.lookups:
                # Ways take turns, so that a slow moment of the machine meets all of them.
                runs: dict[str, list[tuple[float, float, float, int]]] = {way: [] for way in arguments.ways}
                for _number in range(arguments.repeat):
                    for way, results in runs.items():
                        results.append(bench.run(way, lookups, port))
                first = runs[arguments.ways[0]]
                for way, results in runs.items():
                    wall, cpu, memory, _requests = (statistics.median(column) for column in zip(*results, strict=True))
                    requests = max(run[3] for run in results)
                    ratios = [(run[0] / base[0], run[1] / base[1]) for run, base in zip(results, first, strict=True)]
                    wall_ratio, cpu_ratio = (statistics.median(column) for column in zip(*ratios, strict=True))
                    yield Figure(way, lookups, round_trip, wall, cpu, memory, requests, wall_ratio, cpu_ratio)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--round-trips", type=_numbers, default=[0, 20, 80])
    parser.add_argument("--lookups", type=_numbers, default=list(SHAPES))
    parser.add_argument("--ways", type=lambda text: text.split(","), default=list(WAYS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory, "home")
        home.mkdir()
        authority = Authority(Path(directory, "tls"))
        with VaultServer(Path(directory, "vault"), authority) as server:
            server.write_bundle(bundle(authority.ca_pem))
            bench = Bench(home, server, server.scoped_token())
            bench.run("bare", 1, server.port)  # warm the caches of compiled Python
            bench.run("ours", 1, server.port)
            bench.run("vault_kv2_get", 1, server.port)
            print("round trip  lookups  way               requests   wall s  ratio    CPU s  ratio    MiB")
            found = []
            for figure in figures(bench, arguments):
                found.append(figure)
                print(
                    f"{figure.round_trip:>7} ms  {figure.lookups:>7}  {figure.way:<16}  {figure.requests:>8}  "
                    f"{figure.wall:>7.2f}  {figure.wall_ratio:>5.2f}  {figure.cpu:>7.2f}  {figure.cpu_ratio:>5.2f}  "
                    f"{figure.memory:>5.0f}",
                    flush=True,
                )
            renewal = None
            if "ours" in arguments.ways:
                broker = Broker()
                bench.run("ours", 160, server.port, broker.watch)
                print(
                    f"the broker of a run with 160 lookups of ours: {broker.cpu:.2f} s of CPU, {broker.memory:.0f} MiB"
                )
                bench.token = server.scoped_token(period="20s")
                time.sleep(11)
                renewal = bench.run("ours", 160, server.port)[3]
            for text, value, most in goals(found, renewal):
                print(f"{'met' if value <= most else 'NOT met':>7}  {value:>6.2f} <= {most:<5g} {text}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(figure) for figure in found], indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["machines"]:
        machines.main(sys.argv[2:])
    else:
        main()
