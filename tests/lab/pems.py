# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PEM texts for property-based tests: real blocks, with whatever people and programs leave around them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import strategies as st

_surroundings = st.text(st.characters(codec="utf-8", exclude_characters="\0-"), max_size=30).map(
    lambda text: f"{text}\n" if text else ""
)


@st.composite
def pem_texts(draw: st.DrawFn, blocks: Sequence[str]) -> tuple[str, int]:
    """A text with one to four blocks, LF or CRLF, with and without its last newline; and how many blocks it has."""
    chosen = draw(st.lists(st.sampled_from(blocks), min_size=1, max_size=4))
    text = "".join(draw(_surroundings) + block for block in chosen)
    if draw(st.booleans()):
        text = text.rstrip("\n")
    text = re.sub(r"\r?\n", draw(st.sampled_from(["\n", "\r\n"])), text)
    return draw(st.sampled_from(["", "\ufeff", " \n", "\n"])) + text + draw(st.sampled_from(["", "\n", " \n\n"])), len(
        chosen
    )
