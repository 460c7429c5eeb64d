# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what a Talos cluster is made from: options, patches, versions, the key."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import FACTORY_URL
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import (
    InvalidConfig,
    client_problem,
    cluster_of,
    installer_image,
    patches_of,
    secretbox_problem,
)

SCHEMATIC = "0123456789abcdef" * 4


def options(**changes: Any) -> dict[str, Any]:
    nodes = [
        {"name": "worker-1", "address": "192.0.2.21", "role": "worker", "install_disk": "", "patches": []},
        {"name": "cp-1", "address": "192.0.2.11", "role": "control_plane", "install_disk": "", "patches": []},
    ]
    return {
        "cluster": "home",
        "endpoint": None,
        "nodes": nodes,
        "version": "1.12.6",
        "kubernetes_version": "v1.35.4",
        "schematic": SCHEMATIC,
        "factory_url": FACTORY_URL,
        "platform": "nocloud",
        "coredns": False,
        **changes,
    }


def test_versions_are_brought_into_the_form_that_talos_wants() -> None:
    cluster = cluster_of(options())
    assert (cluster.version, cluster.contract, cluster.kubernetes_version) == ("v1.12.6", "v1.12", "1.35.4")
    assert cluster.installer == f"factory.talos.dev/nocloud-installer/{SCHEMATIC}:v1.12.6"


@pytest.mark.parametrize(
    ("given", "address", "endpoint"),
    [
        (None, "192.0.2.11", "https://192.0.2.11:6443"),
        ("", "2001:db8::1", "https://[2001:db8::1]:6443"),
        ("https://k8s.example.net:443/", "192.0.2.11", "https://k8s.example.net:443"),
    ],
)
def test_the_endpoint_is_the_given_one_or_the_first_control_plane(given: Any, address: str, endpoint: str) -> None:
    wanted = options(endpoint=given)
    wanted["nodes"][1]["address"] = address
    assert cluster_of(wanted).endpoint == endpoint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "1.12"}, "version: '1.12' does not fit"),
        ({"version": "v1.11.9"}, "is too old"),
        ({"kubernetes_version": ""}, "kubernetes_version: '' does not fit"),
        ({"kubernetes_version": "1.36.1"}, "1.36.1 does not run on Talos v1.12.6, which runs Kubernetes 1.30 to 1.35"),
        ({"schematic": SCHEMATIC[:-1]}, "schematic:"),
        ({"schematic": SCHEMATIC.upper()}, "schematic:"),
        ({"endpoint": "http://192.0.2.1:6443"}, "endpoint:"),
        ({"endpoint": "https://192.0.2.1"}, "endpoint:"),
        ({"endpoint": "https://user@192.0.2.1:6443"}, "endpoint:"),
        ({"platform": "noCloud/x"}, "platform:"),
        ({"nodes": []}, "there is no control plane"),
    ],
)
def test_what_is_wrong_is_named_with_the_next_step(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BootstrapError, match=said):
        cluster_of(options(**changes))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(BootstrapError) as caught:
        cluster_of(options(version="x", schematic="y", nodes=[]))
    assert all(word in str(caught.value) for word in ("version", "schematic", "control plane"))


def test_patches_are_text_or_data_and_empty_ones_are_left_out() -> None:
    given = ["machine: {}\n---\nkind: X\n", "", "  \n", None, {}, {"machine": {"sysctls": {"a": "1"}}}]
    assert [(patch.place, patch.content) for patch in patches_of("cp-1", given)] == [
        ("patch 1", b"machine: {}\n---\nkind: X\n"),
        ("patch 6", b'{"machine": {"sysctls": {"a": "1"}}}'),
    ]


@pytest.mark.parametrize(
    "patch", ["machine: [canary", "@canary", "- op: add\n  value: canary\n", "canary", ["canary"], "a: b\n---\ncanary"]
)
def test_a_patch_that_is_none_is_told_without_quoting_it(patch: Any) -> None:
    with pytest.raises(InvalidConfig) as caught:
        list(patches_of("cp-1", ["machine: {}", patch]))
    assert str(caught.value).startswith("cp-1: patch 2 ")
    assert "canary" not in str(caught.value)


def test_a_patch_does_not_show_itself() -> None:
    assert "canary" not in repr(list(patches_of("cp-1", ["machine: canary"])))


@pytest.mark.parametrize(
    ("client", "wanted", "fits"),
    [
        ("v1.12.6", "v1.12.6", True),
        ("v1.12.0", "v1.12.6", True),
        ("v1.13.1", "v1.12.6", True),
        ("v1.12.6", "v1.13.0", False),
        ("v1.9.9", "v1.12.0", False),
        ("v1.13.0-beta.1", "v1.13.0", True),
    ],
)
def test_the_client_is_of_the_wanted_minor_version_or_newer(client: str, wanted: str, fits: bool) -> None:
    assert (client_problem(client, wanted) is None) is fits


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_secretbox_key_has_32_bytes(size: int) -> None:
    key = base64.b64encode(b"x" * size).decode()
    problem = secretbox_problem(key)
    assert problem is not None
    assert f"decodes to {size} bytes" in problem.what


def test_a_secretbox_key_is_base64() -> None:
    assert secretbox_problem(base64.b64encode(b"x" * 32).decode()) is None
    problem = secretbox_problem("canary!")
    assert problem is not None
    assert "canary" not in problem.text


def test_the_installer_comes_from_the_factory_that_made_the_image() -> None:
    assert installer_image("http://127.0.0.1:8080/", "metal", SCHEMATIC, "v1.12.6") == (
        f"127.0.0.1:8080/metal-installer/{SCHEMATIC}:v1.12.6"
    )
