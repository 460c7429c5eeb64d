# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What its owner has in Vault stays, on a real OpenBao: deleted versions, metadata, policies, roles, others' tokens."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hvac.exceptions import Forbidden

from lab.playbook import Run, run_playbook
from lab.process import wait_until
from lab.vault import server_binary
from tests.integration.test_vault_rotation import deliver, narrow
from tests.integration.test_vault_side import BUNDLE, OPERATOR, TOKEN_FILE, Site, ok

METADATA = f"secret/metadata/{BUNDLE}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path) as made:
        ok(made.run("publish.yml"))
        yield made


def metadata(site: Site) -> dict[str, Any]:
    answer = site.vault.client.read(METADATA)
    assert answer is not None
    return dict(answer["data"])


def accessors(site: Site) -> set[str]:
    """Every token but those that a look at them makes itself."""
    return set(site.vault.client.auth.token.list_accessors()["data"]["keys"])


def everything(site: Site) -> Any:
    """All that a publishing or rotating run could change."""
    client = site.vault.client
    names = ("tazlab-bootstrap", "tazlab-eso-reader")
    return (
        metadata(site),
        accessors(site),
        [client.sys.read_acl_policy(name)["data"] for name in names],
        [client.read(f"auth/token/roles/{name}")["data"] for name in names],
        client.sys.list_mounted_secrets_engines()["data"],
        site.token(),
        site.fingerprint(),
    )


def rotated(site: Site) -> int:
    """A newest version with a value that the anchor has not; its number."""
    return site.vault.write_bundle({**site.stored()[1], "GITHUB_TOKEN": "ghp_rotated", "MINE": "x"})


def printed(run: Run, verb: str) -> str:
    """The command that a run printed, as it stands there: whoever pastes it joins no lines."""
    command = rf"\(for n in [^()\n]* kv {verb} -address=[^()\n]*-mount=secret \S+ {BUNDLE}\)"
    found = re.search(rf"{command}(?: &&\n *\(for n in [^()\n]*{BUNDLE}\))?", run.output)
    assert found, run.output
    return found[0]


def shell(site: Site, command: str) -> None:
    """Paste it: first with a dead token, which changes nothing, and with what leads elsewhere in the environment."""
    before = metadata(site)
    for token, status in (("s.dead", 2), (site.vault.root_token, 0)):
        environment = {
            "PATH": f"{Path(server_binary()).parent}:{os.environ['PATH']}",
            "HOME": str(site.home),
            "BAO_TOKEN": token,
            "BAO_ADDR": "https://127.0.0.1:9",
            "VAULT_NAMESPACE": "elsewhere",
        }
        done = subprocess.run(["/bin/sh", "-c", command], env=environment, check=False, capture_output=True)
        assert done.returncode == status, done.stderr
        assert (metadata(site) == before) is bool(status)


RUNS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "publish": ("publish.yml", (), {}),
    "publish --check": ("publish.yml", ("--check",), {}),
    "publish named": ("publish.yml", (), {"tazlab_publish": "GITHUB_TOKEN"}),
    "access": ("publish.yml", ("--tags", "access"), {"vault_bootstrap_eso_rotate": True}),
    "access --check": ("publish.yml", ("--check", "--tags", "access"), {}),
    "rotate": ("rotate.yml", (), {"tazlab_rotate": "GITHUB_TOKEN"}),
    "rotate --check": ("rotate.yml", ("--check",), {"tazlab_rotate": "GITHUB_TOKEN"}),
    "rotate ESO": ("rotate.yml", (), {"tazlab_rotate": "ESO_READER_TOKEN", "tazlab_over_deleted": 2}),
    "wrong number": ("publish.yml", (), {"tazlab_over_deleted": 1}),
}


