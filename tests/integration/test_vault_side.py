# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vault's side on a real OpenBao: day zero, the narrow policies, periodic tokens, publishing that loses nothing."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hvac
import pytest
from hvac.exceptions import Forbidden

from lab.bundle import bundle, write_anchor
from lab.playbook import Run, run_playbook
from lab.process import wait_until
from lab.tls import Authority
from lab.vault import VaultServer

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
TOKEN_FILE = ".config/tazlab/bootstrap-token"
BUNDLE = "tazlab-k8s/bootstrap"
# What the collection ships, and its documentation shows, as all that an operator's token needs.
OPERATOR = (PLAYBOOKS.parent / "roles" / "vault_bootstrap" / "files" / "operator-policy.hcl").read_text()


class Site:
    """A Vault of its own, a HOME with an anchor, and an operator with no more than the needed permissions."""

    def __init__(self, directory: Path) -> None:
        self.home = directory / "home"
        self.anchor = self.home / "secrets"
        self.authority = Authority(directory / "tls")
        self.vault = VaultServer(directory / "vault", self.authority)
        self.values = bundle(self.authority.ca_pem)
        self.values.pop("ESO_READER_TOKEN")

    def __enter__(self) -> Site:
        self.vault.start()
        self.home.mkdir()
        write_anchor(self.anchor, self.values)
        self.operator = self.operator_with(OPERATOR)
        return self

    def __exit__(self, *_: object) -> None:
        self.vault.stop()

    def operator_with(self, rules: str) -> str:
        client = self.vault.client
        client.sys.create_or_update_acl_policy("operator", rules)
        made = client.auth.token.create_orphan(policies=["operator"], no_default_policy=True)
        return str(made["auth"]["client_token"])

    def run(self, playbook: str | Sequence[dict[str, Any]], *arguments: str, token: str = "", **variables: Any) -> Run:
        return run_playbook(
            PLAYBOOKS / playbook if isinstance(playbook, str) else playbook,
            home=self.home,
            variables={"tazlab_vault_url": self.vault.url, "tazlab_cluster": "home", **variables},
            environment={"VAULT_TOKEN": token or self.operator},
            arguments=arguments,
        )

    def task(self, module: str, *arguments: str, token: str = "", **options: Any) -> Run:
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [
                {f"tazlab.bootstrap.{module}": options, "register": "result"},
                {"ansible.builtin.debug": {"var": "result"}},
            ],
        }
        return self.run([play], *arguments, token=token)

    def client(self, token: str) -> hvac.Client:
        return hvac.Client(url=self.vault.url, token=token, verify=str(self.vault.ca_file))

    def token(self) -> str:
        return (self.home / TOKEN_FILE).read_text().strip()

    def stored(self) -> tuple[int, dict[str, str]]:
        answer = self.vault.client.read(f"secret/data/{BUNDLE}")
        assert answer is not None
        return answer["data"]["metadata"]["version"], answer["data"]["data"]

    def fingerprint(self) -> list[tuple[str, int, int, bytes]]:
        """Everything of the anchor that a careless program would touch."""
        files = sorted(self.anchor.iterdir())
        return [(path.name, path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes()) for path in files]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        yield made


def ok(run: Run, changed: int | None = None) -> Run:
    assert run.returncode == 0, run.output
    if changed is not None:
        assert run.stats()["changed"] == changed, run.output
    return run


def test_day_zero_then_nothing_changes(site: Site) -> None:
    before = site.fingerprint()
    ok(site.run("publish.yml", "--check", "--diff"))
    assert not (site.home / TOKEN_FILE).exists()
    assert site.vault.client.read(f"secret/data/{BUNDLE}") is None

    shown = ok(site.run("publish.yml", "--diff"), changed=4)
    for value in [*site.values.values(), site.operator, site.token()]:
        assert value.strip() == site.authority.ca_pem.strip() or value.strip() not in shown.output
    assert "GITHUB_TOKEN: (a value)" in shown.output
    version, data = site.stored()
    assert data == {**site.values, "ESO_READER_TOKEN": data["ESO_READER_TOKEN"]}
    metadata = site.vault.client.secrets.kv.v2.read_secret_metadata(BUNDLE, mount_point="secret")["data"]
    assert metadata["custom_metadata"]["purpose"] == "bootstrap bundle of tazlab.bootstrap"
    assert metadata["max_versions"] == 0, "the server's own limit"
    assert (site.home / TOKEN_FILE).stat().st_mode & 0o777 == 0o600

    again = ok(site.run("publish.yml"), changed=0)
    assert site.stored()[0] == version
    assert "unless renewed" in again.output
    assert site.fingerprint() == before


