# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup takes what is written about it, and a shared answer loads next to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.parsing.plugin_docs import read_docstring
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import add_fragments

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._vault.options import LOOKUP_OPTIONS

ROOT = Path(__file__).parents[4]
COMPARED = ("type", "default", "choices", "elements")
# What a lookup whose outcome is known may import of ours.
SMALL = {
    "lookup.vault_bundle",
    "plugin_utils._vault.options",
    "plugin_utils._sharing.client",
    "plugin_utils._sharing.wire",
    "plugin_utils._ansible.given",
    "plugin_utils._ansible.lookup",
}


def test_the_options_are_the_documented_ones() -> None:
    path = str(ROOT / "plugins" / "lookup" / "vault_bundle.py")
    doc: dict[str, Any] = read_docstring(path)["doc"]
    add_fragments(doc, path, fragment_loader)
    documented = {
        name: {key: option[key] for key in COMPARED if key in option}
        for name, option in doc["options"].items()
        if name != "_terms"
    }
    assert documented == {
        name: {key: option[key] for key in COMPARED if key in option} for name, option in LOOKUP_OPTIONS.items()
    }


def test_the_quick_way_loads_no_core_no_hvac_and_no_documentation() -> None:
    code = (
        "import sys, runpy; runpy.run_path('tests/conftest.py');"
        "from ansible_collections.tazlab.bootstrap.plugins.lookup import vault_bundle;"
        "vault_bundle._quick_way();"
        "prefix = 'ansible_collections.tazlab.bootstrap.plugins.';"
        "ours = [name[len(prefix):] for name in sys.modules if name.startswith(prefix)];"
        "print(*(name for name in ours if '.' in name));"
        "print('hvac' in sys.modules, 'requests' in sys.modules, 'jmespath' in sys.modules);"
        "print(hasattr(vault_bundle, 'DOCUMENTATION'))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, libraries, documentation = done.stdout.splitlines()
    assert set(loaded.split()) == SMALL
    assert libraries == "False False False"
    assert documentation == "False"
