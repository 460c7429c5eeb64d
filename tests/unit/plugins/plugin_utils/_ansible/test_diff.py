# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a difference is shown."""

from __future__ import annotations

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._ansible.diff import diff_lines


def test_a_difference_is_a_unified_diff() -> None:
    diff = {"before_header": "a now", "after_header": "a then", "before": "x: 1\ny: 2\n", "after": "x: 1\ny: 3\n"}
    assert list(diff_lines([diff])) == [
        "--- before: a now",
        "+++ after: a then",
        "@@ -1,2 +1,2 @@",
        " x: 1",
        "-y: 2",
        "+y: 3",
    ]
    assert list(diff_lines([{**diff, "after": diff["before"]}])) == []
