# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(tazlab.bootstrap.logins): with which fields of the bundle one logs in where."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._secrets.fields import logins


def _logins(chosen: t.Any) -> dict[str, list[str]]:
    try:
        return logins(chosen)
    except BootstrapError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """Filters for the playbooks of this collection."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"logins": _logins}
