# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No command is printed or documented that nobody runs: a test runs it, or it stands here with the reason why not."""

from __future__ import annotations

import ast
import base64
import inspect
import re
import shlex
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import exposed, read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.git import Checkout, Remote
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.provider import PROXMOX as PROVIDER
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.preflight import package_problems
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import secretbox_problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault import commands as _vault_commands

ROOT = Path(__file__).parents[2]
TREE = "tests/integration/test_delivery_tree.py"
HERE = "tests/unit/test_printed_commands.py"
PASTED = "tests/integration/test_printed_commands.py"
KEPT = "tests/integration/test_vault_kept.py"
LOGIN = "tests/integration/test_cluster_login.py"

# The functions of the one module that makes the commands about Vault and the anchor, and the tests that paste each.
MADE = {
    "take": f"{PASTED}::test_it_works_in_every_shell_whatever_is_exported",
    "copy": f"{PASTED}::test_it_works_in_every_shell_whatever_is_exported",
    "unwrap": f"{PASTED}::test_a_token_is_unwrapped_on_another_machine",
    "revoke": f"{PASTED}::test_a_token_that_nobody_holds_is_revoked",
    "enable_versioning": f"{PASTED}::test_an_old_secrets_engine_is_migrated_by_its_owner_alone",
    "undelete": f"{KEPT}::test_a_deleted_newest_version_is_not_taken_for_empty_and_comes_back_by_the_printed_command",
    "rollback": f"{KEPT}::test_a_destroyed_newest_version_hides_older_ones",
    "login": f"{PASTED}::test_logging_in_replaces_the_token_only_by_one_that_lives",
    "write": f"{LOGIN}::test_what_is_anothers_is_never_written_and_its_owner_pastes_what_is_printed",
    "vault_tool": f"{PASTED}::test_the_client_that_is_installed_is_named",
}

# Every other command: the test that runs it.
TESTED = {
    "ansible": f"{PASTED}::test_a_former_token_of_the_eso_reader_is_revoked",
    "bao login": f"{PASTED}::test_logging_in_replaces_the_token_only_by_one_that_lives",
    "bao kv": f"{KEPT}::test_a_destroyed_newest_version_hides_older_ones",
    "vault login": f"{PASTED}::test_logging_in_replaces_the_token_only_by_one_that_lives",
    "chmod": f"{HERE}::test_a_file_is_closed_to_others",
    "openssl rand": f"{HERE}::test_a_secretbox_key_is_made",
    "kubectl -n": f"{TREE}::test_eso_moves_to_v1_in_the_steps_of_the_guide",
    "kubectl get": f"{TREE}::test_eso_moves_to_v1_in_the_steps_of_the_guide",
    "kubectl --kubeconfig": f"{HERE}::test_a_kubeconfig_is_looked_at",
    "git ls-remote": f"{HERE}::test_a_repository_is_tried_by_hand",
    "pip install": f"{HERE}::test_the_packages_that_are_missing_are_named_to_pip",
    "ansible-playbook": "tests/integration/test_site.py::test_the_second_run_changes_nothing_and_says_so",
    "tazlab-health.cron": f"{HERE}::test_the_line_for_cron_speaks_only_when_something_is_wrong",
}

PROXMOX = "the shell of a Proxmox VE node: the lab's stand-in has the API alone"
SYSTEM = "the user's own system, which a test does not change"
# What no test can run here, and why. None of these writes a file of the user's.
EXCUSED = {
    "pvecm status": PROXMOX,
    "pvenode task": PROXMOX,
    "pvesh get": PROXMOX,
    "pvesm list": PROXMOX,
    "pvesm set": PROXMOX,
    "pvesm status": PROXMOX,
    "pveum acl": PROXMOX,
    "pveum user": PROXMOX,
    "qm config": PROXMOX,
    "qm destroy": PROXMOX,
    "qm set": PROXMOX,
    "qm start": PROXMOX,
    "qm status": PROXMOX,
    "qm unlock": PROXMOX,
    "ansible-galaxy collection": f"{SYSTEM}; a release is installed by the sanity tests",
    "install -r": f"{SYSTEM}; pip's, in a project to copy, whose scenarios test_molecule.py runs",
    "ansible-doc": "shows documentation, which the linters build",
    "crontab -e": f"{SYSTEM}: an editor",
    "systemctl --user": SYSTEM,
    "loginctl enable-linger": SYSTEM,
    "tailscale status": f"{SYSTEM}: a tailnet",
    "export": "sets a variable of the user's shell",
    "unset": "clears a variable of the user's shell",
    "./dev bench": "the developer's own entry, not the user's",
    "./dev build": "tests/integration/test_install.py does the same",
    "./dev demo": "tests/integration/test_lab_demo.py does the same",
    "./dev lab": "tests/integration/test_lab_supervisor.py does the same",
    "./dev run": "tests/integration/test_molecule.py does the same",
    "./dev test": "runs these tests",
    "flux install": "the flux client is not here; it prints to standard output",
    "talosctl gen": "named as what we run ourselves, not as something to do",
    "talosctl get": "named as what we run ourselves, not as something to do",
    "talosctl kubeconfig": "named as what we run ourselves, not as something to do",
    "talosctl version": "named as what we run ourselves, not as something to do",
    "talosctl upgrade": "named as what we run ourselves, not as something to do",
    "talosctl validate": "reads a file of the user's; what it says is withheld, since it may quote a secret",
    "talosctl reset": "erases a machine; the stand-in machines have nothing installed that it could erase",
    "talosctl upgrade-k8s": "named as what we run ourselves, not as something to do",
}

