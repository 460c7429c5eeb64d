# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of seeds: values come out byte for byte, and what is wrong is named without a value."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.seeds import seeds


def entry(**more: Any) -> dict[str, Any]:
    return {"kind": "Secret", "namespace": "apps", "name": "it", "keys": {"key": "FIELD"}, **more}


@given(st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_a_value_is_stored_byte_for_byte(value: str) -> None:
    found = seeds([entry()], {"FIELD": value})
    assert found.problems == []
    assert base64.b64decode(found.objects[0]["data"]["key"]) == value.encode()
    assert found.objects[0]["type"] == "Opaque"


def test_literal_values_become_text_as_yaml_writes_it() -> None:
    values = {"a": True, "b": 5, "c": "x"}
    found = seeds([entry(kind="ConfigMap", keys=None, values=values)], {})
    assert found.objects[0]["data"] == {"a": "true", "b": "5", "c": "x"}
    assert "type" not in found.objects[0]


def test_a_missing_field_is_a_problem_and_an_optional_one_is_named() -> None:
    found = seeds([entry(), entry(name="other", optional=True)], {"FIELD": " \n"})
    assert found.objects == []
    assert found.problems == []
    [problem] = found.lacking
    assert problem.code == "missing"
    assert problem.text.startswith("Secret apps/it: FIELD has no value in any source. Write it into the bundle or the ")
    assert [(each["name"], each["skipped"]) for each in found.skipped] == [
        ("other", "it is optional, and FIELD has no value")
    ]


def test_the_fields_that_it_names_are_told_apart_by_whether_it_can_do_without() -> None:
    table = [entry(), entry(name="other", keys={"a": "AGE"}, optional=True), entry(name="off", enabled=False)]
    found = seeds(table, {})
    assert (found.needed, found.optional) == (["FIELD"], ["AGE"])


def test_what_is_not_enabled_is_left_out() -> None:
    found = seeds([entry(enabled=False)], {})
    assert (found.objects, found.skipped, found.problems) == ([], [], [])


def test_namespaces_are_named_once_in_the_order_of_use() -> None:
    table = [entry(namespace="b"), entry(namespace="a"), entry(namespace="b", name="second")]
    assert [each["metadata"]["name"] for each in seeds(table, {"FIELD": "x"}).namespaces] == ["b", "a"]


def test_a_namespace_of_its_own_keeps_its_labels_wherever_it_stands() -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "paused": True}
    own = {"kind": "Namespace", "name": "apps", "labels": labels, "annotations": {"example.net/note": "two words"}}
    for table in ([own, entry()], [entry(), own], [own]):
        [namespace] = seeds(table, {"FIELD": "x"}).namespaces
        assert namespace["metadata"] == {
            "name": "apps",
            "labels": {"pod-security.kubernetes.io/enforce": "restricted", "paused": "true"},
            "annotations": {"example.net/note": "two words"},
        }


def test_one_entry_may_be_several_objects() -> None:
    table = [entry(namespace=None, namespaces=["a", "b"], create_only=True, labels={"x": "y"}, annotations={"n": 1})]
    found = seeds(table, {"FIELD": "x"})
    assert [each["metadata"] for each in found.objects] == [
        {"namespace": name, "name": "it", "labels": {"x": "y"}, "annotations": {"n": "1"}} for name in ("a", "b")
    ]
    assert found.create_only == ["Secret/a/it", "Secret/b/it"]
    lacking = seeds(table, {})
    assert [problem.subject for problem in lacking.lacking] == ["Secret a/it", "Secret b/it"]
    twice = seeds([*table, entry(namespace="b")], {"FIELD": "x"})
    assert [problem.subject for problem in twice.problems] == ["Secret b/it"]


def filled(template: Any, **values: str) -> str:
    found = seeds([entry(keys=None, template={"it": template})], values)
    assert found.problems + found.lacking == []
    return base64.b64decode(found.objects[0]["data"]["it"]).decode()