def test_the_tokens_are_as_narrow_as_stated(site: Site) -> None:
    ok(site.run("publish.yml"))
    narrow, eso = site.client(site.token()), site.client(site.stored()[1]["ESO_READER_TOKEN"])
    facts = narrow.auth.token.lookup_self()["data"]
    assert (facts["policies"], facts["orphan"], facts["period"]) == (["tazlab-bootstrap"], True, 2764800)
    assert eso.auth.token.lookup_self()["data"]["policies"] == ["tazlab-eso-reader"]
    read = narrow.read(f"secret/data/{BUNDLE}")
    assert read is not None
    assert narrow.auth.token.renew_self()["auth"]["lease_duration"] == 2764800
    site.vault.client.secrets.kv.v2.create_or_update_secret(
        "tazlab-k8s/static/x/y/Z", {"value": "z"}, mount_point="secret"
    )
    assert eso.read("secret/data/tazlab-k8s/static/x/y/Z") is not None
    for path in (
        "secret/data/tazlab-k8s",
        "secret/data/tazlab-k8s/bootstrap2",
        "secret/data/tazlab-k8s/bootstrap/x",
        "secret/data/other",
        "secret/metadata/tazlab-k8s/bootstrap",
        "secret/metadata/tazlab-k8s",
        "secret/config",
        "secret/subkeys/tazlab-k8s/bootstrap",
        "sys/mounts",
        "sys/auth",
        "sys/policies/acl",
        "sys/policies/acl/tazlab-bootstrap",
        "sys/host-info",
        "sys/capabilities-self",
        "sys/storage/raft/configuration",
        "auth/token/accessors",
        "auth/token/roles/tazlab-bootstrap",
        "cubbyhole/x",
        "identity/entity/id",
        "sys/leases/lookup",
    ):
        for client in (narrow, eso):
            with pytest.raises(Forbidden):
                pytest.fail(f"{path} was read: {client.read(path)}")
    with pytest.raises(Forbidden):
        narrow.read("secret/data/tazlab-k8s/static/x/y/Z")
    with pytest.raises(Forbidden):
        eso.read(f"secret/data/{BUNDLE}")
    for client in (narrow, eso):
        for path in (f"secret/data/{BUNDLE}", "auth/token/create", "auth/token/create/tazlab-bootstrap"):
            with pytest.raises(Forbidden):
                client.write_data(path, data={"data": {}})


@pytest.mark.sweep
@pytest.mark.parametrize("gone", OPERATOR.strip().splitlines())
def test_a_missing_permission_is_named_before_anything_changes(site: Site, gone: str) -> None:
    site.vault.client.sys.disable_secrets_engine("secret")
    path = gone.split('"')[1]
    token = site.operator_with(OPERATOR.replace(gone, ""))
    # Only a rotation ends a token, and only it has to be allowed to.
    rotates = "lookup" in path or "revoke" in path
    run = site.run("publish.yml", token=token, vault_bootstrap_rotate=rotates, vault_bootstrap_eso=rotates)
    assert run.returncode != 0
    assert path.removesuffix("*") in run.output
    assert "secret/" not in site.vault.client.sys.list_mounted_secrets_engines()["data"]
    assert not (site.home / TOKEN_FILE).exists()


def test_a_wrong_value_in_the_anchor_is_named_before_vault_is_changed(site: Site) -> None:
    (site.anchor / "proxmox-token-id").write_text("no-token-id\n")
    (site.anchor / "github-token").unlink()
    run = site.run("publish.yml")
    assert run.returncode != 0
    assert "PROXMOX_TOKEN_ID" in run.output
    (site.anchor / "proxmox-token-id").write_text(site.values["PROXMOX_TOKEN_ID"])
    run = site.run("publish.yml")
    assert run.returncode != 0
    assert "GITHUB_TOKEN (tried github-token" in run.output
    assert site.vault.client.read("auth/token/roles/tazlab-bootstrap") is None
    assert not (site.home / TOKEN_FILE).exists()


