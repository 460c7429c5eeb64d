# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of how configurations are compared, and how talosctl's words about them are told."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.config import (
    differences,
    reason,
)

CONFIG = b"""
machine:
  type: worker
  token: canary-token
  sysctls: {a: "1"}
  nameservers: [192.0.2.1]
---
apiVersion: v1alpha1
kind: HostnameConfig
hostname: cp-1
"""


def test_the_same_content_in_another_form_is_no_difference() -> None:
    other = (
        b'{"machine": {"token": "canary-token", "nameservers": ["192.0.2.1"], "type": "worker", "sysctls": {"a": "1"}}}'
    )
    other += b"\n---\nhostname: cp-1\nkind: HostnameConfig\napiVersion: v1alpha1\n---\n"
    assert differences(CONFIG, other) == []


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        (b"canary-token", b"canary-other", ["~ machine.token"]),
        (b'{a: "1"}', b"{a: 1}", ["~ machine.sysctls.a"]),
        (b'{a: "1"}', b'{a: "1", b: canary}', ["+ machine.sysctls.b"]),
        (b'{a: "1"}', b"{}", ["- machine.sysctls.a", "+ machine.sysctls"]),
        (b"[192.0.2.1]", b"[192.0.2.1, canary]", ["~ machine.nameservers"]),
        (b"hostname: cp-1", b"hostname: canary", ["~ HostnameConfig.hostname"]),
        (b"kind: HostnameConfig", b"kind: Other\nname: x", None),
    ],
)
def test_a_difference_is_told_by_its_path_alone(old: bytes, new: bytes, paths: list[str] | None) -> None:
    found = differences(CONFIG, CONFIG.replace(old, new))
    assert found
    assert "canary" not in str(found)
    if paths is not None:
        assert sorted(found) == sorted(paths)


def test_a_configuration_that_is_not_yaml_is_told_by_its_line() -> None:
    with pytest.raises(BootstrapError) as caught:
        differences(CONFIG, b"machine:\n  token: [canary\n")
    assert "canary" not in str(caught.value)
    assert "line" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "unknown keys found during decoding:\nmachine:\n    foo: canary\n    bar:\n        - canary\n\n",
            "Talos does not know machine.foo, machine.bar.",
        ),
        ("unknown keys found during decoding:\n: [ canary", "Talos does not know keys."),
        ("line 2: cannot unmarshal !!str `canary` into map[string]string", "a value has the wrong type."),
        ("static hostname is already set in v1alpha1 config", "the hostname is the inventory's name."),
        ("something nobody has seen: canary", "its text is withheld"),
    ],
)
def test_what_talosctl_says_is_told_without_any_value(said: str, told: str) -> None:
    assert told in reason(said)
    assert "canary" not in reason(said)
