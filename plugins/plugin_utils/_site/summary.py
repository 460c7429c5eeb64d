# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary at the end of a run, as lines of text. It shows where a secret came from, never a secret.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import table
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._site.phases import PHASES, PREFLIGHT, Timing

RULE = "-" * 78


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    return table(rows, "  ")


def secrets(
    sources: Mapping[str, t.Any],
    vault: Mapping[str, t.Any],
    missing: Sequence[str],
    drift: Sequence[t.Any],
    *,
    given: bool,
) -> list[str]:
    """Each field with its source; then what Vault said, what is missing and where the anchor disagrees.

    C(given) says whether Vault gave the bundle.
    """
    lines = _table([name, source.get("label", "?")] for name, source in sources.items())
    lines += [f"  {name}  MISSING" for name in missing]
    if given:
        token = vault.get("token") or {}
        if token.get("expires_at"):
            lines.append(f"  The bootstrap token dies on {token['expires_at']} unless it is renewed.")
    elif vault:
        lines.append(f"  VAULT GAVE NO BUNDLE: {vault.get('reason', 'unknown')}")
    lines += [f"  DRIFT: {entry['message']}" for entry in drift]
    return lines


def vms(found: Sequence[Mapping[str, t.Any]]) -> list[str]:
    """Each VM with its state and what was done to it."""
    return _table(
        [
            vm["name"],
            *([str(vm["vmid"]), vm["node"]] if vm.get("vmid") else [vm.get("address", "")]),
            vm["status"],
            ", ".join(vm.get("actions", [])) or "unchanged",
        ]
        for vm in found
    )


def nodes(talos: Mapping[str, t.Any]) -> list[str]:
    """Each node of the cluster, and where its kubeconfig lies."""
    lines = _table([node["name"], node["address"], node["state"]] for node in talos.get("nodes", []))
    if talos.get("kubeconfig"):
        lines.append(f"  kubeconfig: {talos['kubeconfig']}")
    return lines


def seeds(objects: Sequence[Mapping[str, t.Any]], check_mode: bool) -> list[str]:
    """Each seeded object; what was skipped is named with the reason."""
    would = "would be " if check_mode else ""
    return _table(
        [
            entry["kind"],
            "/".join(filter(None, [entry.get("namespace"), entry["name"]])),
            f"skipped: {entry['skipped']}"
            if entry.get("skipped")
            else f"{would if entry.get('changed') else ''}{entry.get('change')}",
        ]
        for entry in objects
    )


def flux(status: Mapping[str, t.Any]) -> list[str]:
    """The revision that Flux has applied, and whether it is Ready."""
    if not status:
        return []
    return _table([["revision", str(status.get("revision"))], ["ready", str(status.get("ready"))]])


def times(spent: Sequence[Timing]) -> list[str]:
    """The seconds of each phase and of them all."""
    rows = [[timing.phase, f"{timing.seconds:7.1f} s"] for timing in spent]
    return _table([*rows, ["all", f"{sum(timing.seconds for timing in spent):7.1f} s"]])


def render(cluster: str, sections: Mapping[str, Sequence[str]], verdict: str) -> list[str]:
    """The whole summary; a section without lines is left out."""
    lines = [RULE, f"Cluster {cluster}", RULE]
    for title, body in sections.items():
        if body:
            lines += [title, *body]
    return [*lines, RULE, verdict, RULE]


def verdict(begun: Sequence[str], complete: bool, check_mode: bool, consoles: str = "") -> str:
    """One line: whether every phase holds, and otherwise in which one the run ended, and where to look."""
    if complete and check_mode:
        return "Check mode: nothing was changed."
    if complete:
        return f"Every phase holds: {', '.join(name for name in begun if name in PHASES)}."
    last = begun[-1]
    if last == PREFLIGHT:
        return "FAILED in the preflight. Nothing was changed."
    look = f" The machines' consoles are {consoles}." if consoles and last == "talos" else ""
    return f"FAILED in phase {last}. What is above holds; the run can be repeated.{look}"
