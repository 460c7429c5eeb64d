# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of others are changed in place: what is not ours stays byte for byte, and what cannot stay is refused."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery import edit
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.yaml import manifests

FILE = b"""\
# who made it
apiVersion: v1
kind: ConfigMap   # first
metadata: {name: "web",   namespace: apps}
---
# the second
apiVersion: external-secrets.io/v1beta1
kind: ExternalSecret
metadata:
    name: 'web'
spec:
    refreshInterval: "1h"  # often enough
    target:
        name: web
        creationPolicy: Owner
    data:
      - secretKey: a   # kept
        remoteRef: {key: x, property: value}
      - secretKey: b
        remoteRef: {key: y, property: value}

# the end
--- # another
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
"""
WHO = ("external-secrets.io", "ExternalSecret", "apps", "web")


def differences(before: bytes, after: bytes) -> list[str]:
    lines = difflib.ndiff(before.decode().splitlines(), after.decode().splitlines())
    return [line for line in lines if line[0] in "+-"]


def external(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "external-secrets.io/v1beta1",
        "spec": {"refreshInterval": "1h", "target": {"name": "web"}, **spec},
    }


def value(name: str, path: str) -> dict[str, Any]:
    return {"secretKey": name, "remoteRef": {"key": path, "property": "value"}}


def test_an_object_says_something_else_and_all_around_it_stays() -> None:
    after = edit.replaced(FILE, WHO, external(data=[value("a", "x"), value("b", "z")]))
    assert differences(FILE, after) == [
        "-         remoteRef: {key: y, property: value}",
        "+         remoteRef: {key: z, property: value}",
    ]


def test_what_replaces_a_quoted_value_is_quoted_alike() -> None:
    text = b"""apiVersion: v1\nkind: A\nmetadata: {name: a}\nspec:\n  a: "1.0" # one\n  b: ['x', y, {c: 1}]\n  c: z\n"""
    after = edit.replaced(
        text, ("", "A", "", "a"), {"apiVersion": "v1", "spec": {"a": "2.0", "b": ["p", "q"], "c": "3"}}
    )
    assert after == text.replace(b'"1.0"', b'"2.0"').replace(b"['x', y, {c: 1}]", b"['p', q]").replace(b"z", b"'3'")


def test_what_is_as_it_shall_be_stays_byte_for_byte() -> None:
    assert edit.replaced(FILE, WHO, external(data=[value("a", "x"), value("b", "y")])) == FILE


def test_entries_come_and_go() -> None:
    one = edit.replaced(FILE, WHO, external(data=[value("a", "x")]))
    assert "secretKey: b" not in one.decode()
    template = {"engineVersion": "v2", "data": {"c": "1\n2\n"}}
    more = edit.replaced(FILE, WHO, external(target={"name": "web", "template": template}))
    assert manifests(more)[1]["spec"]["target"] == {"name": "web", "creationPolicy": "Owner", "template": template}
    assert "c: |" in more.decode(), "several lines are a block"


def test_an_annotation_is_added_where_there_are_none_and_where_there_are() -> None:
    who = ("apps", "Deployment", "apps", "web")
    once = edit.annotated(FILE, who, "a", "true")
    twice = edit.annotated(once, who, "b", "true")
    assert manifests(twice)[2]["metadata"]["annotations"] == {"a": "true", "b": "true"}
    assert len(differences(FILE, twice)) == 2


def test_a_kustomization_lists_one_more() -> None:
    before = b"# ours\nresources:\n  - a.yaml # first\n\n  - ../b.yaml\nnamespace: x\n"
    after = edit.listed(before, "c.yaml")
    assert differences(before, after) == ["+   - c.yaml"]
    assert manifests(edit.listed(b"kind: Kustomization\n", "c.yaml")) == [
        {"kind": "Kustomization", "resources": ["c.yaml"]}
    ]


def test_a_document_is_added_to_a_file() -> None:
    after = edit.appended(b"kind: A", {"kind": "B", "text": "1\n2\n"})
    assert after == b"kind: A\n---\nkind: B\ntext: |\n  1\n  2\n"


@pytest.mark.parametrize(
    "content",
    [
        FILE.replace(b"    data:\n      - secretKey: a", b"    data:\n          - secretKey: a"),
        FILE.replace(b"name: 'web'", b"name: 'other'"),
        FILE.replace(b"metadata:\n    name", b"metadata:\n   name"),
    ],
    ids=["two ways to indent", "another name", "uneven"],
)
def test_what_would_be_written_otherwise_is_refused(content: bytes) -> None:
    with pytest.raises(edit.Unkept):
        edit.replaced(content, WHO, external(data=[value("a", "z")]))


def test_a_post_renderer_is_added() -> None:
    release = b"apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: dex\nspec:\n  chart: {}\n"
    who = ("helm.toolkit.fluxcd.io", "HelmRelease", "auth", "dex")
    after = manifests(edit.post_rendered(release, who, {"kustomize": {"patches": []}}))
    assert after[0]["spec"] == {"chart": {}, "postRenderers": [{"kustomize": {"patches": []}}]}


def test_of_two_objects_of_one_name_the_one_of_the_namespace_is_changed() -> None:
    file = b"".join(
        b"---\napiVersion: external-secrets.io/v1beta1\nkind: ExternalSecret\nmetadata:\n  name: web\n  namespace: "
        + space
        + b"\nspec:\n  refreshInterval: 1h\n"
        for space in (b"first", b"apps")
    )
    after = edit.replaced(file, WHO, {"apiVersion": "external-secrets.io/v1beta1", "spec": {"refreshInterval": "2h"}})
    assert [each["spec"]["refreshInterval"] for each in manifests(after) if each] == ["1h", "2h"]
