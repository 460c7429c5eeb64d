# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to install the collection that the README names, each into an empty HOME, without a server of releases."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
