# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Helm stores is read as it packs it, and only what may be told is kept of it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
import yaml

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm import release as module
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm.release import Unreadable, crds_of, release_of

KEPT = """
---
# Source: external-secrets/templates/crds/externalsecret.yaml
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: externalsecrets.external-secrets.io
  annotations: {helm.sh/resource-policy: keep}
"""
BARE = """
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: fakes.generators.external-secrets.io}
---
apiVersion: v1
kind: Secret
metadata: {name: webhook}
stringData: {key: canary}
"""


def packed(manifest: str = KEPT + BARE, *, compressed: bool = True, **more: Any) -> str:
    release = {
        "name": "eso",
        "namespace": "secrets",
        "version": 3,
        "info": {"status": "deployed"},
        "chart": {"metadata": {"name": "external-secrets", "version": "0.10.3"}},
        "config": {"password": "canary"},
        "manifest": manifest,
        **more,
    }
    content = json.dumps(release).encode()
    return base64.b64encode(
        base64.b64encode(gzip.compress(content, mtime=0) if compressed else content)
    ).decode()  # the same at any time: it names a point


@pytest.mark.parametrize("compressed", [True, False])
def test_a_release_is_read_without_its_values(compressed: bool) -> None:
    found = release_of(packed(compressed=compressed))
    assert (found.label, found.revision, found.status, found.version) == ("secrets/eso", 3, "deployed", "0.10.3")
    assert {name: crd.keep for name, crd in found.crds.items()} == {
        "externalsecrets.external-secrets.io": True,
        "fakes.generators.external-secrets.io": False,
    }
    assert found.crds["fakes.generators.external-secrets.io"].group == "generators.external-secrets.io"
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "not what Helm stores"),
        ("canary!", "not what Helm stores"),
        (base64.b64encode(b"canary").decode(), "not what Helm stores"),
        (base64.b64encode(base64.b64encode(b"[]")).decode(), "not what Helm stores"),
        (base64.b64encode(base64.b64encode(gzip.compress(b"{}", mtime=0)[:-4])).decode(), "cut off"),
        (packed(chart={}), "not what Helm stores"),
        (packed("a: [canary"), "not YAML"),
        (packed(""), "no object"),
        (packed("Error: canary"), "something that is none"),
    ],
)
def test_what_is_none_is_refused_without_a_word_of_it(data: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why) as raised:
        release_of(data)
    assert "canary" not in str(raised.value)


def test_what_unpacks_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 1000)
    with pytest.raises(Unreadable, match="longer than a release can be"):
        release_of(packed("#" * 100_000))


def test_another_policy_is_not_keep() -> None:
    (crd,) = crds_of(KEPT.replace("keep", "Keep").encode()).values()
    assert not crd.keep


def listed(manifest: str, head: str = "", kind: str = "List") -> str:
    """The CRDs of a manifest within a list with these annotations."""
    items = "".join(f"- {json.dumps(each)}\n" for each in yaml.safe_load_all(manifest) if each)
    return f"---\nkind: {kind}\nmetadata: {{annotations: {{{head}}}}}\nitems:\n{items}"


@pytest.mark.parametrize("kind", ["List", "CustomResourceDefinitionList"])
def test_a_crd_within_a_list_is_kept_by_what_the_list_says(kind: str) -> None:
    (crd,) = crds_of(listed(KEPT, kind=kind).encode()).values()
    assert (crd.name, crd.keep) == ("externalsecrets.external-secrets.io", False)
    kept = crds_of(listed(KEPT + BARE, "helm.sh/resource-policy: keep", kind).encode())
    assert [crd.keep for crd in kept.values()] == [True, True]


def test_an_upgrade_keeps_a_crd_within_a_list_when_both_say_so() -> None:
    kept = crds_of(listed(KEPT + BARE, "helm.sh/resource-policy: keep").encode(), applied=True)
    assert [crd.keep for crd in kept.values()] == [True, False]
    (crd,) = crds_of(listed(KEPT).encode(), applied=True).values()
    assert not crd.keep


def test_an_item_without_a_kind_has_that_of_its_list() -> None:
    manifest = "kind: CustomResourceDefinitionList\nitems: [{metadata: {name: a.b}}, {kind: Secret}]"
    assert list(crds_of(manifest.encode())) == ["a.b"]


def test_hooks_are_read_too_and_told_apart() -> None:
    hook = KEPT.replace("{helm", "{helm.sh/hook: pre-upgrade, helm")
    found = release_of(packed(BARE, hooks=[{"manifest": hook}]))
    assert {name: (crd.keep, crd.hook) for name, crd in found.crds.items()} == {
        "fakes.generators.external-secrets.io": (False, False),
        "externalsecrets.external-secrets.io": (True, True),
    }
    (crd,) = crds_of(listed(KEPT, "helm.sh/hook: pre-upgrade").encode()).values()
    assert crd.hook


@pytest.mark.parametrize(
    "odd",
    [
        "metadata: canary",
        "metadata: [canary]",
        "metadata: {name: a.b, annotations: canary}",
        "metadata: {name: a.b, annotations: [canary]}",
        "metadata: {name: {canary: 1}}",
        "metadata: {annotations: {canary: 1}}",
        "metadata: {name: a.b, managedFields: [canary]}",
        "metadata: {name: a.b, managedFields: 3}",
    ],
)
def test_odd_metadata_is_refused_without_a_word_of_it(odd: str) -> None:
    crd = f"kind: CustomResourceDefinition\n{odd}\n"
    for manifest in (crd, listed(crd)):
        with pytest.raises(Unreadable) as raised:
            crds_of(manifest.encode())
        assert "canary" not in str(raised.value)


@pytest.mark.parametrize("items", ["canary", "[canary]"])
def test_a_list_of_what_is_none_is_refused(items: str) -> None:
    with pytest.raises(Unreadable, match="a list of something that is none"):
        crds_of(f"kind: List\nitems: {items}\n".encode())
