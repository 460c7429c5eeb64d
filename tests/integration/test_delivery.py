# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that are declared once become files of a checkout, and come out of one: deliver and import_secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import deliverytree
from lab.deliverytree import Checkout
from lab.git import GitServer
from lab.playbook import Run
from lab.tls import Authority
from lab.vault import VaultServer

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
DEX: dict[str, Any] = {
    "name": "dex",
    "namespace": "auth",
    "keys": {
        "client-id": "tazlab-k8s/static/auth/dex/ID",
        "config.yaml": {
            "template": "secret: {{ .secret | quote }}\n",
            "values": {"secret": "tazlab-k8s/static/auth/dex/SECRET"},
        },
    },
    "consumers": [{"kind": "Deployment", "helm_release": "dex"}],
}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "clone")


@pytest.fixture
def deliver(checkout: Checkout, ansible_playbook: Callable[..., Run]) -> Callable[..., Run]:
    def run(*declared: Mapping[str, Any], arguments: tuple[str, ...] = (), **more: Any) -> Run:
        variables = {
            "tazlab_cluster": "home",
            "tazlab_flux": {"path": f"./{deliverytree.CLUSTER}"},
            "tazlab_delivery": {"checkout": str(checkout.root), "vault_auth": "vso-system/vault-auth"},
            "tazlab_workload_secrets": list(declared),
            **more,
        }
        # As an inventory has them: from a YAML file, with templates marked.
        file = checkout.root.parent / "inventory.yml"
        file.write_text(yaml.dump({"all": {"hosts": {"localhost": {}}, "vars": variables}}, Dumper=Marking))
        return ansible_playbook(PLAYBOOKS / "deliver.yml", inventory=file, arguments=arguments)

    return run


