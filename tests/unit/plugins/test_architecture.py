# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who never imports whom: the rules that keep the packages of plugins/plugin_utils apart."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[3] / "plugins"
OURS = "ansible_collections.tazlab.bootstrap.plugins."
PACKAGES = frozenset(path.name for path in (PLUGINS / "plugin_utils").iterdir() if path.name != "__pycache__")
GLUE = frozenset({"_ansible", "action", "lookup", "filter", "callback"})

# A room -> what it must not import.
FORBIDDEN = {
    "_base": PACKAGES - {"_base", "_sharing"},
    "_sharing": PACKAGES - {"_base", "_sharing"},
    "_secrets": frozenset({"_vault", "_vault_admin"}),
    "_vault": frozenset({"_vault_admin"}),
    "_kubernetes": frozenset({"_flux"}),
    "_proxmox": frozenset({"_talos"}),
    "_talos": frozenset({"_proxmox", "_vault", "_vault_admin"}),
    "_vms": frozenset({"_proxmox", "_talos"}),
    "_site": frozenset({"_vault", "_vault_admin"}),
    "_helm": PACKAGES - {"_base", "_helm", "_kubernetes"},
    "_gitops": PACKAGES - {"_base", "_gitops"},
    "_delivery": PACKAGES - {"_base", "_delivery", "_gitops"},
    "_rotation": PACKAGES - {"_base", "_delivery", "_gitops", "_kubernetes", "_rotation", "_vault", "_vault_admin"},
    "_writers": PACKAGES - {"_base", "_delivery", "_flux", "_gitops", "_kubernetes", "_writers"},
    "_tailnet": PACKAGES - {"_base", "_tailnet", "_vault"},
    "_state": PACKAGES - {"_base", "_secrets", "_state", "_vault", "_vault_admin"},
}
KNOW_THE_SITE = frozenset({"_site", "_health", "action", "callback", "filter"})


def imports() -> Iterator[tuple[str, str, str]]:
    """Each import of ours: the room that imports, what it imports, and the line."""
    for path in sorted(PLUGINS.rglob("*.py")):
        parts = path.relative_to(PLUGINS).parts
        room = parts[1] if parts[0] == "plugin_utils" else parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                found = re.match(rf"{re.escape(OURS)}plugin_utils\.(\w+)", name)
                yield room, found[1] if found else name, f"{path.relative_to(PLUGINS.parent)}:{node.lineno}"


def breaks(room: str, imported: str) -> bool:
    if imported.startswith("ansible.plugins"):
        return room not in GLUE
    if imported == "_ansible":
        return room not in GLUE
    if imported == "_site" and room not in KNOW_THE_SITE:
        return True
    return imported in FORBIDDEN.get(room, frozenset())


def test_no_room_imports_what_it_must_not_know() -> None:
    found = list(imports())
    assert {imported for _room, imported, _line in found} >= PACKAGES - {"_ansible"} - {"_health"}
    assert [
        f"{line}: {room} must not know {imported}" for room, imported, line in found if breaks(room, imported)
    ] == []


@pytest.mark.parametrize(
    ("room", "imported"),
    [("_base", "_secrets"), ("_vault", "_site"), ("_talos", "_proxmox"), ("_flux", "ansible.plugins.action")],
)
def test_a_rule_that_is_broken_is_seen(room: str, imported: str) -> None:
    assert breaks(room, imported)


@pytest.mark.parametrize(
    "place",
    [
        *(f"playbooks/{name}.yml" for name in ("site", "destroy", "health", "rotate", "publish")),
        *(f"plugins/plugin_utils/{room}" for room in ("_vms", "_talos", "_kubernetes", "_flux", "_site", "_health")),
        *(f"roles/{role}" for role in ("existing_machines", "talos_cluster", "cluster_seed", "flux_bootstrap")),
    ],
)
def test_a_provider_of_machines_is_reached_through_its_description_alone(place: str) -> None:
    root = PLUGINS.parent / place
    files = [root] if root.is_file() else [path for path in root.rglob("*") if path.suffix in (".py", ".yml")]
    assert files
    excused = ("_site/providers.py", "_vms/machine.py")  # the table of them, and the inventory's names
    for path in files:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "proxmox" in line.lower() and not path.as_posix().endswith(excused):
                pytest.fail(f"{path.relative_to(PLUGINS.parent)}:{number}: {line.strip()}")


def test_nothing_lies_beside_the_packages() -> None:
    assert [path.name for path in (PLUGINS / "plugin_utils").glob("*.py")] == []
    assert not list((PLUGINS / "module_utils").glob("**/*.py"))
