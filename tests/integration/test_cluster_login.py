# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service accounts of a cluster log in to a real OpenBao with their own tokens, before the cluster exists, too."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest
import yaml
from hvac.exceptions import Forbidden, InvalidRequest

from lab.binaries import binary
from lab.jwt import Issuer
from lab.kube import ControlPlane
from lab.leaks import Canaries, Watch
from lab.machines import KUBERNETES, SCHEMATIC, VERSION
from lab.playbook import Run, private_environment, run_playbook
from tests.integration.test_vault_side import OPERATOR, PLAYBOOKS, Site, ok

POLICY = (PLAYBOOKS.parent / "roles" / "vault_bootstrap" / "files" / "operator-policy-jwt.hcl").read_text()
ENDPOINT = "https://192.0.2.11:6443"
ESO = "system:serviceaccount:external-secrets:external-secrets"
SECRET = "secret/data/tazlab-k8s/static/dex/dex/CLIENT_ID"
ROLE = {
    "name": "tazlab-eso",
    "accounts": ["external-secrets/external-secrets"],
    "policies": ["tazlab-eso-reader"],
    "proof": "secret/data/tazlab-k8s/static/proof",
}


class Cluster(Site):
    """A cluster that does not exist yet: an inventory and a Vault."""

    def __enter__(self) -> Cluster:
        super().__enter__()
        self.operator = self.operator_with(OPERATOR + POLICY)
        self.state = self.home / ".config" / "tazlab" / "home"
        self.inventory = self.home / "inventory.yml"
        hosts = {"cp-1": {"ansible_host": "127.127.127.11", "install_disk": "/dev/sda"}}
        self.inventory.write_text(yaml.safe_dump({"talos_control_plane": {"hosts": hosts}}))
        tools = self.home / "tools"
        tools.mkdir()
        (tools / "talosctl").symlink_to(binary("talosctl"))
        self.path = f"{tools}{os.pathsep}{os.environ['PATH']}"
        return self

    def play(self, playbook: str, *arguments: str, token: str | None = None, **variables: Any) -> Run:
        return run_playbook(
            PLAYBOOKS / playbook,
            home=self.home,
            inventory=self.inventory,
            arguments=arguments,
            environment={"PATH": self.path, "VAULT_TOKEN": self.operator if token is None else token},
            variables={
                "tazlab_vault_url": self.vault.url,
                "tazlab_cluster": "home",
                "tazlab_provider": "existing",
                "tazlab_talos": {"version": VERSION, "kubernetes_version": KUBERNETES, "schematic": SCHEMATIC},
                "tazlab_endpoint": ENDPOINT,
                "tazlab_jwt": {"own": True},
                **variables,
            },
        )

    def secrets(self, issuer: Issuer | None = None) -> Issuer:
        """Keep secrets with this issuer's key, or give the issuer of those that are there."""
        file = self.state / "secrets.yaml"
        if issuer is None:
            return Issuer(base64.b64decode(yaml.safe_load(file.read_text())["certs"]["k8sserviceaccount"]["key"]))
        some = base64.b64encode(b"x").decode()
        key = base64.b64encode(issuer.private_pem).decode()
        certs = {"os": {"crt": some}, "k8s": {"key": some}, "k8sserviceaccount": {"key": key}}
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump({"certs": certs, "cluster": {"secret": some}}))
        return issuer

    def module(self, mount: str, *arguments: str, **options: Any) -> Run:
        """The module at a mount of its own, with an operator who may do what is documented, and there alone."""
        return self.task(
            "vault_cluster_login",
            *arguments,
            token=self.operator_with(POLICY.replace("jwt-home", mount) + CAPABILITIES),
            **{
                "url": self.vault.url,
                "state_dir": str(self.state),
                "mount": mount,
                "issuer": ENDPOINT,
                "roles": [ROLE],
                **options,
            },
        )

    def log_in(self, issuer: Issuer, mount: str = "jwt-home", role: str = "tazlab-eso", **changes: Any) -> hvac.Client:
        """What ESO does with the token that the cluster gives it for its account."""
        client = self.client("")
        claims = {"iss": ENDPOINT, "aud": ["vault"], "sub": ESO, **changes}
        client.auth.jwt.jwt_login(role, issuer.sign(**claims), path=mount)
        return client

    def requests(self, part: str) -> list[tuple[str, str]]:
        """What was asked of these paths, but for what the tests themselves do."""
        return [(each.operation, each.path) for each in self.vault.audited() if part in each.path]


