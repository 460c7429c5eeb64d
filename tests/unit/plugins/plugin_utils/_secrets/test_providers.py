# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fallback sources: every fault of the anchor's table, paths in variables, and commands."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import DEFAULT_FIELDS, Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.providers import (
    CommandProvider,
    EnvironmentProvider,
    FileProvider,
    declared_providers,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import (
    Found,
    Provenance,
    Resolution,
    resolve,
)
from lab.anchor import picture
from lab.faults import ANCHOR_FAULTS, ERROR, MISSING, VALUE, AnchorFault
from lab.process import wait_until

ROOT = Path(__file__).resolve().parents[5]

TOKEN = DEFAULT_FIELDS["GITHUB_TOKEN"]
KEY = DEFAULT_FIELDS["TALOS_SECRETBOX_KEY"]
VAULT = Provenance("vault", "x", "vault v1")
WORD = "ghp_abcdefghijklmnop"


def _write(content: bytes) -> Callable[[Path], None]:
    return lambda file: _private(file, content)


def _private(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)


def _mode(mode: int) -> Callable[[Path], None]:
    def make(file: Path) -> None:
        _private(file, WORD.encode())
        file.chmod(mode)

    return make


def _link_out(file: Path) -> None:
    outside = file.parent.parent / "outside"
    _private(outside, WORD.encode())
    file.symlink_to(outside)


def _link_in(file: Path) -> None:
    inside = file.parent / "other"
    _private(inside, WORD.encode())
    file.symlink_to(inside)


def _socket(file: Path) -> None:
    previous = Path.cwd()
    os.chdir(file.parent)  # the address of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(file.name)
    finally:
        os.chdir(previous)


SETUPS: dict[str, Callable[[Path], Any]] = {
    "no-directory": lambda file: file.parent.rmdir(),
    "no-file": lambda file: None,
    "empty": _write(b""),
    "blank": _write(b" \t\r\n\n"),
    "mode-0000": _mode(0),
    "world-readable": _mode(0o644),
    "link-out": _link_out,
    "link-in": _link_in,
    "link-nowhere": lambda file: file.symlink_to(file.parent / "nowhere"),
    "link-loop": lambda file: file.symlink_to(file),
    "fifo": os.mkfifo,
    "socket": _socket,
    "directory": lambda file: file.mkdir(),
    "latin-1": _write("ghp_öäü".encode("latin-1")),
    "utf-16": _write(WORD.encode("utf-16")),
    "bom": _write(b"\xef\xbb\xbf" + WORD.encode()),
    "crlf": _write(WORD.encode() + b"\r\n"),
    "nul": _write(b"ghp_\0abc"),
    "large": _write(b"x" * 1024 * 1024),
    "quotes-around": _write(f" \t'\"{WORD}\"' \r\n\n".encode()),
    "quote-inside": _write(b"ghp_'abc"),
    "blank-inside": _write(b"ghp_ abc"),
    "two-lines": _write(b"ghp_\nabc"),
    "txt": lambda file: _private(file.with_suffix(".txt"), WORD.encode()),
}


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    directory = tmp_path / "secrets"
    directory.mkdir(mode=0o700)
    return directory


@pytest.mark.parametrize("case", ANCHOR_FAULTS, ids=lambda case: case.name)
def test_fault_of_the_anchor(case: AnchorFault, anchor: Path) -> None:
    if case.name == "mode-0000" and os.getuid() == 0:
        pytest.skip("root reads every file; a test of its own runs as somebody else")
    SETUPS[case.name](anchor / "github-token")
    before = picture(anchor) if anchor.exists() else {}
    result = resolve([TOKEN], {}, [FileProvider(anchor)])
    assert before == (picture(anchor) if anchor.exists() else {})
    _check(case, result)
    known = {TOKEN.name: Found("known", Provenance("vault", "x", "vault v1"))}
    compared = resolve([TOKEN], known, [FileProvider(anchor)])
    assert (compared.invalid, compared.found[TOKEN.name].value) == ([], "known")
    states = {VALUE: ["differs"], MISSING: ["absent"], ERROR: ["invalid"]}[case.outcome]
    assert [entry.state for entry in compared.drift] == states


def _check(case: AnchorFault, result: Resolution) -> None:
    if case.outcome == VALUE:
        assert result.found[TOKEN.name].value == WORD
        assert result.found[TOKEN.name].provenance.source == "file"
        assert [case.text in warning for warning in result.warnings] == ([True] if case.text else [])
    elif case.outcome == MISSING:
        assert result.missing == [TOKEN.name]
        assert case.text in result.problems[0].text
    else:
        assert result.found == {}
        assert case.text in result.invalid[0].text
        assert "GITHUB_TOKEN: the value from file github-token" in result.invalid[0].text


