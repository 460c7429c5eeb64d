# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the summary's text."""

from __future__ import annotations

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site import summary
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.changes import Changes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import PHASES, Timing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.summary import Caller, Line, Tone


def test_each_field_is_shown_with_its_source_and_what_is_missing_stands_out() -> None:
    sources = {"GITHUB_TOKEN": {"label": "vault v3"}, "PROXMOX_TOKEN_ID": {"label": "file proxmox-token-id"}}
    vault = {"reason": "ok", "token": {"expires_at": "2026-12-26T03:00:00Z"}}
    lines = summary.secrets(sources, vault, ["VAULT_CA_CRT"], given=True)
    assert [line.text for line in lines] == [
        "  GITHUB_TOKEN      vault v3",
        "  PROXMOX_TOKEN_ID  file proxmox-token-id",
        "  VAULT_CA_CRT  MISSING",
        "  The bootstrap token dies on 2026-12-26T03:00:00Z unless it is renewed.",
    ]
    assert [line.text for line in lines if line.tone is Tone.ATTENTION] == ["  VAULT_CA_CRT  MISSING"]


def test_a_vault_that_gave_nothing_is_loud() -> None:
    vault = {"reachable": True, "reason": "sealed"}
    assert summary.secrets({}, vault, [], given=False) == [Line("  VAULT GAVE NO BUNDLE: sealed", Tone.ATTENTION)]


@pytest.mark.parametrize(("check_mode", "made"), [(False, "made"), (True, "would be made")])
def test_objects_are_changed_unchanged_or_skipped_with_the_reason(check_mode: bool, made: str) -> None:
    lines = summary.seeds(
        [
            {"kind": "Namespace", "name": "tailscale", "change": "made", "changed": True},
            {"kind": "Secret", "namespace": "tailscale", "name": "operator-oauth", "change": "unchanged"},
            {"kind": "Secret", "namespace": "flux-system", "name": "sops-age", "skipped": "SOPS_AGE is absent"},
        ],
        check_mode,
    )
    assert [line.text.split(None, 2)[2] for line in lines] == [made, "unchanged", "skipped: SOPS_AGE is absent"]


def test_the_times_are_summed() -> None:
    assert summary.times([Timing("secrets", 0.51), Timing("vms", 30.0)])[-1].text.split() == ["all", "30.5", "s"]


def test_a_section_without_lines_is_left_out() -> None:
    lines = summary.render("home", {"VMs": [], "Flux": [Line("  revision  main@sha1:1")]}, Line("done"), {"Next": []})
    titles = [line.text for line in lines if line.text[0] not in " -"]
    assert titles == ["Cluster home", "Flux", "done"], "the verdict among them"


def test_everything_fits_into_80_columns_but_what_is_to_be_pasted() -> None:
    kinds = [f"CustomResourceDefinition {name}ies.source.toolkit.fluxcd.io" for name in ("bucket", *"abcdefgh")]
    found = Changes(
        create=kinds, waiting=["VM cp-1 differs and is left so: " + "; ".join(["cores is 2, wanted 4"] * 6)]
    )
    command = f"git ls-remote {'x' * 90} main"
    sections = {"What was done": summary.done(found, False), "Waiting": summary.waiting(found)}
    end = summary.verdict(["secrets", "talos"], complete=False, check_mode=False, consoles="in the web console " * 4)
    lines = summary.render("home", sections, end, {"What was wrong": summary.problem(f"Look:\n{command}")})
    assert [line.text for line in lines if len(line.text) > 80] == [f"  {command}"]
    words = " ".join(" ".join(line.text for line in lines).split())
    for text in (
        *found.waiting,
        "bucketies.source.toolkit.fluxcd.io, aies.source.toolkit.fluxcd.io and 7 more",
        end.text,
    ):
        assert " ".join(text.split()) in words, "nothing is lost or broken within a word"
    broken = [line for line in lines if line.tone is Tone.CHANGE]
    assert len(broken) > 1, "what is continued keeps its tone"
    assert all(line.text.startswith("      ") for line in broken[1:]), "what is continued stands further in"


