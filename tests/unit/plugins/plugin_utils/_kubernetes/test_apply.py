# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of objects that are applied, and that a Secret's values are in none of it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Answer, Kind, Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.apply import (
    Rules,
    apply,
    apply_all,
    check,
    shown,
)

RULES = Rules("Terraform")
ABSENT = Answer(404, {})


class FakeApi:
    """Answers GET and PATCH in turn, and keeps what was asked."""

    server = "https://api.example.net:6443"

    def __init__(self, *answers: Answer | Exception, served: bool = True) -> None:
        self.answers = list(answers)
        self.known = Kind("v1", "its", True) if served else None
        self.asked: list[tuple[str, dict[str, str], Any]] = []

    def kind(self, api_version: str, kind: str, seconds: float) -> Kind | None:
        return self.known

    def get(self, path: str, seconds: float) -> Answer:
        return self.request("GET", path, seconds=seconds)

    def request(self, method: str, path: str, **how: Any) -> Answer:
        self.asked.append((method, how.get("query") or {}, how.get("body")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def thing(kind: str = "Secret", **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "it", "namespace": "here"}, **more}


def test_fields_are_taken_over_as_the_manager() -> None:
    api = FakeApi(ABSENT, Answer(201, thing()))
    assert apply(api, thing(), RULES, 5).change == "made"  # type: ignore[arg-type]
    assert api.asked[1][1] == {"fieldManager": "Terraform", "force": "true"}


def test_only_what_matters_counts_as_a_change() -> None:
    def stored(version: str, manager: str, data: str) -> Answer:
        managed = [{"manager": manager, "operation": "Apply", "time": version}]
        metadata = {"name": "it", "resourceVersion": version, "managedFields": managed}
        return Answer(200, {**thing(data={"key": data}), "metadata": metadata, "status": {"seen": version}})

    def change(before: Answer, after: Answer) -> str:
        return apply(FakeApi(before, after), thing(), RULES, 5).change  # type: ignore[arg-type]

    assert change(stored("1", "Terraform", "a"), stored("2", "Terraform", "a")) == "unchanged"
    assert change(stored("1", "Terraform", "a"), stored("2", "Terraform", "b")) == "changed"
    assert change(stored("1", "HashiCorp", "a"), stored("2", "Terraform", "a")) == "changed"


def test_an_object_that_exists_can_be_kept() -> None:
    api = FakeApi(Answer(200, thing()))
    assert (
        apply(api, thing(), Rules("Terraform", keep_existing=(f"{thing()['kind']}/here/it",)), 5).change == "unchanged"
    )  # type: ignore[arg-type]
    assert [method for method, _query, _body in api.asked] == ["GET"]


def marked(labels: dict[str, str], manager: str) -> dict[str, Any]:
    fields = {"f:metadata": {"f:labels": {f"f:{key}": {} for key in labels}}}
    managed = [{"manager": manager, "operation": "Update", "fieldsV1": fields}]
    metadata = {"name": "it", "labels": labels, "managedFields": managed}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


@pytest.mark.parametrize(
    ("manager", "change"),
    [
        ("kustomize-controller", "unchanged"),
        ("HashiCorp", "changed"),
        ("kubectl-label", "changed"),
        ("Terraform", "changed"),
    ],
)
def test_a_mark_that_a_controller_has_set_otherwise_is_left_to_it(manager: str, change: str) -> None:
    api = FakeApi(Answer(200, marked({"level": "privileged"}, manager)), Answer(200, marked({"level": "x"}, manager)))
    wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "it", "labels": {"level": "restricted"}}}
    applied = apply(api, wanted, Rules("Terraform", marks_only=True), 5)  # type: ignore[arg-type]
    assert applied.change == change
    assert [(held.key, held.manager) for held in applied.held] == (
        [("level", "kustomize-controller")] if change == "unchanged" else []
    )
    if change == "changed":
        assert api.asked[1][2] == {"metadata": {"labels": {"level": "restricted"}}}


