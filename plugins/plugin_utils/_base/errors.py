# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exceptions that this collection raises on purpose. Private: other collections must not import it."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.problem import Problem, texts


class BootstrapError(Exception):
    """Something a user can act on.

    The message names the field or host, what was tried, what came back and the next step. It is built from our own
    words and from names, never from a library's text about our input, which may quote a secret. Who catches the error
    decides by C(code), C(subject) (the field, host or path) and C(status) (of HTTP), never by the message.
    """

    def __init__(self, message: str, *, code: str = "failed", subject: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.subject = subject
        self.status = status

    @property
    def problem(self) -> Problem:
        """The error as one of several problems. The message stands for itself: it names its subject where it can."""
        return Problem(self.code, "", str(self))


def refusal(problems: Sequence[Problem]) -> BootstrapError:
    """One error for several problems, told together."""
    first = problems[0]
    subjects = dict.fromkeys(problem.subject for problem in problems)
    return BootstrapError(" ".join(texts(problems)), code=first.code, subject=", ".join(subjects))


class Untried(Exception):
    """A credential cannot be tried, through no fault of its own. The text says why."""


class InvalidValue(Exception):
    """The value is there, but it is not what its field says. The text tells why and never quotes the value."""
