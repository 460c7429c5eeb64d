# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a control plane can be spared: each is a member of etcd that runs, and serves Kubernetes' API. Private."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.together import together
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.yaml import NotYaml, documents
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.cluster import Node
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.etcd import MEMBERS_SECONDS
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.nodes import PASSING, Nodes
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._talos.talosctl import TalosctlError


def unwell(nodes: Nodes, control_planes: Sequence[Node], leaving: Node | None = None) -> dict[Node, str]:
    """The control planes that are not well, with the reason. Raises for what asking again does not mend.

    C(leaving) is one that is about to be removed, whose member does not count.
    """
    servers = dict(zip(control_planes, together(lambda node: _server(nodes, node), control_planes), strict=True))
    return {node: why for node, why in servers.items() if why} | _etcd(nodes, control_planes, leaving)


def _server(nodes: Nodes, node: Node) -> str:
    """Why a control plane's own API server is not ready, as its kubelet tells. Its Node can be Ready without it."""
    try:
        answer = nodes.call(node, "get", "staticpodstatus", "--output", "yaml", timeout=MEMBERS_SECONDS)
        pods = [pod for pod in documents(answer) if isinstance(pod, Mapping)]
        for pod in pods:
            if str(pod["metadata"]["id"]).startswith("kube-system/kube-apiserver-"):
                conditions = pod["spec"].get("conditions") or []
                ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
                return "" if ready else "its kube-apiserver is not ready"
    except TalosctlError as error:
        if error.failure not in PASSING:
            raise
        return f"its kubelet tells nothing ({error.failure.value})"
    except (NotYaml, KeyError, TypeError, AttributeError):
        return "its kubelet tells nothing"
    return "its kube-apiserver does not run yet"


def member_of(nodes: Nodes, asked: Node, node: Node) -> str:
    """The id of a machine's member, as one control plane knows it; nothing where it has none."""
    rows = _table(nodes, asked, "etcd", "members")
    return next((row.get("ID", "") for row in rows if _is_of(row, node)), "")


def _is_of(row: Mapping[str, str], node: Node) -> bool:
    """Whether a member is a machine's. One that never started has no name yet, but an address."""
    peers = {urlsplit(url).hostname for url in re.split(r"[,\s]+", row.get("PEER URLS", "")) if url}
    name = row.get("HOSTNAME", "")
    return name == node.name or (not name and node.address in peers)


def is_well(nodes: Nodes, node: Node) -> bool:
    """Whether a control plane's own member is well, as it tells itself."""
    reason, _leader = _status(nodes, node)
    return not reason


def _etcd(nodes: Nodes, control_planes: Sequence[Node], leaving: Node | None) -> dict[Node, str]:
    """The control planes whose etcd is not well."""
    told = dict(zip(control_planes, together(lambda node: _status(nodes, node), control_planes), strict=True))
    reasons = {node: reason for node, (reason, _leader) in told.items() if reason}
    leaders = {leader for reason, leader in told.values() if not reason}
    if not reasons and len(leaders) > 1:
        reasons = dict.fromkeys(control_planes, "etcd's members do not agree on a leader")
    return reasons or dict(_strangers(nodes, control_planes, leaving))


def _status(nodes: Nodes, node: Node) -> tuple[str, str]:
    """Why a member is not well, and else the leader that it knows."""
    try:
        (row,) = _table(nodes, node, "etcd", "status")
    except TalosctlError as error:
        if error.failure not in PASSING:
            raise
        return f"its etcd does not answer ({error.failure.value})", ""
    except ValueError:
        return "its etcd tells no state", ""
    leader = row.get("LEADER", "").strip("0")
    if row.get("ERRORS"):
        return f"its etcd reports {row['ERRORS']}", ""
    if not leader:
        return "its etcd knows no leader", ""
    if row.get("LEARNER") == "true":
        return "its etcd is still learning", ""
    return "", leader


def _strangers(nodes: Nodes, control_planes: Sequence[Node], leaving: Node | None) -> Iterator[tuple[Node, str]]:
    """A member that is no control plane of the inventory counts for the quorum, and may be dead."""
    first = control_planes[0]
    try:
        rows = _table(nodes, first, "etcd", "members")
    except TalosctlError as error:
        if error.failure not in PASSING:
            raise
        yield first, f"its etcd does not tell its members ({error.failure.value})"
        return
    known = {node.name for node in control_planes}
    counted = [row.get("HOSTNAME", "") for row in rows if leaving is None or not _is_of(row, leaving)]
    others = sorted(set(counted) - known)
    if others or len(counted) != len(control_planes):
        also = f", among them {', '.join(name or 'one without a name' for name in others)}" if others else ""
        yield first, f"etcd has {len(rows)} members, and the inventory {len(known)} control planes{also}"


def _table(nodes: Nodes, node: Node, *words: str) -> list[Mapping[str, str]]:
    """What talosctl prints as a table, which it has in no other form: its columns begin where their titles do."""
    lines = nodes.call(node, *words, timeout=MEMBERS_SECONDS).decode(errors="replace").splitlines()
    header, *rows = [line for line in lines if line.strip()] or [""]
    titles = list(re.finditer(r"\S+(?: \S+)*", header))
    ends = [*(title.start() for title in titles[1:]), None]
    return [
        {title[0]: row[title.start() : end].strip() for title, end in zip(titles, ends, strict=True)} for row in rows
    ]
