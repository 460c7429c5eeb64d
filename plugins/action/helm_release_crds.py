# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of helm_release_crds: whether a release's CRDs, and all that hangs on them, outlive what is planned."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.deadline import Deadline
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.files import read_text
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import own_file, write_private_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import texts
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import numbered
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm.look import look, stored
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm.outlive import (
    Item,
    Living,
    lines,
    loose,
    noted,
    problems,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._helm.release import Crd, Release, Unreadable, crds_of
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import Api

_LONGEST: t.Final = 64 << 20  # bytes of a file that is read


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "kubeconfig": {"type": "path", "required": True},
        "namespace": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "groups": {"type": "list", "elements": "str", "default": []},
        "rendered": {"type": "path"},
        "since": {"type": "path"},
        "json_file": {"type": "path"},
        "anchor": {"type": "path", "default": ANCHOR},
        "report_only": {"type": "bool", "default": False},
        "timeout": {"type": "int", "default": 60},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        rendered = _rendered(params["rendered"]) if params["rendered"] else None
        since = _since(params["since"]) if params["since"] else None
        json_file = own_file("json_file", params["json_file"], params["anchor"]) if params["json_file"] else None
        deadline = Deadline(params["timeout"])
        with Api(params["kubeconfig"]) as api:
            release = stored(api, params["namespace"], params["name"], deadline)
            groups = {each.group for each in (*release.crds.values(), *(rendered or {}).values())}
            living = look(api, groups | {str(each) for each in params["groups"]}, deadline)
        found = problems(release, living, rendered, since)
        result: dict[str, t.Any] = {
            "kept": not found,
            "problems": [each.as_dict() for each in found],
            "release": {
                "namespace": release.namespace,
                "name": release.name,
                "revision": release.revision,
                "status": release.status,
                "chart": release.chart,
                "version": release.version,
            },
            "crds": [_told(name, release, living, rendered) for name in release.crds],
            "loose": loose(release, living),
            "objects": [vars(each) for each in living.items],
            "lines": lines(release, living),
        }
        if json_file and not self.check_mode:
            write_private_file(json_file, json.dumps(result["objects"], indent=2) + "\n")
        if found and not params["report_only"]:
            server = f"Helm release {release.label}, as the cluster of {params['kubeconfig']} has it:"
            result.update(failed=True, msg=f"{server}{numbered(texts(found))}")
        return result


def _told(name: str, release: Release, living: Living, rendered: t.Mapping[str, Crd] | None) -> dict[str, t.Any]:
    there = living.crds.get(name)
    stored = release.crds[name]
    planned = None if rendered is None else rendered.get(name)
    objects, secrets = living.counts(name)
    return {
        "name": name,
        "kept_in_release": stored.keep and not stored.hook,
        "kept_in_cluster": there is not None and there.keep,
        "kept_in_upgrade": None if rendered is None else planned is not None and planned.keep and not planned.hook,
        "owner": there.owner if there else "",
        "managers": list(there.managers) if there else [],
        "objects": objects,
        "secrets": secrets,
    }


def _rendered(file: str) -> dict[str, Crd]:
    try:
        return crds_of(_read(file, "rendered").encode(), applied=True)
    except Unreadable as error:
        raise BootstrapError(
            f"rendered: {file} is not what helm template prints: {error}. Render the upgrade once more.",
            code="malformed",
            subject=file,
        ) from None


def _since(file: str) -> list[Item]:
    try:
        return noted(_read(file, "since"))
    except Unreadable:
        raise BootstrapError(
            f"since: {file} does not have what this module returned as objects, as JSON. Name the file of that look.",
            code="malformed",
            subject=file,
        ) from None


def _read(file: str, option: str) -> str:
    content = read_text(Path(file), limit=_LONGEST)
    if content.text is None:
        why = content.problem or "is not there"
        step = "Name a file that this user may read."
        raise BootstrapError(f"{option}: {file} {why}. {step}", code="unreadable", subject=file)
    return content.text
