# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All control planes are gone: etcd is made anew with what a snapshot holds. Its database and Kubernetes are real."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from lab.binaries import version
from lab.living import LivingWorld
from lab.process import wait_until

NOTE = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "note", "namespace": "default"},
    "data": {"text": "a2VwdA=="},
}


@pytest.mark.kube
@pytest.mark.sweep("a living cluster")
@pytest.mark.parametrize("made", [(2, 1, version("talosctl-1.14"))], indirect=True)
def test_what_only_kubernetes_had_comes_back_from_a_snapshot(made: LivingWorld) -> None:
    made.client().create(NOTE)
    assert made.play(playbook="backup.yml").returncode == 0
    (snapshot,) = (made.directory / "backups").iterdir()
    anchor = made.directory / "anchor"
    anchor.mkdir(mode=0o700)
    (anchor / "talos-secretbox-key").touch(mode=0o600)
    (anchor / "talos-secretbox-key").write_text(made.key)
    broken = made.directory / "broken.snapshot"
    broken.write_bytes(snapshot.read_bytes()[:-1] + b"x")

    def restore(*arguments: str, file: object = snapshot, confirmed: str = "home") -> tuple[int, str]:
        words = ("--tags", "talos", "-e", f"tazlab_restore_from={file}", "-e", f"tazlab_restore={confirmed}")
        run = made.play(*words, *arguments, playbook="restore.yml")
        return run.returncode, run.output

    # While it lives, nothing is restored over it; one control plane of two keeps it as well.
    for lost, words in ((None, "cp-1 (127."), (2, "cp-1 (127.")):
        if lost:
            made.metal.replace(lost)
            made.talos.wait(f"machine-{lost}", "maintenance")
        status, said = restore()
        assert status != 0, said
        assert "A snapshot is restored when all control planes are gone" in said
        assert words in said
        assert not (made.state / "birth").exists()
    made.metal.replace(1)
    made.talos.wait("machine-1", "maintenance")
    for changed, words in (
        ({"confirmed": "office"}, "-e tazlab_restore=home"),
        ({"file": made.directory / "nothing"}, "tazlab_restore_from names no file"),
        ({"file": broken}, "its digest is not that of its content"),
        ({"file": made.state / "secrets.yaml"}, "it is none, or not all of it"),
    ):
        status, said = restore(**changed)  # type: ignore[arg-type]
        assert (status != 0, words in said) == (True, True), said
    status, said = restore("--check")
    assert status == 0, said
    assert made.talos.machine("machine-1").config_text == ""

    # Broken off after the machines were configured: nobody makes an empty etcd then.
    made.snapshot = snapshot
    with made.started("talos_secrets", "talos_restoring") as process:
        wait_until(lambda: made.talos.machine("machine-1").config_text, "the first is configured", 60)
        os.killpg(process.pid, signal.SIGKILL)
    for module in ("talos_config", "talos_bootstrap"):
        run = made.run(module)
        assert run.returncode != 0
        assert "Run restore.yml" in run.output
    other = snapshot.with_name(snapshot.name.replace("home", "office"))
    other.write_bytes(snapshot.read_bytes())
    assert "it is of cluster office, and this is home" in restore(file=other)[1]
    # The worker comes back late, as after a power cut.
    made.metal.power(3, on=False)
    made.talos.wait("machine-3", "off")

    def come_back() -> None:
        made.talos.wait("machine-1", "configured", 120)
        made.metal.power(3, on=True)

    late = threading.Thread(target=come_back, daemon=True)
    late.start()
    status, said = restore()
    late.join(10)
    assert status == 0, said
    assert "etcd bootstrapped on cp-1 from" in said
    wait_until(made.ready, "every node is Ready", 60)
    found = made.client().find("v1", "Secret", "note", "default")
    assert found is not None
    assert found["data"] == NOTE["data"]
    assert made.etcd_members() == {"cp-1", "cp-2"}
    assert not (made.state / "birth").exists()
    status, said = restore()
    assert status != 0
    assert "A snapshot is restored when all control planes are gone" in said
