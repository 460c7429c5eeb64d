# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of secret_rotation: a secret in Vault gets a new value, which is followed to all that use it."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.gitops import (
    SOURCE,
    SOURCE_RULES,
    reader,
    tree_of,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.operator import OperatorAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.masking import register
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import PROPERTY
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.fed import (
    Asked,
    Feed,
    bare,
    fed,
    mounts,
    paths,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._gitops.model import Object
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.cluster import Cluster
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.follow import Follower
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.seen import Followed
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.told import (
    arrived,
    complaint,
    planned,
    verdict,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.settings import VaultSettings, expand
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault_admin.operator import (
    OPERATOR_OPTIONS,
    operator_settings,
)

if t.TYPE_CHECKING:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.vault import Looked, Written

LOOK_SECONDS: t.Final = 120.0  # for looking at the cluster, and at the repository


class ActionModule(OperatorAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **OPERATOR_OPTIONS,
        "kv_path": {"type": "str", "required": True},
        "property": {"type": "str", "default": PROPERTY},
        "value": {"type": "str", "no_log": True},
        "value_file": {"type": "path"},
        "anchor": {"type": "path", "default": ANCHOR},
        "kubeconfig": {"type": "path", "required": True},
        "repository": {
            "type": "dict",
            "options": {
                **SOURCE,
                "path": {"type": "str", "required": True},
                "variables": {"type": "dict", "default": {}},
            },
            **SOURCE_RULES,
        },
        "wait": {"type": "int", "default": 900},
    }
    spec_rules: t.ClassVar[dict[str, t.Any]] = {"mutually_exclusive": [("value", "value_file")]}

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.vault import look, shaped, write

        raw, settings = self._checked(params)
        wanted = params["property"]
        place = f"{settings.mount_point}/{settings.path}"
        looked = self.asking(settings, params, lambda vault: look(vault, wanted))
        settings = replace(settings, warnings=())  # they have been said
        stored = looked.stored
        present = stored.data.get(wanted)
        value = None if raw is None else shaped(raw, present)
        if value is not None:
            register([value])
        with Api(params["kubeconfig"]) as api:
            cluster = Cluster(api, Deadline(LOOK_SECONDS))
            objects = cluster.delivering()
            asked = Asked(settings.path, wanted, settings.mount_point, mounts(objects))
            feeds = fed(objects, asked)
            feeds += cluster.copies(feeds)
            declared, notes = self._declared(params["repository"])
            notes += _lacking(fed(declared, asked), objects)
            if not stored.version and not feeds:
                raise BootstrapError(_unknown(place, looked, [*objects, *declared], settings))
            follower = Follower(cluster, feeds, value or "", self.progress)
            before = follower.before(stored.created if value == present else None)
            result = {"path": settings.path, "previous_version": stored.version, "notes": notes}
            if self.check_mode:
                return {**result, "changed": value is None or value != present, "version": stored.version} | _report(
                    before, [*planned(before.seen), *notes], cluster, ended=False
                )
            new = value or ""  # only in check mode there may be none
            done: Written = self.asking(settings, params, lambda vault: write(vault, stored, wanted, new))
            self.progress(
                f"{place}: version {done.version} is written" if done.changed else f"{place} has the value already"
            )
            wait = params["wait"]
            cluster.deadline = Deadline(wait + max((feed.refresh for feed in before.by_vso), default=0.0))
            try:
                found = follower.follow(before, done.moment, new=done.changed, wait=wait)
            except BootstrapError as error:
                again = f"Vault has the new value at {place} already: run this again with the same value."
                raise BootstrapError(f"{error} {again}", code=error.code, subject=error.subject) from None
            report = _report(
                found, [*arrived(found), *verdict(found, cluster.kubeconfig), *notes], cluster, ended=found.done
            )
        result |= {"changed": done.changed or bool(found.forced), "version": done.version, **report}
        if found.waiting:
            seconds = cluster.deadline.elapsed
            result.update(failed=True, msg=complaint(found, seconds, place, cluster.kubeconfig))
        return result

    def _checked(self, params: Mapping[str, t.Any]) -> tuple[str | None, VaultSettings]:
        """The new value as it was given, and how Vault is reached. Refuses what is wrong before anything is asked."""
        if params["wait"] < 1:
            raise BootstrapError("wait: must be at least 1 second.")
        raw = params["value"]
        if params["value_file"]:
            path = expand(str(params["value_file"]), Path.home())
            content = read_text(path)
            if content.text is None:
                raise BootstrapError(f"value_file: {path} {content.problem or 'does not exist'}.")
            raw = content.text
        if raw is None and not self.check_mode:
            raise BootstrapError("value: there is no new value. Give value or value_file.")
        if raw is not None and not raw.strip("\r\n"):
            raise BootstrapError("value: the new value is empty. Nothing was changed.")
        bundle = operator_settings(params, environ=os.environ, home=Path.home())
        given = {**params, "path": bare(params["kv_path"], bundle.mount_point)}
        settings = operator_settings(given, environ=os.environ, home=Path.home())
        if settings.path == bundle.path:
            raise BootstrapError(
                f"kv_path: {settings.path} is the bundle, whose fields are rotated by their names: "
                "-e tazlab_rotate=NAME. Nothing was changed."
            )
        return raw, settings

    def _declared(self, repository: Mapping[str, t.Any] | None) -> tuple[list[Object], list[str]]:
        """What the repository declares. That it cannot be read keeps nobody from rotating."""
        if not repository:
            return [], []
        deadline = Deadline(LOOK_SECONDS)
        try:
            with tree_of(repository, deadline) as tree:
                found = reader(repository["path"], repository["variables"], deadline)(tree)
        except BootstrapError as error:
            return [], [f"The repository was not read, so what it declares and the cluster lacks is not known: {error}"]
        return found.objects, [f"Not read in the repository: {each.text}" for each in found.problems]


def _lacking(declared: Sequence[Feed], objects: Sequence[Object]) -> list[str]:
    """What the repository declares and the cluster has not: it gets the new value when it is made."""
    there = {(each.kind, each.namespace, each.name) for each in objects}
    return [
        f"Secret {each.label}: the repository declares it ({each.by}, {each.object.place}), and the cluster lacks "
        "that. It gets the new value when Flux has made it: is its Kustomization Ready?"
        for each in declared
        if (each.object.kind, each.namespace, each.object.name) not in there
    ]


def _unknown(place: str, looked: Looked, objects: Sequence[Object], settings: VaultSettings) -> str:
    from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.vault import near

    close = near(settings.path, [*looked.siblings, *paths(objects, settings.mount_point)])
    meant = f" Was one of these meant? {', '.join(close)}." if close else " Name a path that Vault has."
    return f"kv_path: Vault has nothing at {place}, and it feeds nothing in the cluster. Nothing was changed.{meant}"


def _report(found: Followed, lines: list[str], cluster: Cluster, *, ended: bool) -> dict[str, t.Any]:
    return {
        "secrets": [
            {
                "name": each.feed.secret,
                "namespace": each.feed.namespace,
                "written_by": each.feed.by,
                "holds": each.held,
                "since": each.since.isoformat() if each.held and each.since else "",
                "why": each.why,
                "consumers": [
                    {"kind": one.kind, "name": one.name, "restarted_by": one.by, "old": list(one.old)}
                    for one in each.consumers
                ],
            }
            for each in found.seen
        ],
        "withdrawable": ended and bool(found.seen),
        "report": lines,
    }
