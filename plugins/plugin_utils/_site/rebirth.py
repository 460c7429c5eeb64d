# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may stop a rebirth, and how long one took. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

import json
import shlex
import typing as t
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Objection:
    """Something that said NO: the name by which it is overridden, and why."""

    name: str
    why: str


def gate_name(argv: Sequence[str]) -> str:
    """What a gate is called: its command, as somebody would type it."""
    return shlex.join(argv)


def of_health(health: Mapping[str, t.Any], failure: str) -> list[Objection]:
    """What the health report objects to, by source, token, state and login. C(failure): it could not even be made."""
    if failure:
        return [Objection("health", failure)]
    found = [
        Objection(name, "; ".join(source["reasons"]))
        for name, source in (health.get("reborn") or {}).items()
        if not source["able"]
    ]
    for kind in ("tokens", "state", "logins"):
        found += [
            Objection(str(each.get("name") or each.get("place")), f"{each['state']}: {each['text']}")
            for each in health.get(kind) or []
            if each.get("failing")
        ]
    return found


def standing(objections: Iterable[Objection], despite: Sequence[str]) -> list[Objection]:
    """Those that nobody has overridden by name."""
    return [each for each in objections if each.name not in despite]


def refusal(objections: Sequence[Objection], given: Sequence[str]) -> str:
    """What to say where something said NO."""
    told = "".join(f"\n  {each.name}: NO, {each.why}" for each in objections)
    # As JSON: a name may have blanks or commas, and -e takes NAME=VALUE apart at blanks.
    names = list(dict.fromkeys([*given, *(each.name for each in objections)]))
    despite = json.dumps({"tazlab_rebirth_despite": names}, ensure_ascii=False)
    return (
        f"The rebirth is not permitted, and nothing was changed.{told}\nMend that; or, where it is known and accepted, "
        f"name it: -e {shlex.quote(despite)}"
    )


def spoken(seconds: float) -> str:
    """A time as people say it: C(9 min 12 s)."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if hours or minutes else []
    return " ".join([*parts, f"{rest} s"])


def told(verb: str, seconds: Mapping[str, float], last: float | None) -> str:
    """How long a birth took, compared with the last one, and which phase took the longest."""
    longest = max(seconds, key=lambda phase: seconds[phase])
    before = f" (last: {spoken(last)})" if last is not None else ""
    return f"{verb} in {spoken(sum(seconds.values()))}{before}; longest: {longest}"
