# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that are declared once become files of a checkout, and come out of one: deliver and import_secrets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import deliverytree
from lab.deliverytree import Checkout
from lab.git import GitServer
from lab.playbook import Run, kill_tree, started_playbook
from lab.process import wait_until
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
        return ansible_playbook(
            PLAYBOOKS / "deliver.yml", inventory=inventory(checkout, declared, more), arguments=arguments
        )

    return run


def inventory(checkout: Checkout, declared: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> Path:
    """As a user has it: a YAML file, with templates marked."""
    variables = {
        "tazlab_cluster": "home",
        "tazlab_flux": {"path": f"./{deliverytree.CLUSTER}"},
        "tazlab_delivery": {"checkout": str(checkout.root), "vault_auth": "vso-system/vault-auth"},
        "tazlab_workload_secrets": list(declared),
        **more,
    }
    file = checkout.root.parent / "inventory.yml"
    file.write_text(yaml.dump({"all": {"hosts": {"localhost": {}}, "vars": variables}}, Dumper=Marking))
    return file


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
    file = tmp_path / "home" / "secrets.yml"  # where the command runs
    run = partial(
        ansible_playbook,
        PLAYBOOKS / "import_secrets.yml",
        inventory=inventory,
        variables={"tazlab_import_to": file.name},
    )
    assert run(arguments=["--check"]).returncode == 0
    assert not file.exists()
    found = run()
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


TOLD = {"tazlab_commit": "Deliver dex", "tazlab_push": True}
FILES = ["infrastructure/auth/dex/release.yaml", "infrastructure/configs/auth/externalsecret-dex.yaml"]


@pytest.fixture
def followed(checkout: Checkout, tmp_path: Path) -> Checkout:
    """A clone with the repository that it is of, and something of the user's that is not committed yet."""
    checkout.git("init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin.git"))
    checkout.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    checkout.git("push", "--quiet", "--set-upstream", "origin", "main")
    (checkout.root / "mine.yaml").write_text("not yet\n")
    for name, value in (("user.name", "A User"), ("user.email", "user@example.net")):
        checkout.git("config", name, value)
    return checkout


def is_delivered(checkout: Checkout) -> None:
    """One commit of these files alone is pushed, and what is the user's lies there as before."""
    assert checkout.changes == ["?? mine.yaml"]
    origin = checkout.root.parent / "origin.git"
    assert checkout.git("--git-dir", str(origin), "log", "--format=%s", "main").splitlines() == ["Deliver dex", "x"]
    assert checkout.git("log", "-1", "--name-only", "--format=").splitlines() == FILES


def test_it_is_committed_and_pushed_when_told(followed: Checkout, deliver: Callable[..., Run]) -> None:
    done = deliver(DEX, **TOLD)
    assert done.returncode == 0, done.output
    is_delivered(followed)
    again = deliver(DEX, **TOLD)
    assert (again.returncode, again.stats()["changed"]) == (0, 0), again.output


HANGS = """\
import os, pathlib, signal

fsync = os.fsync

def hanging(descriptor):
    fsync(descriptor)
    if MATCH in os.readlink(f"/proc/self/fd/{descriptor}"):
        pathlib.Path(STARTED).touch()
        signal.pause()

os.fsync = hanging
"""
GIT = """\
#!/bin/sh
hang() { touch "$HOME/started"; sleep 120 & wait; }
for word; do [ "$word" = WORD ] && found=yes; done
[ -n "$found" ] && [ WHEN = before ] && hang
"REAL" "$@" || exit
[ -z "$found" ] || hang
"""


class Moment:
    """A moment of a run, at which it stays until it is killed."""

    def __init__(self, what: str, when: str = "", files: int = 0) -> None:
        self.what, self.when, self.files = what, when, files
        self.pushed = (what, when) == ("push", "after")
        self.committed = what == "push" or (what, when) == ("commit", "after")

    def environment(self, home: Path) -> dict[str, str]:
        """That of a run which says there that it has come so far, by C(home)/started."""
        folder = home / "bin"
        folder.mkdir()
        if not self.when:
            text = HANGS.replace("MATCH", repr(self.what)).replace("STARTED", repr(str(home / "started")))
            (folder / "sitecustomize.py").write_text(text)
            return {"PYTHONPATH": str(folder)}
        git = GIT.replace("WORD", self.what).replace("WHEN", self.when).replace("REAL", str(shutil.which("git")))
        (folder / "git").write_text(git)
        (folder / "git").chmod(0o755)
        return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def kill_at(run: subprocess.Popen[str], home: Path, what: str) -> None:
    """Kill a run and all its children when something in it has told that this moment has come."""
    wait_until((home / "started").exists, what, 90)
    kill_tree(run.pid)
    run.wait(30)