PROGRAMS = re.split(
    " ",
    "bao vault gopass pass install cp mv ln rm mkdir chmod chown tee dd openssl git kubectl kustomize flux qm pct "
    "pvesm pvenode pveum pvesh pvecm talosctl ansible ansible-playbook ansible-galaxy ansible-doc ansible-vault "
    "pip pip3 tailscale curl wget ssh scp rsync export unset sudo systemctl loginctl crontab apt dnf ./dev",
)
CALL = re.compile(rf"(?<![\w/.$@-])({'|'.join(map(re.escape, sorted(PROGRAMS, key=len, reverse=True)))}) +(\S+)")
# A word that follows a program's name in a sentence.
PROSE = re.compile(
    "and|at|begins|bootstrap|can|failed|for|gave|has|in|instead|is|makes|nor|of|on|or|refuses|repository|that|the|which|where|"
    "printed|exact_data|objects|needed|password|tags|tazlab.bootstrap|with"
)


def signature(program: str, word: str) -> str | None:
    """The program and what it is told to do, or None for a sentence about it."""
    verb = word.strip("`\"'*()|,;?").rstrip(".:)")
    if PROSE.fullmatch(verb) or (re.match(r"v?[\d{]", verb) and program != "chmod"):
        return None
    if program in ("ansible", "ansible-playbook", "ansible-doc", "chmod", "export", "unset"):
        return program if verb[:1].isalnum() or verb.startswith("-") else None
    return f"{program} {verb}" if re.fullmatch(r"-{0,2}[a-z][a-z0-9-]*", verb) else None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("To look: talosctl etcd status.", ["talosctl etcd"]),
        ("run kubectl delete pod x; pip install y", ["kubectl delete", "pip install"]),
        ("talosctl is not on PATH", []),
        ("C(~/.vault-token), where C(bao login) put it", ["bao login"]),
    ],
)
def test_a_command_is_told_from_a_sentence(text: str, names: list[str]) -> None:
    assert [name for call in CALL.findall(text) if (name := signature(*call))] == names


