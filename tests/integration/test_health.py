# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health report uses every credential on the lab's systems, and says which of them would keep a cluster unborn."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hvac.exceptions import Forbidden

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._health import uses
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.token_health import vault_time
from lab.bundle import write_anchor
from lab.git import GitServer
from lab.oauth import TailscaleOAuth
from lab.playbook import Run, run_playbook
from lab.process import wait_until
from lab.proxmox import ProxmoxServer
from lab.tls import Authority
from tests.integration.test_vault_side import PLAYBOOKS, TOKEN_FILE, Site, ok


class Systems(Site):
    """Everything that the bundle's credentials log in to."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.git = GitServer(directory / "git", self.authority, self.values["GITHUB_TOKEN"])
        self.git.commit({"README": "x"})
        self.oauth = TailscaleOAuth(
            self.authority,
            self.values["TAILSCALE_OPERATOR_CLIENT_ID"],
            self.values["TAILSCALE_OPERATOR_CLIENT_SECRET"],
        )
        self.proxmox = ProxmoxServer(
            self.authority,
            token_id=self.values["PROXMOX_TOKEN_ID"],
            token_secret=self.values["PROXMOX_TOKEN_SECRET"],
        )

    def __enter__(self) -> Systems:
        super().__enter__()
        for system in (self.git, self.oauth, self.proxmox):
            system.start()
        ok(self.run("publish.yml"))
        data = self.stored()[1]
        write_anchor(self.anchor, {"ESO_READER_TOKEN": data["ESO_READER_TOKEN"]})
        return self

    def __exit__(self, *_: object) -> None:
        for system in (self.git, self.oauth, self.proxmox):
            system.stop()
        super().__exit__()

    def health(self, *arguments: str, inventory: Path | None = None, **variables: Any) -> Run:
        return run_playbook(
            PLAYBOOKS / "health.yml",
            home=self.home,
            arguments=arguments,
            inventory=inventory,
            variables={
                "tazlab_vault_url": self.vault.url,
                "tazlab_cluster": "home",
                "tazlab_proxmox": {
                    "url": self.proxmox.url,
                    "ca_cert": str(self.authority.ca_file),
                    "storage": "local-lvm",
                    "image_storage": "local",
                },
                "tazlab_flux": {"url": self.git.url, "branch": "main", "ca_cert": str(self.authority.ca_file)},
                "tazlab_tailscale_token_url": self.oauth.token_url,
                "tazlab_tailscale_ca_cert": str(self.authority.ca_file),
                **variables,
            },
        )


@pytest.fixture
def systems(tmp_path: Path) -> Iterator[Systems]:
    with Systems(tmp_path) as made:
        yield made


def test_all_is_well_and_one_dead_credential_is_found_in_the_anchor(systems: Systems) -> None:
    before = systems.fingerprint()
    run = ok(systems.health(tazlab_health_json="~/health.json"), changed=0)
    assert "From Vault: yes\n" in run.output
    assert "From the anchor: yes\n" in run.output
    assert run.output.count("unless renewed") >= 3
    for value in systems.stored()[1].values():
        assert "BEGIN CERT" in value or value == systems.values["PROXMOX_TOKEN_ID"] or value not in run.output
    report = json.loads((systems.home / "health.json").read_text())
    assert report["reborn"]["vault"] == {"able": True, "reasons": []}
    assert {row["name"] for row in report["checks"]} == {
        "Proxmox",
        "Git",
        "Tailscale",
        "ESO reader",
        "secretbox key",
        "Vault's CA",
    }
    assert all(row["vault"]["state"] == "yes" for row in report["checks"])
    assert [(token["state"], token["token"]["period"]) for token in report["tokens"]] == [("alive", 2764800)] * 2
    assert report["drift"] == ["bootstrap token: the anchor has no usable copy of it (bootstrap-token.txt)"]
    assert systems.fingerprint() == before
    shown = [line for line in run.stderr.splitlines() if "bootstrap_health: " in line]
    assert "bootstrap_health: Vault's CA " in shown[-1]  # the table's last row: the report ends in it
    assert systems.health(tazlab_health_json="~/secrets/health.json").returncode == 2
    assert systems.fingerprint() == before

    write_anchor(systems.anchor, {"GITHUB_TOKEN": "ghp_stale", "bootstrap-token.txt": "s.dead"})
    run = systems.health()
    assert run.returncode == 2
    assert "From Vault: yes\n" in run.output
    assert "From the anchor: NO, github-token was refused (401)" in run.output
    assert "drift: GITHUB_TOKEN: file github-token holds another value than Vault" in run.output
    assert "drift: bootstrap token: file bootstrap-token.txt holds another one than" in run.output
    assert "; it is refused by Vault" in run.output
    assert "ghp_stale" not in run.output


def test_each_dead_credential_is_named(systems: Systems) -> None:
    state = systems.home / ".config" / "tazlab" / "home"
    state.mkdir(parents=True)
    other = {
        "certs": {"os": {"crt": "eA=="}, "k8s": {"key": "eA=="}},
        "cluster": {"secret": "eA=="},
        "secrets": {"secretboxencryptionsecret": "b3RoZXI="},
    }
    (state / "secrets.yaml").write_text(yaml.safe_dump(other))
    dead = {
        "PROXMOX_TOKEN_SECRET": "00000000-0000-0000-0000-000000000000",
        "TAILSCALE_OPERATOR_CLIENT_SECRET": "tskey-client-dead",
        "ESO_READER_TOKEN": "s.dead",
    }
    systems.vault.write_bundle({**systems.stored()[1], **dead})
    (systems.anchor / "github-token").unlink()
    run = systems.health()
    assert run.returncode == 2
    for said in (
        "PROXMOX_TOKEN_ID and PROXMOX_TOKEN_SECRET were refused (401)",
        "TAILSCALE_OPERATOR_CLIENT_SECRET were refused (401)",
        "ESO_READER_TOKEN was refused (403)",
        "TALOS_SECRETBOX_KEY did not serve",
        "github-token is missing",
    ):
        assert said in run.output, run.output


def test_vault_is_gone_and_the_anchor_answers(systems: Systems) -> None:
    systems.vault.stop()
    run = systems.health()
    assert run.returncode == 2
    assert "From Vault: NO" in run.output
    assert "From the anchor: yes (not tried: ESO reader, Vault's CA)" in run.output


def test_both_tokens_are_renewed_on_request(systems: Systems) -> None:
    renewed = systems.vault.requests()["auth/token/renew-self"]
    run = ok(systems.health(tazlab_renew=True), changed=0)
    assert systems.vault.requests()["auth/token/renew-self"] == renewed + 2
    assert run.output.count("renewed; periodic, dies on") == 2
    ok(systems.health("--check", tazlab_renew=True))
    assert systems.vault.requests()["auth/token/renew-self"] == renewed + 2


def test_a_failed_renewal_a_dying_and_a_wide_token_fail_the_report(systems: Systems) -> None:
    client = systems.vault.client
    rules = client.sys.read_acl_policy("tazlab-eso-reader")["data"]["policy"]
    client.sys.create_or_update_acl_policy("tazlab-eso-reader", rules.replace("auth/token/renew-self", "auth/none"))
    ok(systems.health())
    run = systems.health(tazlab_renew=True, tazlab_health_json="~/health.json")
    assert run.returncode == 2
    assert "From Vault: yes\n" in run.output
    report = json.loads((systems.home / "health.json").read_text())
    assert [token["state"] for token in report["tokens"]] == ["alive", "not renewed"]

    for token, state in (
        (systems.vault.scoped_token(period=None, ttl="3d", policies=("tazlab-bootstrap",)), "alive"),
        (systems.vault.scoped_token(period=None, ttl="3d", renewable=False, policies=("tazlab-bootstrap",)), "dying"),
        (systems.vault.root_token, "too wide"),
        (systems.operator, "too wide"),
        ("s.dead", "dead"),
        ("two words", "unknown"),
    ):
        (systems.home / TOKEN_FILE).write_text(token)
        run = systems.health(tazlab_health_json="~/health.json")
        report = json.loads((systems.home / "health.json").read_text())
        assert report["tokens"][0]["state"] == state
        assert run.returncode == (0 if state == "alive" else 2)
        assert "From the anchor: yes" in run.output


@pytest.mark.parametrize(("after", "soon"), [("192h", False), ("160h", True)])
def test_a_bundle_that_vault_will_delete_by_itself_is_foretold(systems: Systems, after: str, soon: bool) -> None:
    path = "secret/data/tazlab-k8s/bootstrap"
    counts = []
    for setting in ("0s", after):
        systems.vault.client.write_data(path.replace("data", "metadata"), data={"delete_version_after": setting})
        version = systems.vault.write_bundle(systems.stored()[1])
        before = systems.vault.requests()[path]
        run = systems.health(tazlab_health_json="~/health.json")
        counts.append(systems.vault.requests()[path] - before)
    answer = systems.vault.client.read(path)
    assert answer is not None
    end = f"{answer['data']['metadata']['deletion_time'][:19]}Z"
    assert counts[0] == counts[1] > 0, "the time stands in the answer that is read anyway"
    assert run.returncode == (2 if soon else 0), run.output
    assert f"Vault will delete version {version} of {path} by itself on {end}" in run.output
    assert ("From Vault: NO, Vault will delete version" in run.output) is soon
    report = json.loads((systems.home / "health.json").read_text())
    assert report["bundle"] == {"version": version, "deletion_time": end}
    assert len(report["warnings"]) == 1
    assert report["reborn"]["vault"]["able"] is not soon
    assert report["reborn"]["anchor"]["able"] is True


def test_the_operators_token_in_the_environment_is_neither_examined_nor_renewed(systems: Systems) -> None:
    before = systems.client(systems.operator).auth.token.lookup_self
    run = run_playbook(
        PLAYBOOKS / "health.yml",
        home=systems.home,
        variables={"tazlab_vault_url": systems.vault.url, "tazlab_cluster": "home", "tazlab_renew": True},
        environment={"VAULT_TOKEN": systems.operator},
    )
    assert f"bootstrap token (file ~/{TOKEN_FILE}): renewed; periodic" in run.output
    with pytest.raises(Forbidden):  # it has no right to, so nobody can have done it
        before()


def test_another_ca_and_one_with_a_comment_in_any_language(systems: Systems, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other").ca_pem
    data = systems.stored()[1]
    systems.vault.write_bundle({**data, "VAULT_CA_CRT": other})
    write_anchor(systems.anchor, {"VAULT_CA_CRT": f"# Zertifikat für zuhause: é\n{data['VAULT_CA_CRT']}"})
    run = systems.health()
    assert run.returncode == 2
    assert "From Vault: NO, VAULT_CA_CRT did not serve" in run.output
    assert f"It did not sign the certificate of {systems.vault.url.removeprefix('https://')}" in run.output
    assert "From the anchor: yes" in run.output


def test_the_privileges_of_the_inventorys_vms_are_looked_at(systems: Systems, tmp_path: Path) -> None:
    host = {"ansible_host": "192.0.2.11", "vmid": 1001, "proxmox_node": "pve1", "prefix": 24, "gateway": "192.0.2.1"}
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(yaml.safe_dump({"talos_control_plane": {"hosts": {"cp-1": host}}}))
    systems.proxmox.set_content("local", ("iso", "import"))
    assert "every privilege for 1 VM" in ok(systems.health(inventory=inventory)).output
    systems.proxmox.pve.acl = None
    systems.proxmox.pve.grant(systems.values["PROXMOX_TOKEN_ID"], "/", "VM.Audit", "Sys.Audit")
    run = systems.health(inventory=inventory)
    assert run.returncode == 2
    assert "From Vault: NO, PROXMOX_TOKEN_ID and PROXMOX_TOKEN_SECRET did not serve" in run.output
    assert "Proxmox: API token: it lacks VM.Allocate" in run.output


def test_a_field_that_nothing_here_takes_is_looked_at(systems: Systems) -> None:
    fields = {
        "GITHUB_TOKEN": {},
        "MINE": {"kind": "base64key"},
        "SPARE": {"required": False},
        "VAULT_CA_CRT": {"kind": "pem", "files": ["vault-ca-crt"]},
    }
    write_anchor(systems.anchor, {"MINE": "no base64!"})
    run = systems.health(tazlab_fields=fields)
    assert run.returncode == 2
    assert "From Vault: NO, MINE is missing (not tried: SPARE)" in run.output
    assert "From the anchor: NO, mine is invalid (not tried: SPARE)" in run.output


def test_the_death_of_a_token_with_an_end_is_predicted_and_a_periodic_one_outlives_it(systems: Systems) -> None:
    client = systems.vault.client
    made = {
        name: client.auth.token.create_orphan(policies=["tazlab-bootstrap"], no_default_policy=True, **options)["auth"][
            "client_token"
        ]
        for name, options in {"ends": {"explicit_max_ttl": "30s", "ttl": "30s"}, "periodic": {"period": "30s"}}.items()
    }
    ends, periodic = (systems.client(made[name]) for name in ("ends", "periodic"))
    end = vault_time(ends.auth.token.lookup_self()["data"]["expire_time"])
    assert end is not None
    over = threading.Event()

    def keep_alive() -> None:
        while not over.wait(5):
            periodic.auth.token.renew_self()

    keeper = threading.Thread(target=keep_alive, daemon=True)
    keeper.start()
    try:
        (systems.home / TOKEN_FILE).write_text(made["ends"])
        run = systems.health(tazlab_renew=True)
        assert run.returncode == 2
        predicted = re.search(r"and on (\S+) even if renewed, since its maximum TTL ends", run.output)
        assert predicted, run.output
        foreseen = vault_time(predicted[1])
        assert foreseen is not None
        assert abs(foreseen - end) <= timedelta(seconds=1), "Vault counts from a moment after it notes the creation"
        assert "NOT periodic" in run.output

        def dead() -> bool:
            try:
                ends.auth.token.renew_self()
            except Forbidden:
                return True
            return False

        wait_until(dead, "the token has died", 120, interval=3)
        (systems.home / TOKEN_FILE).write_text(made["periodic"])
        run = ok(systems.health())
        assert ": periodic, dies on " in run.output
    finally:
        over.set()
        keeper.join()


@pytest.mark.parametrize("public", [False, True])
def test_a_dead_git_token_is_found_even_where_everybody_may_read(tmp_path: Path, public: bool) -> None:
    authority = Authority(tmp_path / "tls")
    with GitServer(tmp_path / "git", authority, "ghp_good", public=public) as server:
        commit = server.commit({"README": "x"})
        settings = {"url": server.url, "branch": "main", "ca_cert": str(authority.ca_file)}
        assert uses.git(settings, "ghp_good") == f"branch main is at {commit[:10]}"
        with pytest.raises(BootstrapError, match=r"refused \(401\)"):
            uses.git(settings, "ghp_dead")
        with pytest.raises(BootstrapError, match=r"no branch gone. It has: main"):
            uses.git({**settings, "branch": "gone"}, "ghp_good")
