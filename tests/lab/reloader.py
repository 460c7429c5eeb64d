# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""STAND-IN for Stakater's Reloader 1.2.1 with its chart's defaults: it restarts what uses a Secret that has changed.

Its rules are a table here. CronJobs, of which Reloader makes a Job, OpenShift and Argo are left out.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import http.client
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.kubeclient import Client, KubeError, Object

NAME = "Reloader STAND-IN"
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet")
RETRIES = 5
_TRUE = ("1", "t", "T", "TRUE", "true", "True")

# ------------------------------------------------------------------------------------------------ the rules


@dataclass(frozen=True)
class Kind:
    """One of the two kinds that are watched, and how a pod names an object of it."""

    name: str
    volume: str  # the key of such a volume, or of such a part of a projected one
    named: str  # what names the object in a volume of its own
    variable: str
    variables: str

    def is_mounted(self, volume: Object, name: str) -> bool:
        """Whether the volume is made of the object."""
        parts = (volume.get("projected") or {}).get("sources") or []
        return (volume.get(self.volume) or {}).get(self.named) == name or any(
            (part.get(self.volume) or {}).get("name") == name for part in parts
        )

    def is_read(self, container: Object, name: str) -> bool:
        """Whether the container has the object, or one value of it, in its environment."""
        sources = [
            *((each.get("valueFrom") or {}).get(self.variable) for each in container.get("env") or []),
            *(each.get(self.variables) for each in container.get("envFrom") or []),
        ]
        return any((source or {}).get("name") == name for source in sources)


SECRET = Kind("Secret", "secret", "secretName", "secretKeyRef", "secretRef")
CONFIG_MAP = Kind("ConfigMap", "configMap", "name", "configMapKeyRef", "configMapRef")


@dataclass(frozen=True)
class Change:
    """A Secret or ConfigMap whose data are others now."""

    kind: Kind
    namespace: str
    name: str
    annotations: Mapping[str, str]
    digest: str

    def __str__(self) -> str:
        return f"{self.kind.name} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Rule:
    """An annotation of a workload, and when its value means this change.

    What has it C(unused) is restarted even if no container of it uses the object.
    """

    annotation: str
    means: Callable[[str, Change], bool]
    unused: bool = False


def _is_true(value: str, _change: Change) -> bool:
    return value in _TRUE


def _names(value: str, change: Change) -> bool:
    """Whether one of the patterns, between commas, is the object's name."""
    return any(re.search(f"^{pattern.strip()}$", change.name) for pattern in value.split(",")) if value else False


def _finds(value: str, change: Change) -> bool:
    return value == "true" and change.annotations.get("reloader.stakater.com/match") == "true"


# C({kind}) is C(secret) or C(configmap). The first that restarts the workload is the last that is looked at.
RULES = (
    Rule("reloader.stakater.com/auto", _is_true),
    Rule("{kind}.reloader.stakater.com/auto", _is_true),
    Rule("{kind}.reloader.stakater.com/reload", _names, unused=True),
    Rule("reloader.stakater.com/search", _finds),
)
# Names, between commas, of what restarts nothing. It counts on the workload itself alone.
EXCLUDED = "{kind}s.exclude.reloader.stakater.com/reload"


def restarted(workload: Object, change: Change) -> Object | None:
    """The workload as it is after this change, or None if nothing happens to it.

    What counts are its own annotations, and those of its pods' template only where it has none of the rules', whatever
    their values. Not even those of the other kind hinder that.
    """
    own = _annotations(workload)
    if change.name in (name.strip() for name in own.get(EXCLUDED.format(kind=change.kind.name.lower()), "").split(",")):
        return None
    rules = [(rule.annotation.format(kind=change.kind.name.lower()), rule) for rule in RULES]
    if not any(name in own for name, _ in rules):
        own = _annotations(workload["spec"]["template"])
    for name, rule in rules:
        if name in own and rule.means(own[name], change):
            rolled = copy.deepcopy(workload)
            if _roll(rolled["spec"]["template"]["spec"], change, unused=rule.unused):
                return rolled
    return None


def variable(change: Change) -> str:
    """The name of the environment variable that makes new pods."""
    return f"STAKATER_{re.sub('[^A-Z0-9]+', '_', change.name.upper()).removeprefix('_')}_{change.kind.name.upper()}"


def digest(kind: Kind, thing: Object) -> str:
    """What the data of a Secret or ConfigMap are recognised by. Nothing else of it counts."""
    data = thing.get("data") or {}
    if kind is SECRET:
        values = [f"{key}=".encode() + base64.b64decode(value or "") for key, value in data.items()]
    else:
        values = [f"{key}={value}".encode() for key, value in (data | (thing.get("binaryData") or {})).items()]
    return hashlib.sha1(b";".join(sorted(values)), usedforsecurity=False).hexdigest()


