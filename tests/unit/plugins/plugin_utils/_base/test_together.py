# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work side by side: everything is finished, in order, and never more at a time than allowed."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.errors import BootstrapError
from ansible_collections.tazlab.bootstrap.plugins.plugin_utils._base.together import attempted, together


def test_the_results_stand_in_the_order_of_the_items() -> None:
    later = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert later.wait(10), "the others run meanwhile"
        else:
            later.set()
        return item * item

    assert together(work, range(5)) == [0, 1, 4, 9, 16]


def test_one_that_fails_keeps_no_other_from_being_finished() -> None:
    def work(item: int) -> int:
        if item % 2:
            raise BootstrapError(str(item))
        return item

    found = attempted(work, range(4))
    assert [str(each) for each in found] == ["0", "1", "2", "3"]
    assert isinstance(found[1], BootstrapError)
    with pytest.raises(BootstrapError, match="1"):
        together(work, range(4))


def test_there_is_a_limit() -> None:
    at_work, most = 0, 0
    lock, full = threading.Lock(), threading.Event()

    def work(_item: int) -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
            if at_work == 3:
                full.set()
        assert full.wait(10)
        with lock:
            at_work -= 1

    attempted(work, range(9), 3)
    assert most == 3
