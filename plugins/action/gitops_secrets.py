# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of gitops_secrets: reads a checkout or a Git repository, and says what it delivers as declarations."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.gitops import (
    OPERATORS,
    SOURCE,
    SOURCE_RULES,
    operators,
    reader,
    tree_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import own_file, write_private_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import counted
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.found import Written, readers, secrets
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.inventory import text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.restarts import YES, restarted
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Repository


class ActionModule(ControllerAction):
    secret_result = True
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **SOURCE,
        "path": {"type": "str", "required": True},
        **OPERATORS,
        "file": {"type": "path"},
        "anchor": {"type": "path", "default": ANCHOR},
        "timeout": {"type": "int", "default": 120},
    }
    spec_rules: t.ClassVar[dict[str, t.Any]] = SOURCE_RULES

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        file = own_file("file", params["file"], params["anchor"]) if params["file"] else None
        deadline = Deadline(params["timeout"])
        with tree_of(params, deadline) as tree:
            repository = reader(params["path"], params["variables"], deadline)(tree)
        made = secrets(repository, operators(params))
        declared = [each.declared for each in made if each.declared]
        self.progress(f"{counted(len(declared), 'Secret')} declared, of {len(made)}")
        content = text(declared)
        if file and not self.check_mode:
            write_private_file(file, content)
        return {
            "secrets": [each.declared() for each in declared],
            "text": content,
            "left": [f"{each.shown}: {each.why}" for each in made if each.declared is None],
            "notes": [note for each in made for note in _notes(each, repository)],
            "unread": [*texts(repository.problems), *repository.skipped],
        }


def _notes(made: Written, repository: Repository) -> Iterator[str]:
    """The workloads that read a Secret, and that nobody restarts when it changes."""
    told = {(each.kind, each.name) for each in made.declared.consumers} if made.declared else set()
    name = made.label.partition("/")[2]
    for each in readers(repository, made.label):
        if (each.kind, each.name) not in told and restarted(each, name) != YES:
            yield f"{each.kind} {each.namespace}/{each.name} reads Secret {name}, and is not restarted when it changes"
