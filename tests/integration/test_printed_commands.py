# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command that we print is pasted as the run printed it: it works, and when it fails, nothing is damaged."""

from __future__ import annotations

import os
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hvac.exceptions import Forbidden, InvalidRequest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import TokenSpec
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin import delivery as _token_delivery
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import operator_settings
from lab.playbook import Run, private_environment, run_playbook
from lab.process import wait_until
from tests.integration.test_vault_side import OPERATOR, PLAYBOOKS, TOKEN_FILE, Site, ok

# A blank, a quote and an umlaut, so that what is not quoted does not work.
ANCHOR = "my secrets, isn't it ü"
BUNDLE = "home lab/boot strap"
SHELLS = [
    [program, *rest]
    for name, *rest in (["sh"], ["dash"], ["bash"], ["zsh", "-f"], ["mksh"], ["ksh"], ["busybox", "sh"])
    if (program := shutil.which(name))
]
# zsh lets itself be ended by the signal that comes with a limit, which a full disk does not send.
LIMITED = [shell for shell in SHELLS if not shell[0].endswith("/zsh")]
# What a person may have exported, which must lead nowhere else; and the names that the commands use themselves.
HOSTILE = {
    **{f"{family}_{name}": "https://127.0.0.1:1" for family in ("BAO", "VAULT") for name in ("ADDR", "AGENT_ADDR")},
    **{f"{family}_{name}": "/nowhere" for family in ("BAO", "VAULT") for name in ("CACERT", "CAPATH")},
    **{f"{family}_FORMAT": "json" for family in ("BAO", "VAULT")},
    **{f"{family}_NAMESPACE": "elsewhere" for family in ("BAO", "VAULT")},
    **{f"{family}_WRAP_TTL": "60" for family in ("BAO", "VAULT")},
    "VAULT_TLS_SERVER_NAME": "elsewhere",
}
PRINTED = re.compile(r"\((?:umask 077; |for n in |v=\$).*\)$", re.MULTILINE)
GOPASS = """#!/bin/sh
# STAND-IN for gopass: keeps in clear what it reads, and empties the entry first, as a careless store would.
[ "$1 $2" = "insert --force" ] || exit 64
: > "$STORE/$(basename "$3")"
cat >> "$STORE/$(basename "$3")"
"""


def commands(run: Run, what: str = "") -> list[str]:
    return [command for command in PRINTED.findall(run.output) if what in command]