class Marking(yaml.SafeDumper):
    """Writes what looks like a template of Ansible so that it is left alone."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("!unsafe" if "{{" in text else "tag:yaml.org,2002:str", text)


Marking.add_representer(str, _text)


def test_declared_secrets_become_files_once_and_the_second_run_changes_nothing(
    checkout: Checkout, deliver: Callable[..., Run]
) -> None:
    planned = deliver(DEX, arguments=("--check", "--diff"))
    assert planned.returncode == 0, planned.output
    assert planned.stats()["changed"] == 1
    assert "+      postRenderers" in planned.output or "+  postRenderers" in planned.output, planned.output
    assert checkout.changes == []
    done = deliver(DEX)
    assert done.returncode == 0, done.output
    assert checkout.changes == [
        " M infrastructure/auth/dex/release.yaml",
        "?? infrastructure/configs/auth/externalsecret-dex.yaml",
    ]
    assert "auth/dex" in done.output
    spec = yaml.safe_load((checkout.root / "infrastructure/configs/auth/externalsecret-dex.yaml").read_text())["spec"]
    assert spec["target"]["template"]["data"] == {
        "client-id": "{{ .client_id }}",
        "config.yaml": "secret: {{ .secret | quote }}\n",
    }
    again = deliver(DEX)
    assert (again.returncode, again.stats()["changed"]) == (0, 0), again.output


def test_what_is_there_is_imported_and_delivering_it_changes_nothing(
    checkout: Checkout, deliver: Callable[..., Run], ansible_playbook: Callable[..., Run], tmp_path: Path
) -> None:
    assert deliver(DEX).returncode == 0
    checkout.commit()
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(
        yaml.safe_dump(
            {
                "all": {
                    "hosts": {"localhost": {}},
                    "vars": {
                        "tazlab_flux": {"path": deliverytree.CLUSTER},
                        "tazlab_delivery": {"checkout": str(checkout.root), "vault_auth": "vso-system/vault-auth"},
                    },
                }
            }
        )
    )
    file = tmp_path / "secrets.yml"
    found = ansible_playbook(
        PLAYBOOKS / "import_secrets.yml", inventory=inventory, variables={"tazlab_import_to": str(file)}
    )
    assert found.returncode == 0, found.output
    assert "!unsafe" in file.read_text()
    assert checkout.changes == []
    same = ansible_playbook(PLAYBOOKS / "deliver.yml", inventory=inventory, arguments=("-e", f"@{file}"))
    assert (same.returncode, same.stats()["changed"]) == (0, 0), same.output
    assert same.output.count("equal") == 3


def test_a_repository_is_imported_by_its_address(
    checkout: Checkout, ansible_playbook: Callable[..., Run], tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "ca")
    with GitServer(tmp_path / "git", authority, "canary-4711-git") as server:
        server.commit(deliverytree.files())
        inventory = tmp_path / "inventory.yml"
        inventory.write_text("all: {hosts: {localhost: }}\n")
        found = ansible_playbook(
            PLAYBOOKS / "import_secrets.yml",
            inventory=inventory,
            variables={
                "tazlab_flux": {
                    "url": server.url,
                    "branch": server.branch,
                    "path": deliverytree.CLUSTER,
                    "ca_cert": str(authority.ca_file),
                },
                "tazlab_fields": {"GITHUB_TOKEN": {}},
                "tazlab_anchor": str(_anchor(tmp_path, server.token)),
            },
        )
    assert found.returncode == 0, found.output
    assert "wildcard-tls" in found.output
    assert server.token not in found.output


def _anchor(tmp_path: Path, token: str) -> Path:
    anchor = tmp_path / "anchor"
    anchor.mkdir(mode=0o700)
    (anchor / "github-token").write_text(token)
    return anchor


def test_all_that_is_wrong_is_told_together_and_nothing_is_written(
    checkout: Checkout, deliver: Callable[..., Run]
) -> None:
    release = checkout.root / "infrastructure/auth/dex/release.yaml"
    release.write_text(f"{release.read_text()}# mine\n")
    token = {"name": "web-token", "namespace": "apps", "writer": "eso", "keys": {"token": "x"}}
    gone = {**DEX, "name": "gone", "consumers": [{"kind": "Deployment", "name": "gone"}]}
    done = deliver(DEX, token, gone)
    assert done.returncode != 0
    for said in ("has changes that are not committed", "the declaration says eso", "Deployment auth/gone is not in"):
        assert said in done.output, done.output
    assert checkout.changes == [" M infrastructure/auth/dex/release.yaml"]
    assert "Traceback" not in done.output


def test_the_operators_come_with_what_they_deliver_and_all_waits_for_what_it_needs(
    checkout: Checkout, deliver: Callable[..., Run]
) -> None:
    delivery = {
        "checkout": str(checkout.root),
        "vault_auth": "vso-system/vault-auth",
        "operators": {"eso": {"version": "0.16.2"}, "vso": {}, "reloader": {}},
        "vault_url": "https://vault.example.net:8200",
        "vso_login": {"role": "vso"},
    }
    alone = {"name": "alone", "namespace": "web", "keys": {"a": "x/a"}}
    kept = {"name": "kept", "namespace": "media", "keys": {"a": "x/a"}}  # which VSO could make, and ESO does
    assert deliver({**kept, "writer": "eso", "file": "apps/kept.yaml"}).returncode == 0
    checkout.commit()
    done = deliver(DEX, alone, kept, tazlab_delivery=delivery)
    assert done.returncode == 0, done.output
    made = {line[3:] for line in checkout.changes if line.startswith("??")}
    assert "infrastructure/operators/eso/helmrelease.yaml" in made
    assert "infrastructure/configs/vault/clustersecretstore.yaml" in made
    assert "infrastructure/operators/vso/vaultauth.yaml" in made
    assert {each for each in made if "serviceaccount" in each and "web" in each}, "of the one that VSO makes anew"
    assert not [each for each in made if "media" in each], "where nobody logs in by VSO"
    configs = yaml.safe_load((checkout.root / deliverytree.CLUSTER / "configs.yaml").read_text())
    assert [each["name"] for each in configs["spec"]["dependsOn"]] == ["infrastructure-operators-eso"]
    secret = yaml.safe_load((checkout.root / "infrastructure/configs/auth/externalsecret-dex.yaml").read_text())
    assert secret["apiVersion"] == "external-secrets.io/v1"
    again = deliver(DEX, alone, kept, tazlab_delivery=delivery)
    assert (again.returncode, again.stats()["changed"]) == (0, 0), again.output


def test_what_vault_lacks_is_told_by_a_token_that_may_read_no_value(
    checkout: Checkout, deliver: Callable[..., Run], tmp_path: Path
) -> None:
    with VaultServer(tmp_path / "vault", Authority(tmp_path / "tls")) as vault:
        values = vault.client.secrets.kv.v2
        for path, secret in (("web/TOKEN", {"value": "canary-4711-value"}), ("dex/SECRET", {"other": "x"})):
            values.create_or_update_secret(f"tazlab-k8s/static/{path}", secret=secret)
        values.create_or_update_secret("tazlab-k8s/static/gone", secret={"value": "x"})
        values.delete_latest_version_of_secret("tazlab-k8s/static/gone")
        rules = (
            'path "secret/subkeys/tazlab-k8s/static/*" { capabilities = ["read"] }\n'
            'path "secret/metadata/tazlab-k8s/static/*" { capabilities = ["read", "list"] }\n'
        )
        vault.client.sys.create_or_update_acl_policy("names", rules)
        token = vault.client.auth.token.create_orphan(policies=["names"])["auth"]["client_token"]
        (tmp_path / "home").mkdir(exist_ok=True)
        (tmp_path / "home" / ".vault-token").write_text(token)
        paths = {"a": "web/TOKEN", "b": "web/TOKNE", "c": "dex/SECRET", "d": "gone"}
        keys = {name: f"tazlab-k8s/static/{path}" for name, path in paths.items()} | {"e": "elsewhere/X"}
        reached = {"tazlab_vault_url": vault.url, "tazlab_vault_ca_cert": str(vault.ca_file)}
        far = {"name": "far", "namespace": "apps", "keys": {"a": "far/KEY"}, "through": "ClusterSecretStore/other"}
        done = deliver({"name": "some", "namespace": "apps", "keys": keys}, far, **reached)
        said = " ".join(done.output.split())
        assert "tazlab-k8s/static/web/TOKNE: Vault has nothing there. Correct the path" in said, done.output
        assert "tazlab-k8s/static/web/TOKEN was meant?" in said
        assert "tazlab-k8s/static/dex/SECRET: Vault has no value there. It has other." in said
        assert "tazlab-k8s/static/gone: its newest version is deleted." in said
        assert "far/KEY" not in said, "which another store may have"
        assert "elsewhere/X: the token may not read secret/subkeys/elsewhere/X" in said
        assert checkout.changes == []
        good = deliver({"name": "some", "namespace": "apps", "keys": {"a": keys["a"]}}, **reached)
        assert (good.returncode, len(checkout.changes)) == (0, 2), good.output
        assert "canary-4711-value" not in done.output + good.output
        assert not [each for each in vault.audited() if each.path.startswith("secret/data/")]


def test_it_is_committed_and_pushed_when_told(checkout: Checkout, deliver: Callable[..., Run], tmp_path: Path) -> None:
    checkout.git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin.git"))
    checkout.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    checkout.git("push", "--quiet", "--set-upstream", "origin", "main")
    (checkout.root / "mine.yaml").write_text("not yet\n")
    for name, value in (("user.name", "A User"), ("user.email", "user@example.net")):
        checkout.git("config", name, value)
    told = {"tazlab_commit": "Deliver dex", "tazlab_push": True}
    done = deliver(DEX, **told)
    assert done.returncode == 0, done.output
    assert checkout.changes == ["?? mine.yaml"]
    assert checkout.git("log", "--format=%s", "origin/main").splitlines() == ["Deliver dex", "x"]
    again = deliver(DEX, **told)
    assert (again.returncode, again.stats()["changed"]) == (0, 0), again.output


def test_what_is_no_checkout_is_refused(deliver: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    done = deliver(DEX, tazlab_delivery={"checkout": str(tmp_path / "plain")})
    assert "is not in a checkout of Git" in done.output
