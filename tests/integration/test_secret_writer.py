# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A living Secret gets another writer by Flux' real controllers, the real ESO and the real garbage collector.

VSO itself is run by what is seldom run. Elsewhere its kinds are the real ones, and what it would have made of them, a
Secret with its labels and its reference to the owner, is made by the test.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery import pieces
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import OPERATORS, Jwt, Login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._writers.steps import MARK, PRUNE
from lab import gitops
from lab.delivery import API, thing
from lab.git import GitServer
from lab.kubeclient import MERGE, Object
from lab.operators import ESO, VSO_NAMESPACE, install, scale, vault_secrets
from lab.playbook import Run, kill_tree, run_playbook, started_playbook
from lab.process import wait_until
from tests.integration.test_delivery_lab import STATIC, Delivery

pytestmark = pytest.mark.kube

DELIVER = Path(__file__).parents[2] / "playbooks" / "deliver.yml"
INTERRUPTED = "a change of writer that is interrupted"
TOKEN = "canary-token-of-the-git-host"
CLUSTER = "clusters/home"
KUSTOMIZATION = "kustomize.toolkit.fluxcd.io/v1", "Kustomization"
VSO_API = "secrets.hashicorp.com/v1beta1"
KINDS = {"eso": (API, "ExternalSecret"), "vso": (VSO_API, "VaultStaticSecret")}
VSO_LABELS = {
    "app.kubernetes.io/managed-by": "hashicorp-vso",
    "app.kubernetes.io/name": "vault-secrets-operator",
    "app.kubernetes.io/component": "secret-sync",
}


class World(Delivery):
    """The cluster, whose Flux follows a repository that is pushed to."""

    git: GitServer

    def follow(self) -> None:
        """Have Flux follow the repository."""
        install(self.client, gitops.flux_components())
        secret = {"username": "git", "password": TOKEN, "ca.crt": self.authority.ca_pem}
        self.client.apply(thing("v1", "Secret", "flux-system", "flux-system", stringData=secret), "flux")
        self.git.commit(
            {
                f"{CLUSTER}/vso.yaml": _kustomization("vso"),
                f"{CLUSTER}/configs.yaml": _kustomization("configs"),
                "vso/kustomization.yaml": "resources: []\n",
                "configs/first.yaml": yaml.safe_dump(thing("v1", "ConfigMap", "first", "default")),
            }
        )
        for wanted in gitops.flux_sync(self.git.url, branch=self.git.branch, path=CLUSTER):
            wanted["spec"]["interval"] = "2s" if wanted["kind"] == "GitRepository" else wanted["spec"]["interval"]
            self.client.apply(wanted, "flux")


