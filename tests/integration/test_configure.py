# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of living nodes: what is applied at once, what waits until it is told, and that being done."""

from __future__ import annotations

import base64
import os
import re
import secrets
import signal
from typing import Any

import pytest
import yaml

from lab.binaries import version
from lab.living import LivingWorld
from lab.process import wait_until

NEW = version("talosctl-1.14")
BETWEEN = "v1.13.8"
UDEV = {"machine": {"udev": {"rules": ['SUBSYSTEM=="drm"']}}}  # needs a reboot, and Talos 1.14 does not say so
SYSCTL = {"machine": {"sysctls": {"vm.max_map_count": "262144"}}}  # does not


def config(made: LivingWorld, number: int) -> dict[str, Any]:
    """The main document of a machine's configuration, as it lies on its disk."""
    text = made.talos.machine(f"machine-{number}").config_text
    return next(each for each in yaml.safe_load_all(text) if "kind" not in each)["machine"]


def patched(made: LivingWorld, number: int, patch: dict[str, Any]) -> None:
    """Somebody changes a machine's configuration with talosctl."""
    made.talosctl(number, "patch", "machineconfig", "--mode", "no-reboot", "--patch", yaml.safe_dump(patch))


@pytest.mark.kube
@pytest.mark.parametrize("made", [(1, 2, NEW)], indirect=True)
def test_what_reboots_waits_until_it_is_told_and_is_done_one_by_one(made: LivingWorld) -> None:
    boots = {machine.hostname: machine.boot for machine in made.talos.machines()}
    for node in made.nodes:
        node["patches"] = [UDEV]
    check = made.results("talos_config", arguments=["--check"])["talos_config"]
    site = made.results("talos_config")["talos_config"]
    for found in (check, site, made.results("talos_config")["talos_config"]):
        assert not found["changed"]
        assert [node["configuration"] for node in found["nodes"]] == ["the change needs a reboot"] * 3
        assert "Node worker-2 differs from the inventory and is left so" in found["waiting"][2]
        assert "+ machine.udev.rules" in found["waiting"][2]
    assert "udev" not in config(made, 1)

    made.deploy("app", 1, 1)  # its only pod may not leave
    made.rolling["drain_seconds"] = 5
    told = made.results("talos_apply", arguments=["--check"])["talos_apply"]
    assert [(each["node"], each["boots"]) for each in told["plan"]] == [
        ("cp-1", True),
        ("worker-1", True),
        ("worker-2", True),
    ]
    assert sum(each["evicts"] == ["default/" + pod for pod in made.pods("app")] for each in told["plan"]) == 1
    stopped = made.run("talos_apply")
    assert stopped.returncode != 0
    assert "1 of its pods did not leave" in stopped.output
    assert set(made.held().values()) == {(None, None)}

    made.scale("app", 2)
    made.rolling.pop("drain_seconds")
    run = made.run("talos_apply")
    assert run.returncode == 0, run.output
    done = re.findall(r"(\S+): runs with its configuration", stopped.output + run.output)
    assert list(dict.fromkeys(done)) == ["cp-1", "worker-1", "worker-2"]
    assert all(config(made, number)["udev"] == UDEV["machine"]["udev"] for number in (1, 2, 3))
    assert all(machine.boot != boots[machine.hostname] for machine in made.talos.machines())
    assert set(made.held().values()) == {(None, None)}
    assert not made.results("talos_apply")["talos_apply"]["changed"]
    assert not made.results("talos_config")["talos_config"]["changed"]


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(2, 1, NEW)], indirect=True)
def test_what_an_owner_changed_stays_until_the_inventory_shall_win(made: LivingWorld) -> None:
    """And a patch that only some nodes took is told, with who has it."""
    patched(made, 2, {"machine": {"sysctls": {"kernel.panic": "10"}}})
    same = made.results("talos_config")["talos_config"]
    assert [node["changed"] for node in same["nodes"]] == [False] * 3
    made.patches = {"all": [SYSCTL]}
    for playbook, arguments in (("configure.yml", ["--check"]), ("configure.yml", ["--check", "--diff", "-vvvvv"])):
        run = made.play(*arguments, playbook=playbook)
        assert run.returncode == 0, run.output
        assert "cp-2: - machine.sysctls.kernel.panic: 10" in run.output
        assert "cp-1: + machine.sysctls.vm.max_map_count: 262144" in run.output
        assert made.key not in run.output
    for node in made.nodes:
        node["patches"] = [SYSCTL]
    found = made.results("talos_config")["talos_config"]
    assert [node["changed"] for node in found["nodes"]] == [True, False, True]
    (left,) = found["waiting"]
    assert "Node cp-2 differs from the inventory and is left so, as somebody else has changed it" in left
    assert "- machine.sysctls.kernel.panic" in left
    assert "machine.sysctls.vm.max_map_count is so on cp-1." in left
    assert config(made, 2)["sysctls"] == {"kernel.panic": "10"}

    only = made.play("-e", "tazlab_configure_only=worker-1", playbook="configure.yml")
    assert "worker-1: as the inventory says." in only.output
    wrong = made.play("-e", "tazlab_configure_only=worker-9", playbook="configure.yml")
    assert wrong.returncode != 0
    assert "worker-9: the inventory has no node of that name" in wrong.output
    boots = {machine.hostname: machine.boot for machine in made.talos.machines()}
    run = made.play(playbook="configure.yml")
    assert run.returncode == 0, run.output
    assert config(made, 2)["sysctls"] == {"vm.max_map_count": "262144"}
    assert {machine.hostname: machine.boot for machine in made.talos.machines()} == boots
    again = made.play(playbook="configure.yml")
    assert "changed=0" in again.output, again.output
    # From now on it is known as ours again.
    for node in made.nodes:
        node["patches"] = []
    assert [node["changed"] for node in made.results("talos_config")["talos_config"]["nodes"]] == [True] * 3


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1)], indirect=True)
def test_keys_never_change_and_what_was_kept_for_a_boot_is_booted(made: LivingWorld) -> None:
    other = {"cluster": {"secretboxEncryptionSecret": base64.b64encode(secrets.token_bytes(32)).decode()}}
    made.nodes[0]["patches"] = [other]
    for module in ("talos_config", "talos_apply"):
        run = made.run(module)
        assert run.returncode != 0
        assert "cp-1: its configuration would get other CAs or keys: ~ secrets.secretboxencryptionsecret" in run.output
        assert "No node was changed" in run.output
        assert other["cluster"]["secretboxEncryptionSecret"] not in run.output
    made.nodes[0]["patches"] = []
    made.nodes[1]["patches"] = [{"machine": {"token": "aaaaaa.0123456789abcdef"}}]
    (problem,) = made.problems()
    assert "worker-1: its configuration would get other CAs or keys: machine.token" in problem

    made.nodes[1]["patches"] = [UDEV]
    # As earlier versions of this collection did.
    made.talosctl(2, "patch", "machineconfig", "--mode", "staged", "--patch", yaml.safe_dump(UDEV))
    found = made.results("talos_config")["talos_config"]
    assert found["nodes"][1]["configuration"] == "it runs with an older configuration until its next reboot"
    assert "configure.yml boots it" in found["waiting"][0]
    (told,) = made.results("talos_apply")["talos_apply"]["plan"]
    assert (told["node"], told["boots"]) == ("worker-1", True)
    assert made.results("talos_config")["talos_config"]["waiting"] == []


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1, BETWEEN)], indirect=True)
def test_a_newer_contract_comes_with_a_boot_after_an_upgrade(made: LivingWorld) -> None:
    made.options["version"] = NEW
    made.results("talos_upgrade")
    assert made.results("talos_config")["talos_config"]["waiting"] == []
    made.options["raise_contract"] = "v1.14"
    found = made.results("talos_config")["talos_config"]
    assert [node["configuration"] for node in found["nodes"]] == ["the change needs a reboot"] * 2
    del made.options["raise_contract"]
    told = made.results("talos_apply")["talos_apply"]["plan"]
    assert [(each["node"], each["boots"]) for each in told] == [("cp-1", True), ("worker-1", True)]
    for machine in made.talos.machines():
        assert {"KubeletConfig", "SecurityProfileConfig"} <= {each.get("kind") for each in machine.documents}
    assert made.ready()
    found = made.results("talos_config")["talos_config"]
    assert ([node["configuration"] for node in found["nodes"]], found["waiting"]) == (["unchanged"] * 2, [])


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(1, 1)], indirect=True)
def test_a_change_that_is_killed_goes_on(made: LivingWorld) -> None:
    moments = {
        "it is kept": lambda: "udev" in config(made, 1),
        "the worker is cordoned": lambda: made.held()["worker-1"][1] is not None,
    }
    for node in made.nodes:
        node["patches"] = [UDEV]
    for moment, come in moments.items():
        with made.started("talos_apply") as process:
            wait_until(come, moment, 60)
            os.killpg(process.pid, signal.SIGKILL)
    made.results("talos_apply")
    assert all("udev" in config(made, number) for number in (1, 2))
    assert set(made.held().values()) == {(None, None)}
    found = made.results("talos_config", "talos_apply")
    assert not any(each["changed"] for each in found.values())
    assert found["talos_config"]["waiting"] == []
