# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A path in Vault is rotated to its end by the real ESO and VSO: every Secret has it, its consumers have restarted."""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery import pieces
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.running import when
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.wanted import OPERATORS, Jwt, Login
from lab.delivery import API, STORE, thing
from lab.leaks import Canaries, Watch
from lab.operators import ESO, VSO, VSO_NAMESPACE, install, reloader, scale, vault_secrets
from lab.playbook import Run, kill_tree, run_playbook, started_playbook
from lab.process import wait_until
from lab.vault import ESO_POLICY, ESO_RULES, MOUNT
from tests.integration.test_delivery_lab import STATIC, Delivery, delivery
from tests.integration.test_vault_rotation import type_in

__all__ = ["delivery"]  # the fixture

pytestmark = pytest.mark.kube

ROTATE = Path(__file__).parents[2] / "playbooks" / "rotate.yml"
POLICY = f"""
path "{MOUNT}/data/{STATIC}/*" {{ capabilities = ["create", "read", "update"] }}
path "{MOUNT}/metadata/{STATIC}/*" {{ capabilities = ["list"] }}
"""
OLD, NEW = f"the-value-until-{secrets.token_hex(8)}", f'the "new" value/of {secrets.token_hex(8)}'
STATIC_API = "secrets.hashicorp.com/v1beta1"
RESTARTED = "vso.secrets.hashicorp.com/restartedAt"


