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
    However many lookups, hosts and forks a run has, Vault is read once.
  - The two-part name C(tazlab.vault_bundle) is the same plugin, where a lookup plugin path has a file of that name. See
    the README.
extends_documentation_fragment:
  - tazlab.bootstrap.vault
  - tazlab.bootstrap.bundle
  - tazlab.bootstrap.bundle.providers
requirements:
  - hvac >= 2.3 (on the controller)
  - jmespath (on the controller, if a field has an C(expression))
options:
  _terms:
    description: The names of fields. With no name, the whole bundle is returned as one dictionary.
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

import hashlib
import json
import typing as t
from pathlib import Path

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.release import __version__
from ansible.utils.display import Display

from ansible_collections.tazlab.bootstrap.plugins.module_utils._options import LOOKUP_OPTIONS
from ansible_collections.tazlab.bootstrap.plugins.module_utils._sharing import NoBroker, shared
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._given import from_variables, plain, run_root

# Ansible would parse it in each process of a task, which takes longer than all the rest. It is read from this file's
# text where it is shown; the options are read by our own spec, whose errors quote no value.
del DOCUMENTATION

display = Display()

# ansible-core masks what it is told since 2.22.
_MASKS: t.Final = tuple(map(int, __version__.split(".")[:2])) >= (2, 22)
# A leader that dies is replaced at once, and one that lives has bounds of its own.
_BOUND: t.Final = 3600.0


class LookupModule(LookupBase):
    """What was resolved once for these options and names serves the whole run; only who comes first loads the rest."""

    def run(self, terms: list[t.Any], variables: t.Any = None, **kwargs: t.Any) -> list[t.Any]:
        given = {name: value for name, value in plain(kwargs).items() if value is not None}
        lacking = [name for name in LOOKUP_OPTIONS if name not in given]
        given = {**plain(from_variables(lacking, variables or {}, self._templar.template)), **given}
        answer = self._answer(plain(terms), given)
        for warning in answer["warnings"]:
            display.warning(warning)
        if answer["error"]:
            raise AnsibleError(answer["error"])
        if _MASKS:
            from ansible_collections.tazlab.bootstrap.plugins.module_utils._masking import register

            register(answer["secrets"])
        return list(answer["values"])

    def _answer(self, terms: list[t.Any], given: dict[str, t.Any]) -> dict[str, t.Any]:
        """The values of these names: of Vault's bundle where it has them all, else with the fallback sources."""
        found = self._shared("from_vault", [given])["found"]
        if terms and all(isinstance(term, str) and term in found["values"] for term in terms):
            values = [found["values"][term] for term in terms]
            return {"values": values, "secrets": values, "warnings": found["warnings"], "error": None}
        answer: dict[str, t.Any] = self._shared("from_all", [given, terms])
        return answer

    def _shared(self, what: str, arguments: list[t.Any]) -> dict[str, t.Any]:
        def resolve() -> bytes:
            from ansible_collections.tazlab.bootstrap.plugins.plugin_utils import _bundle_lookup

            return json.dumps(getattr(_bundle_lookup, what)(*arguments)).encode()

        key = hashlib.sha256(json.dumps([what, *arguments], sort_keys=True).encode()).digest()
        try:
            if "cache" not in arguments[0]:
                return dict(json.loads(shared(key, _BOUND, resolve, Path(C.DEFAULT_LOCAL_TMP), run_root())))
        except NoBroker:
            pass
        return dict(json.loads(resolve()))
