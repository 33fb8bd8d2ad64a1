# SPDX-License-Identifier: Apache-2.0
"""The disk fails at every step of removing segments, before and after it was done: no private part is ever lost."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.notary import DiskFailed, FailingDisk, Killed, seal
from support.removal import (
    OPERATIONS,
    Removing,
    removals,
    remove,
    removing,
    segments,
    unaccounted,
    verify,
    write_sessions,
)


def prepare(root: Path) -> Path:
    """A book of which a first part was removed already."""
    write_sessions(root, "s_aaaa", "s_bbbb")
    seal(root)
    remove(root)
    write_sessions(root, "s_cccc", "s_dddd")
    return root


def copied(template: Path, root: Path) -> Path:
    shutil.copytree(template, root)
    return root


WAYS: dict[str, dict[str, Any]] = {
    "fails": {"fault": DiskFailed},
    "fails yet persists": {"fault": DiskFailed, "persists": True},
    "fails half done": {"fault": DiskFailed, "halves": True},
    "killed before": {"fault": Killed},
    "killed behind": {"fault": Killed, "persists": True},
    "killed half done": {"fault": Killed, "halves": True},
}


@pytest.mark.timeout(180)  # each step is broken in a book of its own, which is verified twice
@pytest.mark.parametrize("way", WAYS)
def test_au_08_a_disk_that_fails_or_a_kill_at_any_step_of_a_removal_loses_nothing(tmp_path: Path, way: str) -> None:
    template = prepare(tmp_path / "template")
    counting = FailingDisk()
    remove(copied(template, tmp_path / "steps"), counting)
    last, told = segments(tmp_path / "steps"), removals(tmp_path / "steps")
    assert {*counting.names} == {"write", "sync", "replace", "sync_data", "remove", "extend", "sync_folder"}
    assert len(counting.names) > 30
    for at in range(1, counting.steps + 1):
        where = (at, counting.names[at - 1])
        if "half" in way and where[1] != "extend":
            continue
        root = copied(template, tmp_path / str(at))
        with contextlib.suppress(DiskFailed, Killed):  # what fails of removing alone is told, and sealing goes on
            remove(root, FailingDisk(at, **WAYS[way]))
        assert unaccounted(root) == [], where
        report = verify(root)
        assert report.ok, (where, report.findings)
        remove(root)
        assert (segments(root), removals(root)) == (last, told), where
        report = verify(root)
        assert report.ok, (where, report.findings)
        assert report.checked["private parts opened"] == 4 * OPERATIONS
        shutil.rmtree(root)


def test_au_08_a_removal_that_is_left_at_any_moment_is_taken_up_again(tmp_path: Path) -> None:
    template = prepare(tmp_path / "template")
    for left in range(1000):
        root = copied(template, tmp_path / str(left))
        with removing(root) as at_work:
            steps = at_work.remover.round()
            is_over = all(_went_on(at_work, steps) for _ in range(left + 1)) is False
        assert unaccounted(root) == [], left
        report = verify(root)
        assert report.ok, (left, report.findings)
        remove(root)
        assert len(segments(root)) == 1
        report = verify(root)
        assert report.ok, (left, report.findings)
        assert report.checked["private parts opened"] == 4 * OPERATIONS
        shutil.rmtree(root)
        if is_over:
            assert left > 10
            return
    raise AssertionError("a round has an end")


def _went_on(at_work: Removing, steps: Iterator[bool]) -> bool:
    """Go one step on; whether there was one."""
    for may_go_on in steps:
        if not may_go_on:
            at_work.notary.seal()
        return True
    return False
