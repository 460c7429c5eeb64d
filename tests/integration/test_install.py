# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to install the collection that the README names, each into an empty HOME, without a server of releases."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from lab.playbook import run_playbook
from lab.release import build

ROOT = Path(__file__).resolve().parents[2]


def command(home: Path, *words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        [str(Path(sys.executable).with_name(words[0])), *words[1:]],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("source", ["git", "file"])
def test_it_is_installed_and_documents_itself(tmp_path: Path, source: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if source == "git":
        clone = tmp_path / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=60)
        what = f"git+file://{clone}"
    else:
        built = command(home, "ansible-galaxy", "collection", "build", "--output-path", str(tmp_path))
        assert built.returncode == 0, built.stderr
        (what,) = map(str, tmp_path.glob("tazlab-bootstrap-*.tar.gz"))
    done = command(home, "ansible-galaxy", "collection", "install", what, cwd=home)
    assert done.returncode == 0, done.stderr
    installed = home / ".ansible" / "collections" / "ansible_collections" / "tazlab" / "bootstrap"
    assert (installed / "playbooks" / "site.yml").is_file()
    assert not (installed / "tests").exists()
    shown = command(home, "ansible-doc", "tazlab.bootstrap.vault_bootstrap_bundle", cwd=home)
    assert "VAULT_ADDR" in shown.stdout
    syntax = command(home, "ansible-playbook", "--syntax-check", "tazlab.bootstrap.site", cwd=home)
    assert syntax.returncode == 0, syntax.stderr


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("release") / "not there" / "yet")


def test_a_server_of_releases_would_take_it(tmp_path: Path, archive: Path) -> None:
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
    }
    words = [sys.executable, "-m", "galaxy_importer.main", str(archive)]
    run = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
    said = run.stdout + run.stderr
    assert "Importer processing completed successfully" in said
    assert "WARNING" not in said


def test_an_execution_environment_gets_all_that_is_needed(tmp_path: Path, archive: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert command(home, "ansible-galaxy", "collection", "install", str(archive), cwd=home).returncode == 0
    found = command(home, "ansible-builder", "introspect", str(home / ".ansible" / "collections"))
    told = yaml.safe_load(found.stdout.partition("---")[2])
    needed, programs = ([line.partition("  #")[0] for line in told[kind]] for kind in ("python", "system"))
    wanted = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in wanted if line not in needed] == ["PyYAML>=6.0,<7"], "which ansible-core brings"
    assert programs == ["git"]
    guide = (ROOT / "docs" / "docsite" / "rst" / "guide_execution_environment.rst").read_text()
    example = textwrap.dedent(guide.partition(".. code-block:: yaml\n\n")[2].partition("\n\n``talosctl``")[0])
    (tmp_path / "execution-environment.yml").write_text(example)
    made = command(home, "ansible-builder", "create", cwd=tmp_path)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "tazlab.bootstrap" in (tmp_path / "context" / "_build" / "requirements.yml").read_text()


GROUPS = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]


def test_the_defaults_of_a_group_reach_each_of_its_plugins(tmp_path: Path) -> None:
    """A default that nobody knows is refused by every plugin that gets it."""
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {f"group/tazlab.bootstrap.{group}": {f"canary_{group}": 1}},
            "tasks": [{f"tazlab.bootstrap.{plugin}": {}, "ignore_errors": True} for plugin in plugins],
        }
        for group, plugins in GROUPS.items()
    ]
    run = run_playbook(plays, home=tmp_path)
    assert run.returncode == 0, run.output
    for group, plugins in GROUPS.items():
        assert run.stdout.count(f"TASK [tazlab.bootstrap.{group}") or group in (
            "kubernetes",
            "vault",
            "talos",
            "proxmox",
        )
        told = [line for line in run.output.splitlines() if line.startswith("[ERROR]") and f"canary_{group}" in line]
        assert len(told) == len(plugins), run.output


def test_two_builds_of_one_commit_are_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for moment in (1, 1_000_000_000):
        clone = tmp_path / str(moment) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=60)
        for path in clone.rglob("*"):
            os.utime(path, (moment, moment), follow_symlinks=False)
        program = [sys.executable, "-m", "lab.release", str(clone.parent)]
        environment = {**os.environ, "PYTHONPATH": str(clone / "tests")}
        subprocess.run(program, env=environment, check=True, timeout=120, stdout=subprocess.DEVNULL)
        (archive,) = clone.parent.glob("*.tar.gz")
        digests.add(hashlib.sha256(archive.read_bytes()).hexdigest())
    assert len(digests) == 1
    home = tmp_path / "home"
    home.mkdir()
    done = command(home, "ansible-galaxy", "collection", "install", str(archive), cwd=home)
    assert done.returncode == 0, done.stderr
    verified = command(home, "ansible-galaxy", "collection", "verify", "--offline", "tazlab.bootstrap", cwd=home)
    assert verified.returncode == 0, verified.stderr