def _annotations(thing: Object) -> dict[str, str]:
    return thing.get("metadata", {}).get("annotations") or {}


def _roll(pod: Object, change: Change, *, unused: bool) -> bool:
    """Tell the change to a container that uses the object, or else to the first; whether that was news."""
    container = _user(pod, change) or (pod["containers"][0] if unused else None)
    if container is None:
        return False
    name = variable(change)
    told = [each for every in pod["containers"] for each in every.get("env") or [] if each["name"] == name]
    if not told:
        container["env"] = [*(container.get("env") or []), {"name": name, "value": change.digest}]
        return True
    news: bool = told[0].get("value") != change.digest
    told[0]["value"] = change.digest
    return news


def _user(pod: Object, change: Change) -> Object | None:
    """The first container that mounts the object, or else reads it; the first of all where an init container does."""
    kind, name = change.kind, change.name
    volume = next((each["name"] for each in pod.get("volumes") or [] if kind.is_mounted(each, name)), None)
    uses: tuple[Callable[[Object], bool], ...] = (
        lambda container: any(each["name"] == volume for each in container.get("volumeMounts") or []),
        lambda container: kind.is_read(container, name),
    )
    containers: list[Object] = pod["containers"]
    for use in uses:
        if found := next(filter(use, containers), None):
            return found
        if any(map(use, pod.get("initContainers") or [])):
            return containers[0]
    return None


class Known:
    """What is remembered of each Secret or ConfigMap, so that a change of its data is seen. A creation is none."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._digests: dict[tuple[str, str], str] | None = None

    def listed(self, things: list[Object]) -> list[Change]:
        """All there is. What changed while the watch was broken is news, but not what did before the start."""
        before, self._digests = self._digests, {}
        changes = []
        for thing in things:
            now = self._change(thing)
            self._digests[now.namespace, now.name] = now.digest
            if before is not None and before.get((now.namespace, now.name), now.digest) != now.digest:
                changes.append(now)
        return changes

    def changed(self, event: str, thing: Object) -> list[Change]:
        assert self._digests is not None, "it is listed before it is watched"
        now = self._change(thing)
        before = self._digests.pop((now.namespace, now.name), None)
        if event == "DELETED":
            return []
        self._digests[now.namespace, now.name] = now.digest
        return [now] if before not in (None, now.digest) else []

    def _change(self, thing: Object) -> Change:
        meta = thing["metadata"]
        return Change(self._kind, meta["namespace"], meta["name"], _annotations(thing), digest(self._kind, thing))


# ----------------------------------------------------------------------------------------------- the program


class _Reloader:
    """Restarts what the changes of one kind mean."""

    def __init__(self, client: Client, kind: Kind) -> None:
        self._client = client
        self._kind = kind
        self._known = Known(kind)
        self._begun = False

    def listed(self, things: list[Object]) -> None:
        for change in self._known.listed(things):
            self._tell(change)
        if not self._begun:
            self._begun = True
            print(f"{NAME}: watches {self._kind.name}s", flush=True)

    def changed(self, event: str, thing: Object) -> None:
        for change in self._known.changed(event, thing):
            self._tell(change)

    def _tell(self, change: Change) -> None:
        """Restart whatever the rules say; again if somebody else was faster with a workload."""
        for attempt in range(1 + RETRIES):
            try:
                for kind in WORKLOADS:
                    self._restart(kind, change)
            except (OSError, http.client.HTTPException, KubeError) as error:
                time.sleep(0.01 * 2**attempt)
                problem = str(error)
            else:
                return
        print(f"{NAME}: {change}: gave up: {problem}", flush=True)

    def _restart(self, kind: str, change: Change) -> None:
        for workload in self._client.list("apps/v1", kind, change.namespace):
            rolled = restarted(workload, change)
            if rolled is not None:
                name = workload["metadata"]["name"]
                path = self._client.path("apps/v1", kind, change.namespace, name)
                self._client.request("PUT", path, rolled, query={"fieldManager": "Reloader"})
                print(f"{NAME}: {change} has changed: {kind} {name} restarts", flush=True)


def main(kubeconfig: Path) -> None:
    """Watch until somebody ends this process."""
    client = Client(kubeconfig, user_agent="reloader-stand-in")
    threads = []
    for kind in (SECRET, CONFIG_MAP):
        own = _Reloader(client, kind)
        watch = client.watch(client.path("v1", kind.name))
        threads.append(threading.Thread(target=watch.run, args=(own.listed, own.changed)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
