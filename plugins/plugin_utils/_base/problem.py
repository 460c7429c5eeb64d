# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Something that is wrong, as data: programs compare its code and subject, people read its text, nobody parses it.

Private: other collections must not import it.
"""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """What keeps a run from its goal.

    C(code) is one lower-case word that stays whatever the words around it, such as C(missing); C(subject) is the
    field, host, setting or object that it is about; C(what) and C(step) are whole sentences: what is wrong, and what
    its user does next.
    """

    code: str
    subject: str
    what: str
    step: str = ""

    @property
    def text(self) -> str:
        """The sentence for a person."""
        return " ".join(filter(None, (f"{self.subject}: {self.what}" if self.subject else self.what, self.step)))

    def as_dict(self) -> dict[str, str]:
        return {
            "code": self.code,
            "subject": self.subject,
            "what": self.what,
            "step": self.step,
            "text": self.text,
        }


def given_problems(given: Iterable[Mapping[str, t.Any]]) -> list[Problem]:
    """What a module returned, as data again. Its text follows from the rest."""
    return [
        Problem(**{part: str(each.get(part, "")) for part in ("code", "subject", "what", "step")}) for each in given
    ]


def texts(problems: Iterable[Problem]) -> list[str]:
    """What a person reads of several problems, each of them once."""
    return list(dict.fromkeys(problem.text for problem in problems))