class Change:
    """One Secret that shall have another writer, and a clone of the repository."""

    def __init__(self, world: World, home: Path, name: str) -> None:
        self.world, self.client, self.home, self.name = world, world.client, home, name
        self.path = f"{STATIC}/{name}/KEY"
        self.value = world.rotate(self.path)
        home.mkdir()
        self.clone = home / "clone"
        subprocess.run(["git", "clone", "-q", str(world.git.bare), str(self.clone)], check=True, capture_output=True)
        for key, said in (("user.name", "A User"), ("user.email", "user@example.net")):
            self._git("config", key, said)

    def _git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.clone, check=True, capture_output=True, text=True)
        return done.stdout

    def variables(self, writer: str, **more: Any) -> dict[str, Any]:
        files = {"eso": "configs/{name}.yaml", "vso": "vso/{name}.yaml"}
        lists = {"eso": "", "vso": "vso/kustomization.yaml"}
        keys = {"token": self.path}
        declared = {"name": self.name, "namespace": "default", "writer": writer, "keys": keys, "refresh": "5s"}
        return {
            "tazlab_cluster": "home",
            "tazlab_kubeconfig": str(self.world.control_plane.kubeconfig),
            "tazlab_flux": {"path": f"./{CLUSTER}"},
            "tazlab_delivery": {
                "checkout": str(self.clone),
                "vault_auth": f"{VSO_NAMESPACE}/vault",
                "files": files,
                "lists": lists,
            },
            "tazlab_workload_secrets": [declared],
            **more,
        }

    @property
    def told(self) -> dict[str, Any]:
        return {"tazlab_change_writer": f"default/{self.name}"}

    @property
    def pushed(self) -> dict[str, Any]:
        return {**self.told, "tazlab_commit": "Change the writer", "tazlab_push": True}

    def run(self, writer: str, *arguments: str, **more: Any) -> Run:
        return run_playbook(DELIVER, home=self.home, variables=self.variables(writer, **more), arguments=arguments)

    def module(self, operation: str, writer: str, **secret: Any) -> Run:
        """Run the module alone."""
        options = {
            "kubeconfig": str(self.world.control_plane.kubeconfig),
            "operation": operation,
            "secrets": [{"name": self.name, "namespace": "default", "writer": writer, **secret}],
            "wait": 2,
        }
        task = {"tazlab.bootstrap.secret_writer": options}
        return run_playbook([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}], home=self.home)

    def patch(self, writer: str, patch: Object) -> None:
        """Change the writer's object by hand."""
        self.client.request("PATCH", self.client.path(*KINDS[writer], "default", self.name), patch, content_type=MERGE)

    def paste(self, command: str) -> None:
        own = {"KUBECONFIG": str(self.world.control_plane.kubeconfig), "PATH": os.environ.get("PATH", os.defpath)}
        subprocess.run(
            ["sh", "-c", command], env={**own, "HOME": str(self.home)}, check=True, capture_output=True, timeout=60
        )

    def begin(self, writer: str) -> str:
        """Have Flux bring the first writer's object; returns the Secret's uid once that has made it."""
        first = self.run(writer, tazlab_commit="Deliver", tazlab_push=True)
        assert first.returncode == 0, first.output
        wait_until(lambda: self.made(writer) is not None, "Flux has made it", 60)
        if writer == "vso" and not self.client.find("apps/v1", "Deployment", "vault-secrets-operator", VSO_NAMESPACE):
            self.as_vso_makes_it()
        wait_until(lambda: self.world.data(self.name) == {"token": self.value}, "the Secret is there", 60)
        return str(self.secret["uid"])

    def as_vso_makes_it(self) -> None:
        api, kind = KINDS["vso"]
        uid = self.client.get(api, kind, self.name, "default")["metadata"]["uid"]
        made = thing("v1", "Secret", self.name, "default", stringData={"token": self.value}, type="Opaque")
        made["metadata"]["labels"] = {**VSO_LABELS, "secrets.hashicorp.com/vso-ownerRefUID": uid}
        made["metadata"]["ownerReferences"] = [{"apiVersion": api, "kind": kind, "name": self.name, "uid": uid}]
        self.client.create(made)

    def made(self, writer: str) -> Object | None:
        return self.client.find(*KINDS[writer], self.name, "default")

    def annotations(self, writer: str) -> dict[str, str]:
        return dict((self.made(writer) or {}).get("metadata", {}).get("annotations") or {})

    def is_leaving(self, writer: str) -> bool:
        """Whether the writer's object is deleted, or on its way."""
        found = self.made(writer)
        return found is None or "deletionTimestamp" in found["metadata"]

    @property
    def secret(self) -> Object:
        metadata: Object = self.client.get("v1", "Secret", self.name, "default")["metadata"]
        return metadata

    def is_held(self, writer: str) -> bool:
        """Whether Flux has the writer's object in an inventory."""
        wanted = f"default_{self.name}_{KINDS[writer][0].partition('/')[0]}_{KINDS[writer][1]}"
        found = self.client.list(*KUSTOMIZATION)
        held = [(each.get("status", {}).get("inventory") or {}).get("entries", []) for each in found]
        return wanted in [entry["id"] for entries in held for entry in entries]

    def is_done(self, uid: str, writer: str) -> None:
        """The Secret is the one that it was, and the new writer's alone."""
        old = "vso" if writer == "eso" else "eso"
        metadata = self.secret
        assert metadata["uid"] == uid
        assert "deletionTimestamp" not in metadata
        assert self.world.data(self.name) == {"token": self.value}
        assert [each["kind"] for each in metadata["ownerReferences"]] == [KINDS[writer][1]]
        assert self.made(old) is None
        marks = {**metadata.get("labels", {}), **metadata.get("annotations", {})}
        assert not {MARK, PRUNE} & set(marks)
        assert ("secrets.hashicorp.com/vso-ownerRefUID" in marks) == (writer == "vso")
        assert ("reconcile.external-secrets.io/created-by" in marks) == (writer == "eso")
        second = self.value = self.world.rotate(self.path)
        self.world.wait(self.name, {"token": second})
        assert self.secret["uid"] == uid

    def take_back(self) -> None:
        """What was written and not committed, as its owner would where a run of theirs was killed."""
        self._git("checkout", "--quiet", ".")
        self._git("clean", "--quiet", "-fd")

    def commit_and_push(self) -> None:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message=By hand")
        self._git("push", "--quiet")

    @property
    def changes(self) -> str:
        return self._git("status", "--porcelain")


