# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation on a real OpenBao: no gap, killed anywhere it is finished later, and what uses a field is listed."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import shutil
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hvac.exceptions import Forbidden

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import PrivateFile
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_facts import TokenSpec
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import BoundedAdapter
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin import delivery as _token_delivery
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin, bounded
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import operator_settings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_stores import BundleStore, FileStore
from lab import gitops
from lab.bundle import PUBLIC
from lab.git import GitServer
from lab.kube import ControlPlane
from lab.leaks import Canaries, Watch
from lab.playbook import private_environment, run_playbook
from lab.process import wait_until
from tests.integration.test_vault_side import BUNDLE, OPERATOR, PLAYBOOKS, TOKEN_FILE, Site, ok

SPEC = TokenSpec("tazlab-bootstrap", ("tazlab-bootstrap",), 2764800, f"secret/data/{BUNDLE}")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        ok(made.run("publish.yml"))
        yield made


def works(site: Site, token: str) -> bool:
    try:
        return site.client(token).read(f"secret/data/{BUNDLE}") is not None
    except Forbidden:
        return False


def operator(site: Site, token: str = "") -> VaultSettings:
    options = {"url": site.vault.url, "token": token or site.operator, "ca_cert": str(site.vault.ca_file)}
    return operator_settings(options, environ={}, home=site.home)


def deliver(site: Site, rotate: bool = True, token: str = "") -> Any:
    settings = operator(site, token)
    store = FileStore(site.home / TOKEN_FILE)
    return bounded(
        settings,
        60,
        lambda vault: _token_delivery.deliver(
            vault,
            store,
            SPEC,
            rotate=rotate,
            check_mode=False,
            anchor=site.anchor,
            kept="bootstrap-token.txt",
            progress=lambda _line: None,
        ),
    )


@pytest.mark.parametrize(("place", "goes"), [("mine/token", "mine/token"), ("secrets/token", TOKEN_FILE)])
def test_the_new_token_goes_where_the_inventory_says_that_it_is_but_never_into_the_anchor(
    site: Site, place: str, goes: str
) -> None:
    old = site.token()
    given = site.home / place
    given.parent.mkdir(exist_ok=True)
    given.write_text(old)
    ok(site.run("rotate.yml", tazlab_rotate="token", tazlab_vault_token_file=str(given)))
    new = (site.home / goes).read_text().strip()
    assert new != old
    assert works(site, new)
    assert (given.read_text().strip() == old) == (place != goes)


def test_the_bootstrap_token_is_rotated_and_the_anchor_told_of(site: Site) -> None:
    old = site.token()
    (site.anchor / "bootstrap-token.txt").write_text(f'"{old}"\r\n')
    before = site.fingerprint()
    run = ok(site.run("rotate.yml", tazlab_rotate="token"), changed=1)
    assert site.token() != old
    assert works(site, site.token())
    assert not works(site, old)
    assert "is refused by Vault" in run.output
    assert old not in run.output
    assert site.token() not in run.output
    assert not (site.home / f"{TOKEN_FILE}.superseded").exists()
    assert site.fingerprint() == before


def test_the_anchors_copy_is_compared_with_the_token_in_use(site: Site) -> None:
    new, copy = site.home / "new-token", site.anchor / "bootstrap-token.txt"
    for number, (token, said) in enumerate(
        (
            (site.token(), "bootstrap-token.txt: it dies on"),
            (site.vault.scoped_token(policies=("tazlab-bootstrap",)), "holds another token."),
            (narrow(site), "nobody can tell when it dies"),
            ("s.dead", "is refused by Vault"),
            ("", "holds no usable copy of it"),
        )
    ):
        copy.write_text(token)
        new.write_text(f"ghp_{number}")
        run = ok(site.run("rotate.yml", tazlab_rotate="GITHUB_TOKEN", tazlab_rotate_file=str(new)), changed=1)
        assert said in run.output
        assert ("To keep a copy there: (umask 077" in run.output) is (number > 0)


def test_a_field_is_rotated_to_the_end_when_no_bootstrap_token_works(site: Site) -> None:
    (site.home / TOKEN_FILE).write_text("s.dead")
    (site.home / ".vault-token").write_text(site.operator)
    new = site.home / "new-token"
    for number, environment in enumerate(({"VAULT_TOKEN": site.operator}, {})):
        new.write_text(f"ghp_{number}")
        run = run_playbook(
            PLAYBOOKS / "rotate.yml",
            home=site.home,
            variables={
                "tazlab_vault_url": site.vault.url,
                "tazlab_cluster": "home",
                "tazlab_rotate": "GITHUB_TOKEN",
                "tazlab_rotate_file": str(new),
            },
            environment=environment,
        )
        assert "github-token holds another value than Vault" in ok(run).output