def test_many_objects_of_a_kind_are_one_line_and_all_of_them_count() -> None:
    lines = summary.done(Changes(create=[f"Role r-{number}" for number in range(9)]), check_mode=False)
    assert lines == [
        Line("  created  Role r-0, r-1 and 7 more", Tone.CHANGE),
        Line("  9 created, 0 changed, 0 removed"),
    ]


@pytest.mark.parametrize(
    ("check_mode", "count"),
    [(True, "  2 to create, 3 to change, 1 to remove"), (False, "  2 created, 3 changed, 1 removed")],
)
def test_what_would_be_done_and_what_was_done_are_counted(check_mode: bool, count: str) -> None:
    found = Changes(create=["VM a", "VM b"], change=["VM c", "VM d", "VM e"], remove=["VM f"])
    assert summary.done(found, check_mode)[-1].text == count


SITE = Caller(["my cluster.yml"], "tazlab.bootstrap.health", "tazlab.bootstrap.site")
ALL = [*PHASES, "preflight"]


def test_after_a_birth_the_commands_that_look_at_it_come_next() -> None:
    assert [line.text for line in summary.following(Changes(), ALL, False, "/a b/kubeconfig", SITE)] == [
        "  kubectl --kubeconfig '/a b/kubeconfig' get kustomizations -A",
        "  ansible-playbook -i 'my cluster.yml' tazlab.bootstrap.health",
    ]
    told = summary.following(Changes(), ALL, False, "/kubeconfig", Caller([], "health.yml", "site.yml", more=True))
    assert told[-1].text == "  (with this run's variables and passwords)"


def test_after_a_part_of_it_only_what_is_there_is_looked_at() -> None:
    assert summary.following(Changes(), ["secrets", "preflight", "vms"], False, "", SITE) == []
    (look,) = summary.following(Changes(), ["secrets", "preflight", "flux"], False, "/k", SITE)
    assert look.text.startswith("  kubectl --kubeconfig /k ")


def test_check_mode_says_how_to_do_it_where_something_would_be_done() -> None:
    (line,) = summary.following(Changes(change=["VM a"]), ALL, True, "", SITE)
    assert line.text == "  the same command without --check"
    assert summary.following(Changes(waiting=["drift"]), ALL, True, "", SITE) == []


def test_the_verdict_names_the_phase_in_which_a_run_ended() -> None:
    failed = summary.verdict(["secrets", "vms"], complete=False, check_mode=False)
    assert failed.text.startswith("FAILED in phase vms")
    assert failed.tone is Tone.BAD
    assert summary.verdict(["secrets", "preflight"], complete=False, check_mode=False) == Line(
        "FAILED in the preflight. Nothing was changed.", Tone.BAD
    )
    assert summary.verdict(["secrets"], complete=True, check_mode=True) == Line(
        "Check mode: nothing was changed.", Tone.GOOD
    )
    assert summary.verdict(["secrets", "preflight", "flux"], complete=True, check_mode=False) == Line(
        "Every phase holds: secrets, flux.", Tone.GOOD
    )


def test_what_waits_for_vault_is_no_failure_and_one_command_finishes_it() -> None:
    line = summary.verdict(ALL, True, False, birth="reborn in 9 s; longest: talos", waits=2)
    assert line.text == "From the anchor: all but 2 objects, which wait for Vault."
    assert line.tone is summary.Tone.ATTENTION
    told = [each.text.strip() for each in summary.following(Changes(), ALL, False, "", SITE, waits=True)]
    assert told == [
        "(when Vault is back, which finishes the birth)",
        "ansible-playbook -i 'my cluster.yml' tazlab.bootstrap.site",
    ]
    born = summary.verdict(ALL, True, False, birth="reborn in 9 s; longest: talos")
    assert born.text.endswith(" Reborn in 9 s; longest: talos.")


def test_a_command_that_waits_for_somebody_stands_on_a_line_of_its_own() -> None:
    changes = Changes(waiting=[f"Something {'long ' * 30}\n(a command that is never broken)"])
    words, command = summary.waiting(changes)
    assert (words.whole, command.whole) == (False, True)
    assert command.text == "  (a command that is never broken)"