def _kustomization(name: str) -> str:
    spec = {
        "interval": "10m0s",
        "retryInterval": "2s",
        "path": f"./{name}",
        "prune": True,
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
    }
    return yaml.safe_dump(thing(*KUSTOMIZATION, name, "flux-system", spec=spec))


def flat(run: Run) -> str:
    """What was said, with the line breaks of Ansible's output taken out."""
    return " ".join(run.output.replace("\\n", " ").replace('\\"', '"').split())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("writers")
    with World(directory) as made, GitServer(directory / "git", made.authority, TOKEN) as git:
        made.git = git
        kinds = (each for each in vault_secrets() if each["kind"] == "CustomResourceDefinition")
        install(made.client, kinds)
        made.follow()
        yield made


@pytest.fixture
def change(world: World, tmp_path: Path) -> Change:
    return Change(world, tmp_path / "home", f"app-{secrets.token_hex(4)}")


def test_eso_takes_a_living_secret_over_from_vso_and_it_stays_the_same_secret(change: Change) -> None:
    uid = change.begin("vso")
    untold = change.run("eso", tazlab_commit="x", tazlab_push=True)
    assert untold.returncode != 0
    assert f"-e tazlab_change_writer=default/{change.name}" in flat(untold)
    assert (change.changes, change.annotations("vso").get(PRUNE)) == ("", None)

    planned = change.run("eso", "--check", "--diff", **change.pushed)
    assert planned.returncode == 0, planned.output
    assert (change.changes, change.annotations("vso").get(PRUNE)) == ("", None)

    done = change.run("eso", **change.pushed)
    assert done.returncode == 0, done.output
    assert f"Secret default/{change.name} is made by eso alone" in flat(done)
    assert change.value not in done.output
    change.is_done(uid, "eso")
    again = change.run("eso", **change.pushed)
    assert (again.returncode, again.stats()["changed"]) == (0, 0), again.output


def test_what_its_owner_pushes_is_told_and_the_next_run_ends_it(change: Change) -> None:
    uid = change.begin("vso")
    begun = change.run("eso", **change.told)
    assert begun.returncode == 0, begun.output
    assert "Commit and push what declares it" in flat(begun)
    assert change.annotations("vso")[MARK] == uid
    change.commit_and_push()
    wait_until(lambda: change.made("eso") is not None and not change.is_held("vso"), "Flux has let go of it", 60)
    assert change.made("vso") is not None, "which is not pruned"
    done = change.run("eso", **change.told)
    assert done.returncode == 0, done.output
    change.is_done(uid, "eso")


