# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings Kubernetes objects about by server-side apply, and tells what became of each without showing a Secret.

Private: other collections must not import it.
"""

from __future__ import annotations

import copy
import re
import shlex
import time
import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.paths import differing, leaves
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import (
    PASSING,
    Answer,
    Api,
    Kind,
    Unanswered,
    label,
    require,
)

PAUSE_SECONDS = 1.0  # between two attempts while the API gives no answer

# What an API server says of a Secret with these codes speaks of names alone. Any other text could quote its values.
NAMES_ALONE = frozenset({401, 403, 404})

# An object of a wrong shape is answered with 500, like trouble that passes. Only the text tells them apart.
WRONG_SHAPE = "failed to create typed patch object"

# A webhook that cannot be reached is answered with 500; its name is nobody's secret.
WEBHOOK = re.compile(r'failed calling webhook "([^"]+)"')

# The API has no code of its own for it.
IMMUTABLE = "immutable"

# kubectl keeps a copy of the whole object in it, the values of a Secret among it.
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

# The field managers of what people ran before: kubectl's many, Terraform's typed resources and its manifests.
PEOPLE = re.compile(r"kubectl|HashiCorp|Terraform|before-first-apply")

# What is said to differ where an object stays as it is, and another field manager owns it.
FIELD_MANAGER: t.Final = "field manager"

MADE, CHANGED, UNCHANGED, FAILED = "made", "changed", "unchanged", "failed"


@dataclass(frozen=True)
class Rules:
    """How objects are applied."""

    manager: str
    keep_existing: tuple[str, ...] = ()  # these, KIND/NAMESPACE/NAME, are left alone where they are there already
    marks_only: bool = False  # an object that is there already gets the labels and annotations that it lacks
    exact_data: tuple[str, ...] = ()  # of these objects, NAMESPACE/NAME, what the definition lacks is taken away
    dry_run: bool = False


@dataclass(frozen=True)
class Leftover:
    """A key of data, or an annotation, that who made the object before us left in it, and their field manager."""

    key: str
    manager: str


@dataclass(frozen=True)
class Held:
    """A label or annotation that another field manager has set otherwise, and that is left to it."""

    key: str
    manager: str


@dataclass(frozen=True)
class Applied:
    """What became of one object."""

    api_version: str
    kind: str
    namespace: str | None
    name: str
    change: str
    problem: str = ""
    before: dict[str, t.Any] | None = None
    after: dict[str, t.Any] | None = None
    leftovers: tuple[Leftover, ...] = ()
    held: tuple[Held, ...] = ()

    @property
    def label(self) -> str:
        return label(self.kind, self.namespace, self.name)

    @property
    def differences(self) -> list[str]:
        """The paths at which it was changed, never a value; where only who owns its fields did, that."""
        if self.before is None or self.after is None:
            return []
        return differing(_flat(self.before), _flat(self.after)) or [FIELD_MANAGER]


def check(definitions: Sequence[Mapping[str, t.Any]]) -> None:
    """Raise for what is not an object, before anything is sent."""
    for number, each in enumerate(definitions, 1):
        metadata = each.get("metadata")
        if not each.get("apiVersion") or not each.get("kind") or not isinstance(metadata, Mapping):
            raise BootstrapError(
                f"objects: number {number} is not a Kubernetes object: it lacks apiVersion, kind or metadata."
            )
        if not metadata.get("name"):
            raise BootstrapError(f"objects: number {number}, a {each['kind']}, has no name in its metadata.")


def plan(definitions: Sequence[Mapping[str, t.Any]]) -> list[Applied]:
    """What would become of the objects in a cluster that is still to be made."""
    return [_applied(each, MADE) for each in definitions]


def apply_all(
    api: Api,
    definitions: Sequence[Mapping[str, t.Any]],
    rules: Rules,
    deadline: Deadline,
    say: Callable[[str], None],
) -> list[Applied]:
    """Apply each in the given order. What the API refuses is reported with the rest, and does not keep them back."""
    return [_patiently(api, each, rules, deadline, say) for each in definitions]


def _patiently(
    api: Api, definition: Mapping[str, t.Any], rules: Rules, deadline: Deadline, say: Callable[[str], None]
) -> Applied:
    """Server-side apply may be repeated, so an API server that gives no answer is asked again until the deadline."""
    said = ""
    while True:
        try:
            return apply(api, definition, rules, max(1.0, deadline.left))
        except Unanswered as error:
            if not deadline.left:
                return _applied(definition, FAILED, f"{error} It was asked for {deadline.seconds:.0f} s.")
            if str(error) != said:
                said = str(error)
                say(f"{_label(definition)}: {said} It is asked again until {deadline.seconds:.0f} s are over.")
            time.sleep(min(PAUSE_SECONDS, deadline.left))


def apply(api: Api, definition: Mapping[str, t.Any], rules: Rules, seconds: float) -> Applied:
    """Apply one object. Raise C(Unanswered) where asking again may help."""
    kind = api.kind(definition["apiVersion"], definition["kind"], seconds)
    if kind is None:
        if rules.dry_run:  # its CustomResourceDefinition would have been made before it
            return _applied(definition, MADE)
        return _applied(
            definition, FAILED, f"the API does not serve {definition['kind']} of {definition['apiVersion']}"
        )
    path = kind.path(_namespace(definition, kind), definition["metadata"]["name"])
    found = api.get(path, seconds=seconds)
    if found.status != 404:
        require(found, api.server, _label(definition))
    before = found.body if found.ok else None
    ending = _ending(definition, before)
    if ending:
        return _applied(definition, FAILED, ending)
    if before is not None and f"{definition['kind']}/{_name(definition)}" in rules.keep_existing:
        return _applied(definition, UNCHANGED)
    if before is not None and rules.marks_only:
        return _mark(api, path, definition, before, rules, seconds)
    answer = api.request(
        "PATCH",
        path,
        query={"fieldManager": rules.manager, "force": "true", **_dry(rules)},
        body=definition,
        content_type="application/apply-patch+yaml",
        seconds=seconds,
    )
    if not answer.ok:
        return _refused(api, definition, answer, rules)
    after = answer.body
    exact = _name(definition) in rules.exact_data
    stale = {LAST_APPLIED: None} if exact and LAST_APPLIED in (after["metadata"].get("annotations") or {}) else {}
    surplus = dict.fromkeys(_surplus(definition, after)) if exact else {}
    if stale or surplus:
        answer = api.request(
            "PATCH",
            path,
            query={"fieldManager": rules.manager, **_dry(rules)},
            body={"data": surplus, "metadata": {"annotations": stale}},
            content_type="application/merge-patch+json",
            seconds=seconds,
        )
        if not answer.ok:
            return _refused(api, definition, answer, rules)
        after = answer.body
    left = () if exact else _leftovers(definition, after)
    if before is None:
        return _applied(definition, MADE, after=after)
    if _essence(before) == _essence(after):
        return replace(_applied(definition, UNCHANGED), leftovers=left)
    return replace(_applied(definition, CHANGED, before=before, after=after), leftovers=left)


def _mark(
    api: Api, path: str, definition: Mapping[str, t.Any], before: dict[str, t.Any], rules: Rules, seconds: float
) -> Applied:
    """Give an object the labels and annotations that it lacks. What another field manager has set stays as it is."""
    wanted: dict[str, dict[str, str]] = {}
    held: list[Held] = []
    for kind in ("labels", "annotations"):
        found = before["metadata"].get(kind) or {}
        owners = _owners(before, "f:metadata", f"f:{kind}")
        for key, value in (definition["metadata"].get(kind) or {}).items():
            owner = owners.get(key, "")
            if found.get(key) == value:
                continue
            if key in found and owner != rules.manager and not PEOPLE.match(owner):
                held.append(Held(key, owner or "somebody"))
            else:
                wanted.setdefault(kind, {})[key] = value
    if not wanted:
        return replace(_applied(definition, UNCHANGED), held=tuple(held))
    answer = api.request(
        "PATCH",
        path,
        query={"fieldManager": rules.manager, **_dry(rules)},
        body={"metadata": wanted},
        content_type="application/merge-patch+json",
        seconds=seconds,
    )
    if not answer.ok:
        return _refused(api, definition, answer, rules)
    return replace(_applied(definition, CHANGED, before=before, after=answer.body), held=tuple(held))


def _owners(item: Mapping[str, t.Any], *path: str) -> dict[str, str]:
    """Who owns each key of a mapping in an object; C(path) leads to the mapping as the API notes it."""
    owners: dict[str, str] = {}
    for entry in (item.get("metadata") or {}).get("managedFields") or []:
        fields = entry.get("fieldsV1") or {}
        for step in path:
            fields = fields.get(step) or {}
        owners |= {key.removeprefix("f:"): str(entry.get("manager")) for key in fields}
    return owners


def _ending(definition: Mapping[str, t.Any], found: Mapping[str, t.Any] | None) -> str:
    """Why nothing can be made in a namespace that is being deleted; empty where it is not."""
    if found is None or definition["kind"] != "Namespace" or not found["metadata"].get("deletionTimestamp"):
        return ""
    conditions = (found.get("status") or {}).get("conditions") or []
    holds = [str(each["message"]) for each in conditions if each.get("status") == "True" and each.get("message")]
    return (
        "it is being deleted, so nothing can be made in it. "
        + (f"What holds it: {' '.join(holds)} " if holds else "")
        + "Remove that, or whoever waits for it, and run this again when the namespace is gone"
    )


def _refused(api: Api, definition: Mapping[str, t.Any], answer: Answer, rules: Rules) -> Applied:
    if answer.status in PASSING and WRONG_SHAPE not in answer.message:
        raise Unanswered(f"{_words(api, definition, answer)}.")
    if answer.status == 404 and rules.dry_run:  # its namespace would have been made before it
        return _applied(definition, MADE)
    return _applied(definition, FAILED, _words(api, definition, answer))


def _words(api: Api, definition: Mapping[str, t.Any], answer: Answer) -> str:
    words = f"the API answered {answer.status} ({answer.reason})"
    webhook = WEBHOOK.search(answer.message)
    if webhook:
        return (
            f"{words}: the admission webhook {webhook[1]} could not be asked. Look at the service behind it; whoever "
            "made the webhook can set its failurePolicy"
        )
    causes = (answer.body.get("details") or {}).get("causes") or []
    fixed = [str(each["field"]) for each in causes if each.get("field") and IMMUTABLE in str(each.get("message"))]
    if fixed:
        return f"{words}: {', '.join(dict.fromkeys(fixed))} cannot be changed. {_anew(api, definition)}"
    if definition["kind"] == "Secret" and answer.status not in NAMES_ALONE:
        fields = ", ".join(str(each["field"]) for each in causes if each.get("field"))
        return (
            f"{words}{f' because of {fields}' if fields else ''}; its text is withheld, since it could quote the Secret"
        )
    return f"{words}: {answer.message}" if answer.message else words


def _anew(api: Api, definition: Mapping[str, t.Any]) -> str:
    metadata = definition["metadata"]
    words = ["kubectl", "--kubeconfig", api.kubeconfig, "delete", str(definition["kind"]).lower(), metadata["name"]]
    words += ["--namespace", metadata["namespace"]] if metadata.get("namespace") else []
    return (
        f"To have it made anew: {shlex.join(words)} (until the next run it is gone for whoever needs it), and run this "
        "again"
    )


def _applied(
    definition: Mapping[str, t.Any],
    change: str,
    problem: str = "",
    before: dict[str, t.Any] | None = None,
    after: dict[str, t.Any] | None = None,
) -> Applied:
    metadata = definition["metadata"]
    return Applied(
        api_version=str(definition["apiVersion"]),
        kind=str(definition["kind"]),
        namespace=str(metadata["namespace"]) if metadata.get("namespace") else None,
        name=str(metadata["name"]),
        change=change,
        problem=problem,
        before=before,
        after=after,
    )


def _label(definition: Mapping[str, t.Any]) -> str:
    return _applied(definition, "").label


def _name(definition: Mapping[str, t.Any]) -> str:
    """NAMESPACE/NAME, as options name an object; NAME alone where it is in no namespace."""
    return "/".join(filter(None, (definition["metadata"].get("namespace"), definition["metadata"]["name"])))


def _namespace(definition: Mapping[str, t.Any], kind: Kind) -> str | None:
    if not kind.namespaced:
        return None
    return str(definition["metadata"].get("namespace") or "default")


def _dry(rules: Rules) -> dict[str, str]:
    return {"dryRun": "All"} if rules.dry_run else {}


def _surplus(definition: Mapping[str, t.Any], item: Mapping[str, t.Any]) -> list[str]:
    return sorted(set(item.get("data") or {}) - set(definition.get("data") or {}))


def _leftovers(definition: Mapping[str, t.Any], item: Mapping[str, t.Any]) -> tuple[Leftover, ...]:
    """What kubectl or Terraform left: keys that nobody declares any more, and kubectl's own copy of the whole object.

    Keys of other managers are theirs, and no leftovers.
    """
    if definition["kind"] not in ("Secret", "ConfigMap"):
        return ()
    metadata = item.get("metadata") or {}
    owners = _owners(item, "f:data")
    left = [Leftover(key, owners[key]) for key in _surplus(definition, item) if PEOPLE.match(owners.get(key, ""))]
    if LAST_APPLIED in (metadata.get("annotations") or {}):
        left.append(Leftover(LAST_APPLIED, "kubectl"))
    return tuple(left)


def _essence(item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The object without what the API server and the controllers move by themselves.

    Of who owns its fields only the managers count: Flux' controller and we write some fields in two ways that mean the
    same, and whoever wrote last owns them.
    """
    essence = copy.deepcopy(dict(item))
    essence.pop("status", None)
    metadata = essence.get("metadata") or {}
    for key in ("resourceVersion", "generation"):
        metadata.pop(key, None)
    managers = [each for each in metadata.get("managedFields") or [] if each.get("subresource") != "status"]
    metadata["managedFields"] = sorted({(each["manager"], each["operation"]) for each in managers})
    return essence


def _flat(item: Mapping[str, t.Any]) -> dict[str, t.Any]:
    essence = _essence(item)
    metadata = {key: essence["metadata"].get(key) for key in ("labels", "annotations") if essence["metadata"].get(key)}
    return dict(leaves({**essence, "metadata": metadata}))


def shown(item: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """What a diff may show of an object: a Secret's keys without their values, and nothing that only the API moves."""
    if item is None:
        return {}
    visible = _essence(item)
    visible["metadata"] = {
        key: value
        for key, value in visible["metadata"].items()
        if key in ("name", "namespace", "labels", "annotations")
    }
    if visible.get("kind") == "Secret":
        for key in ("data", "stringData"):
            if key in visible:
                visible[key] = dict.fromkeys(visible[key], "(hidden)")
        visible["metadata"].pop("annotations", None)  # LAST_APPLIED
    return visible
