# SPDX-License-Identifier: Apache-2.0
"""Ids sort by time, and nobody guesses them."""

from __future__ import annotations

import re
import time

from gatebook.vault.ids import new_request_id, new_salt, sortable_id


def test_has_its_form() -> None:
    assert re.fullmatch(r"s_[0-9a-hjkmnp-tv-z]{26}", sortable_id("s"))
    assert re.fullmatch(r"apr_[0-9a-hjkmnp-tv-z]{26}", new_request_id())
    assert re.fullmatch(r"[0-9a-f]{64}", new_salt())


def test_sorts_by_the_moment_at_which_it_was_drawn() -> None:
    ids = []
    for _ in range(5):
        ids.append(new_request_id())
        time.sleep(0.002)
    assert ids == sorted(ids)


def test_is_drawn_anew_each_time() -> None:
    assert len({new_request_id() for _ in range(1000)}) == 1000
    assert len({new_salt() for _ in range(1000)}) == 1000