CAPABILITIES = 'path "sys/capabilities-self" { capabilities = ["update"] }\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("login")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def published(made: Cluster) -> Cluster:
    """The same with everything that Vault needs to know before the cluster's birth."""
    ok(made.play("publish.yml"))
    return made


@pytest.fixture
def issuer(made: Cluster) -> Iterator[Issuer]:
    """Of secrets that the state holds for this test alone."""
    file = made.state / "secrets.yaml"
    before = file.read_bytes() if file.exists() else None
    yield made.secrets(Issuer())
    file.unlink()
    if before is not None:
        file.write_bytes(before)


@pytest.fixture
def unborn(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as cluster:
        cluster.vault.client.write_data(SECRET, data={"data": {"value": "x"}})
        yield cluster


def test_before_the_cluster_exists_its_account_gets_in_and_nobody_else(unborn: Cluster) -> None:
    made = unborn
    looked = ok(made.play("publish.yml", "--check", "--diff"))
    assert "they are made first" in looked.output
    assert not (made.state / "secrets.yaml").exists()
    with pytest.raises(InvalidRequest):
        made.vault.client.read("sys/auth/jwt-home")

    ok(made.play("publish.yml"))
    issuer = made.secrets()
    eso = made.log_in(issuer)
    facts = eso.auth.token.lookup_self()["data"]
    assert (facts["policies"], facts["ttl"] <= 600, facts["explicit_max_ttl"]) == (["tazlab-eso-reader"], True, 0)
    assert eso.read(SECRET)["data"]["data"] == {"value": "x"}  # type: ignore[index]
    for path in ("secret/data/tazlab-k8s/bootstrap", "sys/auth", "auth/jwt-home/config", "sys/capabilities-self"):
        with pytest.raises(Forbidden):
            pytest.fail(f"{path} was read: {eso.read(path)}")
    eso.auth.token.revoke_self()  # as ESO does

    for changes in (
        {"sub": "system:serviceaccount:external-secrets:default"},
        {"sub": f"{ESO}x"},
        {"sub": "system:serviceaccount:*"},
        {"aud": [ENDPOINT]},
        {"iss": "https://192.0.2.12:6443"},
        {"lives": -120},
        {"role": "tazlab-vso"},
    ):
        with pytest.raises(InvalidRequest):
            made.log_in(issuer, **changes)
    with pytest.raises(InvalidRequest):
        made.log_in(Issuer())

    before = (made.state / "secrets.yaml").read_bytes()
    again = ok(made.play("publish.yml"), changed=0)
    assert (made.state / "secrets.yaml").read_bytes() == before
    assert "also trusts" not in again.output

    made.state.rename(made.home / "elsewhere")  # as on another machine, while this cluster is switched off
    for arguments in ((), ("--check",)):
        refused = made.play("publish.yml", *arguments)
        assert refused.returncode != 0
        assert "already, so the cluster has secrets" in refused.output
        assert not (made.state / "secrets.yaml").exists()
    run = ok(made.play("publish.yml", tazlab_new_secrets="home"))
    assert "nobody could ask whether it is configured: cp-1 (127.127.127.11)" in run.output
    for each in (issuer, made.secrets()):
        made.log_in(each)


@pytest.mark.sweep("logins of accounts")
def test_with_the_state_in_vault_one_run_makes_its_token_its_secrets_and_the_login(unborn: Cluster) -> None:
    state = {"backend": "vault"}
    ok(unborn.play("publish.yml", "--check", tazlab_state=state))
    copy = unborn.home / "secrets" / "talos-secrets.yaml"
    copy.write_text("cluster: {}\n")
    copy.chmod(0o600)
    refused = unborn.play("publish.yml", tazlab_state=state)
    assert refused.returncode != 0
    assert "has the cluster's secrets. Nothing was made" in refused.output
    assert unborn.vault.client.read("secret/data/tazlab-k8s/state/home") is None
    copy.unlink()
    ok(unborn.play("publish.yml", tazlab_state=state))
    stored = unborn.vault.client.read("secret/data/tazlab-k8s/state/home")
    assert stored is not None
    secrets = yaml.safe_load(stored["data"]["data"]["secrets.yaml"])
    issuer = Issuer(base64.b64decode(secrets["certs"]["k8sserviceaccount"]["key"]))
    unborn.log_in(issuer)
    assert not (unborn.state / "secrets.yaml").exists()
    ok(unborn.play("publish.yml", tazlab_state=state), changed=0)
    assert "logs in for 600 s" in unborn.play("health.yml", token="", tazlab_state=state).output

    unborn.vault.client.delete("secret/metadata/tazlab-k8s/state/home")
    (unborn.home / ".config" / "tazlab" / "state-token-home").unlink()  # so that this run can read the state late
    refused = unborn.play("publish.yml", tazlab_state=state)
    assert refused.returncode != 0
    assert "already, so the cluster has secrets" in refused.output
    assert unborn.vault.client.read("secret/data/tazlab-k8s/state/home") is None


def test_the_guide_shows_the_operators_policy() -> None:
    guide = PLAYBOOKS.parent / "docs" / "docsite" / "rst" / "guide_from_files_to_vault.rst"
    assert "".join(f"    {line}\n" for line in POLICY.splitlines()) in guide.read_text()


def test_health_proves_the_login_and_leaves_no_token(published: Cluster) -> None:
    made = published
    accessors = made.vault.client.auth.token.list_accessors()["data"]["keys"]
    run = made.play("health.yml", "-vvvvv", token="", tazlab_health_json="~/health.json")
    assert "login auth/jwt-home of external-secrets/external-secrets as tazlab-eso: logs in for 600 s" in run.output, (
        run.stderr
    )
    (login,) = json.loads((made.home / "health.json").read_text())["logins"]
    assert (login["state"], login["failing"]) == ("works", False)
    assert made.vault.client.auth.token.list_accessors()["data"]["keys"] == accessors
    # This lab has neither Git nor Tailscale, so the report fails; the logins are no reason for that.
    assert "as tazlab-eso: refused" not in run.output

    client = made.vault.client
    config, role = (client.read(f"auth/jwt-home/{what}")["data"] for what in ("config", "role/tazlab-eso"))  # type: ignore[index]
    for change, said in (
        (
            lambda: _write(client, "config", config, jwt_validation_pubkeys=[Issuer().public_pem]),
            "no key that the mount",
        ),
        (lambda: _write(client, "config", config, bound_issuer="https://elsewhere"), "of another issuer"),
        (lambda: _write(client, "role/tazlab-eso", role, bound_audiences=["x"]), "for another audience"),
        (lambda: _write(client, "role/tazlab-eso", role, bound_claims={"sub": ["x"]}), "a claim of the JWT"),
        (lambda: _write(client, "role/tazlab-eso", role, token_policies=["x"]), "gives the policies x instead of"),
        (lambda: client.delete("auth/jwt-home/role/tazlab-eso"), "there is no such role"),
        (lambda: client.sys.disable_auth_method("jwt-home"), "its words say no more"),
    ):
        change()
        run = made.play("health.yml", token="")
        assert re.search(f"as tazlab-eso: refused: .*{said}", run.output), (said, run.output)
        assert run.returncode == 2
        if said != "its words say no more":
            _write(client, "config", config)
            _write(client, "role/tazlab-eso", role)
    ok(made.play("publish.yml", "--tags", "jwt"), changed=1)
    assert "logs in for 600 s" in made.play("health.yml", token="").output


def _write(client: hvac.Client, what: str, data: dict[str, Any], **changes: Any) -> None:
    names = {"jwt_validation_pubkeys", "bound_issuer"} if what == "config" else set(data) - {"oidc_scopes"}
    given = {name: value for name, value in data.items() if name in names and value is not None}
    client.write_data(f"auth/jwt-home/{what}", data={**given, **changes})


@pytest.mark.sweep("logins of accounts")
def test_health_says_when_there_is_no_key_yet_and_does_not_fail_for_it(published: Cluster) -> None:
    run = published.play(
        "health.yml", token="", tazlab_state_dir=str(published.home / "unborn"), tazlab_health_json="~/health.json"
    )
    (login,) = json.loads((published.home / "health.json").read_text())["logins"]
    assert (login["state"], login["failing"]) == ("unknown", False)
    assert "the cluster's secrets are not made yet" in run.output


def test_a_second_run_and_check_mode_change_nothing(made: Cluster, issuer: Issuer) -> None:
    shown = ok(made.module("jwt-check", "--check", "--diff"), changed=1)
    assert f"+bound_issuer: {ENDPOINT}" in shown.output
    with pytest.raises(InvalidRequest):
        made.vault.client.read("sys/auth/jwt-check")
    ok(made.module("jwt-check"), changed=1)
    made.log_in(issuer, "jwt-check")
    ok(made.module("jwt-check"), changed=0)
    assert [each for each in made.requests("jwt-check") if each[0] in ("update", "create")] == [
        ("update", "sys/auth/jwt-check"),
        ("update", "auth/jwt-check/config"),
        ("create", "auth/jwt-check/role/tazlab-eso"),
        ("update", "auth/jwt-check/login"),
    ]


@pytest.mark.sweep("logins of accounts")
@pytest.mark.parametrize("gone", POLICY.strip().splitlines())
def test_a_missing_permission_is_named_before_anything_changes(made: Cluster, issuer: Issuer, gone: str) -> None:
    token = made.operator_with((OPERATOR + POLICY).replace(gone, ""))
    run = made.play("publish.yml", "--tags", "access", token=token, tazlab_jwt={"mount": "jwt-home"})
    path = gone.split('"')[1].replace("*", "eso")
    assert run.returncode != 0
    assert f"on {path} (to " in run.output
    assert "nothing was changed" in run.output


@pytest.mark.sweep("logins of accounts")
def test_a_mount_of_another_type_is_refused(made: Cluster, issuer: Issuer) -> None:
    made.vault.client.sys.enable_auth_method("approle", path="jwt-approle")
    run = made.module("jwt-approle")
    assert run.returncode == 2
    assert "auth/jwt-approle/ is there already and is of type approle, not jwt" in run.output


@pytest.mark.sweep("logins of accounts")
def test_what_others_have_set_is_told_and_corrected_only_when_told(made: Cluster, issuer: Issuer) -> None:
    ok(made.module("jwt-drift"))
    client = made.vault.client
    body = {"jwt_validation_pubkeys": [issuer.public_pem], "bound_issuer": "https://elsewhere", "default_role": "x"}
    client.write_data("auth/jwt-drift/config", data=body)
    role = {"role_type": "jwt", "user_claim": "sub", "bound_claims": {"sub": ["a", "b"]}, "token_max_ttl": "1h"}
    role |= {"groups_claim": "groups", "expiration_leeway": 86400}
    client.write_data("auth/jwt-drift/role/tazlab-eso", data=role)
    run = ok(made.module("jwt-drift"), changed=0)
    assert "bound_issuer is 'https://elsewhere' instead of 'https://192.0.2.11:6443'" in run.output
    assert "token_max_ttl is 3600 instead of 600" in run.output
    assert "expiration_leeway is 86400 instead of 0" in run.output
    assert "groups_claim is 'groups' instead of ''" in run.output
    assert "bound_claims is" in run.output
    ok(made.module("jwt-drift", update=True), changed=1)
    made.log_in(issuer, "jwt-drift")
    assert client.read("auth/jwt-drift/config")["data"]["default_role"] == "x", "what is not ours stays"  # type: ignore[index]
    ok(made.module("jwt-drift"), changed=0)


def test_on_a_mount_of_another_cluster_no_role_is_made_and_its_key_does_not_open_ours(
    made: Cluster, issuer: Issuer
) -> None:
    client, theirs = made.vault.client, Issuer()
    client.sys.enable_auth_method("jwt", path="jwt-theirs")
    config = {"jwt_validation_pubkeys": [theirs.public_pem], "bound_issuer": "https://192.0.2.99:6443"}
    client.write_data("auth/jwt-theirs/config", data=config)
    run = ok(made.module("jwt-theirs"), changed=0)
    assert "not written, as the JWT configuration is somebody else's" in run.output
    run = ok(made.module("jwt-theirs", own=False), changed=0)
    assert "No command is given" in run.output
    assert not re.findall(r"^\(for n in ", run.output, re.MULTILINE)
    assert client.read("auth/jwt-theirs/role/tazlab-eso") is None
    with pytest.raises(InvalidRequest):
        made.log_in(theirs, "jwt-theirs", iss=config["bound_issuer"])

    run = ok(made.module("jwt-theirs", update=True), changed=1)
    assert "is trusted no longer, as it was of another issuer" in run.output
    made.log_in(issuer, "jwt-theirs")
    for claimed in (ENDPOINT, config["bound_issuer"]):
        with pytest.raises(InvalidRequest):
            made.log_in(theirs, "jwt-theirs", iss=claimed)
    ok(made.module("jwt-theirs"), changed=0)


@pytest.mark.sweep("logins of accounts")
def test_two_keys_are_good_during_an_overlap_and_the_old_one_goes_when_told(made: Cluster, issuer: Issuer) -> None:
    ok(made.module("jwt-overlap"))
    new = made.secrets(Issuer())
    run = ok(made.module("jwt-overlap"), changed=1)
    for each in (issuer, new):
        made.log_in(each, "jwt-overlap")
    named = re.findall(r"also trusts the key (sha256:[0-9a-f]{16})", run.output)
    assert named
    run = ok(made.module("jwt-overlap"), changed=0)
    assert f"also trusts the key {named[0]}. When nothing is signed with it any more" in run.output
    shown = ok(made.module("jwt-overlap", "--diff", only_key=True), changed=1)
    assert f"-key: {named[0]}" in shown.output
    made.log_in(new, "jwt-overlap")
    with pytest.raises(InvalidRequest):
        made.log_in(issuer, "jwt-overlap")
    ok(made.module("jwt-overlap", only_key=True), changed=0)


@pytest.mark.sweep("logins of accounts")
def test_the_same_key_in_other_words_is_the_same(made: Cluster, issuer: Issuer) -> None:
    ok(made.module("jwt-words"))
    pem = issuer.public_pem.replace("\n", "\r\n")
    config = {"jwt_validation_pubkeys": [f"\n{pem}\n"], "bound_issuer": ENDPOINT}
    made.vault.client.write_data("auth/jwt-words/config", data=config)
    run = ok(made.module("jwt-words"), changed=0)
    assert "also trusts" not in run.output


@pytest.mark.sweep("logins of accounts")
def test_what_is_anothers_is_never_written_and_its_owner_pastes_what_is_printed(made: Cluster, issuer: Issuer) -> None:
    client, old = made.vault.client, Issuer()
    client.sys.enable_auth_method("jwt", path="jwt-owned")
    config = {"jwt_validation_pubkeys": [old.public_pem], "bound_issuer": ENDPOINT}
    client.write_data("auth/jwt-owned/config", data=config)
    run = ok(made.module("jwt-owned", own=False), changed=0)
    assert "auth/jwt-owned is its owner's, nothing is written: differs" in run.output
    assert client.read("auth/jwt-owned/role/tazlab-eso") is None
    with pytest.raises(InvalidRequest):
        made.log_in(issuer, "jwt-owned")

    commands = dict.fromkeys(re.findall(r"^\(for n in .*\)$", run.output, re.MULTILINE))
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command],
            env=private_environment(
                made.home, {"VAULT_TOKEN": made.vault.root_token, "VAULT_ADDR": "https://127.0.0.1:1"}
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for each in (old, issuer):
        made.log_in(each, "jwt-owned")
    run = ok(made.module("jwt-owned", own=False), changed=0)
    assert "nothing is written: as wanted" in run.output
    assert "What has to stand there" not in run.output


@pytest.mark.sweep("logins of accounts")
def test_what_may_not_be_read_is_proved_by_a_login(made: Cluster, issuer: Issuer) -> None:
    ok(made.module("jwt-closed"))
    options = {"url": made.vault.url, "state_dir": str(made.state), "mount": "jwt-closed", "issuer": ENDPOINT}
    closed = made.operator_with(CAPABILITIES)
    accessors = made.vault.client.auth.token.list_accessors()["data"]["keys"]
    run = ok(made.task("vault_cluster_login", token=closed, own=False, roles=[ROLE], **options), changed=0)
    assert "JWT role tazlab-eso: not readable (read on auth/jwt-closed/role/tazlab-eso is not granted)" in run.output
    assert "nothing is written: as wanted, as a login shows: logs in for 600 s" in run.output
    assert made.vault.client.auth.token.list_accessors()["data"]["keys"] == accessors
    made.secrets(Issuer())
    run = ok(made.task("vault_cluster_login", token=closed, own=False, roles=[ROLE], **options), changed=0)
    assert "not readable; a login: no key that the mount trusts has signed the JWT" in run.output
    assert '"jwt_validation_pubkeys"' in run.output, "what has to stand there is printed"
    assert not re.findall(r"^\(for n in ", run.output, re.MULTILINE), "nobody has seen which keys a write would end"


def test_a_token_that_the_api_server_gives_the_account_opens_vault(
    made: Cluster, issuer: Issuer, tmp_path: Path
) -> None:
    plane = ControlPlane(tmp_path / "kube", accounts_key=issuer.private_pem)
    ok(made.module("jwt-kube", issuer=plane.url))
    with plane:
        client = plane.client()
        client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "external-secrets"}})
        for namespace in ("default", "external-secrets"):
            about = {"name": "external-secrets", "namespace": namespace}
            client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about})

        def token(namespace: str, *audiences: str) -> str:
            path = client.path("v1", "ServiceAccount", namespace, "external-secrets")
            body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": audiences}}
            return str(client.request("POST", f"{path}/token", body)["status"]["token"])

        eso = made.client("").auth.jwt.jwt_login("tazlab-eso", token("external-secrets", "vault"), path="jwt-kube")
        assert eso["auth"]["policies"] == ["tazlab-eso-reader"]
        for given in (token("default", "vault"), token("external-secrets", plane.url), token("external-secrets")):
            with pytest.raises(InvalidRequest):
                made.client("").auth.jwt.jwt_login("tazlab-eso", given, path="jwt-kube")


