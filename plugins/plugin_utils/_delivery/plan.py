# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change in a repository so that it delivers the declared Secrets: files, and why. Changes nothing.

It is planned on the objects as Flux builds them, and proven on them: the changed files are built again, and each Secret
must then be what was declared, by one writer, and nothing else may be different.
Private: other collections must not import it.
"""

from __future__ import annotations

import posixpath
import typing as t
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem, texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery import edit
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO, Consumer, Declared
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.files import Files, differing
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.found import (
    Written,
    secrets,
    workloads,
    written,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import (
    EXTERNAL,
    VAULT,
    Document,
    Operators,
    api_version,
    chosen,
    is_served,
    manifest,
    obstacle,
    release,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.restarts import (
    AUTO,
    NO,
    YES,
    chart_name,
    patch,
    releases,
    restarted,
    says_restart,
    workload_name,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.build import kustomization_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import (
    Object,
    Repository,
    mapping,
    mappings,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.tree import Tree

NEW, CHANGED, EQUAL, GONE = "new", "changed", "equal", "gone"

# What is, or makes, a Secret beside what is declared.
_MAKERS: t.Final = frozenset(
    (("", "Secret"), ("bitnami.com", "SealedSecret"), (VAULT, "VaultDynamicSecret"), (VAULT, "VaultPKISecret"))
)

TOLD: t.Final = "tazlab_change_writer"  # which names the Secrets whose writer may change

Read = Callable[[Tree], Repository]


@dataclass(frozen=True)
class Places:
    """Where new objects go, by writer: the file, and the kustomization that lists it if not its folder's."""

    files: Mapping[str, str]
    lists: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """One Secret: who makes it, by which file, and whether that changes."""

    declared: Declared
    file: str
    state: str

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "name": self.declared.name,
            "namespace": self.declared.namespace,
            "writer": self.declared.writer,
            "file": self.file,
            "state": self.state,
            "paths": list(self.declared.paths),
        }


@dataclass
class Plan:
    """The files that change, each with its new content (None: it goes), and what is wrong."""

    files: dict[str, bytes | None] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # what the reader did not look into: a line each