def texts(path: Path) -> Iterator[str]:
    """What may reach a reader: of Python the strings without what documents code, of all else everything."""
    if path.suffix != ".py":
        yield path.read_text()
        return
    tree = ast.parse(path.read_text())
    inner, silent = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner.update(child for child in ast.walk(node) if child is not node)
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and body and isinstance(body[0], ast.Expr):
            silent.add(body[0].value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "by_hand":
            words = [word.value for word in node.args if isinstance(word, ast.Constant)]
            yield f"talosctl {words[0]}"  # what the function puts before it says only where
        if node in inner or node in silent:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def found() -> dict[str, set[str]]:
    """Every command in what a release packs, with the files that have it."""
    places: dict[str, set[str]] = defaultdict(set)
    made = Path(inspect.getfile(_vault_commands)).name
    trees = ("plugins", "playbooks", "roles", "docs")
    files = [path for tree in trees for path in (ROOT / tree).rglob("*") if path.is_file() and path.name != made]
    for path in [*files, ROOT / "README.md"]:
        if "__pycache__" in path.parts:
            continue
        if path.suffix == ".cron":
            places[path.name].add(str(path.relative_to(ROOT)))
        for text in texts(path):
            for program, word in CALL.findall(text):
                if name := signature(program, word):
                    places[name].add(str(path.relative_to(ROOT)))
    return places


def test_every_command_is_run_by_a_test_or_excused() -> None:
    places = found()
    known = {*TESTED, *EXCUSED}
    assert not {name: sorted(files) for name, files in places.items() if name not in known}, (
        "test these, or excuse them"
    )
    assert known - places.keys() == set(), "nobody prints these any more"
    assert TESTED.keys().isdisjoint(EXCUSED)


def test_the_tests_that_are_named_are_there() -> None:
    for name in {*TESTED.values(), *MADE.values()}:
        file, _, test = name.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(), name


def test_every_command_about_vault_is_pasted() -> None:
    functions = inspect.getmembers(_vault_commands, inspect.isfunction)
    made = {name for name, value in functions if value.__module__ == _vault_commands.__name__ and name[0] != "_"}
    assert made == set(MADE)


def test_no_redirection_is_printed_elsewhere() -> None:
    """What is behind a C(>) is empty when the command before it fails: only the one module may write a file."""
    into = re.compile(r"(bao|vault|cat|openssl|talosctl|kubectl|\{\}) [^\n]*[^->|=<]> *[~/{$\w]")
    assert into.search("(umask 077; bao kv get -mount=secret -field=X tazlab-k8s/bootstrap > {})")
    made = Path(inspect.getfile(_vault_commands)).name
    files = [path for path in (ROOT / "plugins").rglob("*.py") if path.name != made]
    files += [*(ROOT / "playbooks").rglob("*.yml"), *(ROOT / "docs").rglob("*.rst"), ROOT / "README.md"]
    for path in files:
        for text in texts(path):
            assert not into.search(text), path


# ------------------------------------------------------------------------- commands that need nothing but this machine


def run(command: str, **how: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False, **how)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder whose name must be quoted."""
    folder = tmp_path / "it's my own"
    folder.mkdir()
    return folder


def test_a_file_is_closed_to_others(odd: Path) -> None:
    file = odd / "a token"
    file.write_text("secret")
    file.chmod(0o644)
    said = exposed(file, read_text(file))
    assert said is not None
    command = said[said.index("chmod ") :]
    assert run(command).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == "secret"
    file.unlink()
    assert run(command).returncode != 0
    assert list(odd.iterdir()) == []


def test_a_secretbox_key_is_made() -> None:
    said = secretbox_problem("c2hvcnQ=")
    assert said is not None
    done = run(said.step[said.step.index("openssl ") :])
    assert len(base64.b64decode(done.stdout)) == 32
    assert secretbox_problem(done.stdout.strip()) is None


def test_a_kubeconfig_is_looked_at(odd: Path) -> None:
    file = odd / "kubeconfig"
    file.write_text("apiVersion: v1\nkind: Config\nclusters: []\n")
    with pytest.raises(BootstrapError) as raised, Api(str(file)):
        pass
    said = str(raised.value)
    command = said[said.index("kubectl ") :]
    assert shutil.which("kubectl")
    assert "kind: Config" in run(command).stdout
    before = file.read_bytes()
    file.write_bytes(b"{[")
    assert run(command).returncode != 0
    assert file.read_bytes() == b"{[" != before


def test_the_packages_that_are_missing_are_named_to_pip(odd: Path) -> None:
    """By a Python that says what it was told: a test installs nothing."""
    python = odd / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (said,) = package_problems(["vms"], PROVIDER, lambda name: False, str(python))
    done = run(said.step[said.step.index(shlex.quote(str(python))) :])
    assert done.stdout.split() == ["-m", "pip", "install", "proxmoxer", "requests"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_repository_is_tried_by_hand(odd: Path) -> None:
    """A server that names a commit and does not have it."""
    repository = odd / "it's.git"
    (repository / "info").mkdir(parents=True)
    (repository / "info" / "refs").write_text(f"{'a' * 40}\trefs/heads/main\n")
    (repository / "HEAD").write_text("ref: refs/heads/main\n")
    before = sorted(odd.rglob("*"))
    server = HTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(odd)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        remote = Remote(f"http://127.0.0.1:{server.server_port}/it's.git", "main")
        with pytest.raises(BootstrapError, match="for a reason that we do not know") as raised:
            Checkout(remote, Deadline(30)).__enter__()
        said = str(raised.value)
        command = said[said.index("git ls-remote") :]
        assert run(command, cwd=odd).stdout.endswith("refs/heads/main\n")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert run(command, cwd=odd).returncode == 128
    assert sorted(odd.rglob("*")) == before


def test_the_line_for_cron_speaks_only_when_something_is_wrong(odd: Path) -> None:
    """As cron runs it: every C(%) without a backslash would be a line break."""
    line = (ROOT / "roles" / "vault_bootstrap" / "files" / "tazlab-health.cron").read_text().splitlines()[-1]
    command = line.split(None, 5)[5]
    assert not re.search(r"(?<!\\)%", command)
    program = odd / "ansible-playbook"
    for status, printed in ((0, ""), (2, "the report: 100%\n")):
        program.write_text(f"#!/bin/sh\necho 'the report: 100%'\nexit {status}\n")
        program.chmod(0o755)
        done = run(command.replace("\\%", "%"), env={"PATH": f"{odd}:/usr/bin:/bin", "HOME": str(odd)})
        assert (done.returncode, done.stdout) == (status, printed)