class Rotation:
    """A path that feeds two Secrets in two namespaces: one has its value, the other one a text with it."""

    def __init__(self, world: Delivery, home: Path, key: str) -> None:
        self.world, self.client, self.home, self.key = world, world.client, home, key
        self.path = f"{STATIC}/{key}"
        self.name = key.lower().replace("/", "-")
        client = world.vault.client
        client.sys.create_or_update_acl_policy("rotator", POLICY)
        self.operator = str(client.auth.token.create_orphan(policies=["rotator"])["auth"]["client_token"])
        client.secrets.kv.v2.create_or_update_secret(self.path, {"value": OLD, "note": "stays"}, mount_point=MOUNT)
        home.mkdir()
        self.token_file = home / ".vault-token"  # so that no environment has a reason to hold a secret
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(self.operator)
        self.file = home / "new-value"
        self.file.touch(mode=0o600)
        self.file.write_text(f"{NEW}\n")
        self.client.apply(thing("v1", "Namespace", "other"))

    def external(self, namespace: str, template: dict[str, str] | None = None, **more: Any) -> None:
        spec: dict[str, Any] = {
            "refreshInterval": "1h",
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": STORE},
            "data": [{"secretKey": "key", "remoteRef": {"key": self.path, "property": "value"}}],
            "target": {"template": {"data": template}} if template else {},
        }
        self.client.apply(thing(API, "ExternalSecret", self.name, namespace, spec={**spec, **more}))

    def static(self, **more: Any) -> None:
        """A VaultStaticSecret of the namespace default, with the Deployment as what VSO restarts."""
        spec: dict[str, Any] = {
            "vaultAuthRef": f"{VSO_NAMESPACE}/vault",
            "mount": MOUNT,
            "type": "kv-v2",
            "path": self.path,
            "destination": {"name": self.name, "create": True, "transformation": {"excludeRaw": True}},
            "rolloutRestartTargets": [{"kind": "Deployment", "name": self.name}],
        }
        self.client.apply(thing(STATIC_API, "VaultStaticSecret", self.name, "default", spec={**spec, **more}))

    def restarted(self) -> str:
        """When VSO has restarted the Deployment of the namespace default."""
        found = self.client.get("apps/v1", "Deployment", self.name, "default")["spec"]["template"]["metadata"]
        return str(found.get("annotations", {}).get(RESTARTED, ""))

    def deploy(self, namespace: str, annotations: dict[str, str]) -> None:
        labels = {"app": self.name}
        container = {"name": "main", "image": "example.net/app:1", "envFrom": [{"secretRef": {"name": self.name}}]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        made = thing("apps/v1", "Deployment", self.name, namespace, spec=spec)
        made["metadata"]["annotations"] = annotations
        self.client.apply(made)

    def deployed(self, namespace: str, generation: int) -> None:
        """Wait until the Deployment has its pods, and they are of this generation."""

        def settled() -> bool:
            found = self.client.get("apps/v1", "Deployment", self.name, namespace).get("status", {})
            counts = [found.get(key) for key in ("observedGeneration", "readyReplicas", "updatedReplicas", "replicas")]
            return counts == [generation, 1, 1, 1] and len(self.pods(namespace)) == 1

        wait_until(settled, f"the Deployment of {namespace} has its pod", 60)

    def pods(self, namespace: str) -> list[str]:
        pods = self.client.list("v1", "Pod", namespace)
        return [pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"].get("app") == self.name]

    def data(self, namespace: str) -> dict[str, str]:
        found = self.client.find("v1", "Secret", self.name, namespace) or {}
        return {key: _decoded(value) for key, value in found.get("data", {}).items()}

    def stored(self) -> tuple[int, dict[str, str]]:
        answer = self.world.vault.client.read(f"{MOUNT}/data/{self.path}")
        assert answer is not None
        return answer["data"]["metadata"]["version"], answer["data"]["data"]

    def repository(self, *namespaces: str) -> dict[str, Any]:
        """A clone that declares the ExternalSecret of the namespace default, and others."""
        folder = self.home / "clone" / "clusters" / "home"
        folder.mkdir(parents=True)
        data = [{"secretKey": "key", "remoteRef": {"key": self.path, "property": "value"}}]
        for namespace in ("default", *namespaces):
            made = thing(API, "ExternalSecret", self.name, namespace, spec={"data": data})
            (folder / f"{namespace}.yaml").write_text(json.dumps(made))
        return {"tazlab_delivery": {"checkout": str(folder.parents[1])}, "tazlab_flux": {"path": "./clusters/home"}}

    def variables(self, **more: Any) -> dict[str, Any]:
        return {
            "tazlab_vault_url": self.world.vault.url,
            "tazlab_vault_ca_cert": str(self.world.vault.ca_file),
            "tazlab_cluster": "home",
            "tazlab_kubeconfig": str(self.kubeconfig),
            "tazlab_rotate": self.path,
            "tazlab_rotate_file": str(self.file),
            **more,
        }

    @property
    def kubeconfig(self) -> Path:
        return self.world.control_plane.kubeconfig

    def run(self, *arguments: str, **more: Any) -> Run:
        return run_playbook(
            ROTATE,
            home=self.home,
            variables=self.variables(**more),
            environment={"ANSIBLE_LOG_PATH": str(self.home / "ansible.log")},
            arguments=arguments,
        )


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode()


@pytest.fixture
def rotation(delivery: Delivery, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Rotation]:
    made = Rotation(delivery, tmp_path / "home", request.param)
    yield made
    for namespace in ("default", "other"):
        for api, kind in ((API, "ExternalSecret"), ("apps/v1", "Deployment")):
            made.client.delete(api, kind, made.name, namespace)


def flat(run: Run) -> str:
    """What was said, with the line breaks of Ansible's output taken out."""
    return " ".join(run.output.replace("\\n", " ").replace('\\"', '"').split())


@pytest.mark.parametrize("rotation", ["whole/KEY"], indirect=True)
def test_a_path_is_rotated_to_its_end_and_what_nobody_restarts_is_named_with_the_command(rotation: Rotation) -> None:
    install(rotation.client, reloader())
    rotation.external("default")
    rotation.external("other", {"url": "pg://user:{{ .key }}@db"})
    rotation.deploy("default", {"reloader.stakater.com/auto": "true"})
    rotation.deploy("other", {})
    wait_until(lambda: rotation.data("default") == {"key": OLD}, "the Secret is there", 60)
    wait_until(lambda: rotation.data("other") == {"url": f"pg://user:{OLD}@db"}, "the other Secret is there", 60)
    for namespace in ("default", "other"):
        rotation.deployed(namespace, 1)
    before = {namespace: rotation.pods(namespace) for namespace in ("default", "other")}

    planned = rotation.run("--check", **rotation.repository("late"))
    assert planned.returncode == 0, planned.output
    assert "Secret late/whole-key: the repository declares it" in flat(planned)
    assert "Secret default/whole-key: the repository" not in flat(planned)
    assert f"Deployment {rotation.name} by Reloader" in planned.output
    assert f"Deployment {rotation.name} by nobody" in planned.output
    assert "url (made of it)" in planned.output
    assert rotation.stored() == (1, {"value": OLD, "note": "stays"})

    kept = frozenset({rotation.file, rotation.token_file})
    secrets = Canaries({"old": OLD, "new": NEW, "quoted": json.dumps(NEW)[1:-1], "operator": rotation.operator})
    with Watch(secrets, (rotation.home,), kept) as watch:
        done = rotation.run("-vvvvv", "--diff")
    assert done.returncode == 0, done.output
    assert rotation.stored() == (2, {"value": NEW, "note": "stays"})
    assert rotation.data("default") == {"key": NEW}
    assert rotation.data("other") == {"url": f"pg://user:{NEW}@db"}
    rotation.deployed("default", 2)
    assert rotation.pods("other") == before["other"]
    assert set(rotation.pods("default")).isdisjoint(before["default"])
    assert "must not be withdrawn at its issuer yet" in flat(done)
    assert f"runs with the old value of Secret {rotation.name} ({before['other'][0]})" in flat(done)
    log = (rotation.home / "ansible.log").read_bytes()
    assert secrets.names_in(done.output.encode() + log) == set()
    assert watch.leaks == set()
    for namespace in ("default", "other"):
        made = rotation.client.get(API, "ExternalSecret", rotation.name, namespace)
        assert re.fullmatch(r"\d+", made["metadata"]["annotations"]["force-sync"])

    command = re.search(r"Restart it: (kubectl --kubeconfig [^\"]*?deployment/[\w-]+)", flat(done))
    assert command is not None
    subprocess.run(["sh", "-c", command[1]], check=True, capture_output=True, timeout=60)
    rotation.deployed("other", 2)
    again = rotation.run()
    assert (again.returncode, again.stats()["changed"]) == (0, 0), again.output
    assert "may be withdrawn at its issuer now" in flat(again)
    assert rotation.stored()[0] == 2


@pytest.mark.parametrize("rotation", ["broken/KEY"], indirect=True)
def test_killed_after_the_write_or_out_of_time_the_next_run_goes_on(rotation: Rotation) -> None:
    rotation.external("default")
    wait_until(lambda: rotation.data("default") == {"key": OLD}, "the Secret is there", 60)
    scale(rotation.client, ESO, ESO, 0)
    try:
        with started_playbook(ROTATE, home=rotation.home, variables=rotation.variables()) as process:
            wait_until(lambda: rotation.stored()[0] == 2, "Vault has the new value", 60)
            kill_tree(process.pid)
        late = rotation.run(tazlab_rotate_wait=3)
        assert late.returncode == 2
        assert f"ExternalSecret default/{rotation.name}: ESO has not synced it since it was told to" in flat(late)
        assert "must not be withdrawn" in flat(late)
    finally:
        scale(rotation.client, ESO, ESO, 1)
    done = rotation.run()
    assert done.returncode == 0, done.output
    assert "may be withdrawn at its issuer now" in flat(done)
    assert rotation.data("default") == {"key": NEW}
    assert rotation.stored() == (2, {"value": NEW, "note": "stays"})


@pytest.mark.parametrize("rotation", ["wrong/KEY"], indirect=True)
def test_what_cannot_be_rotated_is_refused_before_anything_is_changed(rotation: Rotation) -> None:
    rotation.external("default")
    wait_until(lambda: rotation.data("default") == {"key": OLD}, "the Secret is there", 60)
    empty = rotation.home / "empty"
    empty.write_text("\n")
    rotation.world.vault.client.secrets.kv.v2.create_or_update_secret(
        f"{STATIC}/wrong/SHAPE", {"value": {"inner": OLD}}, mount_point=MOUNT
    )
    for variables, said in (
        ({"tazlab_rotate": f"{STATIC}/wrong/KEI"}, f"Was one of these meant? {rotation.path}"),
        ({"tazlab_rotate": "tazlab-k8s/bootstrap"}, "is the bundle, whose fields are rotated by their names"),
        ({"tazlab_rotate": "tazlab-k8s/elsewhere"}, "lacks 1 permission; nothing was changed"),
        ({"tazlab_rotate_property": "password"}, "has no property password; it has note, value"),
        ({"tazlab_rotate": f"{STATIC}/wrong/SHAPE"}, "its property value is no text"),
        ({"tazlab_rotate_file": str(empty)}, "the new value is empty"),
        ({"tazlab_kubeconfig": "/nowhere"}, "kubeconfig /nowhere is not there"),
    ):
        run = rotation.run(**variables)
        assert run.returncode == 2, run.output
        assert said in flat(run)
    assert rotation.stored()[0] == 1
    made = rotation.client.get(API, "ExternalSecret", rotation.name, "default")
    assert "force-sync" not in made["metadata"].get("annotations", {})


@pytest.mark.parametrize("rotation", ["typed/KEY"], indirect=True)
def test_the_value_is_typed_in_and_a_repository_that_cannot_be_read_keeps_nobody(rotation: Rotation) -> None:
    rotation.external("default")
    wait_until(lambda: rotation.data("default") == {"key": OLD}, "the Secret is there", 60)
    flux = {"url": "https://127.0.0.1:9/nobody/here.git", "branch": "main", "path": "clusters/home"}
    variables = rotation.variables(tazlab_flux=flux)
    variables.pop("tazlab_rotate_file")
    status, shown = type_in(ROTATE, rotation.home, variables, {}, "a-typed-value")
    assert status == 0, shown
    assert rotation.data("default") == {"key": "a-typed-value"}
    assert "The repository was not read" in shown
    assert "a-typed-value" not in shown


@pytest.mark.parametrize("rotation", ["once/KEY"], indirect=True)
def test_a_secret_that_is_made_once_is_named_with_the_command_that_has_it_made_anew(rotation: Rotation) -> None:
    rotation.external("default", refreshInterval="0")
    wait_until(lambda: rotation.data("default") == {"key": OLD}, "the Secret is there", 60)
    done = rotation.run()
    assert done.returncode == 0, done.output
    assert "it is made once, and keeps what it has" in flat(done)
    assert "must not be withdrawn" in flat(done)
    assert rotation.data("default") == {"key": OLD}
    command = re.search(r"ESO makes it anew: (kubectl --kubeconfig [^\"]*? delete secret [\w-]+)", flat(done))
    assert command is not None
    subprocess.run(["sh", "-c", command[1]], check=True, capture_output=True, timeout=60)
    wait_until(lambda: rotation.data("default") == {"key": NEW}, "ESO has made it anew", 60)
    again = rotation.run()
    assert "may be withdrawn at its issuer now" in flat(again)


@pytest.fixture(scope="module")
def vso(delivery: Delivery) -> Iterator[None]:
    """The real VSO, which may read what ESO may; what it makes is deleted while it runs, as it is who lets it go."""
    install(delivery.client, vault_secrets())
    delivery.trust("vso", "default:vso-reader")
    ca = {"ca.crt": delivery.authority.ca_pem}
    delivery.client.apply(thing("v1", "Secret", "vault-ca-cert", VSO_NAMESPACE, stringData=ca))
    login = Login(delivery.vault.url, Jwt("vso", "vso-reader", audiences=("vault",)), auth="vault")
    for piece in pieces.login(login, OPERATORS["vso"], ["default"]):
        delivery.client.apply(piece.document)
    yield
    for each in delivery.client.list(STATIC_API, "VaultStaticSecret", "default"):
        delivery.client.delete(STATIC_API, "VaultStaticSecret", each["metadata"]["name"], "default")


def has_old(rotation: Rotation, *namespaces: str) -> None:
    """Wait until the Secrets hold the old value, and their Deployments have their pods."""
    for namespace in namespaces:
        wait_until(lambda where=namespace: OLD in rotation.data(where).values(), f"{namespace} has its Secret", 60)
        rotation.deployed(namespace, 1)


@pytest.mark.seldom
@pytest.mark.parametrize("rotation", ["both/KEY"], indirect=True)
def test_what_vso_and_eso_make_of_one_path_is_awaited_and_so_are_the_restarts_of_each(
    rotation: Rotation, vso: None
) -> None:
    install(rotation.client, reloader())
    rotation.static(refreshAfter="5s")
    rotation.external("other")
    rotation.deploy("default", {})
    rotation.deploy("other", {"reloader.stakater.com/auto": "true"})
    has_old(rotation, "default", "other")
    before = {namespace: rotation.pods(namespace) for namespace in ("default", "other")}
    assert rotation.restarted() == ""

    kept = frozenset({rotation.file, rotation.token_file})
    canaries = Canaries({"old": OLD, "new": NEW, "quoted": json.dumps(NEW)[1:-1], "operator": rotation.operator})
    with Watch(canaries, (rotation.home,), kept) as watch:
        done = rotation.run("-vvvvv", "--diff", tazlab_rotate_wait=60)
    assert done.returncode == 0, done.output
    assert rotation.data("default")["value"] == NEW
    assert rotation.data("other") == {"key": NEW}
    assert "reads Vault again by itself, at the latest at" in done.output
    assert "may be withdrawn at its issuer now" in flat(done)
    assert rotation.restarted() != ""
    for namespace in ("default", "other"):
        rotation.deployed(namespace, 2)
        assert set(rotation.pods(namespace)).isdisjoint(before[namespace]), "at the end no pod has the old value"
    assert canaries.names_in(done.output.encode() + (rotation.home / "ansible.log").read_bytes()) == set()
    assert watch.leaks == set()
    again = rotation.run()
    assert (again.returncode, again.stats()["changed"]) == (0, 0), again.output


@pytest.mark.seldom
@pytest.mark.parametrize("rotation", ["stopped/KEY"], indirect=True)
def test_while_vso_is_stopped_it_ends_at_its_bound_and_names_what_has_the_old_value(
    rotation: Rotation, vso: None
) -> None:
    rotation.static(refreshAfter="4s")
    rotation.deploy("default", {})
    has_old(rotation, "default")
    scale(rotation.client, VSO_NAMESPACE, VSO, 0)
    try:
        late = rotation.run(tazlab_rotate_wait=3)
    finally:
        scale(rotation.client, VSO_NAMESPACE, VSO, 1)
    assert late.returncode == 2
    said = flat(late)
    assert f"Secret default/{rotation.name} by VaultStaticSecret default/{rotation.name}: its key value holds" in said
    ended = re.search(r"after (\d+) s it has not arrived everywhere", said)
    assert ended is not None
    assert 7 <= int(ended[1]) < 20, "its refreshAfter goes beyond the wait"
    assert "VSO had to read Vault again within 4 s: does it run?" in said
    assert "must not be withdrawn" in said
    assert "may be withdrawn" not in said
    done = rotation.run(tazlab_rotate_wait=60)
    assert done.returncode == 0, done.output
    assert "may be withdrawn at its issuer now" in flat(done)
    assert rotation.stored()[0] == 2
    rotation.deployed("default", 2)


@pytest.mark.seldom
@pytest.mark.parametrize("rotation", ["unsaid/KEY"], indirect=True)
def test_vso_reads_vault_again_where_no_refresh_is_said(rotation: Rotation, vso: None) -> None:
    rotation.static()
    rotation.deploy("default", {})
    has_old(rotation, "default")
    done = rotation.run(tazlab_rotate_wait=30)
    assert done.returncode == 0, done.output
    assert rotation.data("default")["value"] == NEW
    assert "may be withdrawn at its issuer now" in flat(done)


@pytest.mark.seldom
@pytest.mark.parametrize("rotation", ["void/KEY"], indirect=True)
def test_who_has_vso_ignore_its_targets_is_named_with_the_command(rotation: Rotation, vso: None) -> None:
    rotation.static(refreshAfter="5s", hmacSecretData=False)
    rotation.deploy("default", {})
    has_old(rotation, "default")
    before = rotation.pods("default")
    planned = rotation.run("--check")
    assert f"Deployment {rotation.name} by nobody" in planned.output, planned.output
    done = rotation.run(tazlab_rotate_wait=60)
    assert done.returncode == 0, done.output
    assert rotation.data("default")["value"] == NEW
    assert (rotation.restarted(), rotation.pods("default")) == ("", before)
    said = flat(done)
    assert "must not be withdrawn at its issuer yet" in said
    assert f"Deployment default/{rotation.name} runs with the old value of Secret {rotation.name} ({before[0]})" in said
    assert "hmacSecretData" in said
    command = re.search(r"Restart it: (kubectl --kubeconfig [^\"]*?deployment/[\w-]+)", said)
    assert command is not None
    changed = when(rotation.client.find("v1", "Secret", rotation.name, "default"))
    assert changed is not None  # what starts in the same second counts as old
    wait_until(lambda: time.time() >= changed.timestamp() + 1, "the second in which the Secret changed is over", 5)
    subprocess.run(["sh", "-c", command[1]], check=True, capture_output=True, timeout=60)
    rotation.deployed("default", 2)
    again = rotation.run()
    assert "may be withdrawn at its issuer now" in flat(again)


@pytest.mark.seldom
@pytest.mark.parametrize("rotation", ["denied/KEY"], indirect=True)
def test_why_vso_does_not_get_the_value_is_told_in_its_words(rotation: Rotation, vso: None) -> None:
    rotation.static(refreshAfter="2s")
    rotation.deploy("default", {})
    has_old(rotation, "default")
    policies = rotation.world.vault.client.sys
    policies.create_or_update_policy(ESO_POLICY, 'path "nothing" { capabilities = ["deny"] }')
    try:
        late = rotation.run(tazlab_rotate_wait=10)
    finally:
        policies.create_or_update_policy(ESO_POLICY, ESO_RULES)
    assert late.returncode == 2
    assert "VaultClientError: Failed to read Vault secret" in flat(late)
    assert "permission denied" in flat(late)
    done = rotation.run(tazlab_rotate_wait=60)
    assert done.returncode == 0, done.output
    assert "may be withdrawn at its issuer now" in flat(done)
