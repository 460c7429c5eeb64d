# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of gitops_delivery: plans the files of a checkout, has all that is wrong told, and writes them last."""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterable, Mapping

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.diff import difference
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.gitops import (
    OPERATORS,
    TREE,
    operators,
    reader,
    wanted,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.given import plain
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem, given_problems, texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted, few, numbered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.checkout import WorkTree
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO, VSO, Declared
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.entries import TABLE
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.entries import read as entries
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.found import secrets as found
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.manifests import Operators, chosen
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.operators import plan_tree
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.plan import (
    CHANGED,
    EQUAL,
    GONE,
    NEW,
    Places,
    Plan,
    Planner,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Repository

FILES: t.Final = {
    ESO: "infrastructure/configs/{namespace}/externalsecret-{name}.yaml",
    VSO: "infrastructure/operators/vso/{namespace}-{name}.yaml",
}
LISTS: t.Final = {ESO: "", VSO: "infrastructure/operators/vso-secrets/kustomization.yaml"}


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "checkout": {"type": "str", "required": True},
        "path": {"type": "str", "required": True},
        "secrets": {"type": "raw", "required": True},
        "files": {"type": "dict", "options": {each: {"type": "str", "default": file} for each, file in FILES.items()}},
        "lists": {"type": "dict", "options": {each: {"type": "str", "default": file} for each, file in LISTS.items()}},
        "change_writer": {"type": "list", "elements": "str", "default": []},
        "problems": {"type": "list", "elements": "dict", "default": []},
        "commit": {"type": "str", "default": ""},
        "push": {"type": "bool", "default": False},
        **OPERATORS,
        **TREE,
        "timeout": {"type": "int", "default": 120},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        params = plain(params)  # what is written shall be no value of Ansible's
        deadline = Deadline(params["timeout"])
        if params["push"] and not params["commit"]:
            raise BootstrapError("push: what is not committed cannot be pushed. Give commit the message of the commit.")
        declared, problems = entries(params["secrets"])
        problems += given_problems(params["problems"])
        if problems and not declared:
            _refuse(problems)
        work = WorkTree(params["checkout"], deadline)
        behind = work.last_commit() if params["commit"] else {}  # what a commit goes on top of
        base = work.tree.with_files(behind)
        places = Places(_patterns(params["files"] or FILES, "files"), params["lists"] or LISTS)
        read = reader(params["path"], params["variables"], deadline)
        theirs = operators(params)
        told = [each.strip() for each in params["change_writer"]]
        tree = wanted(params, _by_vso(declared, read(base), theirs, told)) if params["operators"] else None
        first = plan_tree(base, read, tree) if tree else Plan()
        plan = Planner(base.with_files(first.files), read, theirs, places, told).plan(declared)
        plan.files = {**first.files, **plan.files}
        problems += [*first.problems, *plan.problems]
        if tree and not problems:  # what is declared now has to wait for what it needs
            last = plan_tree(base.with_files(plan.files), read, tree)
            plan.files |= last.files
            problems += last.problems
        problems += [
            Problem("uncommitted", file, "it would be written, and has changes that are not committed.", _COMMIT)
            for file in work.uncommitted(plan.files)
        ]
        if params["commit"]:
            problems += work.hindrances(commit=bool(plan.files), push=params["push"])
        apart = sorted(set(behind) - set(plan.files))
        if problems and apart:
            what = f"a commit goes on top of it, and it lacks what is not committed in {few(apart)}."
            problems.append(Problem("apart", "The last commit", what, "Commit what of that is needed here."))
        _refuse(problems)
        for each in plan.deliveries:
            if each.state != EQUAL:
                verb = "would be" if self.check_mode else "is"
                self.progress(
                    f"Secret {each.declared.label} {verb} {each.state} in {each.file}, by {each.declared.writer}"
                )
        if first.files:
            verb = "would be" if self.check_mode else "are"
            self.progress(f"the operators' tree: {counted(len(first.files), 'file')} {verb} written")
        was = {file: base.read(file).decode() if base.is_file(file) else "" for file in plan.files}
        pushes = params["push"] and (bool(plan.files) or work.is_ahead)
        verb = "would be" if self.check_mode else "is"
        if plan.files and params["commit"]:
            self.progress(f"{verb} committed: {few(sorted(plan.files))}")
        if pushes:
            self.progress(f"{verb} pushed: {work.branch}")
        commit = ""
        if plan.files and not self.check_mode:
            work.write(plan.files)
            if params["commit"]:
                commit = work.commit(plan.files, params["commit"])
        if pushes and not self.check_mode:
            work.push()
        result: dict[str, t.Any] = {
            "changed": bool(plan.files) or pushes,
            "commit": commit,
            "pushed": pushes and not self.check_mode,
            "secrets": [each.as_dict() for each in plan.deliveries],
            "writers": [
                {"name": each.name, "namespace": each.namespace, "writer": each.writer, "type": each.type}
                for each in (delivery.declared for delivery in plan.deliveries)
                if each.label in told
            ],
            "files": [
                {"path": file, "state": GONE if content is None else CHANGED if was[file] else NEW}
                for file, content in sorted(plan.files.items())
            ],
            "skipped": plan.skipped,
        }
        if self.diff_mode:
            result["diff"] = [
                difference(file, was[file], (content or b"").decode()) for file, content in sorted(plan.files.items())
            ]
        return result


def _by_vso(declared: Iterable[Declared], repository: Repository, theirs: Operators, told: Collection[str]) -> set[str]:
    """The namespaces in which VSO makes a declared Secret: who makes one already stays its writer, unless told."""
    made = {each.label: each.writer for each in found(repository, theirs) if each.label not in told}
    writers = {each.label: made.get(each.label) or each.writer or chosen(each, theirs) for each in declared}
    return {each.namespace for each in declared if writers[each.label] == VSO}


def _patterns(given: Mapping[str, str], option: str) -> Mapping[str, str]:
    """Where new objects are declared. Raises for what is not a file for each Secret."""
    for writer, pattern in given.items():
        try:
            pattern.format(namespace="a", name="b")
        except (KeyError, IndexError, ValueError):
            raise BootstrapError(
                f"{option}.{writer}: {pattern!r} may name {{namespace}} and {{name}} alone. Correct it."
            ) from None
    return given


_COMMIT: t.Final = "Commit or take back what is yours there first."


def _refuse(problems: list[Problem]) -> None:
    if problems:
        first = problems[0]
        told = texts(problems)
        raise BootstrapError(
            f"{TABLE}: {counted(len(told), 'problem')}, and nothing was written:{numbered(told)}",
            code=first.code,
            subject=first.subject,
        )