def test_every_fault_is_brought_about() -> None:
    assert {case.name for case in ANCHOR_FAULTS} == set(SETUPS)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_a_file_without_permission_is_an_error_for_who_is_not_root(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = Path("/tmp") / f"tazlab-{os.getpid()}-{time.monotonic_ns()}"
    directory.mkdir(mode=0o755)
    try:
        file = directory / "github-token"
        file.write_text(WORD)
        file.chmod(0)
        closed = directory / "closed"
        closed.mkdir(mode=0o700)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setuid(65534)
                result = resolve([TOKEN], {}, [FileProvider(directory)])
                below = resolve([TOKEN], {TOKEN.name: Found("x", VAULT)}, [FileProvider(closed / "anchor")])
                told = "permission denied" in " ".join(texts(result.invalid)) and below.drift[0].state == "absent"
                status = 0 if told else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        closed.rmdir()
        file.unlink()
        directory.rmdir()


def test_a_certificate_may_be_readable_by_everybody(anchor: Path) -> None:
    from lab.tls import Authority

    pem = Authority(anchor.parent / "tls").ca_pem
    (anchor / "vault-ca.crt").write_text(pem)
    (anchor / "vault-ca.crt").chmod(0o644)
    result = resolve([DEFAULT_FIELDS["VAULT_CA_CRT"]], {}, [FileProvider(anchor)])
    assert (result.found["VAULT_CA_CRT"].value, result.warnings) == (pem, [])


# ------------------------------------------------------------------------------------------------------ environment


def from_environment(field: Field, value: str, home: Path) -> Resolution:
    return resolve([field], {}, [EnvironmentProvider({field.name: value}, home)])


def test_a_variable_holds_a_value_or_a_path(anchor: Path) -> None:
    _private(anchor / "x", f"{WORD}\n".encode())
    for value in (WORD, f" '{WORD}'\n", str(anchor / "x"), "~/secrets/x", f"'{anchor}/x'"):
        result = from_environment(TOKEN, value, anchor.parent)
        assert result.found["GITHUB_TOKEN"].value == WORD
        assert result.found["GITHUB_TOKEN"].provenance.place == "GITHUB_TOKEN"


@pytest.mark.parametrize("path", ["/nowhere/at/all", "~/nowhere", "/", "/dev/null", "/a\0b", "/\ud800", "~nobody-x/y"])
def test_a_path_without_a_regular_file_is_an_error_and_never_a_token(tmp_path: Path, path: str) -> None:
    result = from_environment(TOKEN, path, tmp_path)
    assert result.found == {}
    assert "names a file, since it begins with / or ~" in result.invalid[0].text


def test_a_key_that_begins_with_a_slash_is_a_key(tmp_path: Path) -> None:
    key = "/" + "A" * 42 + "="
    assert from_environment(KEY, key, tmp_path).found["TALOS_SECRETBOX_KEY"].value == key


def test_only_the_declared_variables_are_asked(tmp_path: Path) -> None:
    field = Field("GITHUB_TOKEN", env=("FLUX_TOKEN",))
    provider = EnvironmentProvider({"GITHUB_TOKEN": "no", "FLUX_TOKEN": "yes"}, tmp_path)
    assert resolve([field], {}, [provider]).found["GITHUB_TOKEN"].value == "yes"


# --------------------------------------------------------------------------------------------------------- commands


def command(*argv: str, timeout: float = 10) -> Resolution:
    return resolve([TOKEN], {}, [CommandProvider(argv, os.environ, timeout)])


def test_a_command_prints_the_value(tmp_path: Path) -> None:
    result = command("printf", "%s\n", "value-of-{name}-{file}")
    assert result.found["GITHUB_TOKEN"].value == "value-of-GITHUB_TOKEN-github-token"
    assert result.found["GITHUB_TOKEN"].provenance.label == "command printf"


@pytest.mark.parametrize(
    ("argv", "note"),
    [
        (["tazlab-no-such-program"], "is not installed"),
        (["sh", "-c", "echo sec''ret >&2; exit 11"], "ended with status 11; by hand: sh -c "),
        (["sleep", "30"], "gave no answer within 0.3 s; by hand: sleep 30)"),
        (["sh", "-c", "exec >&-; sleep 30"], "gave no answer within 0.3 s; by hand: sh -c 'exec >&-; sleep 30')"),
        (["sh", "-c", "sleep 30 & wait"], "gave no answer within 0.3 s"),
        (["true"], "empty"),
    ],
)
def test_a_command_without_a_value_is_a_place_that_was_tried(argv: list[str], note: str) -> None:
    begin = time.monotonic()
    result = command(*argv, timeout=0.3 if "no answer" in note else 10)
    assert result.missing == ["GITHUB_TOKEN"]
    assert f"command {argv[0]} ({note}" in result.problems[0].text
    assert time.monotonic() - begin < 15
    assert "secret" not in result.problems[0].text


def test_the_guides_recipe_for_ansible_vault_gives_the_value(tmp_path: Path) -> None:
    vault = str(Path(sys.executable).with_name("ansible-vault"))
    (tmp_path / "pass").write_text("canary")
    (tmp_path / "github-token").write_text("ghp_encrypted")
    keys = ["--vault-password-file", str(tmp_path / "pass")]
    subprocess.run([vault, "encrypt", *keys, str(tmp_path / "github-token")], check=True, capture_output=True)
    assert "ghp_" not in (tmp_path / "github-token").read_text()
    guide = (ROOT / "docs" / "docsite" / "rst" / "guide_password_stores.rst").read_text()
    assert '``[ansible-vault, view, --vault-password-file, /home/me/.vault-pass, "/home/me/secrets/{file}"]``' in guide
    result = command(vault, "view", *keys, f"{tmp_path}/{{file}}", timeout=60)
    assert result.found["GITHUB_TOKEN"].value == "ghp_encrypted"


def test_a_password_store_that_may_want_a_passphrase_is_told_of_the_terminal(tmp_path: Path) -> None:
    program = tmp_path / "gopass"
    program.write_text("#!/bin/sh\nexit 2\n")
    program.chmod(0o755)
    text = command(str(program), "show", "a b").problems[0].text
    assert f"by hand: {program} show 'a b'; if it asks for a passphrase: export GPG_TTY=$(tty)" in text


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import sys; sys.stdout.write('x' * 1000000)", "printed more than 256 KiB"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "printed something that is not UTF-8"),
    ],
)
def test_what_a_command_may_not_print(code: str, problem: str) -> None:
    assert problem in command(sys.executable, "-c", code).invalid[0].text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("handler", ["ansible", "python"])