def test_a_deleted_newest_version_is_not_taken_for_empty_and_comes_back_by_the_printed_command(site: Site) -> None:
    new = site.home / "new"
    new.write_text("ghp_brand_new")
    version = rotated(site)
    data = site.stored()
    site.vault.client.secrets.kv.v2.delete_latest_version_of_secret(BUNDLE)
    day = metadata(site)["versions"][str(version)]["deletion_time"][:10]
    site.vault.client.sys.create_or_update_acl_policy("tazlab-bootstrap", 'path "x" { capabilities = ["read"] }')
    before = everything(site)
    for name, (playbook, arguments, variables) in RUNS.items():
        if "rotate" in name and "ESO" not in name:
            variables = {**variables, "tazlab_rotate_file": str(new)}
        run = site.run(playbook, *arguments, vault_bootstrap_update_policies=True, **variables)
        assert run.returncode == 2, name
        said = " ".join(run.output.split())
        assert f"The newest version of secret/{BUNDLE}, {version}, was deleted on {day}T" in said, name
        assert f"tazlab.bootstrap.publish -e tazlab_over_deleted={version}" in said, name
        assert everything(site) == before, name
    for options in (
        {"module": "vault_bundle_publish", "state": "absent", "names": ["MINE"]},
        {"module": "vault_bundle_publish", "values": {"GITHUB_TOKEN": "ghp_x"}},
        {
            "module": "vault_bootstrap_token",
            "operation": "inspect",
            "field": "ESO_READER_TOKEN",
            "token": site.operator,
        },
    ):
        run = site.task(**options)
        assert run.returncode == 2
        assert f", {version}, was deleted on" in " ".join(run.output.split())
    assert everything(site) == before

    shell(site, printed(run, "undelete"))
    assert site.stored() == data


def test_a_deleted_version_is_written_over_only_by_its_number(site: Site) -> None:
    version = rotated(site)
    site.vault.client.secrets.kv.v2.delete_latest_version_of_secret(BUNDLE)
    run = ok(site.run("publish.yml", "--check", tazlab_over_deleted=version))
    assert f"what version {version} held, which is deleted, is given up" in run.output
    assert metadata(site)["current_version"] == version
    eso = accessors(site)
    for wrong in ("abc", 1):
        refused = site.run("publish.yml", "--tags", "access", tazlab_over_deleted=wrong)
        assert refused.returncode == 2
        assert "over_deleted" in refused.output
    alone = ok(site.run("publish.yml", "--check", "--tags", "access", tazlab_over_deleted=version))
    assert f"what version {version} held, which is deleted, is given up" in " ".join(alone.output.split())
    assert metadata(site)["current_version"] == version
    run = ok(site.run("publish.yml", tazlab_over_deleted=version))
    assert f"what version {version} held, which is deleted, is given up" in " ".join(run.output.split())
    now, data = site.stored()
    assert now > version
    assert data == {**site.values, "ESO_READER_TOKEN": data["ESO_READER_TOKEN"]}
    assert len(accessors(site) - eso) == 1
    ok(site.run("publish.yml"), changed=0)


@pytest.mark.sweep
@pytest.mark.parametrize("older", ["lives", "deleted", "destroyed"])
def test_a_destroyed_newest_version_hides_older_ones(site: Site, older: str) -> None:
    kv = site.vault.client.secrets.kv.v2
    version = rotated(site)
    kept = site.vault.client.read(f"secret/data/{BUNDLE}?version={version}")
    assert kept is not None
    gone = [site.vault.write_bundle({"GITHUB_TOKEN": "mistake"}) for _time in range(2)]
    kv.destroy_secret_versions(BUNDLE, gone)
    if older == "deleted":
        kv.delete_secret_versions(BUNDLE, [version])
    elif older == "destroyed":
        kv.destroy_secret_versions(BUNDLE, list(range(1, version + 1)))
        ok(site.run("publish.yml"))
        assert site.stored()[1].items() >= site.values.items()
        return
    before = everything(site)
    for arguments in ((), ("--check",)):
        run = site.run("publish.yml", *arguments)
        assert run.returncode == 2
        said = " ".join(run.output.split())
        assert f", {gone[-1]}, was destroyed, while version {version}{', deleted on' * (older == 'deleted')} " in said
        assert everything(site) == before
    shell(site, printed(run, "undelete" if older == "deleted" else "rollback"))
    assert site.stored() == (gone[-1] + 1, kept["data"]["data"])


def test_a_version_that_vault_deleted_by_itself_is_not_empty_either(site: Site) -> None:
    site.vault.client.write_data(METADATA, data={"delete_version_after": "1s"})
    version = rotated(site)
    wait_until(lambda: site.vault.client.read(f"secret/data/{BUNDLE}") is None, "Vault has deleted it", 20)
    before = everything(site)
    run = site.run("publish.yml")
    assert f", {version}, was deleted on" in " ".join(run.output.split())
    assert everything(site) == before