def test_a_template_has_fields_in_it() -> None:
    assert filled("https://me:${TOKEN | urlencode}@host/", TOKEN="a/b c") == "https://me:a/b%20c@host/"
    assert filled("${('me:' ~ TOKEN) | b64encode}\n", TOKEN="x") == base64.b64encode(b"me:x").decode() + "\n"
    assert filled("{{ TOKEN }} ${TOKEN}", TOKEN="x") == "{{ TOKEN }} x", "only these braces count"


def test_a_template_of_data_is_json_whatever_the_value_has_in_it() -> None:
    value = 'quote " backslash \\ newline \n umlaut \u00fc'
    text = filled({"auths": {"ghcr.io": {"password": "${TOKEN}", "b": 1}}, "a": ["${TOKEN}", None]}, TOKEN=value)
    assert json.loads(text) == {"auths": {"ghcr.io": {"password": value, "b": 1}}, "a": [value, None]}
    assert text.startswith('{"a":["quote'), "as Terraform's jsonencode writes it: sorted, without blanks"


def test_the_fields_of_a_template_are_needed() -> None:
    table = [entry(keys={"a": "ONE"}, template={"b": {"x": ["${TWO}"]}, "c": "${ONE}${THREE}"})]
    found = seeds(table, {"ONE": "1"})
    assert found.needed == ["ONE", "TWO", "THREE"]
    assert "TWO and THREE have no value in any source" in found.lacking[0].text


def test_a_template_that_fails_is_told_without_a_value() -> None:
    found = seeds([entry(keys=None, template={"it": "${TOKEN + 1}"})], {"TOKEN": "canary"})
    assert found.objects == []
    [text] = texts(found.problems)
    assert text.startswith("Secret apps/it: the template of it cannot be filled: an expression in it fails.")
    assert "canary" not in text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("text", "entry 1 is not a dictionary"),
        (entry(kind="Pod"), "its kind must be one of Secret, ConfigMap, Namespace"),
        (entry(name=""), "name is missing"),
        (entry(namespace="Upper"), "a namespace is missing or not a Kubernetes name"),
        (entry(namespaces=["a"]), "has namespace and namespaces"),
        (entry(namespace=None, namespaces="apps"), "namespaces must be a list"),
        (entry(namespace=None, namespaces=["a", "B"]), "a namespace is missing or not a Kubernetes name"),
        (entry(keys={"no key": "FIELD"}), "'no key' is not a key that Kubernetes allows"),
        (entry(keys={}), "has neither keys nor values nor a template"),
        (entry(keys=["FIELD"]), "keys, values and template must be dictionaries"),
        (entry(values={"key": "x"}), "key stands in more than one of keys, values and template"),
        (entry(template={"x": "canary"}), "the template of x names no field"),
        (entry(template={"x": "${"}), "the template of x cannot be read"),
        (entry(template={"x": "${A | nothing}"}), "the template of x cannot be read: No filter named 'nothing'"),
        (entry(labels={"a b": "x"}), "'a b' is not a key that Kubernetes allows among labels"),
        (entry(labels={"a": "canary canary"}), "label a has a value that Kubernetes does not allow"),
        (entry(labels=["a"]), "labels must be a dictionary"),
        (entry(annotations={"a": {"canary": 1}}), "annotations: a must be text"),
        ({"kind": "Namespace", "name": "x", "keys": {"a": "B"}}, "a Namespace has no keys"),
        (entry(values={"a": ["canary"]}), "the value of a must be text"),
        (entry(data={}), "does not know data. Known are kind, name, namespace, namespaces, type, keys, values"),
    ],
)
def test_a_malformed_entry_is_one_clear_problem(wrong: Any, words: str) -> None:
    found = seeds([wrong], {"FIELD": "canary"})
    assert found.objects == []
    assert len(found.problems) == 1
    assert words in found.problems[0].text
    assert "canary" not in found.problems[0].text


def test_an_object_may_stand_once() -> None:
    found = seeds([entry(), entry()], {"FIELD": "x"})
    assert texts(found.problems) == ["Secret apps/it: stands twice in cluster_seed_objects. Write it as one entry."]
