# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of how a configuration that was given is known again, and of what of a difference is shown."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import dump
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.facts import Facts, merged, parsed, serialised
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.extension import with_login
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.given import digest, is_ours, with_given
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.shown import had_by, shown


def config(kubelet: str = "ghcr.io/siderolabs/kubelet:v1.35.4", **machine: object) -> bytes:
    return dump({"machine": {"token": "canary", "kubelet": {"image": kubelet}, **machine}})


def test_a_configuration_is_known_again_whatever_its_order_and_the_version_of_kubernetes() -> None:
    facts = with_given(Facts(), {"cp-1": [config()]})
    given = facts.given["cp-1"]
    assert is_ours(
        dump({"machine": {"kubelet": {"image": "ghcr.io/siderolabs/kubelet:v1.36.0"}, "token": "canary"}}), given
    )
    assert is_ours(with_login(config(), "tskey-1"), given)
    for kubelet in ("mirror.example.net/kubelet:v1.35.4", "ghcr.io/siderolabs/kubelet:latest"):
        assert not is_ours(config(kubelet), given), kubelet
    assert not is_ours(config(f"ghcr.io/siderolabs/kubelet:v1.35.4@sha256:{'0' * 64}"), given)
    assert not is_ours(config(sysctls={"a": "b"}), given)
    assert not is_ours(config(), ())
    assert "canary" not in serialised(facts).decode()


def test_one_given_while_vault_could_not_be_seen_is_known_beside_those_before() -> None:
    old, new = with_given(Facts(), {"cp-1": [b"a: 1"]}), with_given(Facts(), {"cp-1": [b"a: 2"], "cp-2": [b"a: 3"]})
    found = parsed(merged(serialised(old), serialised(new)))
    assert found is not None
    assert found.given == {"cp-1": (digest(b"a: 1"), digest(b"a: 2")), "cp-2": (digest(b"a: 3"),)}
    # Where nobody else has noted anything meanwhile, what is older does not count any more; neither does a contract.
    old, new = replace(old, contract="v1.12"), replace(new, contract="v1.14")
    found = parsed(merged(serialised(old), serialised(new), serialised(old)))
    assert found is not None
    assert (found.given["cp-1"], found.contract) == ((digest(b"a: 2"),), "v1.14")


def test_only_values_that_are_no_secret_are_shown() -> None:
    before = config(sysctls={"vm.swappiness": "10"}, files=[{"content": "canary"}])
    after = config(
        "ghcr.io/siderolabs/kubelet:v1.36.0",
        token="canary-2",
        env={"A": "canary"},
        features={"rbac": True},
        certSANs=["a", "b"],
        network={
            "nameservers": ["https://us:canary@192.0.2.1"],
            "interfaces": [{"wireguard": {"privateKey": "canary"}}],
        },
    )
    lines = list(shown(before, after))
    assert not [line for line in lines if "canary" in line]
    assert "~ machine.token" in lines
    assert "~ machine.kubelet.image: ghcr.io/siderolabs/kubelet:v1.35.4 -> ghcr.io/siderolabs/kubelet:v1.36.0" in lines
    assert "- machine.sysctls.vm.swappiness: 10" in lines
    assert "+ machine.features.rbac: true" in lines
    assert '+ machine.certSANs: ["a", "b"]' in lines
    assert {"- machine.files", "+ machine.env.A", "+ machine.network.nameservers"} <= set(lines)
    cni = {"cluster": {"network": {"cni": {"name": "custom", "urls": ["https://example.net/cni?token=canary"]}}}}
    keys = {
        "machine": {"sysctls": {"net.ipv4.tcp_fastopen_key": "canary", "net.ipv6.conf.all.stable_secret": "canary"}}
    }
    lines = list(shown(b"{}", dump({**cni, **keys})))
    assert "+ cluster.network.cni.name: custom" in lines
    assert not [line for line in lines if "canary" in line]


def test_who_has_a_change_is_told_by_its_value() -> None:
    others = {"cp-1": config(sysctls={"a": "1"}), "cp-2": config(sysctls={"a": "2"}), "cp-3": config()}
    assert had_by("+ machine.sysctls.a", config(sysctls={"a": "1"}), others) == ["cp-1"]
    assert had_by("~ machine.sysctls.a", config(sysctls={"a": "2"}), others) == ["cp-2"]
