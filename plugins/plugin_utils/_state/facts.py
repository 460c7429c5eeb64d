# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a cluster beside its secrets: the contract of its configuration, and how long its births took.

Private: other collections must not import it.
"""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, replace

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._state.state import FACTS, State

BIRTHS: t.Final = 10  # the last ones are kept


@dataclass(frozen=True)
class Birth:
    """A birth that was brought to its end: when it began (seconds since the epoch), and the seconds of each phase."""

    begun: float
    seconds: Mapping[str, float]

    @property
    def all_seconds(self) -> float:
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Rebirth:
    """A rebirth that is under way. C(run) is the run that began its present stage.

    C(begun): when it began, in seconds since the epoch; C(gone): when the machines were gone, 0.0 before.
    """

    begun: float
    run: str
    gone: float = 0.0


@dataclass(frozen=True)
class Joined:
    """A node's device in its tailnet: the id, empty until it was seen, and when its key was minted, as a time stamp."""

    device: str
    minted: float


@dataclass(frozen=True)
class Facts:
    """C(contract), like v1.12: the form of the machine configurations that the cluster was born with."""

    contract: str = ""
    births: tuple[Birth, ...] = ()
    rebirth: Rebirth | None = None
    joined: Mapping[str, Joined] = field(default_factory=dict)  # by the node's name
    left: tuple[str, ...] = ()  # ids of other devices of this cluster: former nodes', and those of its own operator
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # digests of each node's last configurations
    kubernetes: str = ""  # the version to which Kubernetes moves, while it does

    @property
    def devices(self) -> tuple[str, ...]:
        """The ids of every device that is known to be this cluster's."""
        return tuple(dict.fromkeys((*(each.device for each in self.joined.values() if each.device), *self.left)))

    def with_key(self, node: str, minted: float) -> Facts:
        """That a key was minted for a node. The device that it was before is still this cluster's."""
        former = self.joined.get(node)
        left = (*self.left, former.device) if former and former.device else self.left
        return replace(self, joined={**self.joined, node: Joined("", minted)}, left=tuple(dict.fromkeys(left)))

    def without(self, devices: Collection[str]) -> Facts:
        """The same, when these devices are gone."""
        joined = {node: each for node, each in self.joined.items() if each.device not in devices}
        return replace(self, joined=joined, left=tuple(each for each in self.left if each not in devices))

    def with_birth(self, birth: Birth) -> Facts:
        return replace(self, births=(*self.births, birth)[-BIRTHS:], kubernetes="")


def read_facts(state: State) -> Facts:
    """The facts; none where none are kept."""
    content = state.read(FACTS)
    if content is None:
        return Facts()
    found = parsed(content)
    if found is None:
        raise BootstrapError(
            f"{state.place(FACTS)} does not hold what a run writes there. Restore it from your backup, or remove it: "
            "the contract is then that of tazlab_talos.version."
        )
    return found


def parsed(content: bytes) -> Facts | None:
    """The facts in a content; None where it is something else."""
    try:
        found = json.loads(content)
        births = tuple(
            Birth(float(each["begun"]), {str(phase): float(spent) for phase, spent in each["seconds"].items()})
            for each in found["births"]
        )
        under_way = found.get("rebirth")
        rebirth = None
        if under_way:
            rebirth = Rebirth(float(under_way["begun"]), str(under_way["run"]), float(under_way["gone"]))
        joined = {
            str(node): Joined(str(each["device"]), float(each["minted"]))
            for node, each in (found.get("joined") or {}).items()
        }
        left = tuple(str(each) for each in found.get("left") or ())
        given = {str(node): tuple(map(str, each)) for node, each in (found.get("given") or {}).items()}
        kubernetes = str(found.get("kubernetes") or "")
        return Facts(str(found["contract"]), births, rebirth, joined, left, given, kubernetes)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def serialised(facts: Facts) -> bytes:
    return f"{json.dumps(asdict(facts), indent=2)}\n".encode()


def merged(before: bytes, later: bytes, base: bytes | None = None) -> bytes:
    """What was noted while C(before) could not be seen, added to it. C(base): what was seen of it last, if ever."""
    old, new = parsed(before), parsed(later)
    if old is None or new is None:
        return later
    births = {birth.begun: birth for birth in (*old.births, *new.births)}
    kept = tuple(births[begun] for begun in sorted(births))[-BIRTHS:]
    left = tuple(dict.fromkeys((*old.left, *new.left)))
    joined = dict(old.joined)
    for node, each in new.joined.items():
        former = joined.get(node)
        if former is None or each.minted >= former.minted:
            joined[node] = each
    known = None if base is None else parsed(base) or Facts()
    contract = old.contract or new.contract
    if known is not None and old.contract == known.contract:
        contract = new.contract or old.contract  # nobody else has raised it since
    given = {node: _given(node, old, new, known) for node in (*old.given, *new.given)}
    kubernetes = new.kubernetes
    if known is None or old.kubernetes != known.kubernetes:  # somebody else has moved it since
        kubernetes = old.kubernetes or new.kubernetes
    return serialised(Facts(contract, kept, _rebirth(old, new, known), joined, left, given, kubernetes))


def _given(node: str, old: Facts, new: Facts, base: Facts | None) -> tuple[str, ...]:
    """What a node was given: as noted last; both, where two have noted something since they saw the same."""
    before, after = old.given.get(node, ()), new.given.get(node, ())
    if base is not None and before == base.given.get(node, ()):
        return after or before
    return tuple(dict.fromkeys((*before, *after)))


def _rebirth(old: Facts, new: Facts, base: Facts | None) -> Rebirth | None:
    """How far a rebirth is: as noted last by who knew of it. One that a later birth has ended does not come back."""
    if base is None:
        found = new.rebirth or old.rebirth
    elif old.rebirth != base.rebirth:
        found = old.rebirth  # others have gone on since
    else:
        found = new.rebirth
    ended = found is not None and any(birth.begun > found.begun for birth in old.births)
    return None if ended else found


def change_facts(state: State, change: Callable[[Facts], Facts]) -> None:
    """Keep the facts as changed, where that changes them."""
    before = read_facts(state)
    after = change(before)
    if after != before:
        state.replace(FACTS, serialised(after))
