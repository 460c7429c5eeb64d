# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_fallback
short_description: Fill the fields that Vault did not give, from the fallback sources
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Gives each field the first value that a source has. What is known already wins, always, field by field.
  - An empty value is missing, and the next source is asked. A value that is there but wrong is an error that names its
    source.
  - Compares the recovery anchor with what Vault gave and reports where it is stale.
  - The result is hidden from the output at every verbosity, also when the task lacks C(no_log), while the registered
    variable stays usable. A short report of sources is shown instead.
extends_documentation_fragment:
  - tazlab.bootstrap.bundle
  - tazlab.bootstrap.bundle.providers
  - tazlab.bootstrap.attributes
attributes:
  check_mode:
    description: Works alike in check mode, as nothing is changed.
    support: full
  diff_mode:
    description: Nothing is compared; a secret has no place in a diff.
    support: N/A
  idempotent:
    description: Reads only.
    support: full
options:
  values:
    description: What is known already, as C(bundle) of M(tazlab.bootstrap.vault_bootstrap_bundle) returns it.
    type: dict
  sources:
    description: Where it comes from, as C(sources) of M(tazlab.bootstrap.vault_bootstrap_bundle) returns it.
    type: dict
  invalid:
    description:
      - What an earlier source holds wrong, as C(invalid) of M(tazlab.bootstrap.vault_bootstrap_bundle) returns it. No
        other source is asked for these fields.
    type: dict
  on_missing:
    description:
      - What to do when a required field is in no source, or when a source holds a value that cannot be used.
      - V(fail) fails and names every place that was tried. V(report) leaves the field out and lists it in
        RV(missing) or RV(invalid), and in RV(problems).
    type: str
    choices:
      - fail
      - report
    default: fail
seealso:
  - module: tazlab.bootstrap.vault_bootstrap_bundle
  - plugin: tazlab.bootstrap.vault_bundle
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: What Vault lacks is taken from the environment and the recovery anchor
  tazlab.bootstrap.secret_fallback:
    values: "{{ vault.bundle }}"
    sources: "{{ vault.sources }}"
  register: secrets

- name: A password store is the fallback
  tazlab.bootstrap.secret_fallback:
    values: "{{ vault.bundle }}"
    sources: "{{ vault.sources }}"
    providers:
      - type: env
      - type: command
        argv: [gopass, show, --password, "tazlab/{file}"]
  register: secrets
"""

RETURN = r"""
secrets:
  description: The value of each field that a source has. Never printed.
  returned: success
  type: dict
sources:
  description: Where each of these values comes from.
  returned: success
  type: dict
  contains:
    source:
      description: The kind of source. V(vault), V(values), V(environment), V(file) or V(command).
      type: str
    place:
      description: The path in Vault, the variable's name, the file or the program.
      type: str
    label:
      description: Source and place in short.
      type: str
      sample: file proxmox-token-id
    version:
      description: The version of the secret in Vault.
      type: int
    age:
      description: Seconds since it was written.
      type: int
missing:
  description: The names of the fields that no source has.
  returned: success
  type: list
  elements: str
invalid:
  description: For each field of which a source holds a wrong value, which source that is and what is wrong.
  returned: success
  type: dict
problems:
  description:
    - >-
      For each required field that no source has, the places that were tried and what to do; and for each wrong value
      where it is.
    - C(code) is a word for programs that stays whatever the words around it.
    - C(subject) is the field. C(what) is wrong, C(step) comes next, and C(text) is all of that.
  returned: success
  type: list
  elements: dict
drift:
  description: Where the recovery anchor disagrees with Vault.
  returned: success
  type: list
  elements: dict
  contains:
    field:
      description: The field's name; empty where there is no anchor at all.
      type: str
    place:
      description: The file, or the anchor's directory.
      type: str
    state:
      description: V(differs), V(absent) or V(invalid).
      type: str
    message:
      description: The same in a sentence.
      type: str
"""