def test_an_unknown_field_is_refused_before_its_value_is_asked_for(site: Site) -> None:
    run = site.run("rotate.yml", tazlab_rotate="GITHUB_TOKN")
    assert run.returncode != 0
    assert "GITHUB_TOKN is not a field of the bundle" in run.output
    assert "typed in" not in run.output


def test_the_token_is_rotated_to_the_end_whatever_the_bundle_is_like(site: Site) -> None:
    site.vault.write_bundle({**site.stored()[1], "TALOS_SECRETBOX_KEY": "oops"})
    for damage in (lambda: None, lambda: site.vault.client.secrets.kv.v2.delete_latest_version_of_secret(BUNDLE)):
        damage()
        old = site.token()
        run = ok(site.run("rotate.yml", tazlab_rotate="token"), changed=1)
        assert site.token() != old
    assert "was deleted in Vault on" in run.output
    assert "THE RECOVERY ANCHOR ANSWERS INSTEAD OF VAULT" in run.output


def test_a_token_in_the_anchor_alone_is_rotated_too(site: Site) -> None:
    old = site.token()
    (site.home / TOKEN_FILE).rename(site.anchor / "bootstrap-token.txt")
    ok(site.run("rotate.yml", tazlab_rotate="token"), changed=1)
    assert works(site, site.token())
    assert not works(site, old)


def narrow(site: Site) -> str:
    """A token of our role that may read the bundle and nothing else, not even look itself up."""
    rules = f'path "secret/data/{BUNDLE}" {{ capabilities = ["read"] }}'
    client = site.vault.client
    client.sys.create_or_update_acl_policy("reads", rules)
    role = "auth/token/roles/tazlab-bootstrap"
    client.write_data(role, data={"allowed_policies": ["reads"]})
    made = client.write_data("auth/token/create/tazlab-bootstrap", data={"policies": ["reads"], "period": "768h"})
    client.write_data(role, data={"allowed_policies": ["tazlab-bootstrap"]})
    return str(made["auth"]["client_token"])


def accessors(site: Site) -> set[str]:
    return set(site.vault.client.auth.token.list_accessors()["data"]["keys"])


def test_a_token_that_may_not_look_itself_up_is_ended_by_the_operator(site: Site) -> None:
    old = narrow(site)
    (site.home / TOKEN_FILE).unlink()
    (site.anchor / "bootstrap-token.txt").write_text(old)
    run = ok(site.run("rotate.yml", tazlab_rotate="token"), changed=1)
    assert "the replaced token is revoked by its accessor" in run.output
    assert works(site, site.token())
    assert not works(site, old)


def test_a_token_that_nobody_may_look_up_is_never_said_to_have_ended(site: Site) -> None:
    old = narrow(site)
    (site.home / TOKEN_FILE).write_text(old)
    lacking = site.operator_with(OPERATOR.replace('path "auth/token/lookup" ', 'path "auth/token/nothing" '))
    delivered = deliver(site, token=lacking)
    assert "cannot be told" in delivered.lines[-1]
    assert works(site, old)
    assert (site.home / f"{TOKEN_FILE}.superseded").read_text().strip() == old
    site.operator = site.operator_with(OPERATOR)
    assert deliver(site, rotate=False).state == "resumed"
    assert not works(site, old)


def test_a_new_token_that_fails_is_taken_back_or_named(site: Site) -> None:
    spec = TokenSpec("tazlab-eso-reader", ("tazlab-eso-reader",), 2764800, "secret/data/elsewhere")

    def issue(vault: VaultAdmin) -> Any:
        store = BundleStore(vault, Field("ESO_READER_TOKEN"))
        return _token_delivery.deliver(
            vault,
            store,
            spec,
            rotate=True,
            check_mode=False,
            anchor=site.anchor,
            kept="bootstrap-token.txt",
            progress=lambda _line: None,
        )

    before = accessors(site)
    with pytest.raises(BootstrapError, match=r"The new token was revoked\."):
        bounded(operator(site), 60, issue)
    assert accessors(site) == before
    lacking = site.operator_with(OPERATOR.replace('path "auth/token/revoke-accessor" ', 'path "auth/token/nothing" '))
    before = accessors(site)
    with pytest.raises(BootstrapError, match=r"could NOT be revoked") as raised:
        bounded(operator(site, lacking), 60, issue)
    (left,) = accessors(site) - before
    assert f" -accessor {left})" in str(raised.value)


