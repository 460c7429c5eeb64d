# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences are no data: with every one of them reworded at random, states, codes and exit statuses stay the same."""

from __future__ import annotations

import ast
import json
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lab.bundle import write_anchor
from lab.playbook import Run
from lab.reword import WORDS, Reworder, reworded
from tests.integration.test_health import Systems
from tests.integration.test_preflight import World
from tests.integration.test_vault_side import TOKEN_FILE

LEAST = 800  # sentences in the code
READER = """
def asked(status):
    failure = f"Vault does not allow that (HTTP {status}). Check the token."
    return "HTTP 403" in failure
"""


def test_what_reads_a_sentence_is_caught() -> None:
    """It still looks for the old words, where the new ones have none of them."""
    answers = []
    for tree in (ast.parse(READER), Reworder(Random(1)).visit(ast.parse(READER))):  # noqa: S311
        names: dict[str, Any] = {}
        exec(compile(ast.fix_missing_locations(tree), "reader", "exec"), names)  # noqa: S102
        answers.append(names["asked"](403))
    assert answers == [True, False]


@pytest.fixture
def in_other_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and what runs from then on says everything in other words."""

    def reword() -> None:
        seed = secrets.randbelow(1_000_000)
        print(f"reworded with seed {seed}")
        assert reworded(tmp_path / "collections", seed) > LEAST
        monkeypatch.setenv("ANSIBLE_COLLECTIONS_PATH", str(tmp_path / "collections"))

    return reword


def says_other_words(run: Run) -> bool:
    return sum(word in WORDS for word in re.findall("[a-z]+", run.output)) > 5


@pytest.fixture
def systems(tmp_path: Path) -> Iterator[Systems]:
    with Systems(tmp_path) as made:
        yield made


def verdicts(systems: Systems, **variables: Any) -> tuple[Any, ...]:
    """The exit status of a health report, and all of it that programs compare."""
    file = systems.home / "health.json"
    file.unlink(missing_ok=True)
    run = systems.health(tazlab_health_json=str(file), **variables)
    report = json.loads(file.read_text())
    checks = {row["name"]: (row["vault"]["state"], row["anchor"]["state"]) for row in report["checks"]}
    able = {name: found["able"] for name, found in report["reborn"].items()}
    return run.returncode, able, checks, [token["state"] for token in report["tokens"]], len(report["drift"])


def token_state(systems: Systems, **options: Any) -> tuple[int, str | None]:
    run = systems.task("vault_bootstrap_token", operation="inspect", **options)
    found = re.search(r'"state": "([^"]*)"', run.output)
    return run.returncode, found[1] if found else None


def of_vault(systems: Systems) -> dict[str, Any]:
    """What the modules say of a healthy Vault, of tokens in every state, of a dead credential and of a sealed Vault."""
    client = systems.vault.client
    client.sys.create_or_update_acl_policy("narrow", 'path "secret/data/tazlab-k8s/bootstrap" {capabilities=["read"]}')
    narrow = client.auth.token.create_orphan(policies=["narrow"], no_default_policy=True)["auth"]["client_token"]
    for name, token in (("narrow", narrow), ("dead", "s.dead")):
        (systems.home / name).write_text(f"{token}\n")
    found: dict[str, Any] = {"all is well": verdicts(systems)}
    for name in (TOKEN_FILE, "narrow", "dead", "nowhere"):
        found[f"token in {name}"] = token_state(systems, dest=f"~/{name}")
    fields = {"ESO_READER_TOKEN": {}, "OTHER_TOKEN": {}}
    found["token that the bundle has not"] = token_state(systems, field="OTHER_TOKEN", fields=fields)
    found["bootstrap token as operator"] = systems.task(
        "vault_bundle_publish", token=(systems.home / TOKEN_FILE).read_text().strip()
    ).returncode
    found["nothing new"] = systems.run("publish.yml").stats()["changed"]
    good = (systems.anchor / "github-token").read_bytes()
    write_anchor(systems.anchor, {"GITHUB_TOKEN": "ghp_stale"})
    found["a dead credential"] = verdicts(systems)
    (systems.anchor / "github-token").write_bytes(good)
    client.sys.seal()
    found["sealed"] = verdicts(systems)
    found["token, sealed"] = token_state(systems, dest=f"~/{TOKEN_FILE}")
    systems.vault.unseal()
    return found


def test_vaults_side_and_the_health_report_compare_no_sentence(
    systems: Systems, in_other_words: Callable[[], None]
) -> None:
    before = of_vault(systems)
    assert before["all is well"][0] == 0
    assert [before[f"token in {name}"] for name in (TOKEN_FILE, "narrow", "dead", "nowhere")] == [
        (0, "alive"),
        (0, "alive"),
        (0, "dead"),
        (0, "absent"),
    ]
    assert before["token that the bundle has not"] == (0, "absent")
    assert before["a dead credential"][1] == {"vault": True, "anchor": False}
    assert before["sealed"][2]["ESO reader"] == ("not tried", "not tried")
    in_other_words()
    assert of_vault(systems) == before
    assert says_other_words(systems.health())


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


PROBLEMS = "{{ {'problems': bootstrap_secrets_problems | items2dict('subject', 'code')} | to_json }}"


def of_site(world: World, tmp_path: Path) -> dict[str, Any]:
    """What site.yml and destroy.yml make of an inventory and an anchor with faults of several kinds."""
    play = tmp_path / "roles" / "play.yml"
    play.parent.mkdir(exist_ok=True)
    role = {"name": "tazlab.bootstrap.bootstrap_secrets"}
    tasks = [
        {"import_role": role, "vars": {"bootstrap_secrets_on_missing": "report"}},
        {"copy": {"content": PROBLEMS, "dest": str(tmp_path / "problems.json")}},
    ]
    play.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks}]))
    assert world.run(playbook=str(play)).returncode == 0
    found: dict[str, Any] = json.loads((tmp_path / "problems.json").read_text())
    for name, arguments in (("all", ()), ("flux", ("--tags", "flux")), ("seed", ("--tags", "seed"))):
        run = world.run(*arguments)
        told = [line for line in run.output.splitlines() if re.match(r"\s+\d+\. ", line)]
        found[name] = (run.returncode, len(dict.fromkeys(told)))
    run = world.run("--extra-vars", "tazlab_destroy=home", playbook="tazlab.bootstrap.destroy")
    found["destroy"] = (run.returncode, "PROXMOX_TOKEN_SECRET: " in run.output, "VAULT_CA_CRT: " in run.output)
    return found


def test_the_preflight_and_destroy_compare_no_sentence(
    world: World, tmp_path: Path, in_other_words: Callable[[], None]
) -> None:
    (world.anchor / "proxmox-token-secret").unlink()
    (world.anchor / "vault-ca-crt").write_text("no certificate\n")
    (world.anchor / "talos-secretbox-key").write_text("c2hvcnQ=\n")
    world.variables["tazlab_talos"]["version"] = "v1.11.0"
    before = of_site(world, tmp_path)
    assert before["problems"] == {
        "PROXMOX_TOKEN_SECRET": "missing",
        "TALOS_SECRETBOX_KEY": "invalid",
        "VAULT_CA_CRT": "invalid",
    }
    assert before["destroy"] == (2, True, False)
    in_other_words()
    assert of_site(world, tmp_path) == before