@pytest.mark.sweep
@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Moment(".externalsecret-dex.yaml.tazlab-", files=0), id="first-file"),
        pytest.param(Moment(".release.yaml.tazlab-", files=1), id="second-file"),
        pytest.param(Moment("add", "before", files=2), id="written"),
        pytest.param(Moment("add", "after", files=2), id="added"),
        pytest.param(Moment("commit", "before", files=2), id="before-the-commit"),
        pytest.param(Moment("commit", "after"), id="committed"),
        pytest.param(Moment("push", "before"), id="before-the-push"),
        pytest.param(Moment("push", "after"), id="pushed"),
    ],
)
def test_a_run_that_is_killed_is_gone_on_with_by_the_same_words(
    followed: Checkout, deliver: Callable[..., Run], tmp_path: Path, moment: Moment
) -> None:
    home = tmp_path / "killed"
    home.mkdir()
    file = inventory(followed, [DEX], TOLD)
    environment = moment.environment(home)
    with started_playbook(PLAYBOOKS / "deliver.yml", home=home, inventory=file, environment=environment) as run:
        kill_at(run, home, f"the run is at {moment.what}")
    left = [each for each in followed.changes if each[3:] in FILES]
    assert len(left) == moment.files
    planned = deliver(DEX, arguments=("--check",), **TOLD)
    assert planned.returncode == 0, planned.output
    assert (f"would be committed: {', '.join(FILES)}" in planned.output) == (not moment.committed)
    assert ("would be pushed: main" in planned.output) == (not moment.pushed)
    assert [each for each in followed.changes if each[3:] in FILES] == left
    done = deliver(DEX, **TOLD)
    assert done.returncode == 0, done.output
    is_delivered(followed)
    again = deliver(DEX, **TOLD)
    assert (again.returncode, again.stats()["changed"]) == (0, 0), again.output


@pytest.mark.sweep
@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Moment("add", "before"), id="written"),
        pytest.param(Moment("commit", "before"), id="added"),
    ],
)
def test_a_run_that_is_killed_after_a_file_has_gone_is_gone_on_with(
    followed: Checkout, ansible_playbook: Callable[..., Run], tmp_path: Path, moment: Moment
) -> None:
    home = tmp_path / "killed"
    home.mkdir()
    options = {
        "checkout": str(followed.root),
        "path": deliverytree.CLUSTER,
        "secrets": [{"name": "web-token", "namespace": "apps", "writer": "eso", "keys": {"token": "x/TOKEN"}}],
        "change_writer": ["apps/web-token"],
        "commit": "Change the writer",
    }
    task = {"name": "The writer is changed", "tazlab.bootstrap.gitops_delivery": options}
    play = [{"name": "Change", "hosts": "localhost", "gather_facts": False, "tasks": [task]}]
    with started_playbook(play, home=home, environment=moment.environment(home)) as run:
        kill_at(run, home, f"the run is at {moment.what}")
    gone = "infrastructure/operators/vso/web-token.yaml"
    assert [each[:2].strip() for each in followed.changes if each.endswith(gone)] == ["D"]
    done = ansible_playbook(play)
    assert done.returncode == 0, done.output
    assert followed.changes == ["?? mine.yaml"]
    assert followed.git("log", "--format=%s").splitlines() == ["Change the writer", "x"]
    assert gone not in followed.git("ls-files").splitlines()
    again = ansible_playbook(play)
    assert (again.returncode, again.stats()["changed"]) == (0, 0), again.output


