# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of seeds: values come out byte for byte, and what is wrong is named without a value."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.seeds import seeds


def entry(**more: Any) -> dict[str, Any]:
    return {"kind": "Secret", "namespace": "apps", "name": "it", "data": {"key": "FIELD"}, **more}


@given(st.text(min_size=1).filter(lambda text: text.strip() != ""))
def test_a_value_is_stored_byte_for_byte(value: str) -> None:
    found = seeds([entry()], {"FIELD": value})
    assert found.problems == []
    assert base64.b64decode(found.objects[0]["data"]["key"]) == value.encode()
    assert found.objects[0]["type"] == "Opaque"


def test_literal_values_become_text_as_yaml_writes_it() -> None:
    values = {"a": True, "b": 5, "c": "x"}
    found = seeds([entry(kind="ConfigMap", data=None, values=values)], {})
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
    table = [entry(), entry(name="other", data={"a": "AGE"}, optional=True), entry(name="off", enabled=False)]
    found = seeds(table, {})
    assert (found.needed, found.optional) == (["FIELD"], ["AGE"])


def test_what_is_not_enabled_is_left_out() -> None:
    found = seeds([entry(enabled=False)], {})
    assert (found.objects, found.skipped, found.problems) == ([], [], [])


def test_namespaces_are_named_once_in_the_order_of_use() -> None:
    table = [entry(namespace="b"), entry(namespace="a"), entry(namespace="b", name="second")]
    assert seeds(table, {"FIELD": "x"}).namespaces == ["b", "a"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("text", "entry 1 is not a dictionary"),
        (entry(kind="Pod"), "its kind must be Secret or ConfigMap"),
        (entry(name=""), "name is missing"),
        (entry(namespace="Upper"), "namespace is missing or not a Kubernetes name"),
        (entry(data={"no key": "FIELD"}), "'no key' is not a key that Kubernetes allows"),
        (entry(data={}), "has neither data nor values"),
        (entry(data=["FIELD"]), "data and values must be dictionaries"),
        (entry(values={"a": ["canary"]}), "the value of a must be text"),
        (entry(keys={}), "does not know keys"),
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