@pytest.mark.sweep("logins of accounts")
def test_each_consuming_namespace_has_its_account_for_vso(made: Cluster, issuer: Issuer) -> None:
    vso = {"name": "tazlab-vso", "accounts": ["dex/vso", "grafana/vso"], "policies": ["tazlab-eso-reader"]}
    audience = "https://kubernetes.default.svc.cluster.local"
    ok(made.module("jwt-vso", roles=[ROLE, vso], audiences=[audience]))
    for account in ("dex", "grafana"):
        made.log_in(issuer, "jwt-vso", "tazlab-vso", aud=audience, sub=f"system:serviceaccount:{account}:vso")
    for changes in ({"sub": "system:serviceaccount:other:vso"}, {"sub": ESO}):
        with pytest.raises(InvalidRequest):
            made.log_in(issuer, "jwt-vso", "tazlab-vso", aud=audience, **changes)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"onw": False}, "tazlab_jwt: does not know onw. It has mount, issuer, audiences, own"),
        (True, "tazlab_jwt: it is a single value, where a mapping belongs. Write one with the keys mount, issuer"),
    ],
)
def test_logins_that_are_not_written_as_they_have_to_be_are_refused_whatever_runs(
    made: Cluster, given: Any, said: str
) -> None:
    before = len(list(made.vault.audited()))
    for arguments in ((), ("--tags", "access")):
        run = made.play("publish.yml", *arguments, tazlab_jwt=given)
        assert run.returncode == 2
        assert said in run.output
    assert len(list(made.vault.audited())) == before


