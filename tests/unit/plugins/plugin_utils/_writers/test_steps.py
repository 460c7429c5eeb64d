# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is next when a Secret gets another writer, for every state that a run can be broken off in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._writers.steps import (
    CLEAN,
    DELETE,
    DONE,
    FLUX,
    MARK,
    PRUNE,
    REFUSE,
    UNMARK,
    WAIT,
    Asked,
    Found,
    is_anew,
    is_protected,
    leftovers,
    makes,
    next_step,
    protection,
    refusal,
    unmarked,
)

ASKED = {
    "eso": Asked("apps", "web", "eso"),
    "vso": Asked("apps", "web", "vso"),
}
KIND = {"eso": "ExternalSecret", "vso": "VaultStaticSecret"}
SYNCED: dict[str, dict[str, Any]] = {
    "eso": {"conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced"}]},
    "vso": {"lastGeneration": 3},
}
LEFT: dict[str, dict[str, str]] = {
    "eso": {"reconcile.external-secrets.io/created-by": "hash"},
    "vso": {
        "app.kubernetes.io/managed-by": "hashicorp-vso",
        "app.kubernetes.io/name": "vault-secrets-operator",
        "app.kubernetes.io/component": "secret-sync",
        "secrets.hashicorp.com/vso-ownerRefUID": "of-vso",
    },
}


def thing(kind: str, uid: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "apps", "uid": uid, "generation": 3, **more.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


def made_by(writer: str, **metadata: Any) -> dict[str, Any]:
    return thing(KIND[writer], f"of-{writer}", metadata=metadata, status=SYNCED[writer])


def marked(writer: str, **metadata: Any) -> dict[str, Any]:
    return made_by(writer, annotations={PRUNE: "disabled", MARK: "same"}, **metadata)


def secret(*owners: str, **metadata: Any) -> dict[str, Any]:
    references = [{"kind": KIND[each], "uid": f"of-{each}"} for each in owners]
    return thing("PartialObjectMetadata", "same", metadata={"ownerReferences": references, **metadata})


def holder(**more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "apps", "namespace": "flux-system"}, **more}


def not_ready() -> dict[str, Any]:
    condition = {"type": "Ready", "status": "False", "reason": "BuildFailed", "message": "no such file"}
    return holder(status={"conditions": [condition]})


@pytest.mark.parametrize("writer", ["eso", "vso"])
def test_the_old_object_goes_last_and_somebody_owns_the_secret_at_every_moment(writer: str) -> None:
    asked = ASKED[writer]
    old, new = asked.old, writer
    way = [
        (Found(secret(old), [marked(old)], None, [holder()]), FLUX, "Flux Kustomization flux-system/apps still has"),
        (Found(secret(old), [marked(old)]), FLUX, f"Flux has made no {KIND[new]} for it yet"),
        (Found(secret(old), [marked(old)], made_by(new)), WAIT, "has not taken the Secret over"),
        (Found(secret(old, new), [marked(old)], made_by(new)), DELETE, ""),
        (Found(secret(new), [marked(old, deletionTimestamp="now")], made_by(new)), WAIT, "is being deleted"),
        (Found(secret(old, new), [], made_by(new)), WAIT, "the garbage collector takes"),
        (Found(secret(new, labels=LEFT[old]), [], made_by(new)), CLEAN, ""),
        (Found(secret(new), [], {**made_by(new), "status": {}}), WAIT, "is not synced"),
        (Found(secret(new), [], made_by(new)), DONE, ""),
    ]
    for found, what, why in way:
        step = next_step(asked, found)
        assert (step.what, why in step.why) == (what, True), step