def test_a_new_token_is_taken_back_even_when_the_time_is_over(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(vault: VaultAdmin, *_: Any) -> Any:
        time.sleep(max(0.0, vault.seconds_left) + 0.05)
        raise BootstrapError("Too late.")

    before = accessors(site)
    monkeypatch.setattr(_token_delivery, "_proven", late)
    store = FileStore(site.home / "late")
    with pytest.raises(BootstrapError, match=r"Too late\. The new token was revoked\."):
        bounded(
            operator(site),
            5,
            lambda vault: _token_delivery.deliver(
                vault,
                store,
                SPEC,
                rotate=False,
                check_mode=False,
                anchor=site.anchor,
                kept="bootstrap-token.txt",
                progress=lambda _line: None,
            ),
        )
    assert accessors(site) == before


def test_a_lost_answer_to_issuing_is_not_said_to_be_found_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    send = BoundedAdapter.send

    def lost(self: Any, request: Any, **options: Any) -> Any:
        answer = send(self, request, **options)
        if "/auth/token/create/" in request.url:
            raise ConnectionResetError(104, "the answer is lost")
        return answer

    monkeypatch.setattr(BoundedAdapter, "send", lost)
    with pytest.raises(BootstrapError, match="nobody holds it"):
        deliver(site)


def test_killed_anywhere_one_of_the_two_works_and_the_next_run_finishes(
    site: Site,
) -> None:
    """Every request and every change of a file is a point at which the process dies, before and after it."""
    for point in range(1, 100):
        old = site.token()
        child = os.fork()
        if child == 0:
            _die_at(point)
            try:
                deliver(site)
            except Exception:  # noqa: BLE001  # the child must never return into the test
                os._exit(1)
            os._exit(0)
        _pid, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) in (0, 9)
        now = site.token()
        assert works(site, now)
        if os.waitstatus_to_exitcode(status) == 0:
            assert now != old
            assert not works(site, old)
            break
        finished = deliver(site)
        assert finished.state in ("rotated", "resumed")
        assert works(site, site.token())
        assert not works(site, old)
        assert [path.name for path in (site.home / TOKEN_FILE).parent.iterdir()] == ["bootstrap-token"]
    assert point > 15


def _die_at(point: int) -> None:
    count = 0

    def counted(function: Any) -> Any:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            for step in (lambda: None, lambda: function(*arguments, **options)):
                result = step()
                count += 1
                if count == point:
                    os._exit(9)
            return result

        return wrapper

    VaultAdmin.request = counted(VaultAdmin.request)  # type: ignore[method-assign]
    PrivateFile.store = counted(PrivateFile.store)  # type: ignore[method-assign]
    _token_delivery.remove_file = counted(_token_delivery.remove_file)


def test_a_field_is_rotated_from_a_file_and_what_uses_it_is_listed(site: Site) -> None:
    new = site.home / "new-token"
    new.write_text("ghp_newvalue\n")
    run = ok(site.run("rotate.yml", tazlab_rotate="GITHUB_TOKEN", tazlab_rotate_file=str(new)), changed=1)
    assert site.stored()[1]["GITHUB_TOKEN"] == "ghp_newvalue"
    assert "used by phase flux (role flux_bootstrap, variable flux_bootstrap_password)" in run.output
    assert "holds another value than Vault" in run.output
    assert "ghp_newvalue" not in run.output
    ok(site.run("rotate.yml", tazlab_rotate="GITHUB_TOKEN", tazlab_rotate_file=str(new)), changed=0)


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("field", "used"),
    [
        ("PROXMOX_TOKEN_SECRET", ["phase vms (role proxmox_vms, variable proxmox_vms_token_secret)"]),
        ("VAULT_CA_CRT", ["Secret external-secrets/vault-ca-cert, key ca.crt", "Secret vso-system/vault-ca-cert"]),
        ("TAILSCALE_OPERATOR_CLIENT_ID", ["Secret tailscale/tailscale-operator-oauth, key clientId"]),
    ],
)
def test_consumers_come_from_the_playbook_itself(site: Site, field: str, used: list[str]) -> None:
    run = site.run("rotate.yml", "--check", tazlab_rotate=field)
    for what in used:
        assert what in ok(run).output


def test_the_secretbox_key_is_fixed_at_birth(site: Site) -> None:
    version = site.stored()[0]
    run = site.run("rotate.yml", tazlab_rotate="TALOS_SECRETBOX_KEY", tazlab_rotate_file="/dev/null")
    assert run.returncode != 0
    assert "fixed at a cluster's birth" in run.output
    assert site.stored()[0] == version


