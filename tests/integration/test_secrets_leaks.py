# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret leaves memory: runs at the highest verbosity, with every kind of callback, failing and interrupted ones."""

from __future__ import annotations

import http.server
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.bundle import PROXMOX_TOKEN_ID, PUBLIC, bundle, write_anchor
from lab.leaks import Canaries, Watch
from lab.playbook import private_environment
from lab.process import wait_until
from lab.tls import Authority
from lab.vault import VaultServer

FIELDS = {
    **dict.fromkeys(bundle("")),
    "A_KEY": {"kind": "pem"},
    "A_TEXT": {"kind": "text"},
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[VaultServer]:
    with VaultServer(tmp_path_factory.mktemp("vault"), authority) as server:
        yield server


@dataclass
class World:
    """A HOME with an anchor, a Vault with other values, and the canaries that both hold."""

    home: Path
    server: VaultServer
    token: str
    vault: dict[str, str]
    anchor: dict[str, str]

    @property
    def canaries(self) -> Canaries:
        secrets = {"token": self.token}
        for place, values in (("vault", self.vault), ("anchor", self.anchor)):
            secrets |= {f"{place} {name}": value for name, value in values.items()}
        hidden = {name: value for name, value in secrets.items() if not name.endswith(PUBLIC)}
        return Canaries({name: value for name, value in hidden.items() if value != PROXMOX_TOKEN_ID})

    def environment(self, **extra: str) -> dict[str, str]:
        return private_environment(
            self.home,
            {
                "ANSIBLE_LOG_PATH": str(self.home / "ansible.log"),
                "ANSIBLE_REMOTE_TMP": str(self.home / "remote"),
                "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.junit,ansible.builtin.tree,ansible.posix.profile_tasks",
                "ANSIBLE_CALLBACK_TREE_DIR": str(self.home / "tree"),
                "JUNIT_OUTPUT_DIR": str(self.home / "junit"),
                **extra,
            },
        )

    def start(
        self, tasks: list[dict[str, Any]], *arguments: str, variables: dict[str, Any] | None = None, **extra: str
    ) -> subprocess.Popen[bytes]:
        """Start a playbook with everything that prints switched on; its output goes into a watched file."""
        playbook = self.home / "playbook.yml"
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {
                "tazlab_vault_url": self.server.url,
                "tazlab_fields": FIELDS,
                "ansible_python_interpreter": sys.executable,
                **(variables or {}),
            },
            "tasks": tasks,
        }
        playbook.write_text(yaml.safe_dump([play]))
        with (self.home / "output").open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "ansible", "playbook", str(playbook), "-vvvvv", "--diff", *arguments],
                env=self.environment(**extra),
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def watch(self, **options: Any) -> Watch:
        allowed = set((self.home / "secrets").rglob("*"))
        return Watch(self.canaries, (self.home,), frozenset(allowed), **options)

    def run(self, tasks: list[dict[str, Any]], *arguments: str, **options: Any) -> tuple[Watch, str, int]:
        environments = options.pop("environments", True)
        with self.watch(environments=environments) as watch:
            status = self.start(tasks, *arguments, **options).wait(120)
        return watch, (self.home / "output").read_text(), status


@pytest.fixture
def world(server: VaultServer, authority: Authority, tmp_path: Path) -> World:
    home = tmp_path / "home"
    home.mkdir()
    values = []
    for number in (1, 2):
        _certificate, key = authority.certificate(f"canary-{number}-{time.monotonic_ns()}")
        text = f"first line {os.urandom(8).hex()}\nsecond line {os.urandom(8).hex()}\n"
        values.append({**bundle(authority.ca_pem), "A_KEY": key.read_text(), "A_TEXT": text})
    server.write_bundle(values[0])
    token = server.scoped_token()
    write_anchor(home / "secrets", values[1])
    (home / "secrets" / "bootstrap-token.txt").write_text(f"{token}\n")
    return World(home, server, token, *values)


BUNDLE = {"tazlab.bootstrap.vault_bootstrap_bundle": {}, "register": "r"}
FALLBACK = {
    "tazlab.bootstrap.secret_fallback": {"values": "{{ r.bundle }}", "sources": "{{ r.sources }}"},
    "register": "s",
}
ROLE = {"ansible.builtin.import_role": {"name": "tazlab.bootstrap.bootstrap_secrets"}}
LOOKUP = "lookup('tazlab.bootstrap.vault_bundle', 'GITHUB_TOKEN')"
USES = [
    # None of these says no_log. What is registered stays usable, in conditions and in loops.
    BUNDLE,
    FALLBACK,
    {**FALLBACK, "loop": [1, 2]},
    {"ansible.builtin.assert": {"that": ["r.bundle.GITHUB_TOKEN == " + LOOKUP, "s.results | length == 2"]}},
    {
        "ansible.builtin.debug": {"msg": "{{ s.results[0].sources | to_json }}"},
        "when": "r.bundle.A_KEY is search('PRIVATE')",
    },
    ROLE,
]
CALLBACKS = ["ansible.builtin.default", "yaml", "ansible.posix.json", "ansible.builtin.oneline"]


