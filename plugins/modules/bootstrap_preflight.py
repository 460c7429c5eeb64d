# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_preflight
short_description: Report everything that would keep the bootstrap from succeeding
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Checks the inventory's settings and machines, the bundle's fields, the Python packages and the kubeconfig for the
    chosen phases, adds the problems that the phases' own preflights found, and fails with all of them together, each
    with the next step.
  - The chosen phases are those that C(--tags) and C(--skip-tags) leave. A tag that names none is a warning.
  - Nothing is contacted and nothing is changed.
extends_documentation_fragment:
  - tazlab.bootstrap.attributes
  - tazlab.bootstrap.attributes.reads
options:
  settings:
    description:
      - The inventory's variables by name, such as C(tazlab_cluster) and C(tazlab_proxmox).
      - A setting that no chosen phase needs may be missing.
    type: dict
    required: true
  machines:
    description: What the filter P(tazlab.bootstrap.machines#filter) returned.
    type: list
    elements: dict
    default: []
  fields:
    description: How the bundle's fields stand, and which phase uses which.
    type: dict
    default: {}
    suboptions:
      declared:
        description: The names of all fields.
        type: list
        elements: str
        default: []
      invalid:
        description: The names of those of which a source holds a wrong value.
        type: list
        elements: str
        default: []
      missing:
        description: The names of those that no source has.
        type: list
        elements: str
        default: []
      problems:
        description: What is wrong, as C(problems) of M(tazlab.bootstrap.secret_fallback) returns it.
        type: list
        elements: dict
        default: []
      uses:
        description: What each phase uses.
        type: list
        elements: dict
        default: []
        suboptions:
          phase:
            description: The phase.
            type: str
            required: true
            choices:
              - secrets
              - vms
              - talos
              - seed
              - flux
          needed:
            description: The fields without which it cannot do.
            type: list
            elements: str
            default: []
          optional:
            description: Those without which it can.
            type: list
            elements: str
            default: []
  kubeconfig:
    description: The file that the phase C(talos) writes, and that later ones need.
    type: path
    required: true
  kubeconfig_given:
    description: Whether that file is the user's own, of a cluster that no phase makes. Then no phase may make one.
    type: bool
    default: false
  plan_json:
    description:
      - The file that M(tazlab.bootstrap.bootstrap_report) writes at the end. A place that will not do is refused here.
    type: path
  anchor:
    description: The recovery anchor, in which O(plan_json) must not lie.
    type: path
    default: ~/secrets
  problems:
    description:
      - What the phases' own preflights found, as the filter P(tazlab.bootstrap.problems#filter) gives it, each with
        C(code), C(subject), C(what) and C(step).
    type: list
    elements: dict
    default: []
seealso:
  - plugin: tazlab.bootstrap.machines
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Every input of the chosen phases is there
  tazlab.bootstrap.bootstrap_preflight:
    settings:
      tazlab_cluster: "{{ tazlab_cluster }}"
      tazlab_proxmox: "{{ tazlab_proxmox }}"
      tazlab_talos: "{{ tazlab_talos }}"
    machines: "{{ groups | tazlab.bootstrap.machines(hostvars) }}"
    kubeconfig: ~/.config/tazlab/home/kubeconfig
    problems: "{{ proxmox_vms_problems + talos_cluster_problems }}"
"""

RETURN = r"""
phases:
  description: The phases that were checked.
  returned: success
  type: list
  elements: str
"""