def test_an_object_gets_the_marks_that_it_lacks_and_loses_none() -> None:
    api = FakeApi(Answer(200, marked({"theirs": "x"}, "Terraform")), Answer(200, marked({}, "Terraform")))
    metadata = {"name": "it", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    assert apply(api, wanted, Rules("Terraform", marks_only=True), 5).change == "changed"  # type: ignore[arg-type]
    assert api.asked[1][2] == {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}
    assert api.asked[1][1] == {"fieldManager": "Terraform"}


def test_keys_of_others_go_only_when_asked() -> None:
    stored = thing(data={"password": "eA==", "identity": "eA=="})
    api = FakeApi(Answer(200, stored), Answer(200, stored), Answer(200, thing(data={"password": "eA=="})))
    wanted = thing(data={"password": "eA=="})
    rules = Rules("flux", exact_data=("here/it",))
    assert apply(api, wanted, rules, 5).change == "changed"  # type: ignore[arg-type]
    assert api.asked[2][2] == {"data": {"identity": None}, "metadata": {"annotations": {}}}


@pytest.mark.parametrize(
    ("kind", "answer", "words"),
    [
        ("ConfigMap", Answer(422, {"reason": "Invalid", "message": "why"}), "the API answered 422 (Invalid): why"),
        (
            "ConfigMap",
            Answer(500, {"message": "failed to create typed patch object (x)"}),
            "the API answered 500 (HTTP 500): failed to create typed patch object (x)",
        ),
        (
            "Secret",
            Answer(422, {"reason": "Invalid", "message": "canary", "details": {"causes": [{"field": "type"}]}}),
            "the API answered 422 (Invalid) because of type; its text is withheld, since it could quote the Secret",
        ),
        ("Secret", Answer(404, {"reason": "NotFound", "message": "no namespace"}), "404 (NotFound): no namespace"),
    ],
)
def test_a_refusal_is_told_without_a_secret(kind: str, answer: Answer, words: str) -> None:
    applied = apply(FakeApi(ABSENT, answer), thing(kind), RULES, 5)  # type: ignore[arg-type]
    assert applied.change == "failed"
    assert words in applied.problem
    assert "canary" not in applied.problem


def test_a_busy_api_is_asked_again_and_the_rest_is_still_applied() -> None:
    busy = Answer(503, {"message": "busy"})
    api = FakeApi(ABSENT, busy, ABSENT, Answer(201, thing()), ABSENT, Answer(422, {}), ABSENT, Answer(201, thing()))
    lines: list[str] = []
    applied = apply_all(api, [thing(), thing(), thing()], RULES, Deadline(20), lines.append)  # type: ignore[arg-type]
    assert [each.change for each in applied] == ["made", "failed", "made"]
    assert len(lines) == 1


def test_an_api_that_stays_away_is_given_up() -> None:
    api = FakeApi(Unanswered("refused."))
    [applied] = apply_all(api, [thing()], RULES, Deadline(0), print)  # type: ignore[arg-type]
    assert applied.problem == "refused. It was asked for 0 s."


def test_check_mode_counts_what_earlier_objects_would_make() -> None:
    dry = Rules("flux", dry_run=True)
    assert apply(FakeApi(served=False), thing(), dry, 5).change == "made"  # type: ignore[arg-type]
    assert apply(FakeApi(ABSENT, ABSENT), thing(), dry, 5).change == "made"  # type: ignore[arg-type]
    assert apply(FakeApi(served=False), thing(), RULES, 5).change == "failed"  # type: ignore[arg-type]


def test_a_diff_shows_the_keys_of_a_secret_and_no_value() -> None:
    secret = thing(data={"key": "canary"})
    secret["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "canary"}
    assert shown(secret)["data"] == {"key": "(hidden)"}
    assert "canary" not in str(shown(secret))
    assert shown(thing("ConfigMap", data={"key": "value"}))["data"] == {"key": "value"}
    assert shown(None) == {}


@pytest.mark.parametrize("wrong", [{}, {"apiVersion": "v1", "kind": "It"}, {**thing(), "metadata": {"namespace": "x"}}])
def test_what_is_no_object_is_refused_before_anything_is_sent(wrong: dict[str, Any]) -> None:
    with pytest.raises(BootstrapError, match="number 1"):
        check([wrong])
