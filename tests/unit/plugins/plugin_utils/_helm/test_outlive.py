# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would be lost is named by a code, with what goes with it and the next step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm.outlive import (
    Item,
    Living,
    lines,
    loose,
    noted,
    problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm.release import Crd, Release, Unreadable

EXTERNAL = "externalsecrets.external-secrets.io"
FAKE = "fakes.generators.external-secrets.io"
STORES = "clustersecretstores.external-secrets.io"
OWNER = "secrets/eso"
OBJECT = Item("ExternalSecret", "apps", "web", "1")
SECRET = Item("Secret", "apps", "web", "2")
HELD = {name: Crd(name, keep=True) for name in (EXTERNAL, FAKE)}
RELEASE = Release("secrets", "eso", 3, "deployed", "external-secrets", "0.10.3", HELD)
CRDS = {name: Crd(name, keep=True, owner=OWNER, uid=f"uid of {name}") for name in HELD}
LIVING = Living(CRDS, {EXTERNAL: [OBJECT], FAKE: []}, {EXTERNAL: [SECRET]})


def bare(crds: Mapping[str, Crd], name: str) -> dict[str, Crd]:
    return {**crds, name: replace(crds[name], keep=False)}


def without(crds: Mapping[str, Crd], name: str) -> dict[str, Crd]:
    return {key: crd for key, crd in crds.items() if key != name}


def test_what_is_kept_in_both_places_is_no_problem() -> None:
    assert problems(RELEASE, LIVING) == []
    assert problems(RELEASE, LIVING, HELD, LIVING.items) == []


@pytest.mark.parametrize(
    ("release", "living", "code", "subject"),
    [
        (replace(RELEASE, crds=bare(HELD, EXTERNAL)), LIVING, "not_kept_in_release", EXTERNAL),
        (RELEASE, replace(LIVING, crds=bare(CRDS, EXTERNAL)), "not_kept_in_cluster", EXTERNAL),
        (RELEASE, replace(LIVING, crds=without(CRDS, FAKE)), "missing", FAKE),
        (
            RELEASE,
            replace(LIVING, crds={**CRDS, FAKE: replace(CRDS[FAKE], owner="flux-system/other")}),
            "foreign",
            FAKE,
        ),
        (replace(RELEASE, crds={**HELD, FAKE: replace(HELD[FAKE], hook=True)}), LIVING, "hook", FAKE),
        (RELEASE, replace(LIVING, going=[SECRET]), "going", "Secret apps/web"),
        (RELEASE, replace(LIVING, objects={EXTERNAL: [OBJECT]}), "not_served", FAKE),
        (
            RELEASE,
            replace(LIVING, crds={**CRDS, STORES: Crd(STORES, keep=False, owner=OWNER)}),
            "not_held",
            STORES,
        ),
        (replace(RELEASE, status="pending-upgrade"), LIVING, "pending", "Helm release secrets/eso"),
        (replace(RELEASE, status="uninstalling"), LIVING, "pending", "Helm release secrets/eso"),
        (replace(RELEASE, status="failed"), LIVING, "not_deployed", "Helm release secrets/eso"),
    ],
)
def test_each_way_to_lose_it_has_its_code(release: Release, living: Living, code: str, subject: str) -> None:
    (found,) = problems(release, living)
    assert (found.code, found.subject) == (code, subject)
    assert found.step


def test_what_would_go_with_a_crd_is_counted() -> None:
    (found,) = problems(replace(RELEASE, crds=bare(HELD, EXTERNAL)), LIVING)
    assert "with 1 object and 1 Secret." in found.what


@pytest.mark.parametrize(
    ("rendered", "code", "words"),
    [
        (without(HELD, EXTERNAL), "dropped", "would look after it no more"),
        (bare(HELD, EXTERNAL), "keep_lost", "takes that from the cluster"),
        ({**HELD, STORES: Crd(STORES, keep=True)}, "foreign", "belongs to no release"),
        ({**HELD, FAKE: replace(HELD[FAKE], hook=True)}, "hook", "the upgrade has it as a hook"),
    ],
)
def test_an_upgrade_that_drops_a_crd_or_its_keep_is_refused(rendered: Mapping[str, Crd], code: str, words: str) -> None:
    living = replace(LIVING, crds={**CRDS, STORES: Crd(STORES, keep=False)})
    (found,) = problems(RELEASE, living, rendered)
    assert (found.code, words in found.what) == (code, True)


def test_an_upgrade_may_bring_a_new_crd() -> None:
    assert problems(RELEASE, LIVING, {**HELD, STORES: Crd(STORES, keep=True)}) == []


def test_an_upgrade_that_drops_a_crd_without_keep_deletes_what_hangs_on_it() -> None:
    found = problems(RELEASE, replace(LIVING, crds=bare(CRDS, EXTERNAL)), without(HELD, EXTERNAL))
    assert [each.code for each in found] == ["not_kept_in_cluster", "dropped"]
    assert "deletes it, with 1 object and 1 Secret" in found[1].what


def test_what_was_there_must_be_there_and_the_same() -> None:
    other = replace(LIVING, objects={EXTERNAL: [], FAKE: []}, secrets={EXTERNAL: [replace(SECRET, uid="3")]})
    assert [(each.code, each.subject) for each in problems(RELEASE, other, None, LIVING.items)] == [
        ("gone", "ExternalSecret apps/web"),
        ("made_anew", "Secret apps/web"),
    ]


def test_a_note_is_read_as_it_was_returned() -> None:
    assert noted(json.dumps([vars(each) for each in LIVING.items])) == LIVING.items
    for wrong in ("", "{", "3", '["canary"]', '[{"kind": "canary"}]'):
        with pytest.raises(Unreadable) as raised:
            noted(wrong)
        assert "canary" not in str(raised.value)


def test_a_person_sees_each_crd_with_what_hangs_on_it() -> None:
    living = replace(LIVING, crds={**CRDS, STORES: Crd(STORES, keep=False)})
    assert loose(RELEASE, living) == [STORES]
    said = lines(RELEASE, living)
    assert said[0] == "secrets/eso: revision 3, deployed, external-secrets 0.10.3"
    assert said[3].split() == [EXTERNAL, "keep", "keep", "1", "1"]
    assert said[-1] == f"not in the release: {STORES}"


def test_objects_that_are_not_known_are_not_none() -> None:
    living = replace(LIVING, crds=bare(CRDS, FAKE), objects={EXTERNAL: [OBJECT]})
    found = problems(RELEASE, living)
    assert [each.code for each in found] == ["not_kept_in_cluster", "not_served"]
    assert "deletes it, with objects and Secrets that are not known." in found[0].what
    assert lines(RELEASE, living)[4].split() == [FAKE, "keep", "-", "not", "known", "not", "known"]


def test_a_crd_of_the_release_that_it_does_not_hold_is_loose_only_if_it_is_kept() -> None:
    living = replace(LIVING, crds={**CRDS, STORES: Crd(STORES, keep=True, owner=OWNER)})
    assert (loose(RELEASE, living), problems(RELEASE, living)) == ([STORES], [])
    assert loose(RELEASE, replace(living, crds=bare(living.crds, STORES))) == []


def test_a_person_sees_which_crd_is_a_hook() -> None:
    release = replace(RELEASE, crds={**HELD, FAKE: replace(HELD[FAKE], hook=True)})
    assert lines(release, LIVING)[4].split() == [FAKE, "hook", "keep", "0", "0"]
