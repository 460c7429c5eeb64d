# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a Secret of a living cluster get another writer, without it ever being deleted: looks, and does what is next.

Private: other collections must not import it.
"""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import numbered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import KINDS, VERSIONS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._flux.living import inventory
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import KUSTOMIZE, mappings
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import (
    METADATA_ALONE,
    Api,
    Kind,
    Unanswered,
    label,
    require,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.ready import (
    POLL_SECONDS,
    SAY_EVERY_SECONDS,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._writers import steps
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._writers.steps import Asked, Found, Item

MANAGER: t.Final = "tazlab.bootstrap"
PROTECTED, CHANGED, WAITING = "protected", "changed", "waiting"

_MERGE: t.Final = "application/merge-patch+json"
_TABLE: t.Final = "application/json;as=Table;g=meta.k8s.io;v=v1"  # what kubectl prints: of a Secret, not its data
_FLUX: t.Final = (f"{KUSTOMIZE}/v1", "Kustomization")


@dataclass
class Outcome:
    """What became of one Secret. C(why) is what waits, or why it cannot be."""

    asked: Asked
    state: str = WAITING
    why: str = ""
    by_flux: bool = False  # it is Flux that it waits for
    uid: str = ""
    changed: bool = False


@dataclass
class Changer:
    """Changes the writers of Secrets. C(dry): only tells what would be done."""

    api: Api
    deadline: Deadline
    say: Callable[[str], None]
    dry: bool = False
    _said: dict[str, float] = field(default_factory=dict)

    def protect(self, asked: Sequence[Asked]) -> list[Outcome]:
        """Keep the old objects from Flux' prune; all that stands against it is told before anything is changed."""
        looks = [(each, self._patiently(each)) for each in asked]
        refused = [f"Secret {each.label}: {why}" for each, found in looks if (why := steps.refusal(each, found))]
        if refused:
            raise BootstrapError(f"Nothing was changed:{numbered(refused)}", code="writer", subject=asked[0].label)
        done = []
        for each, found in looks:
            new = not steps.is_protected(found)
            if new and not self.dry:
                self._annotate(each, found)
                self.say(f"{steps.shown(found.old[0], each.old)} is kept from Flux' prune")
            if found.old:
                done.append(Outcome(each, PROTECTED, uid=found.uid, changed=new))
            elif steps.owns(found.new, found.secret):
                done.append(Outcome(each, CHANGED, uid=found.uid))
            else:
                done.append(Outcome(each, why=steps.next_step(each, found).why, uid=found.uid))
        return done

    def finish(self, asked: Sequence[Asked], *, pushed: bool) -> list[Outcome]:
        """Do what is left, and wait for it; for Flux only where the change was pushed."""
        outcomes = [Outcome(each) for each in asked]
        pause, longest = POLL_SECONDS
        while True:
            open_ones = [each for each in outcomes if self._goes_on(each, pushed=pushed)]
            if not open_ones or self.dry or not self.deadline.left:
                return outcomes
            time.sleep(min(pause, self.deadline.left))
            pause = min(pause * 1.5, longest)

    def _goes_on(self, outcome: Outcome, *, pushed: bool) -> bool:
        """Do the next step of one Secret; whether there is more to come."""
        if outcome.state == CHANGED:
            return False
        try:
            step = self._step(outcome)
        except Unanswered as error:
            step = steps.Step(steps.WAIT, str(error).rstrip("."))
        outcome.why, outcome.by_flux = step.why, step.what == steps.FLUX
        if step.what == steps.REFUSE:
            raise BootstrapError(
                f"Secret {outcome.asked.label}: nothing of it was deleted. {step.why}",
                code="writer",
                subject=outcome.asked.label,
            )
        if step.what == steps.DONE:
            outcome.state = CHANGED
            return False
        if outcome.by_flux and not pushed:
            return False
        if step.why:
            self._tell(f"Secret {outcome.asked.label}: {step.why}")
        return True

    def _step(self, outcome: Outcome) -> steps.Step:
        asked, found = outcome.asked, self.look(outcome.asked)
        if outcome.uid and found.uid != outcome.uid:
            return steps.Step(steps.REFUSE, "It is gone or another one since a moment ago. Run the same again.")
        outcome.uid = outcome.uid or found.uid
        step = steps.next_step(asked, found)
        if step.what == steps.DELETE:
            if not self.dry:
                self._delete(asked, found.old[0])
                outcome.changed = True
                self.say(f"{steps.shown(found.old[0], asked.old)} is taken away, and leaves the Secret")
                if steps.is_anew(found):
                    self.say(f"Secret {asked.label} is another one than when its change of writer began")
            return steps.Step(steps.WAIT, f"{steps.shown(found.old[0], asked.old)} is to be deleted")
        if step.what == steps.UNMARK and found.new is not None:
            what = steps.shown(found.new, asked.writer)
            if not self.dry:
                self._change("PATCH", self._path(found.new), what, steps.unmarked(found.new))
                outcome.changed = True
            return steps.Step(steps.WAIT, f"{what} is to have the mark of a change that was turned back taken off")
        if step.what == steps.CLEAN:
            if not self.dry:
                self._clean(asked, found)
                outcome.changed = True
            return steps.Step(steps.WAIT, "what the old writer has left on the Secret is to be taken away")
        return step

    def look(self, asked: Asked) -> Found:
        """What the cluster has of a Secret's writers."""
        new = self._makers(asked, asked.writer)
        old = self._makers(asked, asked.old)
        holders: list[Item] = []
        if old:
            names = {label(KINDS[asked.old][1], asked.namespace, str(each["metadata"]["name"])) for each in old}
            holders = [each for each in self._list(*_FLUX, None) if not names.isdisjoint(inventory(each))]
        secret = self._secret(asked)
        owner = next((each for each in new if steps.owns(each, secret)), new[0] if new else None)
        return Found(secret, old, owner, holders, kubeconfig=self.api.kubeconfig)

    def _patiently(self, asked: Asked) -> Found:
        """The same and the Secret's type where it matters, asked again while no answer comes."""
        while True:
            try:
                found = self.look(asked)
                return replace(found, type=self._type(asked)) if asked.writer == VSO else found
            except Unanswered as error:
                if not self.deadline.left:
                    raise Unanswered(f"{error} It was asked for {self.deadline.elapsed:.0f} s.") from None
                time.sleep(min(POLL_SECONDS[1], self.deadline.left))

    def _makers(self, asked: Asked, writer: str) -> list[Item]:
        kind = KINDS[writer][1]
        for version in VERSIONS[writer]:
            if self.api.kind(version, kind, self._seconds):
                items = self._list(version, kind, asked.namespace)
                return [each for each in items if steps.makes(each, asked, writer)]
        return []

    def _secret(self, asked: Asked) -> Item | None:
        answer = self.api.request("GET", self._secret_path(asked), accept=METADATA_ALONE, seconds=self._seconds)
        if answer.status == 404:
            return None
        require(answer, self.api.server, f"the metadata of Secret {asked.label}")
        return answer.body

    def _type(self, asked: Asked) -> str:
        """The Secret's type; empty where there is none."""
        answer = self.api.request("GET", self._secret_path(asked), accept=_TABLE, seconds=self._seconds)
        if answer.status == 404:
            return ""
        require(answer, self.api.server, f"the type of Secret {asked.label}")
        columns = [each.get("name") for each in mappings(answer.body.get("columnDefinitions"))]
        (row,) = mappings(answer.body.get("rows"))
        return str(row["cells"][columns.index("Type")])

    def _annotate(self, asked: Asked, found: Found) -> None:
        (old,) = found.old
        body = {"metadata": {"uid": old["metadata"]["uid"], "annotations": steps.protection(found)}}
        self._change("PATCH", self._path(old), steps.shown(old, asked.old), body)

    def _delete(self, asked: Asked, old: Item) -> None:
        """Delete the old object as it was seen, and nothing that it owns."""
        meta = old["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Orphan",
            "preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
        }
        self._change("DELETE", self._path(old), steps.shown(old, asked.old), body)

    def _clean(self, asked: Asked, found: Found) -> None:
        patch = steps.leftovers(asked, found)
        body = {**patch, "metadata": {"uid": found.uid, **patch.get("metadata", {})}}
        self._change("PATCH", self._secret_path(asked), f"Secret {asked.label}", body)

    def _change(self, method: str, path: str, what: str, body: Mapping[str, t.Any]) -> None:
        """Change an object. One that has changed meanwhile is looked at again, which the next look does."""
        answer = self.api.request(
            method,
            path,
            query={"fieldManager": MANAGER} if method == "PATCH" else None,
            body=body,
            content_type=_MERGE if method == "PATCH" else "application/json",
            accept=METADATA_ALONE if method == "PATCH" else "application/json",
            seconds=self._seconds,
        )
        if answer.status in (404, 409):
            raise Unanswered(f"{what} has changed meanwhile ({answer.reason}).")
        require(answer, self.api.server, f"a change of {what}")

    def _path(self, item: Item) -> str:
        kind = self._kind(str(item["apiVersion"]), str(item["kind"]))
        return kind.path(str(item["metadata"]["namespace"]), str(item["metadata"]["name"]))

    def _secret_path(self, asked: Asked) -> str:
        return Kind("v1", "secrets", namespaced=True).path(asked.namespace, asked.name)

    def _kind(self, api_version: str, kind: str) -> Kind:
        found = self.api.kind(api_version, kind, self._seconds)
        if found is None:
            raise BootstrapError(f"Kubernetes API {self.api.server}: it serves no {kind} of {api_version}. Install it.")
        return found

    def _list(self, api_version: str, kind: str, namespace: str | None) -> list[Item]:
        answer = self.api.get(self._kind(api_version, kind).path(namespace, None), seconds=self._seconds)
        require(answer, self.api.server, f"every {kind}")
        return [{"apiVersion": api_version, "kind": kind, **item} for item in answer.body.get("items") or []]

    def _tell(self, line: str) -> None:
        """Say what is waited for when it is new, and again now and then."""
        elapsed = self.deadline.elapsed
        before = self._said.get(line)
        if before is None or elapsed - before >= SAY_EVERY_SECONDS:
            self._said[line] = elapsed
            self.say(f"after {elapsed:.0f} of {self.deadline.seconds:.0f} s, {line}")

    @property
    def _seconds(self) -> float:
        return max(1.0, self.deadline.left)
