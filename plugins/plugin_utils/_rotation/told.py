# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation tells: where the value has arrived, what runs with the old one, and what is to be done. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.text import few, table
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import ESO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.running import WORKLOADS, Consumer
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._kubernetes.api import kubectl
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._rotation.seen import Followed, Seen

# What this cannot know, and what is said where the old value is no longer in use here.
ELSEWHERE: t.Final = (
    "What reads the path in Vault or a Secret through the API (another cluster, an operator, an Ingress) is not seen "
    "from here."
)
_IGNORED: t.Final = (
    "VSO does not restart what is in rolloutRestartTargets, as hmacSecretData is false: declare it true, as it is by "
    "default"
)


def next_step(one: Consumer, kubeconfig: str) -> str:
    """What runs with the old value though nobody is about to restart it, and what to do."""
    runs = f"{one.label} runs with the old value of Secret {one.secret} ({few(one.old)})"
    if one.kind in ("Job", "CronJob"):
        return f"{runs} until it ends by itself."
    if one.kind == "Pod":
        return f"{runs}: nothing makes this pod again. Delete it and make it again yourself."
    if one.kind not in WORKLOADS:
        return f"{runs}: whatever looks after {one.kind} {one.name} has to make its pods again."
    nobody = _IGNORED if one.ignored else "nobody restarts it when that changes"
    who = f"{one.by} should have restarted it and has not" if one.by else nobody
    files = " It has it as files, which follow by themselves; whether it reads them again is not known." * one.files
    return f"{runs}: {who}.{files} Restart it: {_restart(one, kubeconfig)}"


def _restart(one: Consumer, kubeconfig: str) -> str:
    words = ["rollout", "restart", f"{one.kind.lower()}/{one.name}"]
    return kubectl(kubeconfig, one.namespace, *words)


def stays(each: Seen, kubeconfig: str) -> str:
    """A Secret that keeps the old value, and what to do."""
    feed = each.feed
    keeps = f"Secret {feed.label} keeps the old value: {feed.stays} ({feed.by})."
    if feed.writer == ESO and "once" in feed.stays:
        again = kubectl(kubeconfig, feed.namespace, "delete", "secret", feed.secret)
        return f"{keeps} If it shall have the new one, delete it, and ESO makes it anew: {again}"
    return f"{keeps} Change that where it is declared."


def planned(seen: Sequence[Seen]) -> list[str]:
    """The table of what a rotation would feed, and whom it would have restarted."""
    rows = [("Secret", "written by", "keys", "restarted")]
    for each in seen:
        feed = each.feed
        keys = [key if exact else f"{key} (made of it)" for key, exact in feed.keys.items()] + ["any"] * feed.loose
        who = [f"{one.kind} {one.name} by {one.by or 'nobody'}" for one in each.consumers]
        rows.append((feed.label, feed.by, ", ".join(keys), ", ".join(who) or "nothing reads it"))
    return table(rows, header=True) if seen else []


def arrived(found: Followed) -> list[str]:
    """The table of where the value has arrived."""
    rows = [("Secret", "written by", "holds it since", "consumers")]
    for each in found.seen:
        since = f"{each.since:%Y-%m-%d %H:%M:%SZ}" if each.held and each.since else "not yet"
        who = [f"{one.kind} {one.name}: {_state(one)}" for one in each.consumers]
        rows.append((each.feed.label, each.feed.by, since, ", ".join(who) or ("nothing reads it" if each.held else "")))
    return table(rows, header=True) if found.seen else []


def _state(one: Consumer) -> str:
    if one.old:
        return f"{len(one.old)} of its pods old"
    return "not ready" if one.coming else "new"


def verdict(found: Followed, kubeconfig: str) -> list[str]:
    """What still has the old value, each with the next step, and whether that may be withdrawn."""
    lines = [*(stays(each, kubeconfig) for each in found.stay), *(next_step(one, kubeconfig) for one in found.left)]
    if not found.seen:
        return [
            f"It feeds nothing in this cluster: ask whoever reads it when the old value may be withdrawn. {ELSEWHERE}"
        ]
    if found.done:
        return [f"The old value may be withdrawn at its issuer now: nothing here runs with it any more. {ELSEWHERE}"]
    return [
        *lines,
        "The old value must not be withdrawn at its issuer yet. Do that, then run this again: it says when.",
    ]


def complaint(found: Followed, seconds: float, place: str, kubeconfig: str) -> str:
    """The message when the time is up."""
    missing = "\n- ".join(found.waiting)
    more = "".join(f"\n- {line}" for line in verdict(found, kubeconfig)[:-1])
    return (
        f"Vault has the new value at {place}, and after {seconds:.0f} s it has not arrived everywhere:\n"
        f"- {missing}{more}\nThe old value must not be withdrawn at its issuer yet. Mend what the reasons name, and "
        "run this again with the same value: it is not written twice."
    )
