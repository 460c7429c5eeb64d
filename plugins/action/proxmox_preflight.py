# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(proxmox_preflight): what would keep Talos' VMs from being made."""

from __future__ import annotations

import typing as t

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import BRIDGE
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.client import (
    ARGUMENTS,
    Connection,
    ProxmoxClient,
)
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._proxmox.preflight import Targets, preflight, readable


class ActionModule(ControllerAction):
    secret_result: t.ClassVar[bool] = True
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        **ARGUMENTS,
        "cluster": {"type": "str", "required": True},
        "vms": {"type": "list", "elements": "dict", "required": True},
        "storage": {"type": "str", "required": True},
        "image_storage": {"type": "str", "required": True},
        "bridge": {"type": "str", "default": BRIDGE},
        "pool": {"type": "str"},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        targets = Targets(
            cluster=str(params["cluster"]),
            storage=str(params["storage"]),
            image_storage=str(params["image_storage"]),
            bridge=str(params["bridge"]),
            places=readable(params["vms"]),
            pool=str(params["pool"] or ""),
        )
        warnings: list[str] = []
        absent: list[str] = []
        try:
            connection = Connection.from_params(params)
            warnings = connection.warnings
            problems, absent = preflight(ProxmoxClient(connection), targets)
        except BootstrapError as error:
            problems = [error.problem]
        return {"problems": [problem.as_dict() for problem in problems], "absent": absent, "warnings": warnings}