def test_the_inventorys_names_for_the_eso_readers_token_and_a_trailing_slash_serve(site: Site) -> None:
    names = {"tazlab_eso_field": "READER", "tazlab_eso_path": "team", "tazlab_vault_mount_point": "secret/"}
    fields: dict[str, Any] = {name: {} for name in ("GITHUB_TOKEN", "READER")}
    ok(site.run("publish.yml", tazlab_fields=fields, **names))
    version, data = site.stored()
    assert data.keys() == {"GITHUB_TOKEN", "READER"}
    policy = site.vault.client.sys.read_acl_policy("tazlab-eso-reader")["data"]["policy"]
    assert 'path "secret/data/team/*"' in policy
    ok(site.run("rotate.yml", tazlab_fields=fields, tazlab_rotate="READER", **names), changed=1)
    assert site.stored()[0] == version + 1


def test_the_guide_shows_the_operators_policy() -> None:
    guide = PLAYBOOKS.parent / "docs" / "docsite" / "rst" / "guide_from_files_to_vault.rst"
    assert "".join(f"    {line}\n" for line in OPERATOR.splitlines()) in guide.read_text()


def test_all_missing_permissions_are_named_together(site: Site) -> None:
    token = site.operator_with('path "sys/capabilities-self" { capabilities = ["update"] }')
    run = site.run("publish.yml", token=token)
    for path in ("sys/mounts", "sys/policies/acl/tazlab-bootstrap", "auth/token/create/tazlab-bootstrap"):
        assert path in run.output
    assert "nothing was changed" in run.output


def test_who_may_write_the_bundle_and_its_metadata_alone_publishes_without_the_setup(site: Site) -> None:
    bundle_only = [line for line in OPERATOR.splitlines() if "capabilities-self" in line or f"/data/{BUNDLE}" in line]
    fields: dict[str, Any] = {"GITHUB_TOKEN": {}}
    run = site.run(
        "publish.yml", "--skip-tags", "access", token=site.operator_with("\n".join(bundle_only)), tazlab_fields=fields
    )
    assert run.returncode == 2
    assert f"1. read, update on secret/metadata/{BUNDLE} (to publish the bundle)" in run.output
    writer = [*bundle_only, next(line for line in OPERATOR.splitlines() if f"/metadata/{BUNDLE}" in line)]
    ok(
        site.run(
            "publish.yml", "--skip-tags", "access", token=site.operator_with("\n".join(writer)), tazlab_fields=fields
        )
    )
    assert site.stored()[1] == {"GITHUB_TOKEN": site.values["GITHUB_TOKEN"]}


def test_the_mount_is_made_when_missing_and_never_migrated(site: Site) -> None:
    client = site.vault.client
    client.sys.disable_secrets_engine("secret")
    ok(site.run("publish.yml"))
    assert client.sys.list_mounted_secrets_engines()["data"]["secret/"]["options"] == {"version": "2"}
    client.sys.disable_secrets_engine("secret")
    client.sys.enable_secrets_engine("kv", path="secret", options={"version": "1"})
    run = site.run("publish.yml")
    assert "never migrated" in run.output
    run = site.run("publish.yml", "--tags", "publish")
    assert "is not a secret of KV version 2" in run.output
    assert client.read(f"secret/data/{BUNDLE}") is None
    assert client.sys.list_mounted_secrets_engines()["data"]["secret/"]["options"] == {"version": "1"}


def test_a_changed_token_role_is_drift_and_corrected_only_when_told(site: Site) -> None:
    ok(site.run("publish.yml"))
    path = "auth/token/roles/tazlab-bootstrap"
    site.vault.client.write_data(path, data={"token_no_default_policy": False, "token_period": "1h"})
    run = ok(site.run("publish.yml"), changed=0)
    assert "token_period is 3600 instead of 2764800" in run.output
    refused = site.run("publish.yml", vault_bootstrap_rotate=True)
    assert refused.returncode != 0
    assert "its policies are" in refused.output
    assert site.client(site.token()).read(f"secret/data/{BUNDLE}") is not None
    ok(site.run("publish.yml", vault_bootstrap_update_token_roles=True), changed=1)
    role = site.vault.client.read(path)
    assert role is not None
    assert role["data"]["token_period"] == 2764800