@dataclass(frozen=True)
class Desk:
    """A person at a shell, with what a run has printed."""

    site: Site
    printed: dict[str, str]

    def paste(
        self,
        command: str,
        *,
        token: str | None = None,
        environment: Mapping[str, str] | None = None,
        shell: list[str] | None = None,
        cwd: Path | None = None,
        limit: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run it. With C(limit), no file may grow beyond so many bytes: a full disk, for whoever is not a superuser."""

        def limited() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        token = self.site.operator if token is None else token
        done = subprocess.run(
            [*(shell or ["sh"]), "-c", command],
            env=private_environment(self.site.home, {"VAULT_TOKEN": token, **(environment or {})}),
            cwd=cwd or self.site.home,
            preexec_fn=limited,  # nothing else runs in this process
            restore_signals=False,  # SIGXFSZ stays ignored, so that writing fails as on a full disk
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for secret in (*self.site.values.values(), self.site.operator):
            assert secret.strip() not in done.stdout + done.stderr
        return done


def run(site: Site, playbook: Any, *arguments: str, **variables: Any) -> Run:
    given = {"tazlab_anchor": str(site.anchor), "tazlab_vault_path": BUNDLE, **variables}
    return site.run(playbook, *arguments, **given)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A Vault with the anchor published and one field rotated since."""
    site = Site(tmp_path_factory.mktemp("printed"))
    site.anchor = site.home / ANCHOR
    with site:
        site.operator = site.operator_with(OPERATOR.replace("tazlab-k8s/bootstrap", BUNDLE))
        (site.anchor / "vault-ca-crt").rename(site.anchor / "vault-ca.crt")
        (site.anchor / "github-token").rename(site.anchor / "github-token.txt")
        os.utime(site.anchor / "github-token.txt", (0, 0))
        # The lab's own policy of this name is for another path.
        first = ok(run(site, "publish.yml", vault_bootstrap_update_policies=True))
        new = site.home / "new-value"
        new.write_text("ghp_rotated")
        rotated = ok(run(site, "rotate.yml", tazlab_rotate="GITHUB_TOKEN", tazlab_rotate_file=str(new)))
        refused = run(site, "publish.yml")
        assert refused.returncode != 0
        inside = run(site, "publish.yml", vault_bootstrap_token_file=str(site.anchor / "bootstrap-token.txt"))
        assert inside.returncode != 0
        new.write_text(site.authority.ca_pem + "\n" + site.authority.ca_pem)
        certificate = ok(run(site, "rotate.yml", tazlab_rotate="VAULT_CA_CRT", tazlab_rotate_file=str(new)))
        wrapped = ok(run(site, "publish.yml", "--tags", "access", vault_bootstrap_wrap_ttl=300))
        printed = {
            "token": commands(first, "bootstrap-token.txt")[0],
            "token of a rotation": commands(rotated, "bootstrap-token.txt")[0],
            "token in a refusal": commands(inside, "bootstrap-token.txt")[0],
            "issued": commands(first, "-field=ESO_READER_TOKEN")[0],
            "rotated": commands(rotated, "-field=GITHUB_TOKEN")[0],
            "outdated": commands(refused, "-field=GITHUB_TOKEN")[0],
            "certificate": commands(certificate, "-field=VAULT_CA_CRT")[0],
            "unwrap": commands(wrapped, " unwrap ")[0],
        }
        yield Desk(site, printed)


def stored(site: Site) -> dict[str, str]:
    answer = site.vault.client.read(f"secret/data/{BUNDLE}")
    assert answer is not None
    return dict(answer["data"]["data"])


# Each command that writes into the anchor: the file, and what it holds afterwards.
TARGETS: dict[str, tuple[str, Callable[[Site], str]]] = {
    "token": ("bootstrap-token.txt", lambda site: (site.home / TOKEN_FILE).read_text()),
    "token of a rotation": ("bootstrap-token.txt", lambda site: (site.home / TOKEN_FILE).read_text()),
    "token in a refusal": ("bootstrap-token.txt", lambda site: (site.home / TOKEN_FILE).read_text()),
    "issued": ("eso-reader-token", lambda site: stored(site)["ESO_READER_TOKEN"]),
    "rotated": ("github-token.txt", lambda site: stored(site)["GITHUB_TOKEN"]),
    "outdated": ("github-token.txt", lambda site: stored(site)["GITHUB_TOKEN"]),
    "certificate": ("vault-ca.crt", lambda site: stored(site)["VAULT_CA_CRT"]),
}
OF_VAULT = [name for name in TARGETS if not name.startswith("token")]


@dataclass
class Kept:
    """A file of the anchor, put back after the test."""

    path: Path

    def __enter__(self) -> Kept:
        self.path.parent.joinpath(self.path.name).touch()
        self.before = self.path.read_bytes()
        self.others = self._others()
        self.path.write_bytes(b"what was there before\n")
        self.path.chmod(0o640)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._others() == self.others, "nothing else is touched, and nothing is left over"
        self.path.write_bytes(self.before)

    def _others(self) -> list[tuple[str, int, int]]:
        files = [path for path in self.path.parent.iterdir() if path != self.path]
        return sorted((path.name, path.stat().st_mode, path.stat().st_mtime_ns) for path in files)

    def untouched(self) -> bool:
        return self.path.read_bytes() == b"what was there before\n" and self.path.stat().st_mode & 0o777 == 0o640


@pytest.fixture
def kept(desk: Desk, request: pytest.FixtureRequest) -> Iterator[Kept]:
    file = Kept(desk.site.anchor / TARGETS[request.param][0])
    if request.param == "certificate":  # this file is how Vault is trusted
        desk.site.anchor.joinpath("trusted.crt").write_text(desk.site.authority.ca_pem)
    with file:
        yield file


def each(names: list[str]) -> Any:
    return pytest.mark.parametrize(("name", "kept"), [(name, name) for name in names], indirect=["kept"])


def trusting(desk: Desk, name: str) -> str:
    """The command, where the file that it writes is also the CA that it trusts: with another copy of that CA."""
    command = desk.printed[name]
    if name != "certificate":
        return command
    trusted = f"-ca-cert={desk.site.anchor / 'vault-ca.crt'}"
    assert shlex.quote(trusted) in command
    return command.replace(shlex.quote(trusted), f"-ca-cert={desk.site.authority.ca_file}")


def precious(home: Path) -> tuple[Path, dict[str, str]]:
    """A file of the user's, and an environment whose variables, named as in the commands, all name that file."""
    mine = home / "mine"
    mine.write_text("mine")
    return mine, dict.fromkeys(("f", "t", "v", "n", "s", "w", "k"), str(mine))


@pytest.mark.sweep
@each(list(TARGETS))
def test_it_works_in_every_shell_whatever_is_exported(desk: Desk, name: str, kept: Kept) -> None:
    mine, own = precious(desk.site.home)
    for shell in SHELLS:
        kept.path.write_bytes(b"what was there before\n")
        done = desk.paste(trusting(desk, name), shell=shell, environment={**HOSTILE, **own})
        assert (done.returncode, done.stderr) == (0, ""), shell
        assert kept.path.read_text() == TARGETS[name][1](desk.site), shell
        assert kept.path.stat().st_mode & 0o777 == 0o600
    assert mine.read_text() == "mine"


def test_it_works_typed_into_bash_with_careful_settings(desk: Desk) -> None:
    """Interactive, where C(!) recalls what was typed, with files that C(>) may not overwrite and a C(mv) that asks."""
    with Kept(desk.site.anchor / "github-token.txt") as kept:
        typed = f"set -C; set -u; alias mv='mv -i' rm='rm -i'\n{desk.printed['rotated']}\nexit $?\n"
        done = subprocess.run(
            ["bash", "--norc", "-i"],
            input=typed,
            env=private_environment(desk.site.home, {"VAULT_TOKEN": desk.site.operator}),
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=True,  # no terminal to fight for
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert kept.path.read_text() == stored(desk.site)["GITHUB_TOKEN"]


@each(OF_VAULT)
def test_a_dead_token_or_a_missing_client_damages_nothing(desk: Desk, name: str, kept: Kept) -> None:
    command = trusting(desk, name)
    mine, own = precious(desk.site.home)
    for shell in SHELLS:
        done = desk.paste(command, token="s.dead", shell=shell, environment=own)
        assert done.returncode == 2, "the client's own status"
        assert "permission denied" in done.stderr
        assert "is as it was" in done.stderr
        assert kept.untouched(), shell
    done = desk.paste(command, environment={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 127
    assert kept.untouched()
    assert mine.read_text() == "mine"


def test_a_vault_that_is_gone_damages_nothing(desk: Desk) -> None:
    desk.site.vault.stop()
    try:
        for name in OF_VAULT:
            with Kept(desk.site.anchor / TARGETS[name][0]) as kept:
                done = desk.paste(trusting(desk, name))
                assert done.returncode == 2
                assert "connection refused" in done.stderr
                assert kept.untouched()
    finally:
        desk.site.vault.start()


def test_a_vault_that_hangs_is_given_up_without_damage(desk: Desk) -> None:
    with Kept(desk.site.anchor / "github-token.txt") as kept:
        desk.site.vault.pause()
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                with subprocess.Popen(
                    ["sh", "-c", desk.printed["rotated"]],
                    env=private_environment(desk.site.home, {"VAULT_TOKEN": desk.site.operator}),
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                ) as child:
                    wait_until(lambda group=child.pid: _waits(group), "the client waits for Vault", 30)
                    os.killpg(child.pid, number)
                    assert child.wait(30) != 0
                assert kept.untouched()
        finally:
            desk.site.vault.resume()


@pytest.mark.sweep
@pytest.mark.parametrize("name", ["token", "rotated"])
def test_a_signal_while_the_file_is_written_leaves_nothing_over(desk: Desk, name: str, tmp_path: Path) -> None:
    """In every shell, also those that do not run a trap for the end when a signal ends them."""
    reached = tmp_path / "reached"
    (tmp_path / "mv").write_text(f"#!/bin/sh\n: > {shlex.quote(str(reached))}\nexec sleep 60\n")
    (tmp_path / "mv").chmod(0o755)
    shells = [shell for shell in SHELLS if not shell[0].endswith("/busybox")]  # whose mv is its own
    for shell in shells:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            with Kept(desk.site.anchor / TARGETS[name][0]) as kept:
                with subprocess.Popen(
                    [*shell, "-c", desk.printed[name]],
                    env=private_environment(
                        desk.site.home,
                        {"VAULT_TOKEN": desk.site.operator, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
                    ),
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                ) as child:
                    wait_until(reached.exists, "the file is about to be moved", 30)
                    os.killpg(child.pid, number)
                    assert child.wait(30) != 0
                    wait_until(lambda group=child.pid: not _lives(group), "the shell within it has ended, too", 30)
                assert kept.untouched(), (shell, number)
            reached.unlink()


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _waits(group: int) -> bool:
    """Whether a client of this process group has a socket open."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = os.getpgid(int(process.name)) == group and b"\0get\0" in (process / "cmdline").read_bytes()
            if ours and any(link.readlink().name.startswith("socket:") for link in (process / "fd").iterdir()):
                return True
        except OSError:
            continue
    return False


@each(list(TARGETS))
def test_a_full_disk_damages_nothing(desk: Desk, name: str, kept: Kept) -> None:
    """Whatever does not fit is no reason to keep half of it, though the client itself does not notice."""
    for shell in LIMITED:
        done = desk.paste(trusting(desk, name), shell=shell, limit=5)
        assert done.returncode != 0, shell
        assert kept.untouched(), shell


@pytest.mark.parametrize("name", ["token", "rotated"])
def test_where_nothing_can_be_written_nothing_is_left_over(desk: Desk, name: str) -> None:
    file = desk.site.anchor / TARGETS[name][0]
    before = file.read_bytes() if file.exists() else None
    file.unlink(missing_ok=True)
    elsewhere = desk.site.home / "moved"
    try:
        file.mkdir()
        assert desk.paste(desk.printed[name]).returncode != 0
        assert list(file.iterdir()) == []
        file.rmdir()
        desk.site.anchor.rename(elsewhere)
        environment = {"VAULT_CACERT": str(elsewhere / "vault-ca.crt")}
        assert desk.paste(desk.printed[name], environment=environment).returncode != 0
        assert not desk.site.anchor.exists()
    finally:
        if elsewhere.exists():
            elsewhere.rename(desk.site.anchor)
        if before is not None:
            file.write_bytes(before)


def test_an_empty_value_or_a_missing_file_replaces_nothing(desk: Desk) -> None:
    site = desk.site
    version = stored(site)
    token_file = site.home / TOKEN_FILE
    token = token_file.read_text()
    with Kept(site.anchor / "github-token.txt") as kept:
        site.vault.write_bundle({**version, "GITHUB_TOKEN": ""}, BUNDLE)
        assert desk.paste(desk.printed["rotated"]).returncode == 1
        site.vault.write_bundle({key: value for key, value in version.items() if key != "GITHUB_TOKEN"}, BUNDLE)
        assert desk.paste(desk.printed["rotated"]).returncode == 1
        site.vault.write_bundle(version, BUNDLE)
        assert kept.untouched()
    with Kept(site.anchor / "bootstrap-token.txt") as kept:
        for damage in (lambda: token_file.write_text(""), token_file.unlink):
            damage()
            assert desk.paste(desk.printed["token"]).returncode == 1
            assert kept.untouched()
        token_file.write_text(token)


def test_every_kind_of_value_comes_byte_for_byte_also_for_the_scoped_token(desk: Desk) -> None:
    site = desk.site
    before = stored(site)
    values = ["line\n", "two\n\n", "no end", "ü€ %s \\n $HOME `id` '\"", site.authority.ca_pem, " blank ", "-n"]
    try:
        with Kept(site.anchor / "github-token.txt") as kept:
            for value in values:
                site.vault.write_bundle({**before, "GITHUB_TOKEN": value}, BUNDLE)
                assert desk.paste(desk.printed["rotated"], token=site.token()).returncode == 0
                assert kept.path.read_bytes() == value.encode()
    finally:
        site.vault.write_bundle(before, BUNDLE)


# ------------------------------------------------------------------------------------------------- unwrapping


@dataclass(frozen=True)
class Machine:
    """The other machine: its HOME, and the folder into which the wrapping token and the CA were copied."""

    desk: Desk
    home: Path
    folder: Path

    @property
    def file(self) -> Path:
        return self.home / ".config" / "tazlab" / "bootstrap-token"

    def paste(self, **how: Any) -> subprocess.CompletedProcess[str]:
        environment = {"HOME": str(self.home), **how.pop("environment", {})}
        return self.desk.paste(self.desk.printed["unwrap"], token="", environment=environment, cwd=self.folder, **how)

    def wrap(self) -> str:
        """Put a wrapping token of its own where the run's lay; returns it."""
        answer = self.desk.site.vault.client.auth.token.create(policies=["default"], wrap_ttl="300s")
        token = str(answer["wrap_info"]["token"])
        (self.folder / "bootstrap-token.wrapped").write_text(f"{token}\n")
        return token

    def unused(self, token: str) -> bool:
        try:
            self.desk.site.vault.client.write_data("sys/wrapping/lookup", data={"token": token})
        except InvalidRequest:
            return False
        return True


@pytest.fixture
def machine(desk: Desk, tmp_path: Path) -> Machine:
    made = Machine(desk, tmp_path / "home of another", tmp_path / "folder")
    made.home.mkdir()
    made.folder.mkdir()
    shutil.copy(desk.site.anchor / "vault-ca.crt", made.folder)
    shutil.copy(desk.site.home / f"{TOKEN_FILE}.wrapped", made.folder)
    return made


def test_a_token_is_unwrapped_on_another_machine(machine: Machine) -> None:
    mine, own = precious(machine.home)
    assert machine.paste(environment={**HOSTILE, **own, "BAO_TOKEN": "s.of-somebody"}).returncode == 0
    assert mine.read_text() == "mine"
    assert machine.file.stat().st_mode & 0o777 == 0o600
    assert machine.file.parent.stat().st_mode & 0o777 == 0o700
    token = machine.file.read_text().strip()
    assert machine.desk.site.client(token).auth.token.lookup_self()["data"]["policies"] == ["tazlab-bootstrap"]
    again = machine.paste()
    assert again.returncode == 2
    assert "is as it was" in again.stderr
    assert machine.file.read_text().strip() == token
    assert [path.name for path in machine.file.parent.iterdir()] == ["bootstrap-token"]
    for shell in SHELLS:
        machine.wrap()
        assert machine.paste(shell=shell).returncode == 0, shell
        assert machine.file.read_text().strip() != token


def test_what_cannot_be_written_is_not_unwrapped(machine: Machine) -> None:
    token = machine.wrap()
    mine, own = precious(machine.home)
    (machine.home / ".config").write_text("no directory")
    assert machine.paste(environment=own).returncode != 0
    assert mine.read_text() == "mine"
    assert machine.unused(token)
    (machine.home / ".config").unlink()
    machine.file.mkdir(parents=True)
    assert machine.paste().returncode != 0
    assert machine.unused(token)
    machine.file.rmdir()
    machine.file.write_text("older\n")
    for shell in LIMITED:
        assert machine.paste(shell=shell, limit=100).returncode != 0
        assert machine.unused(token), shell
    assert machine.paste(environment={"PATH": "/usr/bin:/bin"}).returncode == 127
    (machine.folder / "vault-ca.crt").rename(machine.folder / "forgotten")
    assert machine.paste().returncode != 0
    (machine.folder / "forgotten").rename(machine.folder / "vault-ca.crt")
    assert machine.unused(token)
    (machine.folder / "bootstrap-token.wrapped").rename(machine.folder / "forgotten")
    assert machine.paste(environment={"VAULT_TOKEN": token}).returncode != 0
    assert machine.unused(token), "no other token is taken for the wrapping one"
    (machine.folder / "bootstrap-token.wrapped").touch()
    (machine.home / ".vault-token").write_text(token)
    assert machine.paste().returncode != 0
    assert machine.unused(token), "nor the one of whoever is logged in"
    assert machine.file.read_text() == "older\n"
    assert [path.name for path in machine.file.parent.iterdir()] == ["bootstrap-token"]


def test_a_token_that_was_unwrapped_is_never_removed(machine: Machine) -> None:
    tools = machine.home / "bin"
    tools.mkdir()
    (tools / "mv").write_text("#!/bin/sh\nexit 5\n")
    (tools / "mv").chmod(0o755)
    machine.file.parent.mkdir(parents=True)
    machine.file.write_text("older\n")
    for shell in [shell for shell in SHELLS if not shell[0].endswith("/busybox")]:  # whose mv is its own
        machine.wrap()
        done = machine.paste(shell=shell, environment={"PATH": f"{tools}:{os.environ['PATH']}"})
        assert done.returncode == 5
        assert machine.file.read_text() == "older\n"
        (left,) = [path for path in machine.file.parent.iterdir() if path != machine.file]
        assert f"the token is in {left}" in done.stderr
        assert machine.desk.site.client(left.read_text().strip()).auth.token.lookup_self()
        left.unlink()


def test_a_signal_after_unwrapping_says_where_the_token_is(machine: Machine, tmp_path: Path) -> None:
    reached, tools = tmp_path / "reached", tmp_path / "bin"
    tools.mkdir()
    (tools / "mv").write_text(f"#!/bin/sh\n: > {shlex.quote(str(reached))}\nexec sleep 60\n")
    (tools / "mv").chmod(0o755)
    machine.wrap()
    with subprocess.Popen(
        ["sh", "-c", machine.desk.printed["unwrap"]],
        env=private_environment(machine.home, {"PATH": f"{tools}:{os.environ['PATH']}"}),
        cwd=machine.folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        wait_until(reached.exists, "the file is about to be moved", 30)
        os.killpg(child.pid, signal.SIGTERM)
        _out, said = child.communicate(timeout=30)
    (left,) = machine.file.parent.iterdir()
    assert f"the token is in {left}" in said
    assert machine.desk.site.client(left.read_text().strip()).auth.token.lookup_self()


# ----------------------------------------------------------------------------------- what changes Vault, or logs in


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if PRINTED.search(line)]


def accessors(site: Site) -> list[str]:
    answer = site.vault.client.list("auth/token/accessors")
    assert answer is not None
    return list(answer["data"]["keys"])


def test_a_token_that_nobody_holds_is_revoked(desk: Desk) -> None:
    """The real refusal of a delivery whose proof fails, for an operator who may not revoke."""
    site = desk.site
    spec = TokenSpec("tazlab-eso-reader", ("tazlab-eso-reader",), 2764800, "secret/data/elsewhere")
    mine = OPERATOR.replace("tazlab-k8s/bootstrap", BUNDLE)
    options = {"url": site.vault.url, "ca_cert": str(site.vault.ca_file), "path": BUNDLE}
    try:
        narrow = site.operator_with(mine.replace('path "auth/token/revoke-accessor" ', 'path "auth/token/nothing" '))
        settings = operator_settings({**options, "token": narrow}, environ={}, home=site.home)
        with pytest.raises(BootstrapError, match="could NOT be revoked") as raised:
            bounded(
                settings,
                60,
                lambda vault: _token_delivery.deliver(
                    vault,
                    _token_delivery.BundleStore(vault, Field("ESO_READER_TOKEN")),
                    spec,
                    rotate=True,
                    check_mode=False,
                    anchor=site.anchor,
                    kept="bootstrap-token.txt",
                    progress=lambda _line: None,
                ),
            )
        (command,) = lines_of(str(raised.value))
        assert desk.paste(command, token=narrow, environment=HOSTILE).returncode == 2
    finally:
        site.operator = site.operator_with(mine)
    accessor = command.split()[-1].rstrip(")")
    assert accessor in accessors(site)
    assert desk.paste(command, environment=HOSTILE).returncode == 0
    assert accessor not in accessors(site)


def test_a_former_token_of_the_eso_reader_is_revoked(desk: Desk) -> None:
    site = desk.site
    former = stored(site)["ESO_READER_TOKEN"]
    output = ok(run(site, "rotate.yml", tazlab_rotate="ESO_READER_TOKEN")).output
    (command,) = re.findall(r"ansible -i INVENTORY .* -a 'operation=revoke accessor=\S+'", output)
    inventory = site.home / "inventory.yml"
    inventory.write_text(f"all: {{vars: {{tazlab_vault_url: '{site.vault.url}', tazlab_anchor: \"{site.anchor}\"}}}}\n")
    command = command.replace("INVENTORY", shlex.quote(str(inventory)))
    for token, status in (("s.dead", 2), (None, 0)):
        assert site.client(former).auth.token.lookup_self()
        assert desk.paste(command, token=token).returncode == status
    with pytest.raises(Forbidden):
        site.client(former).auth.token.lookup_self()


def test_an_old_secrets_engine_is_migrated_by_its_owner_alone(desk: Desk) -> None:
    client = desk.site.vault.client
    client.sys.enable_secrets_engine("kv", path="old one", options={"version": "1"})
    refused = run(
        desk.site,
        [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "tasks": [{"tazlab.bootstrap.vault_bootstrap_access": {"mount_point": "old one"}}],
            }
        ],
        token=desk.site.vault.root_token,
    )
    (command,) = commands(refused, "enable-versioning")
    assert desk.paste(command, token="s.dead").returncode == 2
    assert client.sys.list_mounted_secrets_engines()["old one/"]["options"]["version"] == "1"
    assert desk.paste(command, token=desk.site.vault.root_token, environment=HOSTILE).returncode == 0
    assert client.sys.list_mounted_secrets_engines()["old one/"]["options"]["version"] == "2"


def test_logging_in_replaces_the_token_only_by_one_that_lives(desk: Desk) -> None:
    site = desk.site
    nobody = run_playbook(
        PLAYBOOKS / "publish.yml",
        home=site.home,
        variables={"tazlab_vault_url": site.vault.url, "tazlab_anchor": str(site.anchor)},
    )
    (command,) = set(commands(nobody, " login "))
    file = site.home / ".vault-token"
    file.write_text("s.before")
    try:
        mine = str(site.vault.client.auth.token.create(policies=["default"])["auth"]["client_token"])
        for token, status in (("s.dead", 2), (mine, 0)):
            before = file.read_text()
            status_seen, shown = _typed(command, token, site.home)
            assert status_seen == status, shown
            assert token not in shown
            assert file.read_text() == (before if status else token)
    finally:
        file.unlink()


def _typed(command: str, secret: str, home: Path) -> tuple[int, str]:
    """Run a command at a terminal, and type a secret when it asks for one."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe("sh", ["sh", "-c", command], private_environment(home, HOSTILE))  # noqa: S606
    shown = bytearray()

    def reads() -> bool:
        try:
            shown.extend(os.read(terminal, 65536))
        except OSError:  # the program has ended
            return False
        return True

    while b"hidden" not in shown:
        assert reads(), shown.decode()
    wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, "nothing typed is shown", 30)
    os.write(terminal, f"{secret}\n".encode())
    while reads():
        pass
    _pid, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


# ------------------------------------------------------------------------------------------- other anchors


def declared(*providers: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "env"}, *providers]


def test_a_store_takes_what_came_and_nothing_else(desk: Desk) -> None:
    site = desk.site
    store, tools, new = site.home / "store", site.home / "tools", site.home / "another-value"
    store.mkdir()
    tools.mkdir()
    (tools / "gopass").write_text(GOPASS)
    (tools / "gopass").chmod(0o755)
    new.write_text("ghp_of_the_store")
    argv = ["gopass", "show", "-n", "home lab/{file}"]
    rotated = ok(
        run(
            site,
            "rotate.yml",
            tazlab_rotate="GITHUB_TOKEN",
            tazlab_rotate_file=str(new),
            tazlab_vault_providers=declared({"type": "command", "argv": argv}),
        )
    )
    assert not any(ANCHOR in command for command in commands(rotated)), "no file is an anchor here"
    (command,) = commands(rotated, "gopass insert")
    assert "'home lab/github-token'" in command
    environment = {"PATH": f"{os.environ['PATH']}:{tools}", "STORE": str(store)}
    entry = store / "github-token"
    for shell in SHELLS:
        entry.write_text("before\n")
        assert desk.paste(command, token="s.dead", shell=shell, environment=environment).returncode != 0
        assert desk.paste(
            command, shell=shell, environment={**environment, "PATH": f"/usr/bin:/bin:{tools}"}
        ).returncode
        assert entry.read_text() == "before\n", shell
        assert desk.paste(command, shell=shell, environment={**HOSTILE, **environment}).returncode == 0
        assert entry.read_text() == "ghp_of_the_store", shell
    desk.site.vault.stop()
    try:
        assert desk.paste(command, environment=environment).returncode == 2
        assert entry.read_text() == "ghp_of_the_store"
    finally:
        desk.site.vault.start()


@pytest.mark.parametrize(
    ("providers", "words"),
    [
        ([{"type": "command", "argv": ["op read", "x {file}"]}], "prints where 'op read' 'x bootstrap-token' finds it"),
        ([], "prints where you keep what a recovery needs"),
    ],
)
def test_where_nobody_knows_how_it_is_said_in_words(desk: Desk, providers: list[dict[str, Any]], words: str) -> None:
    arguments = {"vault_bootstrap_rotate": True, "vault_bootstrap_eso": False}
    output = ok(
        run(desk.site, "publish.yml", "--tags", "access", tazlab_vault_providers=declared(*providers), **arguments)
    ).output
    file = desk.site.home / TOKEN_FILE
    said = f"put what cat {shlex.quote(str(file))} {words}"
    assert said in output
    assert desk.paste(f"cat {shlex.quote(str(file))}").stdout == file.read_text()


# --------------------------------------------------------------------------------------- clients and namespaces


def published(site: Site, path: str, value: str, **options: str) -> Run:
    """A run that publishes one value from elsewhere, with the clients that are found on C(path)."""
    file = site.home / "another-value"
    file.write_text(value)
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"tazlab.bootstrap.vault_bundle_publish": {"value_files": {"GITHUB_TOKEN": str(file)}, **options}}],
    }
    return ok(
        run_playbook(
            [play],
            home=site.home,
            variables={
                "tazlab_vault_url": site.vault.url,
                "tazlab_anchor": str(site.anchor),
                "tazlab_vault_path": BUNDLE,
            },
            environment={"VAULT_TOKEN": site.vault.root_token, "PATH": path},
        )
    )


def test_the_client_that_is_installed_is_named(desk: Desk) -> None:
    """Vault's own client is not here: OpenBao's STANDs IN for it under its name, and both take the same commands."""
    bao, tools = shutil.which("bao"), desk.site.home / "only-vault"
    assert bao
    tools.mkdir()
    (tools / "vault").write_text(f'#!/bin/sh\nexec {shlex.quote(bao)} "$@"\n')
    (tools / "vault").chmod(0o755)
    path = f"{tools}:/usr/bin:/bin"
    (command,) = commands(published(desk.site, path, "ghp_by_vault"))
    assert "$(vault kv get " in command
    with Kept(desk.site.anchor / "github-token.txt") as kept:
        assert desk.paste(command, token="s.dead", environment={"PATH": path}).returncode == 2
        assert kept.untouched()
        assert desk.paste(command, environment={"PATH": path}).returncode == 0
        assert kept.path.read_text() == "ghp_by_vault"
    none = published(desk.site, "/usr/bin:/bin", "ghp_by_bao")
    assert "$(bao kv get " in commands(none)[0]
    assert "Neither bao nor vault is on PATH: install bao" in none.output


def test_the_namespace_is_named(desk: Desk) -> None:
    client = desk.site.vault.client
    client.write_data("sys/namespaces/team", data={})
    inside = desk.site.vault.client
    inside.adapter.namespace = "team"
    inside.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})

    def writable() -> bool:
        try:
            inside.secrets.kv.v2.create_or_update_secret(BUNDLE, {"MINE": "x"}, mount_point="secret")
        except InvalidRequest:  # a new engine upgrades itself for a moment
            return False
        return True

    wait_until(writable, "KV v2 is ready", 20)
    path = os.environ["PATH"]
    (command,) = commands(published(desk.site, path, "ghp_of_the_team", namespace="team"))
    with Kept(desk.site.anchor / "github-token.txt") as kept:
        root = desk.site.vault.root_token
        assert desk.paste(command, token=root, environment=HOSTILE).returncode == 0
        assert kept.path.read_text() == "ghp_of_the_team"


def test_a_link_within_the_anchor_stays_one(desk: Desk) -> None:
    site = desk.site
    real = site.anchor / "by date"
    real.mkdir()
    file = site.anchor / "github-token.txt"
    file.rename(real / "github")
    file.symlink_to(real / "github")
    try:
        (command,) = commands(published(site, os.environ["PATH"], "ghp_behind_a_link"))
        assert desk.paste(command).returncode == 0
        assert file.is_symlink()
        assert (real / "github").read_text() == "ghp_behind_a_link"
        outside = site.home / "outside"
        outside.write_text("mine")
        file.unlink()
        file.symlink_to(outside)
        (command,) = commands(published(site, os.environ["PATH"], "ghp_in_place_of_a_link"))
        assert desk.paste(command).returncode == 0
        assert outside.read_text() == "mine", "what the anchor is not read from is not written"
        assert file.read_text() == "ghp_in_place_of_a_link"
    finally:
        file.unlink()
        (real / "github").rename(file)
        real.rmdir()
