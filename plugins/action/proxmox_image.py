# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(proxmox_image): Talos' disk image lies on the nodes' storages."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.diff import difference, show_diff
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import FACTORY_URL
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import (
    ARGUMENTS,
    Connection,
    ProxmoxClient,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.image_store import ImageStore
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.tasks import Tasks
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.image import Image


class ActionModule(ControllerAction):
    secret_result: t.ClassVar[bool] = True
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **ARGUMENTS,
        "task_timeout": {"type": "int", "default": 1800},
        "nodes": {"type": "list", "elements": "str", "required": True},
        "storage": {"type": "str", "required": True},
        "schematic": {"type": "str", "required": True},
        "version": {"type": "str", "required": True},
        "factory_url": {"type": "str", "default": FACTORY_URL},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        image = Image.read(str(params["schematic"]), str(params["version"]), str(params["factory_url"]))
        connection = Connection.from_params(params)
        client = ProxmoxClient(connection)
        tasks = Tasks(client, timeout=params["task_timeout"], progress=self.progress)
        storage = str(params["storage"])
        nodes = [str(node) for node in params["nodes"]]
        placed = ImageStore(client, tasks, image, storage, self.progress).ensure(nodes, check_mode=self.check_mode)
        diff = [
            difference(f"node {one.node}, storage {storage}", "", f"{one.volid}\n  from {image.url}\n")
            for one in placed
            if one.changed
        ]
        if self.diff_mode:
            show_diff(diff)
        return {
            "changed": any(one.changed for one in placed),
            "volid": image.volid(storage),
            "url": image.url,
            "images": [{"node": one.node, "volid": one.volid, "changed": one.changed} for one in placed],
            "warnings": [*connection.warnings, *tasks.warnings],
            "diff": diff,
        }