def test_the_eso_readers_token_keeps_its_former_one_alive_until_the_cluster_has_the_new(site: Site) -> None:
    old = site.stored()[1]["ESO_READER_TOKEN"]
    run = ok(site.run("rotate.yml", tazlab_rotate="ESO_READER_TOKEN"), changed=1)
    new = site.stored()[1]["ESO_READER_TOKEN"]
    accessor = site.client(old).auth.token.lookup_self()["data"]["accessor"]
    assert site.client(new).auth.token.lookup_self()["data"]["policies"] == ["tazlab-eso-reader"]
    assert f"operation=revoke accessor={accessor}" in run.output.replace("\n", " ").replace("  ", "")
    assert "Secret external-secrets/vault-eso-token, key token" in run.output
    ok(site.task("vault_bootstrap_token", operation="revoke", accessor=accessor), changed=1)
    ok(site.task("vault_bootstrap_token", operation="revoke", accessor=accessor), changed=0)
    with pytest.raises(Forbidden):
        site.client(old).auth.token.lookup_self()


def test_a_rotation_that_was_interrupted_leaves_no_token_that_nobody_finds(site: Site) -> None:
    tokens = []
    for _time in range(2):
        tokens.append(site.stored()[1]["ESO_READER_TOKEN"])
        run = ok(site.run("rotate.yml", tazlab_rotate="ESO_READER_TOKEN"), changed=1)
    for former in tokens:
        accessor = site.client(former).auth.token.lookup_self()["data"]["accessor"]
        assert f"the one with accessor {accessor} is to be revoked" in run.output
        assert f"accessor={accessor}" in run.output.replace("\n", " ").replace("  ", "")


def test_a_period_that_was_asked_shorter_or_is_capped_is_noticed(site: Site) -> None:
    ok(site.run("publish.yml", vault_bootstrap_rotate=True, vault_bootstrap_period=3600, vault_bootstrap_eso=False))
    run = ok(site.run("publish.yml", vault_bootstrap_eso=False))
    assert "its period is 3600 s, and 2764800 s were asked for" in run.output
    site.vault.client.sys.tune_auth_method("token", max_lease_ttl="24h")
    run = ok(site.run("rotate.yml", tazlab_rotate="token"))
    assert "renewed within 86400 s, not 2764800 s" in run.output


@pytest.mark.kube
def test_the_cluster_is_seeded_again_and_the_former_token_revoked(site: Site, tmp_path: Path) -> None:
    with ControlPlane(tmp_path / "kube") as control_plane:
        kubeconfig = site.home / ".config" / "tazlab" / "home" / "kubeconfig"
        kubeconfig.parent.mkdir(parents=True)
        shutil.copyfile(control_plane.kubeconfig, kubeconfig)
        old = site.stored()[1]["ESO_READER_TOKEN"]
        run = ok(site.run("rotate.yml", tazlab_rotate="ESO_READER_TOKEN", tazlab_reseed=True))
        new = site.stored()[1]["ESO_READER_TOKEN"]
        secret = control_plane.client().get("v1", "Secret", "vault-eso-token", "external-secrets")
        assert base64.b64decode(secret["data"]["token"]).decode() == new != old
        with pytest.raises(Forbidden):
            site.client(old).auth.token.lookup_self()
        assert new not in run.output


@pytest.mark.kube
def test_flux_logs_in_with_a_rotated_token(site: Site, tmp_path: Path) -> None:
    new = site.home / "new-token"
    new.write_text("ghp_rotated")
    with (
        ControlPlane(tmp_path / "kube") as control_plane,
        GitServer(tmp_path / "git", site.authority, "ghp_rotated") as git,
    ):
        git.commit(gitops.repository(git.url, branch="main"))
        kubeconfig = site.home / ".config" / "tazlab" / "home" / "kubeconfig"
        kubeconfig.parent.mkdir(parents=True)
        shutil.copyfile(control_plane.kubeconfig, kubeconfig)
        client = control_plane.client()
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
        flux = {"url": git.url, "branch": "main", "path": gitops.PATH, "ca_cert": str(site.authority.ca_file)}
        version = site.stored()[0]
        new.write_text("ghp_wrong")
        refused = site.run("rotate.yml", tazlab_rotate="GITHUB_TOKEN", tazlab_rotate_file=str(new), tazlab_flux=flux)
        assert refused.returncode == 2
        assert "the login was refused (401)" in refused.output
        assert site.stored()[0] == version, "what Git refuses is not written"
        new.write_text('"ghp_rotated"\n')
        run = ok(
            site.run(
                "rotate.yml",
                tazlab_rotate="GITHUB_TOKEN",
                tazlab_rotate_file=str(new),
                tazlab_reseed=True,
                tazlab_flux=flux,
            )
        )
        secret = client.get("v1", "Secret", "flux-system", "flux-system")
        assert base64.b64decode(secret["data"]["password"]).decode() == "ghp_rotated"
        assert "ghp_rotated" not in run.output