def test_the_anchor_is_no_place_for_the_token(site: Site) -> None:
    run = site.run("publish.yml", vault_bootstrap_token_file="~/secrets/bootstrap-token.txt")
    assert run.returncode != 0
    assert f"$(cat {site.home / TOKEN_FILE} " in run.output
    assert site.vault.client.read("auth/token/roles/tazlab-bootstrap") is None


def test_the_bootstrap_token_is_no_operators_token(site: Site) -> None:
    ok(site.run("publish.yml"))
    assert "is the bootstrap token" in site.run("publish.yml", token=site.token()).output


def test_a_wrapped_token_for_another_machine(site: Site) -> None:
    ok(site.run("publish.yml", vault_bootstrap_wrap_ttl=300))
    file = site.home / f"{TOKEN_FILE}.wrapped"
    assert file.stat().st_mode & 0o777 == 0o600
    ok(site.run("publish.yml", vault_bootstrap_wrap_ttl=300), changed=0)
    token = site.client(file.read_text().strip()).sys.unwrap()["auth"]["client_token"]
    assert site.client(token).auth.token.lookup_self()["data"]["policies"] == ["tazlab-bootstrap"]
    assert not (site.home / TOKEN_FILE).exists()


@pytest.mark.parametrize("mode", [[], ["--check"]], ids=["run", "check"])
def test_a_wrapping_token_takes_no_place_of_a_token_that_lives(site: Site, mode: list[str]) -> None:
    ok(site.run("publish.yml"))
    file, token = site.home / TOKEN_FILE, site.token()
    wrapping = {"vault_bootstrap_wrap_ttl": 300, "vault_bootstrap_wrapped_file": str(file)}
    refused = site.run("publish.yml", *mode, **wrapping)
    assert refused.returncode != 0
    assert "holds a token that lives" in refused.output
    assert site.token() == token
    site.client(token).auth.token.revoke_self()
    ok(site.run("publish.yml", **wrapping))
    assert site.token() != token
    assert (site.home / f"{TOKEN_FILE}.before").read_text() == f"{token}\n", "another Vault may know it"


def test_a_full_disk_leaves_the_old_token_alone(site: Site) -> None:
    ok(site.run("publish.yml"))
    old = site.token()
    full = site.home / "full"
    full.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(full)], check=False)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        (full / "token").write_text(f"{old}\n")
        (full / "filler").write_bytes(b"x" * 4096)
        issued = site.vault.requests()["auth/token/create/tazlab-bootstrap"]
        run = site.run("publish.yml", vault_bootstrap_token_file=str(full / "token"), vault_bootstrap_rotate=True)
        assert "no space left" in run.output
        assert (full / "token").read_text().strip() == old
        assert site.client(old).read(f"secret/data/{BUNDLE}") is not None
        assert site.vault.requests()["auth/token/create/tazlab-bootstrap"] == issued
        assert sorted(path.name for path in full.iterdir()) == ["filler", "token"]
    finally:
        subprocess.run(["umount", str(full)], check=True)


def test_publishing_keeps_what_it_does_not_know_and_tells_what_differs(site: Site) -> None:
    site.vault.write_bundle({"MINE": "x", "GITHUB_TOKEN": "old", "ESO_READER_TOKEN": "s.eso"})
    write_anchor(site.anchor, {"ESO_READER_TOKEN": "s.stale"})
    run = ok(site.task("vault_bundle_publish", keep=["ESO_READER_TOKEN"]), changed=1)
    version, data = site.stored()
    assert version == 2
    assert data == {**site.values, "MINE": "x", "ESO_READER_TOKEN": "s.eso"}
    assert "which is not published" in run.output
    ok(site.task("vault_bundle_publish", state="absent", names=["MINE"]), changed=1)
    ok(site.task("vault_bundle_publish", state="absent", names=["MINE"]), changed=0)
    assert "MINE" not in site.stored()[1]
    assert site.task("vault_bundle_publish", state="absent").returncode != 0


