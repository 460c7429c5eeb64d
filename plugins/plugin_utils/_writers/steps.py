# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is next in a cluster where a Secret shall have another writer, told from what is found there alone. Pure.

The old writer's object goes last: after Flux has let go of it, and after the new writer owns the Secret beside it. So
at every moment somebody owns the Secret, and the garbage collector never finds it with no owner left.
Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.found import secret_name
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import KINDS, VAULT
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import (
    KUSTOMIZE,
    Object,
    mapping,
    mappings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import kubectl

PRUNE: t.Final = f"{KUSTOMIZE}/prune"
DISABLED: t.Final = "disabled"
MARK: t.Final = "tazlab.bootstrap/keeps-secret"  # on the old object: the uid of the Secret that it may not take along

# What each writer leaves on a Secret. VSO takes a Secret with its labels for that of another object of its own.
_LABELS: t.Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        ESO: ("reconcile.external-secrets.io/created-by", "reconcile.external-secrets.io/managed"),
        VSO: (
            *("app.kubernetes.io/managed-by", "app.kubernetes.io/name", "app.kubernetes.io/component"),
            f"{VAULT}/vso-ownerRefUID",
        ),
    }
)
_RAW: t.Final = "_raw"  # of VSO: all that the path holds
_VSO_LABELS: t.Final = frozenset(("hashicorp-vso", "vault-secrets-operator", "secret-sync"))
_ANNOTATIONS: t.Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {ESO: ("reconcile.external-secrets.io/data-hash",), VSO: ()}
)

# The creationPolicy of an ExternalSecret that fills a Secret of others, or none, or owns not what it makes.
_NO_OWNER: t.Final = ("Merge", "None", "Orphan")

Item = Mapping[str, t.Any]