@pytest.mark.sweep(INTERRUPTED)
def test_the_old_object_stays_until_the_new_writer_owns_the_secret(change: Change) -> None:
    uid = change.begin("vso")
    assert change.run("eso", **change.told).returncode == 0
    scale(change.client, ESO, ESO, 0)
    try:
        change.commit_and_push()
        wait_until(lambda: change.made("eso") is not None and not change.is_held("vso"), "Flux has let go of it", 60)
        late = change.module("finish", "eso")
        assert late.returncode == 2, late.output
        assert f"ExternalSecret default/{change.name} has not taken the Secret over" in flat(late)
        assert not change.is_leaving("vso")
        assert change.secret["uid"] == uid
    finally:
        scale(change.client, ESO, ESO, 1)
    done = change.run("eso", **change.told)
    assert done.returncode == 0, done.output
    change.is_done(uid, "eso")


@pytest.mark.sweep(INTERRUPTED)
@pytest.mark.parametrize("moment", ["marked", "pushed", "let go", "taken away"])
def test_killed_at_any_moment_the_next_run_ends_it(change: Change, moment: str) -> None:
    uid = change.begin("vso")
    before = change.world.git.revision()
    reached = {
        "marked": lambda: MARK in change.annotations("vso"),
        "pushed": lambda: change.world.git.revision() != before,
        "let go": lambda: change.made("eso") is not None and not change.is_held("vso"),
        "taken away": lambda: change.is_leaving("vso"),
    }[moment]
    with started_playbook(DELIVER, home=change.home, variables=change.variables("eso", **change.pushed)) as process:
        wait_until(reached, moment, 90)
        kill_tree(process.pid)
    if moment == "marked":
        change.take_back()
    done = change.run("eso", **change.pushed)
    assert done.returncode == 0, done.output
    change.is_done(uid, "eso")


@pytest.mark.sweep(INTERRUPTED)
def test_a_change_that_is_turned_back_after_its_push_leaves_no_mark(change: Change) -> None:
    """No VSO runs, so the Secret stays with ESO until the change is turned back."""
    uid = change.begin("eso")
    with started_playbook(DELIVER, home=change.home, variables=change.variables("vso", **change.pushed)) as process:
        wait_until(lambda: change.made("vso") is not None and not change.is_held("eso"), "Flux has let go of it", 90)
        kill_tree(process.pid)
    assert change.annotations("eso")[MARK] == uid
    done = change.run("eso", **change.pushed)
    assert done.returncode == 0, done.output
    assert not {MARK, PRUNE} & set(change.annotations("eso"))
    change.is_done(uid, "eso")


@pytest.mark.sweep(INTERRUPTED)
def test_a_secret_that_was_made_anew_meanwhile_is_ended_also_by_the_printed_command(change: Change) -> None:
    first = change.begin("vso")
    assert change.run("eso", **change.told).returncode == 0
    change.client.delete("v1", "Secret", change.name, "default")
    change.as_vso_makes_it()
    uid = change.secret["uid"]
    assert uid != first
    change.commit_and_push()
    wait_until(lambda: len(change.secret["ownerReferences"]) == 2, "both own it", 60)
    wait_until(lambda: not change.is_held("vso"), "Flux has let go of it", 60)
    change.patch("vso", {"metadata": {"annotations": {MARK: None}}})
    refused = change.module("finish", "eso")
    assert refused.returncode == 2, refused.output
    (command,) = set(
        re.findall(r"kubectl --kubeconfig \S+ --namespace \S+ delete \S+ \S+ --cascade=orphan", flat(refused))
    )
    change.paste(command)
    done = change.run("eso", **change.told)
    assert done.returncode == 0, done.output
    change.is_done(str(uid), "eso")


