# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What still runs with the former value of a Secret: pods that read it, and were started before it changed. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.fed import Feed
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.restarts import YES, restarted
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object, mapping, mappings

WORKLOADS: t.Final = ("Deployment", "StatefulSet", "DaemonSet")

_RESTARTED: t.Final = "vso.secrets.hashicorp.com/restartedAt"


@dataclass(frozen=True)
class Changed:
    """When a Secret changed last. C(earlier): the pods that were there before, where that was seen."""

    feed: Feed
    moment: datetime | None
    earlier: frozenset[str] | None = None


@dataclass(frozen=True)
class Consumer:
    """A workload, or a pod of nobody, that reads a Secret.

    C(old): its pods that were started before the Secret changed. C(coming): those that are not ready yet. C(by): who
    restarts it. C(files): it has the Secret in no other form, and files follow by themselves. C(ignored): VSO is told
    to restart it, and does not.
    """

    kind: str
    namespace: str
    name: str
    secret: str
    old: tuple[str, ...] = ()
    coming: tuple[str, ...] = ()
    by: str = ""
    files: bool = False
    ignored: bool = False

    @property
    def label(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def when(secret: Mapping[str, t.Any] | None) -> datetime | None:
    """The last change of a Secret's data, as the API server notes it of each who sets it; not before it."""
    metadata = mapping(mapping(secret).get("metadata"))
    moments = [
        str(entry.get("time"))
        for entry in mappings(metadata.get("managedFields"))
        if "f:data" in mapping(entry.get("fieldsV1")) and entry.get("time")
    ]
    return moment_of(max(moments, default="") or metadata.get("creationTimestamp"))


def moment_of(text: t.Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC) if text else None
    except ValueError:
        return None


def consumers(
    changed: Changed,
    pods: Iterable[Mapping[str, t.Any]],
    owners: Mapping[str, Mapping[str, t.Any]],
    why: Callable[[Mapping[str, t.Any]], str],
) -> list[Consumer]:
    """Who reads a Secret. C(owners): the objects of the namespace, by their uid; C(why) a pod is not ready."""
    feed = changed.feed
    wanted = None if feed.loose else set(feed.keys)
    found: dict[str, list[tuple[Mapping[str, t.Any], bool]]] = {}
    for pod in pods:
        reads = _reads(mapping(pod.get("spec")), feed.secret, wanted)
        if reads and mapping(pod.get("status")).get("phase") not in ("Succeeded", "Failed"):
            found.setdefault(_uid(_top(pod, owners)), []).append((pod, set(reads.values()) == {True}))
    result = []
    for group in found.values():
        top = _top(group[0][0], owners)
        kind, name = str(top.get("kind") or "Pod"), str(mapping(top.get("metadata")).get("name"))
        old = tuple(_name(pod) for pod, _files in group if _is_old(pod, changed, wanted))
        coming = tuple(
            f"{_name(pod)}: {why(pod) or 'it is not ready'}"
            for pod, _files in group
            if _name(pod) not in old and not _is_ready(pod)
        )
        files = all(files for _pod, files in group)
        who, ignored = _who(top, feed, kind, name), (kind, name) in feed.ignored
        result.append(Consumer(kind, feed.namespace, name, feed.secret, old, coming, who, files, ignored))
    return sorted(result, key=lambda one: one.label)


def _top(pod: Mapping[str, t.Any], owners: Mapping[str, Mapping[str, t.Any]]) -> Mapping[str, t.Any]:
    """What made a pod, as far up as it is known."""
    top = pod
    while True:
        owner = next((each for each in mappings(_meta(top).get("ownerReferences")) if each.get("controller")), None)
        if owner is None:
            return top
        above = owners.get(str(owner.get("uid")))
        if above is None:  # of a kind that is not looked at
            return {"kind": owner.get("kind"), "metadata": {"name": owner.get("name"), "uid": owner.get("uid")}}
        top = above


def _meta(item: Mapping[str, t.Any]) -> Mapping[str, t.Any]:
    return mapping(item.get("metadata"))


def _uid(item: Mapping[str, t.Any]) -> str:
    return str(_meta(item).get("uid"))


def _name(item: Mapping[str, t.Any]) -> str:
    return str(_meta(item).get("name"))


def _who(top: Mapping[str, t.Any], feed: Feed, kind: str, name: str) -> str:
    if (kind, name) in feed.restarts:
        return "VSO"
    if kind in WORKLOADS and restarted(Object(dict(top), "", ""), feed.secret) == YES:
        return "Reloader"
    return ""


def _reads(spec: Mapping[str, t.Any], secret: str, keys: set[str] | None) -> dict[str, bool]:
    """The containers of a pod that have one of these keys of a Secret, each with whether it has it as files alone."""
    volumes = {
        str(volume.get("name"))
        for volume in mappings(spec.get("volumes"))
        for source, named in _sources(volume)
        if source.get(named) == secret and _takes(source, keys)
    }
    found: dict[str, bool] = {}
    for container in (*mappings(spec.get("containers")), *mappings(spec.get("initContainers"))):
        name = str(container.get("name"))
        mounts = [each for each in mappings(container.get("volumeMounts")) if each.get("name") in volumes]
        if any(_in_environment(container, secret, keys)) or any(each.get("subPath") for each in mounts):
            found[name] = False
        elif mounts:
            found[name] = True
    return found


def _sources(volume: Mapping[str, t.Any]) -> Iterator[tuple[Mapping[str, t.Any], str]]:
    yield mapping(volume.get("secret")), "secretName"
    for source in mappings(mapping(volume.get("projected")).get("sources")):
        yield mapping(source.get("secret")), "name"


def _takes(source: Mapping[str, t.Any], keys: set[str] | None) -> bool:
    items = mappings(source.get("items"))
    return keys is None or not items or any(each.get("key") in keys for each in items)


def _in_environment(container: Mapping[str, t.Any], secret: str, keys: set[str] | None) -> Iterator[bool]:
    for source in mappings(container.get("envFrom")):
        yield mapping(source.get("secretRef")).get("name") == secret
    for variable in mappings(container.get("env")):
        reference = mapping(mapping(variable.get("valueFrom")).get("secretKeyRef"))
        yield reference.get("name") == secret and (keys is None or reference.get("key") in keys)


def _is_old(pod: Mapping[str, t.Any], changed: Changed, keys: set[str] | None) -> bool:
    """Whether a container that reads the Secret was started before it changed.

    Both times are whole seconds. In the same second a pod counts as old, unless it was seen to come after the change,
    or says that it was made for one.
    """
    if changed.moment is None:
        return False
    came_after = changed.earlier is not None and _uid(pod) not in changed.earlier
    if moment_of(_meta(pod).get("creationTimestamp")) == changed.moment:
        came_after = came_after or _was_restarted(pod, changed.feed.secret)
    for moment in _started(pod, _reads(mapping(pod.get("spec")), changed.feed.secret, keys)):
        if moment < changed.moment or (moment == changed.moment and not came_after):
            return True
    return False


def _was_restarted(pod: Mapping[str, t.Any], secret: str) -> bool:
    """Whether Reloader or VSO has had a pod made since the Secret changed."""
    mark = f"STAKATER_{re.sub('[^A-Z0-9]+', '_', secret.upper()).removeprefix('_')}_SECRET"
    containers = mappings(mapping(pod.get("spec")).get("containers"))
    names = {each.get("name") for container in containers for each in mappings(container.get("env"))}
    return mark in names or _RESTARTED in mapping(_meta(pod).get("annotations"))


def _started(pod: Mapping[str, t.Any], containers: Iterable[str]) -> Iterator[datetime]:
    """When the containers that run were started; of an init container, what it has made stays."""
    status, named = mapping(pod.get("status")), set(containers)
    for each in mappings(status.get("containerStatuses")):
        if each.get("name") in named:
            yield from filter(None, [_begun(each, "running")])
    for each in mappings(status.get("initContainerStatuses")):
        if each.get("name") in named:
            yield from filter(None, [_begun(each, "running") or _begun(each, "terminated")])


def _begun(status: Mapping[str, t.Any], how: str) -> datetime | None:
    return moment_of(mapping(mapping(status.get("state")).get(how)).get("startedAt"))


def _is_ready(pod: Mapping[str, t.Any]) -> bool:
    conditions = mappings(mapping(pod.get("status")).get("conditions"))
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
