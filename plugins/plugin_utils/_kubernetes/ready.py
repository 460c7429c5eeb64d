# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges whether Kubernetes objects are ready, and waits for it with a bound.

Private: other collections must not import it.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import (
    Api,
    Unanswered,
    label,
    require,
)

POLL_SECONDS = (0.25, 2.0)  # the first pause between two looks, and the longest
SAY_EVERY_SECONDS = 10.0
SHOWN = 4  # objects named in one line of progress
PASSING_REASONS = ("Completed", "ContainerCreating", "PodInitializing")  # of a container that is on its way
SUSPENDED = "it is suspended (spec.suspend is true), so its controller leaves it alone: resume it where it is declared"


@dataclass(frozen=True)
class Wanted:
    """An object, or all objects that a selector finds, and the condition that each must show (none: it exists)."""

    api_version: str
    kind: str
    namespace: str | None = None
    name: str | None = None
    selector: str | None = None
    condition: str | None = "Ready"

    @property
    def label(self) -> str:
        return label(self.kind, self.namespace, self.name or f"with {self.selector}")


@dataclass(frozen=True)
class Seen:
    """What one look found."""

    wanted: Wanted
    name: str
    exists: bool
    ready: bool
    why: str = ""
    item: Mapping[str, t.Any] = field(default_factory=dict)

    @property
    def status(self) -> dict[str, t.Any]:
        return dict(self.item.get("status") or {})

    @property
    def label(self) -> str:
        return label(self.wanted.kind, self.wanted.namespace, self.name) if self.name else self.wanted.label


def judge(item: Mapping[str, t.Any], condition: str | None) -> tuple[bool, str]:
    """Whether this object shows the condition for what it is now, and if not, why."""
    metadata = item.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return False, "it is being deleted"
    if condition is None:
        return True, ""
    status = item.get("status") or {}
    suspended = SUSPENDED if (item.get("spec") or {}).get("suspend") is True else ""
    found = next((each for each in status.get("conditions") or [] if each.get("type") == condition), None)
    if found is None:
        return False, suspended or f"nothing has set its condition {condition} yet"
    words = ": ".join(str(found[key]).strip() for key in ("reason", "message") if found.get(key))
    says = f"{condition} is {found.get('status')}" + (f" ({words})" if words else "")
    if _is_older(found, status, metadata.get("generation")):
        return False, suspended or f"its controller has not looked at its newest form yet; of an older one, {says}"
    if found.get("status") == "True":
        return True, ""
    return False, f"{says}; {suspended}" if suspended else says


def _is_older(condition: Mapping[str, t.Any], status: Mapping[str, t.Any], generation: int | None) -> bool:
    """Whether a condition is of an older form of its object.

    The condition's own observedGeneration tells. Only where there is none the status' counts: Flux' is -1 until the
    first success, while its conditions are of the newest form from the first failure on.
    """
    own = condition.get("observedGeneration")
    observed = own if own is not None else status.get("observedGeneration")
    return generation is not None and observed is not None and observed < generation


def look(api: Api, wanted: Wanted, seconds: float) -> list[Seen]:
    """Look at one object, or at all that its selector finds. Raise C(Unanswered) where the API gave no answer."""
    kind = api.kind(wanted.api_version, wanted.kind, seconds)
    if kind is None:
        return [_missing(wanted, f"the API does not serve {wanted.kind} of {wanted.api_version}")]
    query = {"labelSelector": wanted.selector} if wanted.selector else None
    answer = api.get(kind.path(wanted.namespace, wanted.name), query, seconds)
    if answer.status == 404:
        return [_missing(wanted, "it does not exist")]
    require(answer, api.server, wanted.label)
    items = [answer.body] if wanted.name else answer.body.get("items") or []
    if not items:
        return [_missing(wanted, "no object matches")]
    found = []
    for item in items:
        ready, why = judge(item, wanted.condition)
        found.append(Seen(wanted, item["metadata"]["name"], True, ready, why, item))
    return found


def _missing(wanted: Wanted, why: str) -> Seen:
    return Seen(wanted, wanted.name or "", False, False, why)


# Judges what was seen as a whole: an object may be ready only if another one is as well.
Judge = Callable[[Sequence[Seen]], list[Seen]]


def look_at_all(api: Api, wanted: Sequence[Wanted], deadline: Deadline, together: Judge = list) -> list[Seen]:
    """One look at each. Where the API gave no answer, that stands as the reason, and nothing more is asked."""
    seen: list[Seen] = []
    trouble = ""
    for each in wanted:
        if trouble:
            seen.append(_missing(each, trouble))
            continue
        try:
            seen += look(api, each, max(1.0, deadline.left))
        except Unanswered as error:
            trouble = str(error).rstrip(".")
            seen.append(_missing(each, trouble))
    return together(seen)


