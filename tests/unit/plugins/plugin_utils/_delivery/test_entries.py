# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of tazlab_workload_secrets: what is right is read, and what is wrong is told together."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import Consumer, Declared, Key, Value
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.entries import read

GOOD: dict[str, Any] = {"name": "web", "namespace": "apps", "keys": {"token": "static/web/TOKEN"}}
DEX: dict[str, Any] = {
    "name": "dex",
    "namespaces": ["auth", "login"],
    "type": "Opaque",
    "keys": {
        "client-id": {"path": "static/dex/ID", "property": "id"},
        "config.yaml": {
            "template": "id: {{ .id }}\n",
            "values": {"id": {"path": "static/dex/ID", "property": "id"}},
        },
    },
    "consumers": [{"kind": "Deployment", "helm_release": "dex"}],
    "refresh": "15m",
    "labels": {"app": "dex"},
    "file": "auth/{namespace}/{name}.yaml",
}


def test_an_entry_is_read_once_for_each_namespace() -> None:
    declared, problems = read([GOOD, DEX])
    assert problems == []
    identity = Value("static/dex/ID", "id")
    assert [(each.label, each.file) for each in declared] == [
        ("apps/web", ""),
        ("auth/dex", "auth/auth/dex.yaml"),
        ("login/dex", "auth/login/dex.yaml"),
    ]
    assert declared[0] == Declared("web", "apps", keys={"token": Key.plain(Value("static/web/TOKEN"))})
    assert declared[1].keys == {
        "client-id": Key.plain(identity),
        "config.yaml": Key({"id": identity}, "id: {{ .id }}\n"),
    }
    assert declared[1].consumers == (Consumer("Deployment", helm_release="dex"),)
    assert declared[1].paths == ("static/dex/ID",)


def test_what_a_declaration_says_is_read_as_the_same() -> None:
    declared, _problems = read([GOOD, DEX])
    again, problems = read([each.declared() for each in declared])
    assert problems == []
    assert again == declared


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Web"}, "not a Kubernetes name"),
        ({"namespace": "a.b"}, "not a DNS label"),
        ({"namespace": "a" * 64}, "not a DNS label"),
        ({"namespaces": ["x"]}, "has namespace and namespaces"),
        ({"keys": {}}, "neither keys nor all_of"),
        ({"keys": {"a b": "x"}}, "not a key that Kubernetes allows"),
        ({"keys": {"a": "/x"}}, "not a path in Vault"),
        ({"keys": {"a": "data/x"}}, "which is of Vault's API"),
        ({"keys": {"a": "x/../y"}}, "leads elsewhere"),
        ({"keys": {"a": None}}, "not a path in Vault"),
        ({"keys": {"a": {"path": "x", "field": "y"}}}, "does not know field"),
        ({"keys": {"a": {"template": "{{ .x", "values": {}}}}, "cannot be read"),
        ({"keys": {"a": {"template": "{{ .x }}", "values": {}}}}, "no source fills x"),
        ({"keys": {"a": {"template": "{{ .x }}", "values": {"x": "p", "y": "p"}}}}, "does not name y"),
        ({"keys": {"a": {"template": "{{ .x }}", "values": {"x-y": "p"}}}}, "cannot be named"),
        ({"keys": {"a": {"template": "", "values": {}}}}, "its template is empty"),
        ({"keys": {"a": {"template": '{{ index . "x" }}', "values": {"x": "p"}}}}, "takes all values at once"),
        ({"writer": "sops"}, "writer must be"),
        ({"writer": "vso", "create_only": True}, "only once"),
        ({"refresh": "often"}, "not a duration"),
        ({"labels": {"a": "b c"}}, "a value that Kubernetes does not allow"),
        ({"annotations": {"a": True}}, "must be text"),
        ({"consumers": [{"kind": "Pod", "name": "x"}]}, "kind of a consumer"),
        ({"consumers": [{"kind": "Deployment"}]}, "no name that Kubernetes allows"),
        ({"file": "/etc/x.yaml"}, "not a manifest inside the repository"),
        ({"file": "a/{0}.yaml"}, "may name {namespace} and {name} alone"),
        ({"colour": "red"}, "does not know colour"),
    ],
)
def test_what_is_wrong_with_an_entry_is_told(change: dict[str, Any], said: str) -> None:
    declared, problems = read([{**GOOD, **change}])
    assert declared == []
    assert [problem.text for problem in problems if said in problem.text]
    assert all(
        problem.subject == f"tazlab_workload_secrets: entry 1 ({change.get('name', 'web')})" for problem in problems
    )


def test_all_of_it_is_told_at_once() -> None:
    _declared, problems = read([{**GOOD, "name": "", "writer": "x"}, "words", GOOD, GOOD])
    assert {problem.code for problem in problems} == {"malformed", "twice"}
    assert len(problems) == 4


def test_a_name_means_one_value_in_all_templates_of_a_secret() -> None:
    two = {name: {"template": "{{ .x }}", "values": {"x": path}} for name, path in (("a", "p"), ("b", "q"))}
    _declared, problems = read([{**GOOD, "keys": two}])
    assert "something else in another key" in problems[0].text
