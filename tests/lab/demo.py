# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(./dev demo): a cluster born on the lab by playbooks/site.yml, and born again from its recovery anchor."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from lab import delivered
from lab.bundle import bundle
from lab.claim import Taken
from lab.process import LabError, guarded
from lab.supervisor import Background, default_directory

PLAYBOOK = Path(__file__).resolve().parents[2] / "playbooks" / "site.yml"
# Variables of the caller's that would decide what the playbook does, secrets of a real cluster among them.
FOREIGN = ("ANSIBLE_", "VAULT_", "BAO_", "TAZLAB_", "KUBECONFIG", "TALOSCONFIG", "PROXMOX_", *bundle(""))
BREAKS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Played:
    """A run of site.yml: its exit status, and how many tasks changed something (None: there was no recap)."""

    status: int
    changed: int | None


def say(message: str) -> None:
    print(f"demo: {message}", file=sys.stderr, flush=True)


def silence() -> None:
    """What is still to be written goes nowhere: the interpreter would complain of it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def play(lab: Background) -> Played:
    """Run site.yml on the lab, and show what it prints as it prints it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environment |= {name: os.environ[name] for name in ("ANSIBLE_COLLECTIONS_PATH",) if name in os.environ}
    environment |= {**lab.environment(), "PYTHONUNBUFFERED": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
    if sys.stdout.isatty():
        environment["ANSIBLE_FORCE_COLOR"] = "1"
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", str(lab.directory / "inventory.yml"), str(PLAYBOOK)]
    begun = time.monotonic()
    changed: int | None = None
    with guarded(argv, env=environment) as playbook:
        assert playbook.stdout is not None
        for line in playbook.stdout:
            print(line, end="", flush=True)
            if recap := re.search(r"localhost\S*\s+:.*\bchanged=(\d+)", line):
                changed = int(recap[1])
    say(f"site.yml took {time.monotonic() - begun:.1f} s and ended with status {playbook.returncode}")
    return Played(playbook.returncode, changed)


def asked(lab: Background) -> int:
    """How many requests Vault has had with the bootstrap token, as its audit log tells."""
    return sum(lab.ask("requests").values())


def again(lab: Background, *, vault_down: bool) -> int:
    """The second run on a kept lab: it holds, and it changes nothing."""
    if not lab.running:
        raise LabError(f"no lab was kept in {lab.directory}. ./dev demo --keep makes one")
    lab.ask("vault", "stop" if vault_down else "start")
    before = asked(lab)
    played = play(lab)
    say(f"Vault was asked {asked(lab) - before} times")
    if played.status == 0 and played.changed != 0:
        say(f"the second run was to change nothing; it changed {played.changed}")
        return 1
    return played.status


def born(lab: Background, *, keep: bool, vault_down: bool, delivery: bool) -> int:
    """A lab, and a cluster born on it."""
    begun = time.monotonic()
    try:
        lab.start(say, leashed=not keep, delivery=delivery)
    except Taken as taken:
        raise LabError(f"{taken}. ./dev demo --again uses it, ./dev demo --down ends it") from None
    finished = False
    try:
        say(f"the lab stands after {time.monotonic() - begun:.1f} s")
        if vault_down:
            lab.ask("vault", "stop")
            say("VAULT IS STOPPED: this cluster is born from the files of the recovery anchor")
        played = play(lab)
        say(f"Vault was asked {asked(lab)} times")
        if delivery and played.status == 0:
            delivered.show(lab.environment(), lab.ask("operator"), say)
        if not keep:
            say("the lab is taken down; --keep leaves it up, for the commands above")
        finished = True
    except BrokenPipeError:
        say("nobody reads what is printed any more; the lab is taken down")
        raise
    except KeyboardInterrupt:
        say("broken off; the lab is taken down, which takes some seconds")
        raise
    finally:
        for number in BREAKS if not finished else ():  # who breaks off twice would leave the lab behind
            signal.signal(number, signal.SIG_IGN)
        if not (keep and finished):
            lab.stop()
    if keep:
        say("the lab runs on. ./dev demo --again shows that nothing changes, ./dev lab env what to export")
        say("./dev demo --down ends it")
    return played.status


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev demo", description="A cluster born on the lab by playbooks/site.yml")
    parser.add_argument("--vault-down", action="store_true", help="stop Vault first: the recovery anchor answers")
    parser.add_argument(
        "--delivery",
        action="store_true",
        help="Flux delivers a workload's secret by the real ESO, and a rotation of it",
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--keep", action="store_true", help="leave the lab running")
    choice.add_argument("--again", action="store_true", help="on the lab that was kept: nothing may change")
    choice.add_argument("--down", action="store_true", help="end the lab that was kept")
    arguments = parser.parse_args(words)
    lab = Background(default_directory())
    for number in BREAKS:  # a shell's background job would ignore the first
        signal.signal(number, signal.default_int_handler)
    if arguments.down:
        lab.stop()
        return 0
    if arguments.again:
        return again(lab, vault_down=arguments.vault_down)
    if arguments.vault_down and arguments.delivery:
        parser.error("--delivery reads from Vault, which --vault-down stops")
    return born(lab, keep=arguments.keep, vault_down=arguments.vault_down, delivery=arguments.delivery)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        say(str(error))
        sys.exit(1)
    except BrokenPipeError:
        silence()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
