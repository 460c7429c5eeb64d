# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller half of C(adoption_report): what differs between a living cluster and the inventory."""

from __future__ import annotations

import json
import typing as t

from ansible.utils.display import Display

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.action import ControllerAction
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.defaults import ANCHOR
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.private_file import own_file, write_private_file
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import WIDTH
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.adoption import lines, rows

LISTS: t.Final[dict[str, t.Any]] = {"type": "list", "elements": "dict", "default": []}
VERDICT: t.Final = "nothing would restart"


class ActionModule(ControllerAction):
    argument_spec: t.ClassVar[dict[str, t.Any]] = {
        "cluster": {"type": "str", "required": True},
        "written": {"type": "list", "elements": "str", "default": []},
        "vms": LISTS,
        "nodes": LISTS,
        "seeds": LISTS,
        "flux": LISTS,
        "problems": LISTS,
        "json_file": {"type": "path"},
        "anchor": {"type": "path", "default": ANCHOR},
    }

    def execute(self, params: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        found = rows(**{name: params[name] for name in ("vms", "nodes", "seeds", "flux", "problems")})
        marked = [str(vm["name"]) for vm in params["vms"] if vm.get("actions")]
        show = Display().display
        show(f"Cluster {params['cluster']}: what differs from the inventory, and what site.yml makes of it")
        for line in lines(found) or ["  nothing differs"]:
            show(line)
        if any(row.layer == "node" for row in found):
            show("  site.yml leaves nodes as they are; configure.yml changes them, one by one")
        show("-" * (WIDTH - 2))
        would = "would be" if self.check_mode else "are"
        show(f"VMs that {would} marked: {', '.join(marked) or 'none'}")
        show(f"Files that {would} written: {', '.join(params['written']) or 'none'}")
        show(f"Adopting: {VERDICT}" if self.check_mode else "Adopted: nothing was restarted")
        report = {"differences": [row.as_dict() for row in found], "marked": marked, "written": params["written"]}
        if params["json_file"]:
            file = own_file("json_file", params["json_file"], params["anchor"])
            write_private_file(file, json.dumps(report, indent=2) + "\n")
        return report
