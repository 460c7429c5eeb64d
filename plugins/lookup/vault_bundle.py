# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of the bootstrap bundle by name: from Vault, once a run, or else from the fallback sources."""

from __future__ import annotations

DOCUMENTATION = r"""
name: vault_bundle
short_description: Read fields of the bootstrap bundle
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Returns the values of fields of the bundle from Vault, or from the fallback sources for what Vault did not give.
    However many lookups, hosts and forks a run has, Vault is read once. In check mode no token is renewed.
  - If Vault will delete the bundle by itself, since C(delete_version_after) is set on it or on its mount, a warning
    says so, once a run.
  - The two-part name C(tazlab.vault_bundle) is the same plugin, where a lookup plugin path has a file of that name. See
    the README.
extends_documentation_fragment:
  - tazlab.bootstrap.vault
  - tazlab.bootstrap.vault.connection
  - tazlab.bootstrap.vault.login
  - tazlab.bootstrap.bundle
  - tazlab.bootstrap.bundle.providers
requirements:
  - hvac >= 2.3 (on the controller)
  - jmespath (on the controller, if a field has an C(expression))
options:
  _terms:
    description:
      - The names of fields, also as a list. With no name, the whole bundle is returned as one dictionary.
    type: list
    elements: str
  on_unavailable:
    description:
      - What to do when something keeps the bundle from coming. V(empty) warns and asks the fallback sources, V(fail)
        fails.
      - A malformed option, or a value that is there but wrong, fails always.
    type: str
    choices:
      - fail
      - empty
    default: empty
seealso:
  - module: tazlab.bootstrap.vault_bootstrap_bundle
  - module: tazlab.bootstrap.secret_fallback
"""

EXAMPLES = r"""
- name: One field is used
  ansible.builtin.uri:
    url: https://api.github.com/user
    headers:
      Authorization: "Bearer {{ lookup('tazlab.bootstrap.vault_bundle', 'GITHUB_TOKEN') }}"
  no_log: true

- name: The whole bundle is kept, from Vault alone
  ansible.builtin.set_fact:
    bundle: "{{ lookup('tazlab.bootstrap.vault_bundle', providers=[], on_unavailable='fail') }}"
  no_log: true
"""

RETURN = r"""
_raw:
  description: The values in the order of the names, or one dictionary with all fields.
  type: list
  elements: raw
"""

import sys
import typing as t
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from ansible.plugins.lookup import LookupBase

# Ansible would parse it in each process of a task, which takes longer than all the rest. It is read from this file's
# text where it is shown; the options are read by our own spec, whose errors quote no value.
del DOCUMENTATION

_PLUGINS: t.Final = Path(__file__).parents[1]
_OURS: t.Final = "ansible_collections.tazlab.bootstrap.plugins."
# All that a shared answer needs, each after what it imports.
_QUICK: t.Final = (
    "plugin_utils._vault.options",
    "plugin_utils._sharing.wire",
    "plugin_utils._sharing.client",
    "plugin_utils._ansible.given",
    "plugin_utils._ansible.lookup",
)


class LookupModule(LookupBase):  # type: ignore[misc]
    """Fields of the bundle, which whoever comes first in a run resolves for all."""

    def run(self, terms: list[t.Any], variables: t.Any = None, **kwargs: t.Any) -> list[t.Any]:
        values: list[t.Any] = _quick_way().values(terms, kwargs, variables or {}, self._templar.template)
        return values


def _quick_way() -> t.Any:
    """The module C(_lookup). Python's own loader keeps what it compiled; Ansible's compiles in each process anew."""
    for name in _QUICK:
        if _OURS + name not in sys.modules:
            loader = SourceFileLoader(_OURS + name, f"{_PLUGINS}/{name.replace('.', '/')}.py")
            module = sys.modules[_OURS + name] = ModuleType(_OURS + name)
            module.__file__ = loader.path
            loader.exec_module(module)
    return sys.modules[_OURS + _QUICK[-1]]