def test_metadata_that_its_owner_set_survives(site: Site) -> None:
    client = site.vault.client
    owned = {
        "max_versions": 50,
        "delete_version_after": "8760h",
        "cas_required": True,
        "metadata_cas_required": True,
        "custom_metadata": {"owner": "me", "team": "x"},
    }
    client.write_data(METADATA, data={**owned, "metadata_cas": metadata(site)["current_metadata_version"]})
    new = site.home / "new"
    new.write_text("ghp_new")
    names = ("max_versions", "delete_version_after", "cas_required", "metadata_cas_required", "custom_metadata")
    wanted = {**owned, "delete_version_after": "8760h0m0s", "custom_metadata": {"owner": "me", "team": "x"}}
    wanted["custom_metadata"]["purpose"] = "bootstrap bundle of tazlab.bootstrap"
    for run in (
        lambda: site.run("publish.yml"),
        lambda: site.run("rotate.yml", tazlab_rotate="GITHUB_TOKEN", tazlab_rotate_file=str(new)),
        lambda: site.run("publish.yml", tazlab_publish="GITHUB_TOKEN"),
    ):
        ok(run())
        found = metadata(site)
        assert {name: found[name] for name in names} == wanted
    ok(site.run("publish.yml", tazlab_owner="you", tazlab_publish="GITHUB_TOKEN"), changed=1)
    assert metadata(site)["custom_metadata"] == {**wanted["custom_metadata"], "owner": "you"}
    ok(site.run("publish.yml", tazlab_publish="GITHUB_TOKEN"), changed=0)


def test_a_lower_max_versions_says_what_it_destroys(site: Site) -> None:
    for number in range(4):
        version = site.vault.write_bundle({**site.stored()[1], "MINE": str(number)})
    site.vault.client.secrets.kv.v2.destroy_secret_versions(BUNDLE, [2])
    lost = [number for number in range(1, version - 1) if number != 2]
    said = f"Vault destroys {len(lost)} versions at the next write, unless the mount keeps more: {str(lost)[1:-1]}"
    assert said in ok(site.run("publish.yml", "--check", tazlab_max_versions=3)).output
    assert metadata(site)["max_versions"] == 0
    assert said in ok(site.run("publish.yml", tazlab_max_versions=3), changed=1).output
    left = set(metadata(site)["versions"])
    assert set(map(str, lost)) < left, "nothing is destroyed before the next write"
    site.vault.write_bundle(site.stored()[1])
    assert left - set(metadata(site)["versions"]) - {"2"} == set(map(str, lost))
    assert "destroys" not in ok(site.run("publish.yml", tazlab_max_versions=30), changed=1).output
    assert "at least 1" in site.task("vault_bundle_publish", max_versions=0).output


def old_files(site: Site) -> None:
    for file in site.anchor.iterdir():
        os.utime(file, (0, 0))


