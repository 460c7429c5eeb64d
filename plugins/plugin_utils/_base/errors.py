# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception that this collection raises on purpose. Private: other collections must not import it."""

from __future__ import annotations


class BootstrapError(Exception):
    """Something a user can act on.

    The message names the field or host, what was tried, what came back and the next step. It is built from our own
    words and from names, never from a library's text about our input, which may quote a secret.
    """
