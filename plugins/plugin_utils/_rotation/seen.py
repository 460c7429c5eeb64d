# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at all that a value feeds has found. Pure.

Private: other collections must not import it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.declared import VSO
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.fed import Feed
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._delivery.running import Consumer


@dataclass(frozen=True)
class Seen:
    """A Secret as one look found it. C(why) it does not hold the value; C(since) when it does."""

    feed: Feed
    held: bool
    why: str = ""
    since: datetime | None = None
    consumers: tuple[Consumer, ...] = ()
    awaited: bool = True  # that its consumers are restarted, by whoever does that

    @property
    def waiting(self) -> Iterator[str]:
        """What is still to come, each with why."""
        if not self.held and not self.feed.stays:
            yield f"Secret {self.feed.label} by {self.feed.by}: {self.why}"
        for one in self.consumers if self.awaited else ():
            if one.by:
                yield from (
                    f"{one.label}: pod {pod} runs with the old value, until {one.by} ends it" for pod in one.old
                )
                yield from (f"{one.label}: pod {pod}" for pod in one.coming)


@dataclass
class Followed:
    """What became of all. C(trouble): why the last look found nothing."""

    seen: list[Seen] = field(default_factory=list)
    forced: list[Feed] = field(default_factory=list)
    trouble: str = ""

    @property
    def waiting(self) -> list[str]:
        """What is still to come, each with why."""
        found = [self.trouble] if self.trouble else []
        return list(dict.fromkeys([*found, *(line for each in self.seen for line in each.waiting)]))

    def overdue(self, elapsed: float, wait: float) -> bool:
        """Whether something is still to come that has had its time, to which VSO's refreshAfter is added."""
        return any(any(each.waiting) for each in self.seen if elapsed >= wait + each.feed.refresh)

    @property
    def by_vso(self) -> list[Feed]:
        """What gets the value when VSO reads Vault again."""
        late = (each.feed for each in self.seen if each.feed.refresh and not each.held and not each.feed.stays)
        return [feed for feed in late if feed.writer == VSO]

    @property
    def stay(self) -> list[Seen]:
        """The Secrets that keep the old value until somebody does something."""
        return [each for each in self.seen if each.feed.stays and not each.held]

    @property
    def left(self) -> list[Consumer]:
        """What runs with the old value, and is not about to be restarted."""
        return [one for each in self.seen for one in each.consumers if one.old and not (one.by and each.awaited)]

    @property
    def done(self) -> bool:
        """Whether nothing has the old value any more, as far as this cluster tells."""
        return not self.waiting and not self.stay and not self.left