@pytest.mark.sweep
def test_what_an_operator_would_delete_itself_is_refused_and_nothing_is_marked(change: Change) -> None:
    uid = change.begin("eso")
    typed = change.module("protect", "vso", type="example.net/other")
    assert "it is of type Opaque in the cluster, and declared to be example.net/other" in flat(typed), typed.output
    change.patch("eso", {"spec": {"target": {"deletionPolicy": "Delete"}}})
    refused = change.run("vso", **change.pushed)
    assert refused.returncode != 0
    assert "Let Flux apply deletionPolicy Retain first." in flat(refused), refused.output
    assert (change.changes, change.annotations("eso").get(MARK), change.secret["uid"]) == ("", None, uid)
    change.patch("eso", {"spec": {"target": {"deletionPolicy": "Retain"}}})
    kept = change.module("protect", "vso", type="Opaque")
    assert (kept.returncode, change.annotations("eso").get(MARK)) == (0, uid), kept.output

    change.patch("eso", {"spec": {"target": {"deletionPolicy": "Delete"}}})
    place = change.client.path(*KUSTOMIZATION, "flux-system", "configs")
    let_go = {"status": {"inventory": {"entries": []}}}
    change.client.request("PATCH", f"{place}/status", let_go, content_type=MERGE)
    late = change.module("finish", "vso")
    assert late.returncode == 2, late.output
    (command,) = set(
        re.findall(r"kubectl --kubeconfig \S+ --namespace \S+ patch \S+ \S+ --type=merge --patch '[^']+'", flat(late))
    )
    change.paste(command)
    made = change.made("eso")
    assert made is not None
    assert made["spec"]["target"]["deletionPolicy"] == "Retain"


@pytest.mark.sweep
@pytest.mark.parametrize("fault", ["no old object", "not of Flux", "suspended", "no cluster"])
def test_what_cannot_be_kept_is_refused_before_anything_is_written(change: Change, fault: str) -> None:
    change.begin("vso")
    more: dict[str, Any] = dict(change.pushed)
    place = change.client.path(*KUSTOMIZATION, "flux-system", "vso")
    said = {
        "no old object": "no VaultStaticSecret makes it in the cluster",
        "not of Flux": "is in no inventory of Flux",
        "suspended": "Flux Kustomization flux-system/vso is suspended",
        "no cluster": "kubeconfig /nowhere is not there",
    }[fault]
    if fault == "no cluster":
        more["tazlab_kubeconfig"] = "/nowhere"
    else:
        change.client.request("PATCH", place, {"spec": {"suspend": True}}, content_type=MERGE)
    if fault == "no old object":
        change.client.delete(*KINDS["vso"], change.name, "default")
    if fault == "not of Flux":
        status = {"status": {"inventory": {"entries": []}}}
        change.client.request("PATCH", f"{place}/status", status, content_type=MERGE)
    try:
        refused = change.run("eso", **more)
        assert refused.returncode != 0
        assert said in flat(refused), refused.output
        assert (change.changes, MARK in change.annotations("vso")) == ("", False)
    finally:
        change.client.request("PATCH", place, {"spec": {"suspend": False}}, content_type=MERGE)


@pytest.mark.seldom
def test_the_real_vso_and_the_real_eso_take_a_secret_over_from_each_other(change: Change) -> None:
    world, client = change.world, change.client
    install(client, vault_secrets())
    world.trust_accounts()
    world.trust("vso", "default:vso-reader")
    client.apply(thing("v1", "Secret", "vault-ca-cert", VSO_NAMESPACE, stringData={"ca.crt": world.authority.ca_pem}))
    login = Login(world.vault.url, Jwt("vso", "vso-reader", audiences=("vault",)), auth="vault")
    for piece in pieces.login(login, OPERATORS["vso"], ["default"]):
        client.apply(piece.document)
    uid = change.begin("vso")
    for writer in ("eso", "vso", "eso"):
        done = change.run(writer, **change.pushed)
        assert done.returncode == 0, done.output
        change.is_done(uid, writer)
