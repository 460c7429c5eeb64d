# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(tazlab.bootstrap.machines): from the inventory's groups and host variables to a list of VMs."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vms.machine import machines


def _machines(groups: t.Any, hostvars: t.Any, patches: bool = False, install_disk: str = "") -> list[dict[str, t.Any]]:
    try:
        return machines(groups, hostvars, patches=patches, install_disk=install_disk)
    except BootstrapError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Filters for the playbooks of this collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"machines": _machines}