def paste(site: Site, command: str) -> None:
    environment = {
        "PATH": f"{Path(server_binary()).parent}:{os.environ['PATH']}",
        "HOME": str(site.home),
        "VAULT_TOKEN": site.operator,
    }
    done = subprocess.run(["/bin/sh", "-c", command], env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_field_that_was_taken_out_is_not_put_back_from_an_older_file(site: Site) -> None:
    ok(site.task("vault_bundle_publish", state="absent", names=["GITHUB_TOKEN"]), changed=1)
    os.utime(site.anchor / "github-token", (0, 0))
    version = site.stored()[0]
    run = site.run("publish.yml")
    assert run.returncode == 2
    assert f"GITHUB_TOKEN, file github-token: version {version - 1} was the last to have it" in run.output
    assert "take them out of tazlab_fields" in run.output
    assert site.stored()[0] == version
    (site.anchor / "github-token").touch()
    ok(site.run("publish.yml"), changed=1)


def test_what_a_kv_put_has_dropped_is_told_apart_from_what_it_rotated(site: Site) -> None:
    """Following what is printed, one line after the other, loses nothing."""
    site.vault.write_bundle({**site.stored()[1], "TAILSCALE_OPERATOR_CLIENT_ID": "rotated-before"})
    full = site.vault.write_bundle({**site.stored()[1], "MINE": "x"})
    site.vault.write_bundle({"GITHUB_TOKEN": "ghp_by_hand"})
    old_files(site)
    run = site.run("publish.yml", "--tags", "publish")
    assert run.returncode == 2
    rotated, lost = re.findall(
        r"ansible-playbook -i INVENTORY tazlab.bootstrap.publish -e tazlab_publish=(\S+)", run.output
    )
    assert rotated == "GITHUB_TOKEN"
    missing = set(lost.split(","))
    assert missing == set(site.values) - {"GITHUB_TOKEN"}
    assert (
        f"PROXMOX_TOKEN_ID, file proxmox-token-id: version {full} was the last to have it, with the same" in run.output
    )
    assert "take the file away" not in run.output
    taken = dict(re.findall(r"^ *(\w+), file .*?(\(umask 077; .*\))$", run.output, re.MULTILINE))
    assert taken.keys() == {"GITHUB_TOKEN", "TAILSCALE_OPERATOR_CLIENT_ID"}
    for command in taken.values():
        paste(site, command)
    assert (site.anchor / "tailscale-operator-client-id").read_text() == "rotated-before"
    ok(site.run("publish.yml", tazlab_publish=lost), changed=2)  # with a token for the ESO reader
    now = site.stored()[1]
    assert lives(site, now.pop("ESO_READER_TOKEN"))
    assert now == {**site.values, "GITHUB_TOKEN": "ghp_by_hand", "TAILSCALE_OPERATOR_CLIENT_ID": "rotated-before"}
    assert (site.anchor / "github-token").read_text() == "ghp_by_hand"
    ok(site.run("publish.yml", "--tags", "publish"), changed=0)


def test_a_value_in_vault_that_is_not_valid_is_repaired_and_never_taken(site: Site) -> None:
    site.vault.write_bundle(
        {**site.stored()[1], "TALOS_SECRETBOX_KEY": "oops", "GITHUB_TOKEN": {"a": "map"}, "PROXMOX_TOKEN_ID": 5}
    )
    old_files(site)
    before = site.fingerprint()
    run = ok(site.run("publish.yml", "--tags", "publish"), changed=1)
    assert run.output.count("changed  from file") == 3
    assert run.output.count("(Vault's own value is not valid, and nothing is lost with it)") == 3
    assert site.stored()[1].items() >= site.values.items()
    # A rotated value that such a write hides is not lost for it.
    version = rotated(site)
    site.vault.write_bundle({**site.stored()[1], "GITHUB_TOKEN": "two words"})
    old_files(site)
    run = site.run("publish.yml", "--tags", "publish")
    assert run.returncode == 2
    command = re.search(
        rf"Vault's value of version {version}, the last that is valid: (\(umask .*\))$", run.output, re.MULTILINE
    )
    assert command, run.output
    assert [each[0] for each in before] == [each[0] for each in site.fingerprint()]
    paste(site, command[1])
    assert (site.anchor / "github-token").read_text() == "ghp_rotated"
    ok(site.run("publish.yml", "--tags", "publish"), changed=1)
    assert site.stored()[1]["GITHUB_TOKEN"] == "ghp_rotated"


def test_a_rotated_value_is_not_rolled_back_from_where_no_time_tells(site: Site) -> None:
    """An anchor that was copied without times, a program, and a value in the environment."""
    version = rotated(site)
    copy = site.home / "copy"
    shutil.copytree(site.anchor, copy, copy_function=shutil.copyfile)
    argv = ["cat", f"{site.anchor}/{{file}}"]
    copied = site.run("publish.yml", "--tags", "publish", tazlab_anchor=str(copy))
    asked = site.task("vault_bundle_publish", providers=[{"type": "command", "argv": argv}])
    for run, said in (
        (copied, "GITHUB_TOKEN, file github-token. To take Vault's value: (umask 077; "),
        (asked, "GITHUB_TOKEN, command cat. To take Vault's value: put what ("),
    ):
        assert run.returncode == 2
        assert said in run.output
        assert "TOKEN_SECRET, " not in run.output
    (command,) = re.findall(r"f=(\S+)", copied.output.split("To take Vault's value")[1])[:1]
    assert command == f"{copy}/github-token;"
    exported = run_playbook(
        [
            {
                "hosts": "localhost",
                "gather_facts": False,
                "tasks": [
                    {"tazlab.bootstrap.vault_bundle_publish": {"providers": [{"type": "env"}, {"type": "file"}]}},
                ],
            }
        ],
        home=site.home,
        variables={"tazlab_vault_url": site.vault.url},
        environment={"VAULT_TOKEN": site.operator, "GITHUB_TOKEN": site.values["GITHUB_TOKEN"]},
    )
    assert exported.returncode == 2
    assert "environment GITHUB_TOKEN. To take Vault's value: (umask 077; " in exported.output
    assert f"f={site.anchor}/github-token;" in exported.output
    assert site.stored()[0] == version


def test_a_deleted_version_behind_a_newer_one_is_told_before_it_is_passed_over(site: Site) -> None:
    os.utime(site.anchor / "github-token", (0, 0))  # a file's age is known in whole seconds: it is not of the same one
    version = rotated(site)
    site.vault.client.secrets.kv.v2.delete_latest_version_of_secret(BUNDLE)
    site.vault.write_bundle({"MINE": "y"})
    run = site.run("publish.yml", "--tags", "publish")
    assert run.returncode == 2
    assert f"Version {version} is deleted, can be brought back, and may hold other values of" in run.output
    assert "GITHUB_TOKEN (file github-token)" in run.output
    shell(site, printed(run, "undelete"))
    run = site.run("publish.yml", "--tags", "publish")
    assert "GITHUB_TOKEN, file github-token: version" in run.output, run.output
    assert "with another value. To take that one first: (umask" in run.output
    site.vault.client.secrets.kv.v2.delete_secret_versions(BUNDLE, [version])
    ok(site.run("publish.yml", tazlab_over_deleted=version), changed=2)


def test_a_policy_with_more_rules_is_left_and_replaced_only_when_told(site: Site) -> None:
    client = site.vault.client
    ours = client.sys.read_acl_policy("tazlab-eso-reader")["data"]["policy"]
    more = 'path "secret/data/shared/*" { capabilities = ["read"] }'
    client.sys.create_or_update_acl_policy("tazlab-eso-reader", f"# mine\n{ours}\n{more}\n")
    other = ours.replace("tazlab-k8s/static", "another/cluster")
    for arguments in (("--check",), ()):
        run = ok(site.run("publish.yml", *arguments), changed=0)
        assert f"The policy tazlab-eso-reader is not as it should be: it also has {more}." in " ".join(
            run.output.split()
        )
    assert more in client.sys.read_acl_policy("tazlab-eso-reader")["data"]["policy"]
    client.sys.create_or_update_acl_policy("tazlab-eso-reader", other)
    assert "it lacks path" in ok(site.run("publish.yml"), changed=0).output
    assert client.sys.read_acl_policy("tazlab-eso-reader")["data"]["policy"] == other
    ok(site.run("publish.yml", vault_bootstrap_update_policies=True), changed=1)
    assert client.sys.read_acl_policy("tazlab-eso-reader")["data"]["policy"] == ours
    client.sys.create_or_update_acl_policy("tazlab-eso-reader", f"# only a comment\n\n  {ours}")
    assert "not as it should be" not in ok(site.run("publish.yml"), changed=0).output


def test_a_tuned_mount_and_a_bound_role_stay(site: Site) -> None:
    client = site.vault.client
    client.sys.tune_mount_configuration("secret", description="mine", max_lease_ttl="100h", listing_visibility="hidden")
    client.write_data("secret/config", data={"max_versions": 33, "cas_required": True})
    client.write_data("auth/token/roles/tazlab-bootstrap", data={"token_bound_cidrs": "127.0.0.0/8"})
    before = everything(site)
    run = ok(site.run("publish.yml"), changed=0)
    assert "token_bound_cidrs is ['127.0.0.0/8'] instead of []" in run.output
    assert everything(site) == before
    config = client.read("secret/config")
    assert config is not None
    assert (config["data"]["max_versions"], config["data"]["cas_required"]) == (33, True)


def lives(site: Site, token: str) -> bool:
    try:
        site.client(token).auth.token.lookup_self()
    except Forbidden:
        return False
    return True


def test_a_living_token_that_is_not_ours_is_left_in_its_place(site: Site) -> None:
    """In the file and in the bundle: nobody else may have it any more."""
    client = site.vault.client
    client.sys.create_or_update_acl_policy("more", 'path "secret/data/more" { capabilities = ["read"] }')
    mine = site.vault.scoped_token(policies=("tazlab-bootstrap", "more"))
    eso = site.vault.scoped_token(policies=("tazlab-eso-reader", "more"))
    (site.home / TOKEN_FILE).write_text(mine)
    site.vault.write_bundle({**site.stored()[1], "ESO_READER_TOKEN": eso})
    before = everything(site)
    for arguments in ((), ("--check",)):
        run = ok(site.run("publish.yml", *arguments), changed=0)
        said = " ".join(run.output.split())
        assert said.count("lives and is not as asked for: its policies are") >= 2
        assert "vault_bootstrap_rotate" in said
    assert everything(site) == before

    run = ok(site.run("rotate.yml", tazlab_rotate="ESO_READER_TOKEN"), changed=1)
    accessor = site.client(eso).auth.token.lookup_self()["data"]["accessor"]
    assert f"with accessor {accessor}, was not issued through the token role" in " ".join(run.output.split())
    assert f"accessor={accessor}" not in run.output, "nothing that rotate.yml would revoke with tazlab_reseed"
    assert lives(site, eso)


def test_a_token_that_may_not_look_itself_up_but_serves_is_left_when_nobody_can_tell(site: Site) -> None:
    old = narrow(site)
    (site.home / TOKEN_FILE).write_text(old)
    lacking = site.operator_with(OPERATOR.replace('path "auth/token/lookup" ', 'path "auth/token/nothing" '))
    before = accessors(site)
    assert deliver(site, rotate=False, token=lacking).state == "kept"
    assert (site.token(), accessors(site)) == (old, before)


def test_the_token_of_a_field_that_was_taken_out_is_still_told_to_be_revoked(site: Site) -> None:
    accessor = site.client(site.stored()[1]["ESO_READER_TOKEN"]).auth.token.lookup_self()["data"]["accessor"]
    ok(site.task("vault_bundle_publish", state="absent", names=["ESO_READER_TOKEN"]), changed=1)
    run = ok(site.run("rotate.yml", tazlab_rotate="ESO_READER_TOKEN"), changed=1)
    assert f"the one with accessor {accessor} is to be revoked" in " ".join(run.output.split())


def test_rotation_ends_no_token_but_the_one_it_replaces(site: Site) -> None:
    issued = [
        site.vault.client.write_data(f"auth/token/create/{role}", data={"period": "768h"})["auth"]["client_token"]
        for role in ("tazlab-bootstrap", "tazlab-bootstrap", "tazlab-eso-reader")
    ]
    old = site.token()
    ok(site.run("rotate.yml", tazlab_rotate="token"), changed=1)
    assert not lives(site, old)
    ok(site.run("rotate.yml", tazlab_rotate="ESO_READER_TOKEN"), changed=1)
    assert all(lives(site, token) for token in issued)


def test_a_replaced_token_that_may_have_issued_others_is_left_alone(site: Site) -> None:
    client = site.vault.client
    rules = client.sys.read_acl_policy("tazlab-bootstrap")["data"]["policy"]
    client.sys.create_or_update_acl_policy(
        "tazlab-bootstrap",
        f'{rules}\npath "auth/token/create" {{ capabilities = ["update"] }}\n'
        'path "sys/capabilities-self" { capabilities = ["update"] }',
    )
    wide = site.token()
    child = site.client(wide).auth.token.create(policies=["tazlab-bootstrap"], no_default_policy=True)["auth"][
        "client_token"
    ]
    said = " ".join(deliver(site).lines)
    assert "may issue tokens, which would end with it" in said
    assert site.token() != wide
    assert lives(site, wide)
    assert lives(site, child)


def test_a_replaced_token_that_was_issued_for_something_else_is_left_alone_and_kept(site: Site) -> None:
    """Another cluster's, the ESO reader's, one without a role that has issued through a role, and the anchor's."""
    client, file = site.vault.client, site.home / TOKEN_FILE
    client.write_data(
        "auth/token/roles/another",
        data={"allowed_policies": ["tazlab-bootstrap"], "orphan": True, "token_no_default_policy": True},
    )
    another = client.write_data("auth/token/create/another", data={"period": "768h"})["auth"]["client_token"]
    client.write_data("auth/token/roles/kids", data={"allowed_policies": ["tazlab-bootstrap"], "orphan": False})
    client.sys.create_or_update_acl_policy("kids", 'path "auth/token/create/kids" { capabilities = ["update"] }')
    parent = site.vault.scoped_token(policies=("tazlab-bootstrap", "kids"))
    child = site.client(parent).write_data("auth/token/create/kids", data={})["auth"]["client_token"]
    others = [another, site.stored()[1]["ESO_READER_TOKEN"], parent]
    for token in others:
        file.write_text(token)
        told = deliver(site, rotate=False)
        assert (told.state == "kept") is (token != another)
        if told.warnings:
            assert "give this cluster a file of its own instead (tazlab_vault_token_file)" in told.warnings[0]
            assert ("it cannot read secret/data/" in told.warnings[0]) is (token == others[1])
        accessor = site.client(token).auth.token.lookup_self()["data"]["accessor"]
        said = "\n".join(deliver(site).lines)
        assert f"with accessor {accessor}, was issued " in said
        assert f" -accessor {accessor})" in said
        assert "it may serve others" in said
        assert site.token() != token
    before = file.with_name("bootstrap-token.before")
    assert before.read_text().split() == others
    assert before.stat().st_mode & 0o777 == 0o600

    file.unlink()
    (site.anchor / "bootstrap-token.txt").write_text(another)
    assert "it may serve others" in "\n".join(deliver(site).lines)
    assert all(lives(site, token) for token in (*others, child))


@pytest.mark.parametrize("rotate", [False, True])
def test_a_token_that_this_vault_does_not_know_is_kept_beside_the_file(site: Site, rotate: bool) -> None:
    file = site.home / TOKEN_FILE
    for token in ("s.of-another-vault", "s.of-a-third", "s.of-a-third"):
        file.write_text(token)
        assert f"is kept in {file}.before" in "\n".join(deliver(site, rotate=rotate).lines)
        assert lives(site, site.token())
    assert (site.home / f"{TOKEN_FILE}.before").read_text() == "s.of-another-vault\ns.of-a-third\n"


def test_a_file_that_holds_no_token_is_never_overwritten(site: Site) -> None:
    """Refused before anything else is looked at, with each way to name a file."""
    config = b"apiVersion: v1\nkind: Config\n"
    names = ("vault_bootstrap_token_file", "vault_bootstrap_wrapped_file")
    for number, content in enumerate((config, b"\xff\xfe", b"x" * 300_000)):
        file = site.home / "precious"
        file.write_bytes(content)
        file.chmod(0o640)
        variables = {names[number % 2]: str(file), "vault_bootstrap_wrap_ttl": 300 * (number % 2)}
        site.vault.client.delete("auth/token/roles/tazlab-eso-reader")
        run = site.run("publish.yml", *["--check"][: number == 2], **variables)
        assert run.returncode == 2
        assert f"dest: {file} " in run.output
        assert "Nothing was changed" in run.output
        assert file.read_bytes() == content
        assert site.vault.client.read("auth/token/roles/tazlab-eso-reader") is None, "nothing else was done"


@pytest.mark.parametrize("place", ["secret", "mount"])
def test_a_bundle_that_vault_will_delete_by_itself_is_foretold(site: Site, place: str) -> None:
    path = METADATA if place == "secret" else "secret/config"
    site.vault.client.write_data(path, data={"delete_version_after": "2400h"})
    version = site.vault.write_bundle(site.stored()[1])
    end = metadata(site)["versions"][str(version)]["deletion_time"][:19] + "Z"
    foretold = f"Vault will delete version {version} of secret/data/{BUNDLE} by itself on {end}"
    asked = site.vault.requests()[f"secret/data/{BUNDLE}"]
    run = site.task("vault_bootstrap_bundle", token_file=f"~/{TOKEN_FILE}", renew="never")
    said = " ".join(ok(run).output.split())
    assert foretold in said
    assert f'"deletion_time": "{end}"' in said
    assert site.vault.requests()[f"secret/data/{BUNDLE}"] == asked + 1
    options = f"'GITHUB_TOKEN', token_file='~/{TOKEN_FILE}'"
    lookup = f"{{{{ lookup('tazlab.bootstrap.vault_bundle', {options}) | length }}}}"
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.debug": {"msg": f"{number} {lookup}"}} for number in range(3)],
    }
    run = ok(site.run([play]))
    assert " ".join(run.output.split()).count(foretold) == 1
    assert foretold.partition(" of ")[0] not in ok(site.run("publish.yml", "--tags", "publish")).output
    assert f"version {version} on {end}" in " ".join(ok(site.run("publish.yml", "--tags", "publish")).output.split())

    # What the warning says keeps it.
    if place == "secret":
        site.vault.client.write_data(path, data={"delete_version_after": "0s"})
        shell(site, printed(run, "undelete"))
        assert metadata(site)["versions"][str(version)]["deletion_time"] == ""
        again = site.task("vault_bootstrap_bundle", token_file=f"~/{TOKEN_FILE}")
        assert "by itself" not in ok(again).output
        assert '"deletion_time": null' in again.output