def wait(
    api: Api, wanted: Sequence[Wanted], deadline: Deadline, say: Callable[[str], None], together: Judge = list
) -> list[Seen]:
    """Look until every object is ready or the deadline has come, and return the last look.

    Every look is at every object: what was ready and no longer is counts as missing. C(say) gets a line when what is
    missing changes, and now and then while it does not.
    """
    pause, longest = POLL_SECONDS
    said: tuple[str, ...] | None = None
    said_at = 0.0
    while True:
        seen = look_at_all(api, wanted, deadline, together)
        missing = tuple(f"{each.label}: {each.why}" for each in seen if not each.ready)
        if not missing:
            return seen
        if missing != said or deadline.elapsed - said_at >= SAY_EVERY_SECONDS:
            said, said_at = missing, deadline.elapsed
            say(_progress(missing, len(seen), deadline))
        if not deadline.left:
            return seen
        time.sleep(min(pause, deadline.left))
        pause = min(pause * 1.5, longest)


def _progress(missing: Sequence[str], total: int, deadline: Deadline) -> str:
    more = f"; and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
    ready = total - len(missing)
    clock = f"{deadline.elapsed:.0f} of {deadline.seconds:.0f} s"
    return f"{ready} of {total} ready after {clock}; waiting for {'; '.join(missing[:SHOWN])}{more}"


def explained(api: Api, seen: Sequence[Seen], seconds: float) -> list[Seen]:
    """The same; of what runs pods and is not ready, the reason of a pod stands with it."""
    return [
        replace(each, why=f"{each.why}{_pod_reason(api, each, seconds)}") if not each.ready else each for each in seen
    ]


def _pod_reason(api: Api, seen: Seen, seconds: float) -> str:
    labels = ((seen.item.get("spec") or {}).get("selector") or {}).get("matchLabels")
    namespace = (seen.item.get("metadata") or {}).get("namespace")
    if not isinstance(labels, Mapping) or not labels or not namespace:
        return ""
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}
    try:
        answer = api.get(f"/api/v1/namespaces/{namespace}/pods", query, seconds)
    except Unanswered:
        return ""
    pods = answer.body.get("items") or [] if answer.ok else []
    reasons = [f"pod {pod['metadata']['name']}: {reason}" for pod in pods if (reason := pod_reason(pod))]
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"; {reasons[0]}{more}" if reasons else ""


def pod_reason(pod: Mapping[str, t.Any]) -> str:
    """Why a pod does not run, in the words of its kubelet or its scheduler; empty where it does."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in containers:
        state = container.get("state") or {}
        for kind in ("waiting", "terminated"):
            told = state.get(kind) or {}
            if told.get("reason") and told["reason"] not in PASSING_REASONS:
                return ": ".join(str(told[key]).strip() for key in ("reason", "message") if told.get(key))
    for condition in status.get("conditions") or []:
        if condition.get("status") == "False" and condition.get("message"):
            return ": ".join(str(condition[key]).strip() for key in ("reason", "message") if condition.get(key))
    return ""


def complaint(seen: Sequence[Seen], deadline: Deadline) -> str:
    """The message when the time is up: every object that is still missing, with its condition's reason and message."""
    missing = [f"{each.label}: {each.why}" for each in seen if not each.ready]
    return (
        f"{len(missing)} of {len(seen)} objects are not ready after {deadline.seconds:.0f} s:\n- "
        + "\n- ".join(missing)
        + "\nMend what the reasons name and run this phase again, or give it more time by raising its timeout."
    )


def parse(entries: Sequence[Mapping[str, t.Any]]) -> list[Wanted]:
    """The option C(objects) as dataclasses. An entry names one object, or a selector, never both."""
    wanted = []
    for entry in entries:
        name, selector = entry.get("name"), entry.get("label_selector")
        if bool(name) == bool(selector):
            raise BootstrapError(
                f"objects: an entry of kind {entry.get('kind')} has "
                + ("both name and label_selector" if name else "neither name nor label_selector")
                + ". Give one of the two."
            )
        wanted.append(
            Wanted(
                api_version=str(entry["api_version"]),
                kind=str(entry["kind"]),
                namespace=str(entry["namespace"]) if entry.get("namespace") else None,
                name=str(name) if name else None,
                selector=str(selector) if selector else None,
                condition=str(entry["condition"]) if entry.get("condition") else None,
            )
        )
    return wanted