def test_a_rotated_field_is_rolled_back_only_when_it_is_named(site: Site) -> None:
    ok(site.run("publish.yml"))
    new = site.home / "new-token"
    new.write_text("ghp_rotated")
    os.utime(site.anchor / "github-token", (0, 0))
    os.utime(site.anchor / "proxmox-token-secret", (0, 0))
    ok(site.run("rotate.yml", tazlab_rotate="GITHUB_TOKEN", tazlab_rotate_file=str(new)), changed=1)
    version = site.stored()[0]
    (site.anchor / "proxmox-token-secret").write_text("00000000-0000-0000-0000-000000000001")
    run = site.run("publish.yml")
    assert run.returncode != 0
    assert "GITHUB_TOKEN, file github-token. To take Vault's value: (umask 077; " in run.output
    assert "PROXMOX_TOKEN_SECRET, file" not in run.output
    assert site.stored()[0] == version
    ok(site.run("publish.yml", "--tags", "access"), changed=0)

    (site.anchor / "github-token").write_text("ghp_rotated")
    ok(site.run("publish.yml"), changed=1)
    write_anchor(site.anchor, {"GITHUB_TOKEN": "ghp_older"})
    os.utime(site.anchor / "github-token", (0, 0))
    ok(site.run("publish.yml", tazlab_publish="GITHUB_TOKEN"), changed=1)
    assert site.stored()[1]["GITHUB_TOKEN"] == "ghp_older"


def test_a_wrong_value_in_the_anchor_publishes_nothing(site: Site) -> None:
    (site.anchor / "proxmox-token-id").write_text("no-token-id\n")
    (site.anchor / "talos-secretbox-key").write_text("c2hvcnQ=\n")
    run = site.task("vault_bundle_publish")
    assert "PROXMOX_TOKEN_ID" in run.output
    assert "TALOS_SECRETBOX_KEY" in run.output
    assert site.vault.client.read(f"secret/data/{BUNDLE}") is None


def test_twenty_publishers_at_once_lose_nothing(site: Site) -> None:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found, Provenance
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import operator_settings
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
        plan_present,
        update_bundle,
    )

    options = {"url": site.vault.url, "token": site.operator, "ca_cert": str(site.vault.ca_file)}
    settings = operator_settings(options, environ={}, home=site.home)

    def publish(number: int) -> int:
        name = f"FIELD_{number}"
        found = {name: Found(str(number), Provenance("values", name, "values"))}
        try:
            updated = bounded(
                settings,
                60,
                lambda vault: update_bundle(
                    vault, lambda stored: plan_present([Field(name)], found, stored.data), check_mode=False
                ),
            )
        except BootstrapError as error:
            assert "somebody else wrote" in str(error)
            return 0
        return updated.after

    with ThreadPoolExecutor(20) as pool:
        versions = list(pool.map(publish, range(20)))
    written = {version: number for number, version in enumerate(versions) if version}
    version, data = site.stored()
    assert sorted(written) == list(range(1, version + 1))
    assert data == {f"FIELD_{number}": str(number) for number in written.values()}
    for number in [number for number, version in enumerate(versions) if not version]:
        assert publish(number) > 0
    assert len(site.stored()[1]) == 20


def test_a_connection_lost_after_the_write_is_found_by_the_next_run(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found, Provenance
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import BoundedAdapter
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin, bounded
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import operator_settings
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
        plan_present,
        update_bundle,
    )

    options = {"url": site.vault.url, "token": site.operator, "ca_cert": str(site.vault.ca_file)}
    settings = operator_settings(options, environ={}, home=site.home)
    found = {"A": Found("1", Provenance("values", "A", "values"))}

    def publish(vault: VaultAdmin) -> int:
        return update_bundle(
            vault, lambda stored: plan_present([Field("A")], found, stored.data), check_mode=False
        ).after

    send = BoundedAdapter.send

    def lost(self: Any, request: Any, **options: Any) -> Any:
        answer = send(self, request, **options)
        if request.method in ("POST", "PUT"):
            raise ConnectionResetError(104, "the answer is lost")
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(BoundedAdapter, "send", lost)
        with pytest.raises(BootstrapError, match="Whether it was done is not known"):
            bounded(settings, 20, publish)
    assert site.stored() == (1, {"A": "1"})
    assert bounded(settings, 20, publish) == 1


