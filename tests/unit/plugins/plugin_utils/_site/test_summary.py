# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the summary's text."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site import summary as _report
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import Timing


def test_each_field_is_shown_with_its_source_and_what_is_missing_stands_out() -> None:
    sources = {"GITHUB_TOKEN": {"label": "vault v3"}, "PROXMOX_TOKEN_ID": {"label": "file proxmox-token-id"}}
    vault = {"reason": "ok", "token": {"expires_at": "2026-12-26T03:00:00Z"}}
    drift = [{"message": "github-token differs from Vault's GITHUB_TOKEN"}]
    assert _report.secrets(sources, vault, ["VAULT_CA_CRT"], drift, given=True) == [
        "  GITHUB_TOKEN      vault v3",
        "  PROXMOX_TOKEN_ID  file proxmox-token-id",
        "  VAULT_CA_CRT  MISSING",
        "  The bootstrap token dies on 2026-12-26T03:00:00Z unless it is renewed.",
        "  DRIFT: github-token differs from Vault's GITHUB_TOKEN",
    ]


def test_a_vault_that_gave_nothing_is_loud() -> None:
    vault = {"reachable": True, "reason": "sealed"}
    assert _report.secrets({}, vault, [], [], given=False) == ["  VAULT GAVE NO BUNDLE: sealed"]


@pytest.mark.parametrize(("check_mode", "made"), [(False, "made"), (True, "would be made")])
def test_objects_are_changed_unchanged_or_skipped_with_the_reason(check_mode: bool, made: str) -> None:
    lines = _report.seeds(
        [
            {"kind": "Namespace", "name": "tailscale", "change": "made", "changed": True},
            {"kind": "Secret", "namespace": "tailscale", "name": "operator-oauth", "change": "unchanged"},
            {"kind": "Secret", "namespace": "flux-system", "name": "sops-age", "skipped": "SOPS_AGE is absent"},
        ],
        check_mode,
    )
    assert [line.split(None, 2)[2] for line in lines] == [made, "unchanged", "skipped: SOPS_AGE is absent"]


def test_the_times_are_summed() -> None:
    assert _report.times([Timing("secrets", 0.51), Timing("vms", 30.0)])[-1].split() == ["all", "30.5", "s"]


def test_a_section_without_lines_is_left_out() -> None:
    lines = _report.render("home", {"VMs": [], "Flux": ["  revision  main@sha1:1"]}, "done")
    assert "VMs" not in lines
    assert "Flux" in lines


def test_the_verdict_names_the_phase_in_which_a_run_ended() -> None:
    assert _report.verdict(["secrets", "vms"], complete=False, check_mode=False).startswith("FAILED in phase vms")
    assert _report.verdict(["secrets", "preflight"], complete=False, check_mode=False) == (
        "FAILED in the preflight. Nothing was changed."
    )
    assert _report.verdict(["secrets"], complete=True, check_mode=True) == "Check mode: nothing was changed."
    assert (
        _report.verdict(["secrets", "preflight", "flux"], complete=True, check_mode=False)
        == "Every phase holds: secrets, flux."
    )