def test_a_git_that_was_killed_while_it_committed_is_told_and_its_lock_is_named(
    followed: Checkout, deliver: Callable[..., Run], tmp_path: Path
) -> None:
    home = tmp_path / "killed"
    home.mkdir()
    hook = followed.root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ntouch "$HOME/started"\nsleep 120 & wait\n')
    hook.chmod(0o755)
    file = inventory(followed, [DEX], TOLD)
    with started_playbook(PLAYBOOKS / "deliver.yml", home=home, inventory=file) as run:
        kill_at(run, home, "the hook runs")
    hook.unlink()
    lock = followed.root / ".git" / "index.lock"
    refused = deliver(DEX, **TOLD)
    assert refused.returncode != 0
    assert f"has it locked by {lock}" in " ".join(refused.output.split()), refused.output
    lock.unlink()
    done = deliver(DEX, **TOLD)
    assert done.returncode == 0, done.output
    is_delivered(followed)


def test_a_rebase_that_was_killed_is_told_before_anything_is_written_and_is_taken_back_by_the_printed_command(
    followed: Checkout, deliver: Callable[..., Run], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    followed.git("clone", "--quiet", "--branch=main", str(tmp_path / "origin.git"), str(other))
    (other / "theirs.yaml").write_text("theirs\n")
    followed.git("-C", str(other), "add", "--all")
    followed.git("-C", str(other), "commit", "--quiet", "--message=theirs")
    followed.git("-C", str(other), "push", "--quiet")
    web = followed.root / "apps/web.yaml"
    web.write_text(f"{web.read_text()}# mine\n")
    changes = [" M apps/web.yaml", "?? mine.yaml"]
    assert followed.changes == changes
    home = tmp_path / "killed"
    home.mkdir()
    hook = followed.root / ".git" / "hooks" / "post-checkout"  # which a rebase runs in its midst
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ntouch "$HOME/started"\nsleep 120 & wait\n')
    hook.chmod(0o755)
    file = inventory(followed, [DEX], TOLD)
    with started_playbook(PLAYBOOKS / "deliver.yml", home=home, inventory=file) as run:
        kill_at(run, home, "the rebase is in its midst")
    hook.unlink()
    refused = deliver(DEX, **TOLD)
    assert refused.returncode != 0
    command = re.search(r"take it back: (git -C \S+ rebase --abort)", " ".join(refused.output.split()))
    assert command is not None, refused.output
    subprocess.run(["sh", "-c", command[1]], check=True, capture_output=True, timeout=60)
    assert followed.changes == changes, "what was put aside is back"
    done = deliver(DEX, **TOLD)
    assert done.returncode == 0, done.output
    assert followed.git("log", "--format=%s", "origin/main").splitlines() == ["Deliver dex", "theirs", "x"]
    assert followed.changes == changes


def test_what_somebody_made_of_what_a_killed_run_has_left_is_not_committed(
    followed: Checkout, deliver: Callable[..., Run]
) -> None:
    assert deliver(DEX).returncode == 0
    release = followed.root / FILES[0]
    release.write_text(f"{release.read_text()}# mine\n")
    refused = deliver(DEX, **TOLD)
    assert refused.returncode != 0
    assert f"{FILES[0]}: it would be written, and has changes" in " ".join(refused.output.split()), refused.output
    assert f"{FILES[1]}: it would be written" not in " ".join(refused.output.split())
    assert followed.git("log", "--format=%s").splitlines() == ["x"]
    release.write_text(release.read_text().removesuffix("# mine\n"))
    assert deliver(DEX, **TOLD).returncode == 0, "which an earlier run without tazlab_commit has written"
    is_delivered(followed)


def test_what_is_not_committed_yet_and_would_be_needed_is_named(
    followed: Checkout, deliver: Callable[..., Run]
) -> None:
    release = followed.root / FILES[0]
    text = release.read_text()
    release.unlink()
    followed.commit()
    release.write_text(text)
    refused = deliver(DEX, **TOLD)
    assert refused.returncode != 0
    said = " ".join(refused.output.split())
    assert "no HelmRelease dex installs into auth" in said
    assert f"it lacks what is not committed in {FILES[0]}" in said
    assert followed.changes == [f"?? {FILES[0]}"]


def test_what_is_no_checkout_is_refused(deliver: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    done = deliver(DEX, tazlab_delivery={"checkout": str(tmp_path / "plain")})
    assert "is not in a checkout of Git" in done.output