def test_everything_that_is_wrong_is_told_together(made: Cluster, issuer: Issuer) -> None:
    roles = [{"name": "a b", "accounts": ["nobody"], "policies": ["root"]}]
    run = made.module("../x", issuer="endpoint", audiences=[], ttl=0, roles=roles)
    assert run.returncode == 2
    for said in ("mount: '../x'", "issuer: 'endpoint'", "audiences: ", "ttl: ", "roles: a b: nobody", "or root"):
        assert said in run.output
    (made.state / "secrets.yaml").write_text("certs: {}\n")
    assert "is not whole" in made.module("jwt-x").output


def test_no_part_of_the_private_key_gets_out(published: Cluster, issuer: Issuer) -> None:
    made = published
    # The PEM's first line has the secret number; the last ones have what is public, too.
    stored = base64.b64encode(issuer.private_pem).decode()
    canaries = Canaries({"key": issuer.private_pem.decode().splitlines()[1], "stored": stored[:120]})
    allowed = frozenset({made.state / "secrets.yaml"})
    with Watch(canaries, (made.home, made.vault.directory), allowed) as watch:
        for options in ({}, {"own": False}):
            run = ok(made.module("jwt-leaks", "-vvvvv", "--diff", **options))
            assert not canaries.names_in(run.output.encode())
        run = made.play("health.yml", "-vvvvv", "--diff", token="", tazlab_jwt={"mount": "jwt-leaks"})
        assert "logs in for 600 s" in run.output
        assert not canaries.names_in(run.output.encode())
        assert "eyJ" not in run.output, "no JWT either"
    assert not watch.leaks
    assert "eyJ" not in made.vault.audit_log.read_text()