def test_nothing_is_deleted_that_is_not_marked_or_of_another_secret() -> None:
    both = secret("vso", "eso")
    foreign = next_step(ASKED["eso"], Found(both, [made_by("vso")], made_by("eso")))
    assert (foreign.what, "no run of this has kept it" in foreign.why) == (REFUSE, True)
    two = Found(both, [marked("vso"), marked("vso")], made_by("eso"))
    assert next_step(ASKED["eso"], two).what == REFUSE
    still = Found(both, [made_by("vso")], made_by("eso"), [holder()])
    assert next_step(ASKED["eso"], still).what == FLUX


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Found(), "no VaultStaticSecret makes it in the cluster"),
        (Found(secret("vso"), [made_by("vso")]), "is in no inventory of Flux"),
        (Found(secret("vso"), [made_by("vso")] * 2), "make it. Keep one of them"),
        (Found(secret("vso"), [made_by("vso")], None, [holder(spec={"suspend": True})]), "apps is suspended."),
        (Found(secret("vso"), [made_by("vso")], None, [not_ready()]), "is not Ready (BuildFailed: no such file)"),
        (Found(secret("vso"), [made_by("vso")], None, [holder()]), ""),
        (Found(secret("vso"), [marked("vso")], None, [not_ready()]), "is not Ready"),
        (Found(secret("vso"), [marked("vso")], None, [holder(spec={"suspend": True})]), "apps is suspended."),
        (Found(secret("vso"), [marked("vso")], None, [holder()]), ""),
        (Found(secret("vso"), [marked("vso")]), ""),
        (Found(secret("eso"), [], made_by("eso")), ""),
    ],
)
def test_what_cannot_be_kept_from_flux_is_refused(found: Found, said: str) -> None:
    why = refusal(ASKED["eso"], found)
    assert said in why if said else not why


TAKES_ALONG = {"spec": {"target": {"name": "web", "deletionPolicy": "Delete"}}}
RETAIN = (
    "kubectl --kubeconfig home.yml --namespace apps patch externalsecret web --type=merge "
    """--patch '{"spec": {"target": {"deletionPolicy": "Retain"}}}'"""
)


@pytest.mark.parametrize("old", [made_by("eso"), marked("eso")])
def test_an_external_secret_that_takes_its_secret_along_is_refused_and_never_deleted(old: dict[str, Any]) -> None:
    held = Found(secret("eso", "vso"), [{**old, **TAKES_ALONG}], made_by("vso"), [holder()])
    loose = replace(held, holders=[], kubeconfig="home.yml")
    for found, step in ((held, "Let Flux apply deletionPolicy Retain first."), (loose, RETAIN)):
        told = next_step(ASKED["vso"], found)
        assert refusal(ASKED["vso"], found) == told.why
        assert (told.what, told.why.endswith(step)) == (REFUSE, True), told
    retained = {**marked("eso"), "spec": {"target": {"name": "web", "deletionPolicy": "Retain"}}}
    assert next_step(ASKED["vso"], replace(loose, old=[retained])).what == DELETE
    going = {**marked("eso", deletionTimestamp="now"), **TAKES_ALONG}
    assert next_step(ASKED["vso"], replace(loose, old=[going])).what == WAIT, "it is too late"


def test_a_secret_of_another_type_is_refused_as_vso_would_make_it_anew() -> None:
    found = Found(secret("eso"), [made_by("eso")], None, [holder()], type="kubernetes.io/tls")
    why = refusal(ASKED["vso"], found)
    assert "it is of type kubernetes.io/tls in the cluster, and declared to be Opaque" in why
    assert why == refusal(ASKED["vso"], replace(found, old=[marked("eso")], holders=[]))
    assert refusal(replace(ASKED["vso"], type="kubernetes.io/tls"), found) == ""
    assert refusal(ASKED["vso"], replace(found, type="")) == "", "there is none"
    assert refusal(ASKED["vso"], replace(found, secret=secret("vso", "eso"), new=made_by("vso"))) == "", "it is done"


def test_a_secret_that_was_made_anew_meanwhile_gets_its_new_writer() -> None:
    for owners, what in ((["vso"], WAIT), (["vso", "eso"], DELETE), (["eso"], DELETE)):
        anew = secret(*owners, uid="another")
        found = Found(anew, [marked("vso")], made_by("eso"))
        assert (is_anew(found), next_step(ASKED["eso"], found).what) == (True, what)
    assert next_step(ASKED["eso"], Found(None, [marked("vso")], made_by("eso"))).what == WAIT
    assert not is_anew(Found(secret("vso"), [marked("vso")]))


