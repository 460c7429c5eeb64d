# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has done, or would do, in few lines."""

from __future__ import annotations

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.changes import changes


def test_each_phase_tells_what_it_made_and_what_waits() -> None:
    found = changes(
        vms=[
            {"name": "cp-1", "actions": ["create", "start"]},
            {"name": "w-1", "actions": ["resume"]},
            {"name": "w-2", "actions": [], "drift": [{"setting": "cores", "found": "2", "wanted": "4"}]},
            {"name": "w-3", "actions": ["stop", "delete"]},
            {"name": "metal"},
        ],
        nodes=[
            {"name": "cp-1", "configuration": "configured", "changed": True},
            {"name": "w-1", "configuration": "unchanged", "changed": False},
        ],
        seeds=[
            {"kind": "Namespace", "name": "apps", "change": "made"},
            {"kind": "Namespace", "name": "apps", "change": "changed"},
            {"kind": "Secret", "namespace": "apps", "name": "x", "change": "changed"},
            {
                "kind": "Secret",
                "namespace": "apps",
                "name": "y",
                "change": "unchanged",
                "leftovers": [{"key": "more", "manager": "HashiCorp"}],
            },
            {"kind": "Secret", "namespace": "apps", "name": "z", "skipped": "it is optional"},
        ],
        flux=[
            {"kind": "ConfigMap", "name": "x", "change": "unchanged", "leftovers": [{"key": "a", "manager": "kubectl"}]}
        ],
        drift=[{"message": "github-token differs from Vault's"}],
    )
    assert found.as_dict() == {
        "create": ["VM cp-1", "Namespace apps"],
        "change": ["VM w-1 (resume)", "Node cp-1 (configured)", "Secret apps/x"],
        "remove": ["VM w-3"],
        "waiting": [
            "VM w-2 differs and is left so: cores is 2, wanted 4",
            (
                "Secret apps/y still holds what was left in it: more (HashiCorp). To remove that: "
                "-e tazlab_seed_exact=apps/y"
            ),
            "github-token differs from Vault's",
        ],
    }