def _printed_by(callback: str) -> dict[str, str]:
    if callback == "yaml":
        return {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_CALLBACK_RESULT_FORMAT": "yaml"}
    return {"ANSIBLE_STDOUT_CALLBACK": callback}


@pytest.mark.parametrize("callback", CALLBACKS)
def test_nothing_leaks_through_any_callback(world: World, callback: str) -> None:
    watch, output, status = world.run(USES, **_printed_by(callback))
    assert status == 0, output
    assert watch.leaks == set()
    assert any(".broker import" in program for program in watch.programs)
    assert any("/tree/" in name for name in watch.files)
    assert any("/junit/" in name for name in watch.files)
    assert any(name.endswith("ansible.log") for name in watch.files)
    assert "vault v" in output


def test_nothing_leaks_when_the_anchor_answers(world: World) -> None:
    away = {"tazlab_vault_url": "https://127.0.0.1:1", "tazlab_vault_on_unavailable": "empty"}
    usable = {"ansible.builtin.assert": {"that": ["s.secrets.GITHUB_TOKEN == " + LOOKUP]}}
    watch, output, status = world.run([BUNDLE, FALLBACK, usable, ROLE], variables=away)
    assert status == 0, output
    assert watch.leaks == set()


def test_the_watch_sees_what_is_printed(world: World) -> None:
    """The tests above would be worth nothing if this did not fail the watch."""
    value = "{{ " + LOOKUP + " }}"
    kept = {"ansible.builtin.copy": {"content": value, "dest": str(world.home / "kept"), "mode": "0600"}}
    watch, output, status = world.run([{"ansible.builtin.debug": {"msg": value}}, {**kept, "no_log": True}])
    assert status == 0
    assert {name for name, _place in watch.leaks} == {"vault GITHUB_TOKEN"}
    printed = any(place.endswith("/output") for _name, place in watch.leaks)
    masks = importlib.util.find_spec("ansible.module_utils.secrets") is not None
    assert (printed, "$REDACTED$" in output) == (not masks, masks), "ansible-core masks since 2.22"


FAILING: dict[str, list[dict[str, Any]]] = {
    "wrong type": [BUNDLE, {"tazlab.bootstrap.vault_bootstrap_bundle": {"timeout": "{{ r.bundle.GITHUB_TOKEN }}"}}],
    "wrong choice": [BUNDLE, {"tazlab.bootstrap.vault_bootstrap_bundle": {"renew": "{{ r.bundle.GITHUB_TOKEN }}"}}],
    "wrong element": [BUNDLE, {"tazlab.bootstrap.secret_fallback": {"providers": ["{{ r.bundle.GITHUB_TOKEN }}"]}}],
    "wrong dictionary": [BUNDLE, {"tazlab.bootstrap.secret_fallback": {"values": "{{ r.bundle.A_TEXT }}"}}],
    "wrong url": [BUNDLE, {"tazlab.bootstrap.vault_bootstrap_bundle": {"url": "{{ r.bundle.GITHUB_TOKEN }}"}}],
    "secret in url": [
        BUNDLE,
        {"tazlab.bootstrap.vault_bootstrap_bundle": {"url": "https://u:{{ r.bundle.GITHUB_TOKEN }}@localhost:1"}},
    ],
    "wrong path": [BUNDLE, {"tazlab.bootstrap.vault_bootstrap_bundle": {"path": "../{{ r.bundle.GITHUB_TOKEN }}"}}],
    "token as token_file": [
        BUNDLE,
        {"tazlab.bootstrap.vault_bootstrap_bundle": {"token_file": "{{ r.bundle.GITHUB_TOKEN }}"}},
    ],
    "key as ca_cert": [
        BUNDLE,
        {"tazlab.bootstrap.vault_bootstrap_bundle": {"ca_cert": "{{ r.bundle.A_KEY }}", "cache": False}},
    ],
    "token as term": [
        BUNDLE,
        {"ansible.builtin.debug": {"msg": "{{ lookup('tazlab.bootstrap.vault_bundle', r.bundle.GITHUB_TOKEN) }}"}},
    ],
    "bundle as term": [
        BUNDLE,
        {"ansible.builtin.debug": {"msg": "{{ lookup('tazlab.bootstrap.vault_bundle', r.bundle) }}"}},
    ],
    "token of two lines": [BUNDLE, {"tazlab.bootstrap.vault_bootstrap_bundle": {"token": "{{ r.bundle.A_TEXT }}"}}],
    "token with a line end": [
        BUNDLE,
        {"tazlab.bootstrap.vault_bootstrap_bundle": {"token": "{{ r.bundle.GITHUB_TOKEN }}\n", "cache": False}},
    ],
    "invalid known value": [
        BUNDLE,
        {"tazlab.bootstrap.secret_fallback": {"values": {"GITHUB_TOKEN": "{{ r.bundle.A_TEXT }}"}}},
    ],
    "undefined": [BUNDLE, {"ansible.builtin.debug": {"msg": "{{ r.bundle.GITHUB_TOKEN.nothing.there }}"}}],
    "unknown field": [BUNDLE, {"ansible.builtin.debug": {"msg": "{{ lookup('tazlab.bootstrap.vault_bundle', 'X') }}"}}],
    "lookup's option": [
        {"ansible.builtin.debug": {"msg": "{{ lookup('tazlab.bootstrap.vault_bundle', timeout=" + LOOKUP + ") }}"}}
    ],
    "lookup's choice": [
        {"ansible.builtin.debug": {"msg": "{{ lookup('tazlab.bootstrap.vault_bundle', renew=" + LOOKUP + ") }}"}}
    ],
    "assertion": [BUNDLE, {"ansible.builtin.assert": {"that": ["r.bundle.GITHUB_TOKEN == 'another'"]}}],
}


@pytest.mark.sweep
@pytest.mark.parametrize("name", FAILING)
def test_nothing_leaks_when_a_task_fails(world: World, name: str) -> None:
    watch, output, status = world.run(FAILING[name])
    assert status == 2, output
    assert "This is a bug" not in output
    assert watch.leaks == set()


@pytest.mark.parametrize("callback", ["yaml", "ansible.posix.json"])
def test_nothing_leaks_through_any_callback_when_tasks_fail(world: World, callback: str) -> None:
    failing = [task for tasks in FAILING.values() for task in tasks if task is not BUNDLE]
    tasks = [BUNDLE, *({**task, "ignore_errors": True} for task in failing)]
    watch, output, status = world.run(tasks, **_printed_by(callback))
    assert status == 0, output
    assert watch.leaks == set()


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers as Vault might, with everything that it was sent wherever something can stand."""

    def do_GET(self) -> None:
        sent = f"{self.requestline}\n{self.headers}"
        token = self.headers.get("X-Vault-Token", "none")
        version: object = 1 if "/good" in self.path else sent
        data = {"data": {"GITHUB_TOKEN": sent, "A_TEXT": token, token: token}, "metadata": {"version": version}}
        extra = {"errors": [sent, token], "warnings": [sent], "auth": {"client_token": token}, "sealed": sent}
        body = json.dumps({"data": {**data, "ttl": sent, "policies": [sent]}, **extra}).encode()
        # path names the status to answer with
        self.send_response(int(match.group(1)) if (match := re.search(r"/status-(\d+)", self.path)) else 200, sent[:9])
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Echo", token)
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_POST = do_LIST = do_GET

    def log_message(self, *_arguments: Any) -> None:
        pass


def test_nothing_leaks_when_the_answer_echoes_the_request(world: World) -> None:
    statuses = ["good", *(f"status-{status}" for status in (200, 301, 400, 403, 404, 405, 429, 472, 500, 503))]
    ask = {
        "tazlab.bootstrap.vault_bootstrap_bundle": {
            "path": "{{ item }}",
            "on_unavailable": "empty",
            "check_token": True,
            "timeout": 2,
        },
        "loop": statuses,
        "ignore_errors": True,
    }
    lookup = "lookup('tazlab.bootstrap.vault_bundle', 'GITHUB_TOKEN', path=item, on_unavailable='fail', providers=[])"
    look = {"ansible.builtin.debug": {"msg": "{{ " + lookup + " }}"}, "loop": statuses, "ignore_errors": True}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        watch, output, status = world.run([ask, look], variables={"tazlab_vault_url": url})
        server.shutdown()
    assert status == 0, output
    assert "GITHUB_TOKEN: the value from vault v1 has more than one line" in output
    assert "HTTP 405" in output
    assert "This is a bug" not in output
    assert "report this bug" not in output
    assert watch.leaks == set()


# Below hvac, requests and urllib3: whatever is sent stands in the exception's text, and in a chain of three.
EXPLODING = """
import http.client

def explode(connection, header, *values):
    if header == "X-Vault-Token":
        try:
            raise ValueError(f"Invalid header value {values!r}")
        except ValueError as error:
            raise KIND(f"{header}: {values!r}") from error

http.client.HTTPConnection.putheader = explode
"""


@pytest.mark.parametrize("kind", ["RuntimeError", "OSError", "UnicodeError", "RecursionError", "MemoryError"])
def test_nothing_leaks_when_an_exception_is_raised_deep_inside_hvac(world: World, kind: str) -> None:
    (world.home / "hooks").mkdir()
    (world.home / "hooks" / "sitecustomize.py").write_text(EXPLODING.replace("KIND", kind))
    lookup = {
        "ansible.builtin.debug": {"msg": "{{ " + LOOKUP.replace(")", ", cache=false, on_unavailable='fail')") + " }}"}
    }
    kept = {"ansible.builtin.assert": {"that": "r.vault.reason != 'ok' and r.bundle == {}"}}
    watch, output, status = world.run(
        [{**BUNDLE, "tazlab.bootstrap.vault_bootstrap_bundle": {"on_unavailable": "empty"}}, kept, FALLBACK, lookup],
        PYTHONPATH=str(world.home / "hooks"),
    )
    assert status == 2, output
    assert "Traceback" not in output
    assert watch.leaks == set()


def test_nothing_leaks_when_the_run_is_interrupted(world: World) -> None:
    world.server.pause()
    try:
        with world.watch() as watch:
            run = world.start([BUNDLE], variables={"tazlab_vault_timeout": 60})
            wait_until(lambda: any(".broker import" in program for program in watch.programs), "the run asks Vault", 30)
            os.killpg(run.pid, signal.SIGINT)
            run.wait(30)
    finally:
        world.server.resume()
    assert watch.leaks == set()


def test_nothing_leaks_when_the_run_is_interrupted_after_the_fetch(world: World) -> None:
    """The fields are in variables, in the broker and in every process of a task by then."""
    go = world.home / "fetched"
    hold = {
        "ansible.builtin.wait_for": {"path": "{{ 'never' if r.bundle.GITHUB_TOKEN else '' }}", "timeout": 60},
        "environment": {"HOLDS": "nothing"},
    }
    asked = len(list(world.server.audited()))
    with world.watch() as watch:
        touch = {"ansible.builtin.file": {"path": str(go), "state": "touch", "mode": "0600"}}
        run = world.start([BUNDLE, FALLBACK, ROLE, touch, hold])
        wait_until(go.exists, "the fields are fetched", 60)
        time.sleep(1)
        os.killpg(run.pid, signal.SIGINT)
        run.wait(30)
    assert len(list(world.server.audited())) == asked + 2
    assert run.returncode != 0
    assert "vault v" in (world.home / "output").read_text()
    assert watch.leaks == set()


@pytest.mark.parametrize("inside", ["\n", "\r\n", " \n "])
def test_a_token_with_a_line_end_inside_leaks_nothing(world: World, inside: str) -> None:
    (world.home / "secrets" / "bootstrap-token.txt").unlink()
    world.token = f"{world.token[:13]}{inside}{world.token[13:]}"
    watch, output, status = world.run([BUNDLE], environments=False, VAULT_TOKEN=world.token)
    assert status == 2
    assert "Vault's token from environment VAULT_TOKEN has more than one line" in output
    assert watch.leaks == set()


def test_tokens_and_values_in_the_environment_stay_there(world: World) -> None:
    """Only processes of Ansible itself have what the user exported: not the broker, not a command provider."""
    (world.home / "secrets" / "bootstrap-token.txt").unlink()
    providers = [{"type": "env"}, {"type": "command", "argv": ["sh", "-c", "sleep 0.3; echo value-of-{name}"]}]
    only = {"VAULT_TOKEN": f"'{world.token}'\r\n", "ESO_READER_TOKEN": world.anchor["ESO_READER_TOKEN"]}
    world.server.write_bundle({name: value for name, value in world.vault.items() if name[0] not in "EG"})
    fill = {
        "tazlab.bootstrap.secret_fallback": {
            "values": "{{ r.bundle }}",
            "sources": "{{ r.sources }}",
            "providers": providers,
        },
        "register": "s",
    }
    proof = [
        "s.secrets.GITHUB_TOKEN == 'value-of-GITHUB_TOKEN'",
        "s.sources.ESO_READER_TOKEN.source == 'environment'",
    ]
    watch, output, status = world.run([BUNDLE, fill, {"ansible.builtin.assert": {"that": proof}}], **only)
    assert status == 0, output
    assert any(program.startswith("sh -c") for program in watch.programs)
    places = {place for _name, place in watch.leaks}
    assert all(place.startswith("environ of ") and "ansible" in place for place in places), places