class Planner:
    """Plans the files of a repository, C(tree), of which C(read) makes a model. C(told): the labels of the Secrets
    whose writer may change."""

    def __init__(
        self, tree: Tree, read: Read, operators: Operators, places: Places, told: Collection[str] = ()
    ) -> None:
        self._tree = tree
        self._read = read
        self._operators = operators
        self._places = places
        self._told = told
        self._plan = Plan()
        self._files = Files(tree)

    def plan(self, declared: Sequence[Declared]) -> Plan:
        before = self._read(self._tree)
        self._operators = replace(self._operators, eso=self._operators.eso or release(before))
        if api_version(self._operators.eso) is None:
            what = f"no version of its kinds is known that ESO {self._operators.eso} serves."
            self._plan.problems.append(Problem("version", "ESO", what, "Name the release that runs, like 0.10.3."))
            return self._plan
        self._plan.skipped = [*texts(before.problems), *before.skipped]
        made = _by_label(before, self._operators)
        self._plan.problems += _unknown(self._told, declared)
        for one in declared:
            self._one(one, made.get(one.label, []), before)
        self._files.keep_folders()
        self._plan.files = self._files.planned
        self._plan.problems += self._files.problems
        if any(each.state != EQUAL for each in self._plan.deliveries) and not self._plan.problems:
            self._plan.problems += self._unproven(before)
        return self._plan

    def _one(self, declared: Declared, made: Sequence[Written], before: Repository) -> None:
        """Plan one Secret."""
        leaves = [each for each in made if declared.writer not in ("", each.writer)]
        stays = [each for each in made if each not in leaves]  # of a run that was killed, where one leaves
        if declared.label not in self._told:
            leaves, stays = [], list(made)
        problems = [*_strangers(declared, stays, before), *_leaving(declared, leaves, before)]
        consumers: list[Consumer] = []
        for each in declared.consumers:
            found = _consumer(before, declared, each)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                consumers.append(found)
        declared = replace(declared, consumers=tuple(consumers))
        here = stays[0] if stays else None
        writer = here.writer if here else declared.writer or chosen(declared, self._operators)
        if reason := obstacle(declared, writer):
            step = "Declare it for the other writer." if not here else f"Change {here.object.place} by hand."
            problems.append(Problem("impossible", f"Secret {declared.label}", f"{reason}.", step))
        if writer == VSO and not (declared.through or self._operators.auth):
            problems.append(Problem("no_auth", f"Secret {declared.label}", "no VaultAuth is named.", "Name one."))
        self._plan.problems += problems
        if problems:
            return
        declared = replace(declared, writer=writer)
        for old in leaves:
            self._files.remove(old.object, before)
        file, state = self._declare(declared, here)
        state = CHANGED if leaves and state == EQUAL else state
        self._plan.deliveries.append(Delivery(declared, file, state))
        if writer == ESO:
            for consumer in declared.consumers:
                self._restart(declared, consumer, before)

    def _declare(self, declared: Declared, here: Written | None) -> tuple[str, str]:
        document = manifest(declared, self._operators)
        # VSO leaves a Secret alone that is there and was not made by it. Whether it is, is not to be seen here.
        takes_over = declared.label in self._told and declared.writer == VSO
        if takes_over:
            document["spec"]["destination"]["overwrite"] = True
        if here is None:
            file = self._new_file(declared, document)
            return file, NEW
        api = str(here.object.document["apiVersion"])
        served = declared.writer != ESO or is_served(api, self._operators.eso)
        if not served and api == f"{EXTERNAL}/v1":
            what = f"{here.shown} is of {api}, which ESO {self._operators.eso} does not serve."
            self._plan.problems.append(Problem("version", "ESO", what, "Name the release of ESO that runs."))
        document["apiVersion"] = api if served else document["apiVersion"]
        may = not takes_over or mapping(here.object.spec.get("destination")).get("overwrite") is True
        if here.declared is None or (may and served and _meaning(here.declared) == _meaning(declared)):
            return here.object.file, EQUAL
        before = {**manifest(here.declared, self._operators), "apiVersion": api}

        def change(content: bytes, identity: edit.Identity) -> bytes:
            """What differs alone is changed, unless the object says the same in another way."""
            changed = edit.replaced(content, identity, document, before)
            found = edit.document_of(changed, identity)
            found["metadata"] = {**found["metadata"], "namespace": declared.namespace}
            made = written(replace(here.object, document=found), declared.writer, self._operators).declared
            if made and _meaning(made) == _meaning(declared):
                return changed
            return edit.replaced(content, identity, document)

        self._files.rewrite(here.object, change)
        return here.object.file, CHANGED

    def _new_file(self, declared: Declared, document: Document) -> str:
        pattern = self._places.files[declared.writer]
        file = declared.file or pattern.format(namespace=declared.namespace, name=declared.name)
        self._files.add(file, document)
        self._list(declared.writer, file)
        return file

    def _list(self, writer: str, file: str) -> None:
        """Have a new file listed: by the kustomization that is named for it, else by its folder's own."""
        folder = posixpath.dirname(file)
        own = kustomization_file(self._tree, folder) if self._tree.is_folder(folder) else ""
        lists = self._places.lists.get(writer) or (posixpath.join(folder, own) if own else "")
        if lists:
            self._files.list(lists, file)

    def _restart(self, declared: Declared, consumer: Consumer, before: Repository) -> None:
        """Have Reloader restart a consumer."""
        for each in workloads(before):
            if (each.kind, each.namespace, each.name) != (consumer.kind, declared.namespace, consumer.name):
                continue
            said = restarted(each, declared.name)
            if said == NO:
                what = f"{consumer.kind} {consumer.name} says that Reloader shall not restart it."
                step = f"Take {AUTO} out of {each.place}, or the consumer out of the declaration."
                self._plan.problems.append(Problem("contradiction", f"Secret {declared.label}", what, step))
            elif said != YES:
                self._files.rewrite(each, partial(edit.annotated, key=AUTO, value="true"))
            return
        for each in releases(before, declared.namespace, consumer.helm_release):
            if not says_restart(each):
                self._files.rewrite(each, partial(edit.post_rendered, renderer=patch(consumer.kind, consumer.name)))

    def _unproven(self, before: Repository) -> Iterator[Problem]:
        """What the changed files do not bring about, or bring about beside it, once they are built."""
        after = self._read(self._tree.with_files(self._plan.files))
        known = set(before.problems)
        yield from (each for each in after.problems if each not in known)
        made = _by_label(after, self._operators)
        if any(delivery.declared.label not in made for delivery in self._plan.deliveries):
            yield from before.problems  # which may be why
        for delivery in self._plan.deliveries:
            if delivery.state == EQUAL:
                continue
            found = made.get(delivery.declared.label, [])
            subject, file = f"Secret {delivery.declared.label}", delivery.file
            if not found:
                what = f"no Flux Kustomization builds {file}."
                step = "Have one build its folder, have a kustomization list it, or choose another place."
                yield Problem("unreached", subject, what, step)
            elif len(found) > 1:
                where = ", ".join(each.object.file for each in found)
                yield Problem("twice", subject, f"it would be made by {where}.", "Keep one of them.")
            elif found[0].declared is None or _meaning(found[0].declared) != _meaning(delivery.declared):
                what = f"what {file} says is changed on its way, by its kustomization or by variables."
                yield Problem("not_as_written", subject, what, "Change what changes it, or leave it to its file.")
        for identity in sorted(differing(before, after) - self._files.touched):
            group, kind, namespace, name = identity
            what = f"{kind} {namespace}/{name} ({group or 'core'}) would be another one."
            yield Problem("collateral", "The change", what, "Name other places for the new files.")


def _by_label(repository: Repository, operators: Operators) -> dict[str, list[Written]]:
    """What makes each Secret, by the Secret's label."""
    found: dict[str, list[Written]] = {}
    for each in secrets(repository, operators):
        found.setdefault(each.label, []).append(each)
    return found