def test_the_way_out_is_printed_only_where_it_keeps_the_secret() -> None:
    found = Found(secret("vso", "eso"), [made_by("vso")], made_by("eso"), kubeconfig="home.yml")
    command = "kubectl --kubeconfig home.yml --namespace apps delete vaultstaticsecret web --cascade=orphan"
    assert next_step(ASKED["eso"], found).why.endswith(command)
    assert "kubectl" not in next_step(ASKED["eso"], replace(found, secret=secret("vso"))).why


def test_the_mark_of_a_change_that_was_turned_back_goes_before_what_eso_copied_of_it() -> None:
    new = marked("eso", resourceVersion="7")
    found = Found(secret("eso", annotations={MARK: "same", PRUNE: "disabled"}), [], new)
    assert next_step(ASKED["eso"], found).what == UNMARK
    notes = {MARK: None, PRUNE: None}
    assert unmarked(new) == {"metadata": {"uid": "of-eso", "resourceVersion": "7", "annotations": notes}}
    assert next_step(ASKED["eso"], replace(found, new=made_by("eso"))).what == CLEAN
    both = replace(found, secret=secret("eso", "vso"), old=[marked("vso")])
    assert next_step(ASKED["eso"], both).what == DELETE, "the mark keeps it meanwhile"


def test_an_external_secret_that_does_not_own_the_secret_is_none_of_its_writers() -> None:
    asked = ASKED["eso"]
    for policy, owns in (("Owner", True), (None, True), ("Merge", False), ("Orphan", False), ("None", False)):
        spec = {"target": {"name": "web", "creationPolicy": policy}}
        assert makes({**made_by("eso"), "spec": spec}, asked, "eso") is owns
    assert makes(made_by("vso"), asked, "vso")
    assert not makes({**made_by("eso"), "spec": {"target": {"name": "other"}}}, asked, "eso")


def test_the_mark_has_the_secrets_uid_and_is_seen_again() -> None:
    found = Found(secret("vso"), [made_by("vso")], None, [holder()])
    assert protection(found) == {PRUNE: "disabled", MARK: "same"}
    held = [holder()]
    assert not is_protected(found)
    assert is_protected(replace(found, old=[marked("vso")]))
    assert not is_protected(replace(found, old=[made_by("vso", annotations={PRUNE: "disabled"})])), "its owner's own"
    assert is_protected(Found(secret("eso"), [], made_by("eso")))
    another = Found(thing("x", "another"), [marked("vso")])
    assert is_protected(another), "the uid of a change that has begun stays"
    assert not is_protected(replace(another, holders=held)), "that of one that was given up does not"


def test_what_the_old_writer_left_on_the_secret_goes_and_what_others_put_there_stays() -> None:
    theirs = {"app.kubernetes.io/name": "web", "team": "x"}
    assert leftovers(ASKED["eso"], Found(secret("eso", labels=theirs))) == {}
    found = Found(secret("eso", labels={**LEFT["vso"], **theirs}))
    assert set(leftovers(ASKED["eso"], found)["metadata"]["labels"]) == set(LEFT["vso"]) - {"app.kubernetes.io/name"}
    notes = {PRUNE: "disabled", MARK: "same", "reconcile.external-secrets.io/data-hash": "x", "mine": "y"}
    found = Found(secret("vso", labels=LEFT["eso"], annotations=notes))
    left = leftovers(ASKED["vso"], found)["metadata"]
    assert (set(left["labels"]), set(left["annotations"])) == (set(LEFT["eso"]), set(notes) - {"mine"})
    assert leftovers(ASKED["vso"], Found(secret("vso", annotations={PRUNE: "disabled"}))) == {}
    fields = [{"manager": "vso", "fieldsV1": {"f:data": {"f:token": {}, "f:_raw": {}}}}]
    whole = Found(secret("eso", managedFields=fields))
    assert leftovers(ASKED["eso"], whole) == {"data": {"_raw": None}}
    assert leftovers(ASKED["vso"], whole) == {}