def test_a_command_ends_when_we_are_interrupted(tmp_path: Path, number: signal.Signals, handler: str) -> None:
    """Ansible's processes of a task end within their signal handler, without any cleaning up."""
    started = tmp_path / "started"
    child = os.fork()
    if child == 0:
        if handler == "ansible":
            signal.signal(number, lambda *_: os._exit(1))
        try:
            command("sh", "-c", f"echo $$ > {started}.new; mv {started}.new {started}; sleep 60 & wait", timeout=60)
        finally:
            os._exit(2)
    wait_until(started.exists, "the command runs", 20)
    group = int(started.read_text())
    os.kill(child, number)
    os.waitpid(child, 0)

    def gone() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(gone, "the command has ended with all that it started", 10)


def test_a_command_sees_no_secret_and_no_shell(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "VAULT_TOKEN": "a", "BAO_TOKEN": "b", "ESO_READER_TOKEN": "c", "HOME": "/h"}
    (provider,) = declared_providers(
        [
            {
                "type": "command",
                "argv": [sys.executable, "-c", "import os; print(','.join(sorted(os.environ)))", "$HOME"],
            }
        ],
        fields=DEFAULT_FIELDS.values(),
        anchor=None,
        environ=environ,
        home=tmp_path,
    )
    names = resolve([TOKEN], {}, [provider]).found["GITHUB_TOKEN"].value.split(",")
    assert {"HOME", "PATH"} <= set(names)
    assert not {"VAULT_TOKEN", "BAO_TOKEN", "ESO_READER_TOKEN"} & set(names)


def test_a_command_is_not_asked_for_what_is_known(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    known = {"GITHUB_TOKEN": Found("known", Provenance("vault", "x", "vault v1"))}
    resolve([TOKEN], known, [CommandProvider(("touch", str(touched)), os.environ)])
    assert not touched.exists()


# ------------------------------------------------------------------------------------------------------ declaration


def declared(declaration: Any, home: Path, anchor: str | None = None) -> Any:
    return declared_providers(declaration, fields=[TOKEN], anchor=anchor, environ={}, home=home)


def test_by_default_the_environment_comes_before_the_anchor(tmp_path: Path) -> None:
    first, second = declared(None, tmp_path)
    assert isinstance(first, EnvironmentProvider)
    assert second == FileProvider(tmp_path / "secrets")
    assert declared(None, tmp_path, "~/elsewhere")[1].directory == tmp_path / "elsewhere"
    assert declared([], tmp_path) == ()


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (["env"], "number 1: type must be one of env, file, command"),
        ([{"type": "env"}, {"type": "gopass"}], "number 2: type must be one of"),
        ([{"type": "env", "directory": "x"}], "a provider of type env has no option directory"),
        ([{"type": "command"}], "argv must be a list of words"),
        ([{"type": "command", "argv": "gopass show"}], "argv must be a list of words"),
        ([{"type": "command", "argv": ["x"], "timeout": "soon"}], "timeout must be a number of seconds"),
    ],
)
def test_a_malformed_declaration_is_refused(tmp_path: Path, declaration: Any, message: str) -> None:
    with pytest.raises(BootstrapError, match=message):
        declared(declaration, tmp_path)


def test_the_anchor_is_not_even_opened_for_writing(anchor: Path) -> None:
    """A read-only directory with read-only files serves as well: nothing is written, locked or renamed."""
    _private(anchor / "github-token", WORD.encode())
    (anchor / "github-token").chmod(0o400)
    anchor.chmod(0o500)
    assert resolve([TOKEN], {}, [FileProvider(anchor)]).found["GITHUB_TOKEN"].value == WORD
    assert stat.S_IMODE(anchor.stat().st_mode) == 0o500
    anchor.chmod(0o700)