def _unknown(told: Collection[str], declared: Sequence[Declared]) -> Iterator[Problem]:
    """Secrets whose writer shall change, and of which nothing says to what."""
    writers = {each.label: each.writer for each in declared}
    for label in told:
        if label not in writers:
            what = "its writer shall change, and it is not declared."
            yield Problem("unknown", f"Secret {label}", what, "Name it as NAMESPACE/NAME, as it is declared.")
        elif not writers[label]:
            what = "its writer shall change, and its declaration names none."
            yield Problem("writer", f"Secret {label}", what, f"Declare writer {ESO} or {VSO}.")


def _leaving(declared: Declared, leaves: Sequence[Written], before: Repository) -> Iterator[Problem]:
    """Why what makes a Secret now cannot leave it to another writer."""
    subject = f"Secret {declared.label}"
    if len(leaves) > 1:
        where = " and ".join(each.shown for each in leaves)
        yield Problem("twice", subject, f"it is made by {where}.", "Keep one of them.")
    for each in leaves[:1]:
        if each.declared is None:
            what = f"{each.shown} says more than a declaration can: {each.why}."
            yield Problem("undeclared", subject, what, "Leave it to its file, and take it out of the declarations.")
        elif other := _other_content(each.declared, declared):
            what = f"{each.shown} makes it, and its {other} would not be the same by the new writer."
            yield Problem("content", subject, what, "Change the writer alone first, and then what it holds.")
        for waits in before.kustomizations.values():
            if any(_is(each.object, check, waits.namespace) for check in mappings(waits.spec.get("healthChecks"))):
                what = f"Flux Kustomization {waits.label} waits for {each.shown}."
                yield Problem("awaited", subject, what, f"Take that out of the healthChecks in {waits.file} first.")


def _is(each: Object, reference: Mapping[str, t.Any], namespace: str) -> bool:
    """Whether a reference without a version means an object."""
    named = reference.get("kind"), reference.get("namespace") or namespace, reference.get("name")
    return named == (each.kind, each.namespace, each.name)


def _strangers(declared: Declared, made: Sequence[Written], before: Repository) -> Iterator[Problem]:
    """Why what the repository has already keeps a Secret from being made as it is declared."""
    subject = f"Secret {declared.label}"
    if len(made) > 1:
        where = " and ".join(each.shown for each in made)
        yield Problem("twice", subject, f"it is made by {where}.", "Keep one of them.")
    for each in made[:1]:
        if declared.writer and each.writer != declared.writer:
            what = f"{each.shown} makes it, and the declaration says {declared.writer}."
            step = (
                f"Declare writer {each.writer}: with the object that made it, the living Secret would be deleted. "
                f"To have the writer changed and the Secret kept: -e {TOLD}={declared.label}"
            )
            yield Problem("writer", subject, what, step)
        elif each.declared is None:
            what = f"{each.shown} says more than a declaration can: {each.why}."
            yield Problem("undeclared", subject, what, "Leave it to its file, and take it out of the declarations.")
    for other in before.objects:
        if f"{other.namespace}/{_made(other)}" == declared.label:
            what = f"{other.kind} {other.name} of {other.place} makes it, too."
            yield Problem("twice", subject, what, "Take it out there, or take the declaration out.")


def _other_content(before: Declared, after: Declared) -> str:
    """What of a Secret would not be the same after a change of its writer: its keys' names, or its type."""
    same_keys = (set(before.keys), set(before.all_of)) == (set(after.keys), set(after.all_of))
    return "keys" if not same_keys else "type" if before.type != after.type else ""


def _made(each: Object) -> str:
    """The name of the Secret that an object is, or makes in another way than those that are declared."""
    destination = mapping(each.spec.get("destination"))
    if (each.group, each.kind) in _MAKERS:
        return str(destination.get("name") or each.name)
    return ""


def _consumer(repository: Repository, declared: Declared, consumer: Consumer) -> Consumer | Problem:
    """A consumer with its name, when the repository has it."""
    subject = f"Secret {declared.label}"
    if not consumer.helm_release:
        for each in workloads(repository):
            if (each.kind, each.namespace, each.name) == (consumer.kind, declared.namespace, consumer.name):
                return consumer
        what = f"its consumer {consumer.kind} {declared.namespace}/{consumer.name} is not in the repository."
        return Problem("consumer", subject, what, "Correct it; of one that a chart makes, name the helm_release.")
    found = releases(repository, declared.namespace, consumer.helm_release)
    if not found:
        what = f"no HelmRelease {consumer.helm_release} installs into {declared.namespace}."
        return Problem("consumer", subject, what, "Correct its consumers.")
    name = consumer.name or workload_name(found[0], chart_name(repository, found[0]))
    if not name:
        what = f"how the chart of HelmRelease {consumer.helm_release} names its {consumer.kind} cannot be told."
        return Problem("consumer", subject, what, "Give the consumer its name, too.")
    return replace(consumer, name=name)


def _meaning(declared: Declared) -> Declared:
    """A declaration as its object says it. Of an ExternalSecret's consumers it says nothing."""
    users = tuple(Consumer(each.kind, each.name) for each in declared.consumers) if declared.writer == VSO else ()
    return replace(declared, consumers=users, file="")
