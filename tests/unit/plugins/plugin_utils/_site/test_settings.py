# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the inventory's reading and checking."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.settings import form_problems, setting_problems


def test_only_the_settings_of_the_chosen_phases_are_asked_for() -> None:
    assert setting_problems({"tazlab_cluster": "home"}, ["secrets", "seed"]) == []
    named = [problem.subject for problem in setting_problems({}, ["flux"])]
    assert named == ["tazlab_cluster", "tazlab_flux.url", "tazlab_flux.branch", "tazlab_flux.path"]


def test_a_misspelt_key_is_told_with_those_that_there_are() -> None:
    settings = {"tazlab_cluster": "home", "tazlab_talos_patches": {"controlplane": [], "all": []}, "tazlab_flux": None}
    assert texts(setting_problems(settings, ["secrets"])) == [
        "tazlab_talos_patches: does not know controlplane. It has all, control_plane, worker."
    ]


def test_the_form_alone_is_told_in_the_same_words() -> None:
    settings = {"tazlab_jwt": {"onw": False}, "tazlab_state": True, "tazlab_flux": {}, "tazlab_cluster": "home"}
    told = texts(form_problems(settings))
    assert told == [problem.text for problem in setting_problems(settings, ["secrets"])]
    assert [each.partition(".")[0] for each in told] == [
        "tazlab_state: it is a single value, where a mapping belongs",
        "tazlab_jwt: does not know onw",
    ]


@pytest.mark.parametrize("phase", ["vms", "talos"])
def test_a_version_of_talos_that_is_not_supported_is_told_before_a_vm_is_made(phase: str) -> None:
    problems = setting_problems({"tazlab_cluster": "home", "tazlab_talos": {"version": "v1.11.9"}}, [phase])
    (told,) = [problem for problem in problems if problem.subject == "tazlab_talos.version"]
    assert told.code == "unsupported"
    assert "is too old" in told.what
    assert "Use Talos v1.12" in told.step


def test_versions_that_do_not_go_together_are_told_before_a_vm_is_made() -> None:
    talos = {"version": "v1.13.8", "kubernetes_version": "1.30.9", "schematic": "a" * 64}
    (told,) = setting_problems({"tazlab_cluster": "home", "tazlab_talos": talos}, ["talos"])
    assert told.subject == "tazlab_talos.kubernetes_version"
    assert told.what == "1.30.9 does not run on Talos v1.13.8, which runs Kubernetes 1.31 to 1.36."
    assert not setting_problems({"tazlab_cluster": "home", "tazlab_talos": {**talos, "version": "v1.12.6"}}, ["talos"])


def test_a_malformed_setting_is_shown_with_what_it_should_be() -> None:
    settings = {"tazlab_cluster": "home", "tazlab_talos": {"version": "latest", "schematic": "a" * 64}}
    settings["tazlab_talos"]["kubernetes_version"] = "1.35.4"
    assert texts(setting_problems(settings, ["talos"])) == [
        "tazlab_talos.version: 'latest' does not fit. It is Talos' version, e.g. v1.12.6."
    ]


def test_a_list_where_a_mapping_belongs_is_told() -> None:
    (told, *_unset) = setting_problems({"tazlab_cluster": "home", "tazlab_flux": ["url"]}, ["flux"])
    assert told.text.startswith("tazlab_flux: it is a list, where a mapping belongs. Write one with the keys url, ")


def test_a_provider_that_there_is_not_is_told_with_those_that_there_are() -> None:
    (told,) = setting_problems({"tazlab_cluster": "home", "tazlab_provider": "proxmx"}, ["seed"])
    assert (told.code, told.subject) == ("unknown_provider", "tazlab_provider")
    assert "proxmox, existing" in told.step


def test_each_provider_asks_for_its_own_settings() -> None:
    def asked(**settings: Any) -> list[str]:
        return [problem.subject for problem in setting_problems({"tazlab_cluster": "home", **settings}, ["vms"])]

    assert [each for each in asked() if "proxmox" in each] == [
        "tazlab_proxmox.url",
        "tazlab_proxmox.storage",
        "tazlab_proxmox.image_storage",
    ]
    assert asked(tazlab_provider="existing") == ["tazlab_talos.version", "tazlab_talos.schematic"]