def test_nothing_leaks_at_any_verbosity(site: Site) -> None:
    """The operator's token lies in ~/.vault-token, so that no environment has a reason to hold a secret."""
    (site.home / ".vault-token").write_text(site.operator)
    new = site.home / "new-token"
    new.write_text("ghp_brandnewvalueofthetoken")
    values = {name: value for name, value in site.stored()[1].items() if name not in (*PUBLIC, "PROXMOX_TOKEN_ID")}
    old, canaries = site.token(), {"operator": site.operator, "bootstrap": site.token(), "new": new.read_text()}
    kept = {site.home / TOKEN_FILE, site.home / f"{TOKEN_FILE}.superseded", site.home / ".vault-token", new}
    log = site.home / "ansible.log"
    with Watch(Canaries({**values, **canaries}), (site.home,), frozenset(kept | set(site.anchor.iterdir()))) as watch:
        for playbook, variables in (
            ("publish.yml", {}),
            ("rotate.yml", {"tazlab_rotate": "token"}),
            ("rotate.yml", {"tazlab_rotate": "GITHUB_TOKEN", "tazlab_rotate_file": str(new)}),
            ("rotate.yml", {"tazlab_rotate": "ESO_READER_TOKEN"}),
            ("health.yml", {"tazlab_tailscale_token_url": "http://127.0.0.1:9/"}),
        ):
            run = run_playbook(
                PLAYBOOKS / playbook,
                home=site.home,
                variables={"tazlab_vault_url": site.vault.url, "tazlab_cluster": "home", **variables},
                environment={"ANSIBLE_LOG_PATH": str(log)},
                arguments=["-vvvvv", "--diff"],
            )
            assert run.returncode == (2 if playbook == "health.yml" else 0), run.output
            written = {**values, **canaries, "stored": site.token(), "eso": site.stored()[1]["ESO_READER_TOKEN"]}
            assert Canaries(written).names_in(run.output.encode() + log.read_bytes()) == set()
    assert site.token() != old
    assert {(name, place) for name, place in watch.leaks if ".bootstrap-token." not in place} == set()


def type_in(
    playbook: Path, home: Path, variables: dict[str, Any], environment: dict[str, str], text: str
) -> tuple[int, str]:
    """Run a playbook on a terminal and type a text where it asks for one; its status, and what the terminal showed."""
    file = home / "variables.json"
    file.write_text(json.dumps(variables))
    child, terminal = pty.fork()
    if child == 0:
        argv = [sys.executable, "-m", "ansible", "playbook", str(playbook), "-e", f"@{file}"]
        os.execve(sys.executable, argv, private_environment(home, {"TERM": "dumb", **environment}))  # noqa: S606  # a list of ours, without a shell
    shown = bytearray()

    def output() -> bool:
        """Read what there is; False when the program has ended."""
        try:
            while select.select([terminal], [], [], 0.5)[0]:
                chunk = os.read(terminal, 65536)
                if not chunk:
                    return False
                shown.extend(chunk)
        except OSError:
            return False
        return True

    wait_until(lambda: output() and b"(not shown)" in shown, "the prompt appears", 120)
    wait_until(lambda: not termios.tcgetattr(terminal)[3] & termios.ECHO, "nothing typed is shown", 30)
    before = len(shown)
    while output():
        if len(shown) == before:  # what is typed in the moment in which the prompt begins to listen is dropped
            os.write(terminal, f"{text}\r".encode())
    _pid, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_the_new_value_is_typed_in_without_being_shown(site: Site) -> None:
    variables = {"tazlab_vault_url": site.vault.url, "tazlab_cluster": "home", "tazlab_rotate": "GITHUB_TOKEN"}
    environment = {"VAULT_TOKEN": site.operator}
    status, shown = type_in(PLAYBOOKS / "rotate.yml", site.home, variables, environment, "ghp_typed")
    assert status == 0, shown
    assert site.stored()[1]["GITHUB_TOKEN"] == "ghp_typed"
    assert "ghp_typed" not in shown
