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
    return base64.b64encode(base64.b64encode(gzip.compress(content) if compressed else content)).decode()


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
        (base64.b64encode(base64.b64encode(gzip.compress(b"{}")[:-4])).decode(), "cut off"),
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