@dataclass(frozen=True)
class Asked:
    """A Secret, who shall make it, and the type that it is declared to have."""

    namespace: str
    name: str
    writer: str
    type: str = "Opaque"

    @property
    def label(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def old(self) -> str:
        return VSO if self.writer == ESO else ESO


@dataclass(frozen=True)
class Found:
    """What the cluster has of it. C(secret) is its metadata alone; C(holders), the Flux Kustomizations in whose
    inventory the old object is; C(type), the Secret's where it matters; C(kubeconfig), by which the cluster is reached.
    """

    secret: Item | None = None
    old: Sequence[Item] = ()
    new: Item | None = None
    holders: Sequence[Item] = ()
    type: str = ""
    kubeconfig: str = ""

    @property
    def uid(self) -> str:
        return str(_meta(self.secret).get("uid") or "")


# What is to be done, and what is only waited for.
WAIT, FLUX, DELETE, UNMARK, CLEAN, DONE, REFUSE = "wait", "flux", "delete", "unmark", "clean", "done", "refuse"


@dataclass(frozen=True)
class Step:
    """The next one, and why: a sentence for a person."""

    what: str
    why: str = ""


def shown(item: Item | None, writer: str) -> str:
    meta = _meta(item)
    return f"{KINDS[writer][1]} {meta.get('namespace')}/{meta.get('name')}"


def makes(item: Item, asked: Asked, writer: str) -> bool:
    """Whether an object of a writer makes the Secret, and owns it."""
    target = mapping(mapping(item.get("spec")).get("target"))
    is_owner = writer == VSO or target.get("creationPolicy") not in _NO_OWNER
    return is_owner and secret_name(Object(dict(item), "", ""), writer) == asked.name


def is_marked(item: Item) -> bool:
    return MARK in mapping(_meta(item).get("annotations"))


def protection(found: Found) -> dict[str, str]:
    """The annotations by which Flux leaves the old object, and by which a later run knows it again."""
    return {PRUNE: DISABLED, MARK: found.uid}


def is_anew(found: Found) -> bool:
    """Whether the Secret is another one than when its change of writer began."""
    kept = [mapping(_meta(each).get("annotations")).get(MARK) for each in found.old]
    return any(uid and uid != found.uid for uid in kept)


def unmarked(item: Item) -> dict[str, t.Any]:
    """A patch that takes off an object what C(protection) put on it, if it is as it was seen."""
    meta = _meta(item)
    mine = [MARK, *(key for key in (PRUNE,) if mapping(meta.get("annotations")).get(key) == DISABLED)]
    seen = {key: meta[key] for key in ("uid", "resourceVersion")}
    return {"metadata": {**seen, "annotations": dict.fromkeys(mine)}}


def is_protected(found: Found) -> bool:
    """Whether the old object, if there is one, has these annotations. Of a change that has begun the uid stays."""
    if not found.old or (is_marked(found.old[0]) and not found.holders):
        return True
    return protection(found).items() <= mapping(_meta(found.old[0]).get("annotations")).items()


def refusal(asked: Asked, found: Found) -> str:
    """Why the old object cannot be kept from Flux; nothing where it can, is already, or is gone with its turn."""
    kind = KINDS[asked.old][1]
    if not found.old:
        if found.new is not None:
            return ""
        return f"no {kind} makes it in the cluster. Let Flux apply what is declared now first."
    if len(found.old) > 1:
        return f"{' and '.join(shown(each, asked.old) for each in found.old)} make it. Keep one of them first."
    (old,) = found.old
    if why := _taken_along(asked, found) or _made_anew(asked, found):
        return why
    if is_marked(old) and not found.holders:
        return ""
    if not found.holders:
        return (
            f"{shown(old, asked.old)} is in no inventory of Flux, so it is not Flux that made it. Have Flux make it "
            "first, or take it away yourself, and leave the Secret (propagation policy Orphan)."
        )
    for holder in found.holders:
        if why := trouble(holder):
            return f"{why} While that is so, Flux does not let go of {shown(old, asked.old)}. Mend that first."
    return ""


def _taken_along(asked: Asked, found: Found) -> str:
    """Why the Secret would go with the old object, whatever the API is asked for: its operator deletes both."""
    old = found.old[0]
    target = mapping(mapping(old.get("spec")).get("target"))
    if asked.old != ESO or target.get("deletionPolicy") != "Delete":
        return ""
    why = f"{shown(old, asked.old)} has deletionPolicy Delete, by which ESO itself deletes the Secret with it."
    if found.holders:
        return f"{why} Let Flux apply deletionPolicy Retain first."
    patch = '{"spec": {"target": {"deletionPolicy": "Retain"}}}'
    command = _command(found, "patch", "--type=merge", "--patch", patch)
    return f"{why} Flux does not hold it, so set that yourself: {command}"


def _made_anew(asked: Asked, found: Found) -> str:
    """Why VSO would delete the Secret and make it again, which it does to change a type."""
    if asked.writer != VSO or found.type in ("", asked.type) or owns(found.new, found.secret):
        return ""
    return (
        f"it is of type {found.type} in the cluster, and declared to be {asked.type}: VSO would delete it and make it "
        f"anew. Declare type {found.type} for writer {asked.old} first."
    )


def _command(found: Found, verb: str, *more: str) -> str:
    """A command for a person, on the old object."""
    old = found.old[0]
    words = verb, str(old.get("kind")).lower(), str(_meta(old).get("name")), *more
    return kubectl(found.kubeconfig, str(_meta(old).get("namespace")), *words)


def trouble(holder: Item) -> str:
    """Why a Flux Kustomization will not take up what is pushed."""
    name = f"Flux Kustomization {_meta(holder).get('namespace')}/{_meta(holder).get('name')}"
    if mapping(holder.get("spec")).get("suspend") is True:
        return f"{name} is suspended."
    ready = next((each for each in _conditions(holder) if each.get("type") == "Ready"), {})
    if ready.get("status") == "False":
        return f"{name} is not Ready ({ready.get('reason')}: {str(ready.get('message')).strip()})."
    return ""


def next_step(asked: Asked, found: Found) -> Step:
    """What is to be done next, or waited for."""
    kind = KINDS[asked.writer][1]
    old = found.old[0] if found.old else None
    if len(found.old) > 1:
        return Step(REFUSE, refusal(asked, found))
    if old is not None and _meta(old).get("deletionTimestamp") is None and (why := _taken_along(asked, found)):
        return Step(REFUSE, why)
    if old is not None and found.holders:
        why = "; ".join(filter(None, map(trouble, found.holders)))
        names = ", ".join(f"{_meta(each).get('namespace')}/{_meta(each).get('name')}" for each in found.holders)
        still = f"Flux Kustomization {names} still has {shown(old, asked.old)}"
        return Step(FLUX, f"{still}: {why}" if why else still)
    if old is not None and not is_marked(old):
        why = f"{shown(old, asked.old)} makes it, too, and no run of this has kept it from Flux."
        if not owns(found.new, found.secret):
            return Step(REFUSE, f"{why} Look at what makes it, and keep one writer.")
        only = _command(found, "delete", "--cascade=orphan")
        return Step(REFUSE, f"{why} The new writer owns the Secret: take the old one alone away: {only}")
    if found.new is None:
        return Step(FLUX, f"Flux has made no {kind} for it yet")
    if old is not None:
        if _meta(old).get("deletionTimestamp"):
            return Step(WAIT, f"{shown(old, asked.old)} is being deleted")
        if not owns(found.new, found.secret):
            return Step(WAIT, f"{shown(found.new, asked.writer)} has not taken the Secret over: {_said(found.new)}")
        return Step(DELETE)
    if not owns(found.new, found.secret):
        return Step(WAIT, f"{shown(found.new, asked.writer)} does not own the Secret: {_said(found.new)}")
    if is_marked(found.new):  # of a change that was turned back; ESO copies it to the Secret
        return Step(UNMARK)
    if leftovers(asked, found):
        return Step(CLEAN)
    if any(each.get("kind") == KINDS[asked.old][1] for each in _owners(found.secret)):
        return Step(WAIT, f"the garbage collector takes {KINDS[asked.old][1]} from the Secret's owners")
    if not _synced(found.new, asked.writer):
        return Step(WAIT, f"{shown(found.new, asked.writer)} is not synced: {_said(found.new)}")
    return Step(DONE)


def leftovers(asked: Asked, found: Found) -> dict[str, dict[str, t.Any]]:
    """What the old writer has left on the Secret and the new one does not take away, as a patch that does.

    What its data holds is known by the names alone that the API server notes of each who sets one.
    """
    meta = _meta(found.secret)
    labels, annotations = mapping(meta.get("labels")), mapping(meta.get("annotations"))
    gone = [
        key
        for key in _LABELS[asked.old]
        if key in labels and (not key.startswith("app.kubernetes.io/") or labels[key] in _VSO_LABELS)
    ]
    notes = [key for key in (*_ANNOTATIONS[asked.old], MARK) if key in annotations]
    if MARK in notes and annotations.get(PRUNE) == DISABLED:  # of the old object, of which ESO copies what it has
        notes.append(PRUNE)
    both = {"labels": dict.fromkeys(gone), "annotations": dict.fromkeys(notes)}
    patch: dict[str, dict[str, t.Any]] = {}
    if marks := {part: keys for part, keys in both.items() if keys}:
        patch["metadata"] = marks
    if asked.old == VSO and any(
        f"f:{_RAW}" in mapping(mapping(each.get("fieldsV1")).get("f:data"))
        for each in mappings(meta.get("managedFields"))
    ):
        patch["data"] = {_RAW: None}
    return patch


def owns(item: Item | None, secret: Item | None) -> bool:
    """Whether the Secret names an object among its owners."""
    uid = _meta(item).get("uid")
    return bool(uid) and any(each.get("uid") == uid for each in _owners(secret))


def _owners(secret: Item | None) -> list[Item]:
    return list(mappings(_meta(secret).get("ownerReferences")))


def _synced(item: Item, writer: str) -> bool:
    """Whether its operator has synced an object as it is now. VSO tells that by the generation, ESO by a condition."""
    if writer == VSO:
        return mapping(item.get("status")).get("lastGeneration") == _meta(item).get("generation")
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in _conditions(item))


def _said(item: Item) -> str:
    """What an object's operator says of it; no message of theirs quotes a value, and none is needed here."""
    ready = next((each for each in _conditions(item) if each.get("type") == "Ready"), None)
    return f"Ready is {ready.get('status')} ({ready.get('reason')})" if ready else "its operator has not said why"


def _conditions(item: Item) -> list[Item]:
    return list(mappings(mapping(item.get("status")).get("conditions")))


def _meta(item: Item | None) -> Item:
    return mapping(mapping(item).get("metadata"))
