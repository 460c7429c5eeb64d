# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's token comes from a person, and what it lacks is reported together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.consumers import consumers, role_phases
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import (
    Need,
    lacking,
    operator_settings,
)

URL = {"url": "https://vault.example.net:8200"}


def test_the_order_in_which_a_token_is_searched(tmp_path: Path) -> None:
    (tmp_path / ".vault-token").write_text("s.file\n")
    (tmp_path / "own").write_text('"s.own"\n')
    cases = [
        ({"token": " s.option "}, {"VAULT_TOKEN": "s.env"}, "s.option"),
        ({"token_file": "~/own"}, {"VAULT_TOKEN": "s.env"}, "s.own"),
        ({}, {"VAULT_TOKEN": "s.env", "BAO_TOKEN": "s.bao"}, "s.env"),
        ({}, {"BAO_TOKEN": "s.bao"}, "s.bao"),
        ({}, {}, "s.file"),
    ]
    for options, environ, token in cases:
        assert operator_settings({**URL, **options}, environ=environ, home=tmp_path).token == token


@pytest.mark.parametrize("place", [".config/tazlab/bootstrap-token", "secrets/bootstrap-token.txt"])
def test_the_bootstrap_token_is_refused(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text("'s.narrow'\r\n")
    with pytest.raises(BootstrapError, match="which may only read"):
        operator_settings(URL, environ={"VAULT_TOKEN": "s.narrow"}, home=tmp_path)


@pytest.mark.parametrize("name", ["VAULT_TOKEN", "BAO_TOKEN"])
def test_a_bootstrap_token_that_is_exported_must_be_unset_before_a_login_serves(tmp_path: Path, name: str) -> None:
    path = tmp_path / ".config/tazlab/bootstrap-token"
    path.parent.mkdir(parents=True)
    path.write_text("s.narrow")
    with pytest.raises(BootstrapError, match=f"or unset {name} and log in:"):
        operator_settings(URL, environ={name: "s.narrow"}, home=tmp_path)
    with pytest.raises(BootstrapError) as raised:
        operator_settings({**URL, "token_file": str(path)}, environ={}, home=tmp_path)
    assert f"unset {name} " not in str(raised.value)


def test_no_token_names_every_place(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match=r"VAULT_TOKEN, BAO_TOKEN and ~/\.vault-token"):
        operator_settings(URL, environ={}, home=tmp_path)


def test_what_is_lacking_on_one_path_is_one_line() -> None:
    needs = [
        Need("a", frozenset({"read"}), "look"),
        Need("a", frozenset({"update"}), "write"),
        Need("b", frozenset(), ""),
    ]
    assert lacking(needs, {}) == ["read, update on a (to look and write)"]
    assert lacking(needs, {"a": frozenset({"read"})}) == ["update on a (to look and write)"]
    assert lacking(needs, {"a": frozenset({"root"})}) == []


def test_who_uses_a_field_is_read_from_the_plays() -> None:
    plays = [
        {
            "tasks": [
                {
                    "block": [
                        {"ansible.builtin.import_role": {"name": "x.y.vms", "tasks_from": "preflight"}, "tags": ["no"]},
                        {"ansible.builtin.import_role": {"name": "x.y.vms"}, "tags": ["always", "machines"]},
                        {"ansible.builtin.import_role": {"name": "x.y.cluster_seed"}, "tags": ["seed"]},
                    ]
                }
            ]
        }
    ]
    phases = role_phases(plays)
    assert phases == {"vms": "machines", "cluster_seed": "seed"}
    values = {"vms_login": {"deep": ["a MARK b"]}, "vms_other": "x", "other": "MARK"}
    seeds = [{"kind": "Secret", "namespace": "n", "name": "s", "keys": {"k": "FIELD", "l": "OTHER"}}]
    seeds += [{"kind": "Secret", "namespaces": ["a", "b"], "name": "s", "template": {"k": ["x${FIELD}"]}}]
    found = consumers("FIELD", list(values), values.__getitem__, "MARK", phases, seeds)
    assert [(each.phase, each.what) for each in found] == [
        ("machines", "role vms, variable vms_login"),
        ("seed", "Secret n/s, key k"),
        ("seed", "Secret a/s, key k"),
        ("seed", "Secret b/s, key k"),
    ]
