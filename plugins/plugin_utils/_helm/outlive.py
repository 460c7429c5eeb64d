# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether CRDs, and with them their objects and what these own, outlive the removal or an upgrade of their release.

Pure. Helm decides by two places: an uninstall by what is stored of the release, an upgrade by what the cluster has.
Private: other collections must not import it.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted, table
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm.release import (
    HOOK,
    POLICY,
    Crd,
    Release,
    Unreadable,
)

KIND: t.Final = "CustomResourceDefinition"

_KEEP_STEP: t.Final = (
    f"Have the chart set {POLICY}: keep on it by its values (of ESO's chart: crds.annotations), and upgrade the "
    "release once, with who installs it now."
)
_NOTE_STEP: t.Final = "If that was on purpose, note anew what there is. If not, stop here, and find out who did it."
_GOING_STEP: t.Final = (
    "That cannot be taken back. Find out who did it, copy what of it is not in Git, and look again when it has gone."
)
_HOOK_STEP: t.Final = f"Have the chart give it among its templates, without {HOOK} and with {POLICY}: keep."
_PENDING_STEP: t.Final = (
    "Wait until whoever does that has ended. If nobody does any more, roll the release back with Helm to its newest "
    "revision that was deployed, and look again."
)


@dataclass(frozen=True)
class Item:
    """An object that would go with a CRD, or that one of these owns."""

    kind: str
    namespace: str
    name: str
    uid: str

    @property
    def label(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Living:
    """What a cluster has: the CRDs of the release's groups, and of each its objects and the Secrets that these own.

    A CRD whose objects are not known has no entry in C(objects). C(going) is what is being deleted.
    """

    crds: Mapping[str, Crd]
    objects: Mapping[str, Sequence[Item]] = field(default_factory=dict)
    secrets: Mapping[str, Sequence[Item]] = field(default_factory=dict)
    going: Sequence[Item] = ()

    @property
    def items(self) -> list[Item]:
        """All that would be lost, the CRDs included, each once."""
        crds = [Item(KIND, "", name, self.crds[name].uid) for name in self.crds]
        parts = (each for part in (self.objects, self.secrets) for name in part for each in part[name])
        return list(dict.fromkeys([*crds, *parts]))

    def loss(self, name: str) -> str:
        """What goes with a CRD."""
        objects, secrets = self.counts(name)
        if objects is None or secrets is None:
            return "objects and Secrets that are not known"
        return f"{counted(objects, 'object')} and {counted(secrets, 'Secret')}"

    def counts(self, name: str) -> tuple[int | None, int | None]:
        """How many objects a CRD has, and how many Secrets these own; none where the API server does not serve it."""
        if name in self.crds and name not in self.objects:
            return None, None
        return len(self.objects.get(name, ())), len(self.secrets.get(name, ()))


def noted(content: str) -> list[Item]:
    """What was there at an earlier look, as JSON."""
    try:
        return [Item(*(str(each[key]) for key in ("kind", "namespace", "name", "uid"))) for each in json.loads(content)]
    except (ValueError, TypeError, KeyError):
        raise Unreadable("it is no list of objects") from None


def loose(release: Release, living: Living) -> list[str]:
    """The CRDs of the release's groups that it does not hold: Helm does not touch them."""
    return sorted(set(living.crds) - set(release.crds) - set(_unheld(release, living)))


def _unheld(release: Release, living: Living) -> list[str]:
    """The CRDs that say they are the release's, which does not hold them, and that nothing keeps."""
    crds = (crd for name, crd in living.crds.items() if name not in release.crds)
    return sorted(crd.name for crd in crds if crd.owner == release.label and not crd.keep)


def problems(
    release: Release, living: Living, rendered: Mapping[str, Crd] | None = None, since: Sequence[Item] | None = None
) -> list[Problem]:
    """Everything by which something would be lost, or was since then."""
    found = [*_of_release(release), *_of_crds(release, living), *_of_going(living)]
    if rendered is not None:
        found += _of_rendered(release, living, rendered)
    return [*found, *_lost(living, since or ())]


def lines(release: Release, living: Living) -> list[str]:
    """What was found, for a person."""
    rows = [("CRD", "in the release", "in the cluster", "objects", "Secrets")]
    for name, crd in release.crds.items():
        there = living.crds.get(name)
        objects, secrets = ("not known" if each is None else str(each) for each in living.counts(name))
        rows.append(
            (
                name,
                "hook" if crd.hook else "keep" if crd.keep else "-",
                "missing" if there is None else "keep" if there.keep else "-",
                objects,
                secrets,
            )
        )
    head = f"{release.label}: revision {release.revision}, {release.status}, {release.chart} {release.version}"
    rest = [f"not in the release: {', '.join(names)}"] if (names := loose(release, living)) else []
    return [head, *table(rows, header=True), *rest]


def _of_release(release: Release) -> Iterator[Problem]:
    subject = f"Helm release {release.label}"
    if release.status.startswith("pending") or release.status == "uninstalling":
        what = f"its newest revision, {release.revision}, is {release.status}: somebody is at it, or was killed."
        yield Problem("pending", subject, what, _PENDING_STEP)
    elif release.status != "deployed":
        what = f"its newest revision, {release.revision}, is {release.status}, and an uninstall goes by that one."
        yield Problem("not_deployed", subject, what, "Have an upgrade succeed first.")


def _of_crds(release: Release, living: Living) -> Iterator[Problem]:
    for name, stored in release.crds.items():
        there = living.crds.get(name)
        if stored.hook:
            yield _hook(name, release.label, living)
        if there is None:
            what = f"{release.label} has it, and the cluster does not."
            yield Problem("missing", name, what, "Upgrade the release once: Helm makes it again.")
            continue
        if there.owner and there.owner != release.label:
            what = f"it belongs to the release {there.owner}, and {release.label} has it as well."
            yield Problem("foreign", name, what, "Two releases must not have the same CRDs: take them out of one.")
        if not stored.keep and not stored.hook:
            what = f"what is stored of {release.label} has no {POLICY}: keep, so an uninstall deletes it, with"
            yield Problem("not_kept_in_release", name, f"{what} {living.loss(name)}.", _KEEP_STEP)
        if not there.keep and not stored.hook:
            what = f"in the cluster it has no {POLICY}: keep, so an upgrade that leaves it out deletes it, with"
            yield Problem("not_kept_in_cluster", name, f"{what} {living.loss(name)}.", _KEEP_STEP)
        if living.counts(name)[0] is None:
            what = "objects not known: the cluster has it, and the API server serves nothing of it."
            step = "Its versions or conditions say why. Look again when it is served: a note of now would lack them."
            yield Problem("not_served", name, what, step)
    for name in _unheld(release, living):
        what = f"it says that it belongs to {release.label}, whose stored manifest does not have it, and has no "
        what += f"{POLICY}: keep, so an upgrade or an uninstall may delete it, with {living.loss(name)}."
        yield Problem("not_held", name, what, _KEEP_STEP)


def _hook(name: str, whose: str, living: Living) -> Problem:
    what = (
        f"{whose} has it as a hook ({HOOK}), for which {POLICY} does not count. Helm makes it anew: it fails where it "
    )
    what += f"is there, and of a hook that is a list it is deleted before, with {living.loss(name)}."
    return Problem("hook", name, what, _HOOK_STEP)


def _of_going(living: Living) -> Iterator[Problem]:
    for each in living.going:
        yield Problem("going", each.label, "it is being deleted.", _GOING_STEP)


def _of_rendered(release: Release, living: Living, rendered: Mapping[str, Crd]) -> Iterator[Problem]:
    for name in release.crds:
        there = living.crds.get(name)
        if name not in rendered and there is not None:
            what = "the upgrade leaves it out, and Helm "
            what += "would look after it no more" if there.keep else f"deletes it, with {living.loss(name)}"
            step = (
                "Render it with the values of the release that runs (of ESO's chart: installCRDs and crds.create...)."
            )
            yield Problem("dropped", name, f"{what}.", step)
    for name, crd in rendered.items():
        if crd.hook:
            yield _hook(name, "the upgrade", living)
        elif not crd.keep:
            what = f"the upgrade has it without {POLICY}: keep, and takes that from the cluster as well."
            yield Problem(
                "keep_lost", name, what, "Give the upgrade the same values (of ESO's chart: crds.annotations)."
            )
        there = living.crds.get(name)
        if there is not None and name not in release.crds and there.owner != release.label:
            what = (
                f"the upgrade has it, and in the cluster it belongs to {there.owner or 'no release'}: Helm refuses it."
            )
            yield Problem("foreign", name, what, "Leave it out of the upgrade, or have its present owner give it up.")


def _lost(living: Living, since: Sequence[Item]) -> Iterator[Problem]:
    there = {(each.kind, each.namespace, each.name): each.uid for each in living.items}
    for each in since:
        uid = there.get((each.kind, each.namespace, each.name))
        if uid is None:
            yield Problem("gone", each.label, "it was there, and is not any more.", _NOTE_STEP)
        elif uid != each.uid:
            what = "it is another one than it was: it was deleted and made again."
            yield Problem("made_anew", each.label, what, _NOTE_STEP)
