# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an object counts as ready, and what is said while it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Answer, Kind, Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.ready import (
    Wanted,
    complaint,
    judge,
    parse,
    pod_reason,
    wait,
)


def item(
    status: str = "True", generation: int | None = None, observed: int | None = None, **more: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "metadata": {"name": "it"},
        "status": {"conditions": [{"type": "Ready", "status": status, **more}]},
    }
    if generation is not None:
        found["metadata"]["generation"] = generation
    if observed is not None:
        found["status"]["observedGeneration"] = observed
    return found


@pytest.mark.parametrize(
    ("found", "condition", "ready", "words"),
    [
        (item(), "Ready", True, ""),
        (item(), None, True, ""),
        ({"metadata": {}}, None, True, ""),
        ({"metadata": {}}, "Ready", False, "nothing has set its condition Ready yet"),
        (item("False", reason="Bad", message="a text"), "Ready", False, "Ready is False (Bad: a text)"),
        (item("Unknown"), "Ready", False, "Ready is Unknown"),
        (item(generation=2, observed=2), "Ready", True, ""),
        (item(generation=2, observed=1), "Ready", False, "has not looked at its newest form"),
        (item(generation=2, observedGeneration=1), "Ready", False, "has not looked at its newest form"),
        (item(generation=2, observed=1, observedGeneration=2), "Ready", True, ""),
        (
            item("False", generation=1, observed=-1, observedGeneration=1, reason="AuthFailed", message="401"),
            "Ready",
            False,
            "Ready is False (AuthFailed: 401)",
        ),
        (
            item("False", generation=2, observedGeneration=1, reason="Old", message="a text"),
            "Ready",
            False,
            "newest form yet; of an older one, Ready is False (Old: a text)",
        ),
        ({"metadata": {}, "spec": {"suspend": True}}, "Ready", False, "it is suspended (spec.suspend is true)"),
        ({**item("False", reason="Bad"), "spec": {"suspend": True}}, "Ready", False, "Ready is False (Bad); it is sus"),
        ({**item(), "spec": {"suspend": True}}, "Ready", True, ""),
        ({"metadata": {"deletionTimestamp": "now"}}, None, False, "it is being deleted"),
    ],
)
def test_an_object_is_judged_by_its_condition(
    found: dict[str, Any], condition: str | None, ready: bool, words: str
) -> None:
    judged, why = judge(found, condition)
    assert judged is ready
    assert words in why if words else why == ""


class FakeApi:
    """Answers in turn; an exception is raised."""

    server = "https://api.example.net:6443"

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def kind(self, api_version: str, kind: str, seconds: float) -> Kind:
        return Kind(api_version, "its", True)

    def get(self, path: str, query: Mapping[str, str] | None, seconds: float) -> Answer:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


WANTED = [Wanted("v1", "It", "here", "it", condition="Ready")]


def test_an_api_that_restarts_is_asked_again() -> None:
    api = FakeApi(Unanswered("refused."), Answer(503, {}), Unanswered("new."), Answer(404, {}), Answer(200, item()))
    lines: list[str] = []
    seen = wait(api, WANTED, Deadline(30), lines.append)  # type: ignore[arg-type]
    assert [each.ready for each in seen] == [True]
    assert api.asked == 5
    assert len(lines) == 4
    assert lines[0].endswith("waiting for It here/it: refused")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"containerStatuses": [{"state": {"running": {}}}]}, ""),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, ""),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image\n"}}}]},
            "ErrImagePull: no such image",
        ),
        ({"initContainerStatuses": [{"state": {"terminated": {"reason": "Error"}}}]}, "Error"),
        ({"initContainerStatuses": [{"state": {"terminated": {"reason": "Completed"}}}]}, ""),
        (
            {"conditions": [{"status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]},
            "Unschedulable: 0/1 nodes are available",
        ),
    ],
)
def test_a_pod_says_why_it_does_not_run(status: dict[str, Any], reason: str) -> None:
    assert pod_reason({"status": status}) == reason


def test_credentials_that_are_refused_end_the_wait() -> None:
    with pytest.raises(BootstrapError, match="credentials were refused"):
        wait(FakeApi(Answer(401, {})), WANTED, Deadline(30), print)  # type: ignore[arg-type]


def test_the_wait_ends_with_the_deadline_and_names_what_is_missing() -> None:
    deadline = Deadline(1)
    api = FakeApi(Answer(200, item("False", reason="Bad", message="a text")))
    seen = wait(api, WANTED, deadline, lambda _: None)  # type: ignore[arg-type]
    assert 1 <= deadline.elapsed < 3
    assert "1 of 1 objects are not ready after 1 s:\n- It here/it: Ready is False (Bad: a text)" in complaint(
        seen, deadline
    )


@pytest.mark.parametrize("more", [{}, {"name": "a", "label_selector": "b"}])
def test_an_entry_names_one_object_or_a_selector(more: dict[str, str]) -> None:
    with pytest.raises(BootstrapError, match="Give one of the two"):
        parse([{"api_version": "v1", "kind": "It", **more}])
