# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine against ten, on two nodes of Proxmox VE whose tasks take 2 s: birth, second run, removal.

./dev bench machines [--many N]
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.playbook import run_playbook
from lab.supervisor import Lab

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
TASK = 2.0  # seconds of each task
ALONE = {"cluster": {"allowSchedulingOnControlPlanes": True}}


@dataclass(frozen=True)
class Times:
    """Seconds: of phase vms at a birth, of a whole second run, and of the removal; and of an import that waits."""

    birth: float
    second: float
    removal: float
    waited: float


def inventory(lab: Lab, count: int) -> dict[str, Any]:
    """A control plane on the first node, and workers on both by turns."""
    found = lab.variables()
    workers = found["all"]["children"]["talos_workers"]["hosts"]
    like = workers.pop("worker-1")
    for number in range(1, count):
        place = {
            "vmid": 1020 + number,
            "ansible_host": lab.address(20 + number),
            "proxmox_node": f"pve{2 - number % 2}",
        }
        workers[f"worker-{number}"] = {**like, **place}
    if count == 1:
        found["all"]["vars"]["tazlab_talos_patches"]["control_plane"] = [ALONE]
    return found


def measured(directory: Path, count: int) -> Times:
    with Lab(directory / f"lab-{count}") as lab:
        lab.proxmox.pve.task_secs, lab.proxmox.pve.time_scale = TASK, 1.0
        path = directory / f"inventory-{count}.yml"
        path.write_text(yaml.safe_dump(inventory(lab, count)))

        def play(playbook: str, *arguments: str) -> tuple[float, str]:
            begun = time.monotonic()
            run = run_playbook(
                PLAYBOOKS / playbook,
                home=directory / f"home-{count}",
                inventory=path,
                arguments=arguments,
                environment={"PATH": lab.environment()["PATH"]},
                timeout=900,
            )
            if run.returncode:
                raise SystemExit(run.output[-4000:])
            return time.monotonic() - begun, run.output

        _whole, said = play("site.yml")
        vms = re.search(r"^  vms +([\d.]+) s", said, re.MULTILINE)
        assert vms is not None
        second = min(play("site.yml")[0] for _number in range(2))
        removal, _said = play("destroy.yml", "-e", "tazlab_destroy=lab")
        on_one = max(sum(vm["proxmox_node"] == node for vm in _hosts(lab, count)) for node in ("pve1", "pve2"))
        return Times(float(vms[1]), second, removal, (on_one - 1) * (TASK + 0.7))


def _hosts(lab: Lab, count: int) -> Iterator[dict[str, Any]]:
    for group in inventory(lab, count)["all"]["children"].values():
        yield from group["hosts"].values()


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="./dev bench machines", description=__doc__)
    parser.add_argument("--many", type=int, default=10)
    many = parser.parse_args(words).many
    with tempfile.TemporaryDirectory() as directory:
        one, all_of = (measured(Path(directory), count) for count in (1, many))
    print(f"{'':>12}  {'one':>7}  {many:>7}  seconds")
    for name in ("birth", "second", "removal"):
        print(f"{name:>12}  {getattr(one, name):>7.1f}  {getattr(all_of, name):>7.1f}")
    for text, value, most in (
        (
            f"phase vms of {many} / of one, without the imports that wait",
            (all_of.birth - all_of.waited) / one.birth,
            1.5,
        ),
        (f"a second run with {many} / with one", all_of.second / one.second, 1.3),
        (f"removing {many} / removing one", all_of.removal / one.removal, 1.5),
    ):
        print(f"{'met' if value <= most else 'NOT met':>7}  {value:>6.2f} <= {most:<5g} {text}")