def test_a_standby_that_shows_an_older_version_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reads are those of a moment ago, as from a performance standby: the first answer stands in for it."""
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import Field
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.resolution import Found, Provenance
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.transport import BoundedAdapter
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import operator_settings
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.publish import (
        Updated,
        plan_present,
        update_bundle,
    )

    site.vault.write_bundle({"OLD": "1"})
    options = {"url": site.vault.url, "token": site.operator, "ca_cert": str(site.vault.ca_file)}
    settings = operator_settings(options, environ={}, home=site.home)
    found = {"A": Found("1", Provenance("values", "A", "values"))}
    send, seen = BoundedAdapter.send, []

    def lagging(self: Any, request: Any, **options: Any) -> Any:
        if request.method == "GET" and 0 < len(seen) < 4:
            seen.append(seen[0])
            return seen[0]
        answer = send(self, request, **options)
        if request.method == "GET" and not seen:
            seen.append(answer)
            site.vault.write_bundle({"OLD": "2"})
        return answer

    def publish(vault: Any) -> Updated:
        return update_bundle(vault, lambda stored: plan_present([Field("A")], found, stored.data), check_mode=False)

    monkeypatch.setattr(BoundedAdapter, "send", lagging)
    updated = bounded(settings, 20, publish)
    assert (updated.before, updated.after, len(seen)) == (2, 3, 4)
    assert site.stored() == (3, {"OLD": "2", "A": "1"})


def test_sealed_between_two_writes_of_a_run_then_run_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.tazlab.bootstrap.plugins.action.vault_bundle_publish import ActionModule
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import validated
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import VaultAdmin

    class Publish(ActionModule):
        """The action without Ansible around it."""

        check_mode = diff_mode = False

        def __init__(self) -> None:
            pass

        def progress(self, message: str) -> None:
            pass

    options = {"url": site.vault.url, "anchor": str(site.anchor), "max_versions": 20, "fields": {"GITHUB_TOKEN": {}}}
    params = validated(ActionModule.argument_spec, options, **ActionModule.spec_rules)
    monkeypatch.setenv("HOME", str(site.home))
    monkeypatch.setenv("VAULT_TOKEN", site.operator)
    monkeypatch.setenv("VAULT_CACERT", str(site.vault.ca_file))
    write = VaultAdmin.write_bundle

    def then_sealed(self: VaultAdmin, *arguments: Any) -> int:
        version = write(self, *arguments)
        site.vault.seal()
        return version

    with monkeypatch.context() as patched:
        patched.setattr(VaultAdmin, "write_bundle", then_sealed)
        with pytest.raises(BootstrapError, match=r"Reading the bundle's metadata: .* is sealed\. Unseal it\."):
            Publish().execute(params, {})
    site.vault.unseal()
    result = Publish().execute(params, {})
    assert (result["previous_version"], result["version"]) == (1, 1)
    assert (result["changed"], result["metadata"]) == (True, ["max_versions"])
    assert not Publish().execute(params, {})["changed"]


def test_a_periodic_token_outlives_its_period(site: Site) -> None:
    ok(
        site.run(
            "publish.yml", vault_bootstrap_period=60, vault_bootstrap_eso=False, tazlab_fields={"GITHUB_TOKEN": {}}
        )
    )
    client = site.client(site.token())
    wait_until(lambda: client.auth.token.lookup_self()["data"]["ttl"] < 57, "some of the period is over", 20)
    assert client.auth.token.renew_self()["auth"]["lease_duration"] == 60
    run = ok(site.task("vault_bootstrap_token", operation="renew", dest=f"~/{TOKEN_FILE}"), changed=0)
    assert "unless renewed" in run.output
    assert "even if renewed" not in run.output


def test_a_server_outside_utc_is_read_by_its_own_zone(tmp_path: Path) -> None:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.bundle import fetch
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.admin import bounded
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.token_look import look_up

    zone = tmp_path / "zone"  # five hours west of UTC, in the format of tzfile(5), which the system may have none of
    zone.write_bytes(
        b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", -18000, 0, 0) + b"LAB\0"
    )
    authority = Authority(tmp_path / "tls")
    with VaultServer(tmp_path / "vault", authority, timezone=zone) as vault:
        vault.write_bundle(bundle(authority.ca_pem))
        token = vault.scoped_token()
        settings = VaultSettings(vault.url, token, "test", ca_pem=authority.ca_pem)
        expires = hvac.Client(url=vault.url, token=token, verify=str(vault.ca_file)).auth.token.lookup_self()
        assert expires["data"]["expire_time"].endswith("-05:00")
        facts = bounded(settings, 20, lambda admin: look_up(admin, token, "test"))
        assert facts is not None
        assert facts.warnings() == []
        outcome = fetch(settings, timeout=20)
        assert outcome.created is not None
        assert abs(time.time() - outcome.created) < 60
