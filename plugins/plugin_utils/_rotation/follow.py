# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follows a new value from Vault into every Secret, and on into what reads them, within a bound.

Private: other collections must not import it.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import duration
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.fed import (
    MIRROR,
    SHORT,
    Feed,
    Held,
    forms,
    holds,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.running import (
    Changed,
    consumers,
    moment_of,
    when,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import mapping, mappings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Unanswered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.ready import (
    POLL_SECONDS,
    SAY_EVERY_SECONDS,
    SHOWN,
    pod_reason,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.cluster import Cluster, Item
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.seen import Followed, Seen
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.told import next_step, stays

AGAIN: t.Final = 10.0  # seconds after which ESO is told once more, where it read a server that lagged behind
RESTARTS_WITHIN: t.Final = 300.0  # seconds after a change; who has not restarted by then was not told to


class Follower:
    """Follows one value. C(written): when Vault got it, by its clock; C(new): it was in this run."""

    def __init__(
        self, cluster: Cluster, feeds: Sequence[Feed], value: str, say: Callable[[str], None] = lambda _line: None
    ) -> None:
        self._cluster = cluster
        self._feeds = feeds
        self._value = value
        self._say = say
        self._written: float | None = None
        self._earlier: dict[str, frozenset[str]] = {}  # the pods that were there while a Secret had another value
        self._former: dict[str, t.Any] = {}  # what a Secret held then
        self._synced: dict[str, tuple[str, float]] = {}  # what ESO had synced when it was told to, and when that was

    def before(self, written: float | None) -> Followed:
        """Look at all before anything is changed. C(written): when Vault got the value, if it has it already."""
        self._written = written
        return Followed(self._look())

    def follow(self, before: Followed, written: float | None, *, new: bool, wait: float) -> Followed:
        """Have the value delivered, and wait until it is everywhere, or something has not come within its time.

        C(wait): the seconds for each, to which VSO's refreshAfter is added.
        """
        self._written = written
        found = Followed(before.seen)
        by_eso = [
            each.feed
            for each in before.seen
            if each.feed.writer == ESO and not each.feed.stays and (new or not each.held)
        ]
        for feed in before.by_vso:
            latest = datetime.now(UTC) + timedelta(seconds=feed.refresh)
            self._say(f"{feed.by} reads Vault again by itself, at the latest at {latest:%H:%M:%S} UTC")
        pause, longest = POLL_SECONDS
        said: list[str] = []
        said_at, told = 0.0, set[str]()
        while True:
            try:
                for feed in by_eso:
                    if feed.by not in self._synced:
                        self._force(feed)
                        found.forced.append(feed)
                found.seen, found.trouble = self._look(), ""
                self._force_again(found.seen)
            except Unanswered as error:
                found.trouble = str(error).rstrip(".")
            for line in self._at_once(found):
                if line not in told:
                    told.add(line)
                    self._say(line)
            waiting = found.waiting
            elapsed = self._cluster.deadline.elapsed
            if waiting and (waiting != said or elapsed - said_at >= SAY_EVERY_SECONDS):
                said, said_at = waiting, elapsed
                more = f"; and {len(waiting) - SHOWN} more" if len(waiting) > SHOWN else ""
                clock = f"{elapsed:.0f} of {self._cluster.deadline.seconds:.0f} s"
                self._say(f"after {clock}, waiting for {'; '.join(waiting[:SHOWN])}{more}")
            if not waiting or found.overdue(elapsed, wait) or not self._cluster.deadline.left:
                return found
            time.sleep(min(pause, self._cluster.deadline.left))
            pause = min(pause * 1.5, longest)

    def _at_once(self, found: Followed) -> list[str]:
        """What nobody does: it is said when it is found, and not waited for."""
        kubeconfig = self._cluster.kubeconfig
        return [*(stays(each, kubeconfig) for each in found.stay), *(next_step(one, kubeconfig) for one in found.left)]

    def _force(self, feed: Feed) -> None:
        synced = _version(self._cluster.maker(feed))
        self._cluster.force(feed, str(time.time_ns()))
        self._synced[feed.by] = synced, time.monotonic()

    def _force_again(self, seen: Sequence[Seen]) -> None:
        for each in seen:
            version, told = self._synced.get(each.feed.by, ("", 0.0))
            due = told and not each.held and time.monotonic() - told >= AGAIN
            if due and _version(self._cluster.maker(each.feed)) != version:
                self._force(each.feed)

    def _look(self) -> list[Seen]:
        pods: dict[str, list[Item]] = {}
        owners: dict[str, dict[str, Item]] = {}
        secrets: dict[str, Item | None] = {}
        held: dict[str, bool] = {}
        found = []
        for feed in self._feeds:  # copies come after what they are copies of
            # Pods first: one that is there while the Secret still has another value was there before it changed.
            if feed.namespace not in pods:
                pods[feed.namespace] = self._cluster.pods(feed.namespace)
                owners[feed.namespace] = self._cluster.owners(feed.namespace)
            secret = secrets[feed.label] = self._cluster.secret(feed)
            holding, why = self._holds(feed, secret, secrets, held)
            held[feed.label] = holding
            if not holding:
                there = frozenset(str(pod["metadata"]["uid"]) for pod in pods[feed.namespace])
                self._earlier[feed.label] = self._earlier.get(feed.label, frozenset()) | there
                self._former.setdefault(feed.label, mapping(secret).get("data"))
            since = when(secret) if holding else None
            changed = Changed(feed, since, self._earlier.get(feed.label))
            who = tuple(consumers(changed, pods[feed.namespace], owners[feed.namespace], pod_reason))
            recent = since is not None and time.time() - since.timestamp() < RESTARTS_WITHIN
            awaited = holding and (feed.label in self._earlier or recent)
            found.append(Seen(feed, holding, "" if holding else why, since, who, awaited))
        return found

    def _holds(
        self, feed: Feed, secret: Item | None, secrets: Mapping[str, Item | None], held: Mapping[str, bool]
    ) -> tuple[bool, str]:
        """Whether a Secret holds the value. Where that cannot be seen, its operator having made it since tells."""
        state, why = holds(feed, secret, self._value)
        if feed.writer == MIRROR:
            same = mapping(secret).get("data") == mapping(secrets[feed.source]).get("data")
            return held[feed.source] and same, "Reflector has not copied it yet"
        if feed.writer == VSO:
            moment = when(secret)
            later = bool(moment and self._written and moment.timestamp() >= int(self._written))
            other = feed.label not in self._former or mapping(secret).get("data") != self._former[feed.label]
            if state is Held.YES or (state is Held.HIDDEN and later and other):
                return True, ""
            return False, "; ".join([why, *self._of_vso(feed), *self._conditions(self._cluster.maker(feed))])
        if feed.by not in self._synced:
            return state is Held.YES, why
        made = self._cluster.maker(feed)
        if not made:
            return False, f"{feed.by} is gone"
        if _version(made) == self._synced[feed.by][0]:
            return False, "; ".join(["ESO has not synced it since it was told to", *self._conditions(made)])
        return state is not Held.NO, "; ".join([why, *self._conditions(made)])

    def _of_vso(self, feed: Feed) -> Iterator[str]:
        """When VSO reads Vault again, and its last warning since the value was written."""
        if feed.refresh:
            late = self._written and self._cluster.deadline.elapsed > feed.refresh
            within = duration(feed.refresh)
            yield (
                f"VSO had to read Vault again within {within}: does it run?"
                if late
                else (f"VSO reads Vault again within {within}")
            )
        for each in self._cluster.warnings(feed)[-1:] if self._written else ():
            moment = moment_of(each.get("lastTimestamp") or each.get("eventTime"))
            if moment and self._written and moment.timestamp() >= int(self._written):
                yield self._said(each)

    def _conditions(self, made: Mapping[str, t.Any]) -> list[str]:
        """What the operator says of an object that is not well. It may quote what it was given."""
        conditions = mappings(mapping(made.get("status")).get("conditions"))
        return [self._said(each) for each in conditions if each.get("status") == "False"]

    def _said(self, each: Mapping[str, t.Any]) -> str:
        """Reason and message of a condition or an event, without the value."""
        if len(self._value) < SHORT:
            return str(each.get("reason"))
        text = f"{each.get('reason')}: {str(each.get('message') or '').strip()}"
        for form in sorted(forms(self._value), key=len, reverse=True):
            text = text.replace(form, "********")
        return text


def _version(made: Mapping[str, t.Any]) -> str:
    """The form of an ExternalSecret, annotations among it, that ESO has synced last."""
    return str(mapping(made.get("status")).get("syncedResourceVersion") or "")
