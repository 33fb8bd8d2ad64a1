# SPDX-License-Identifier: Apache-2.0
"""The disk fails at every step of removing segments, before and after it was done: no private part is ever lost."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from support.notary import DiskFailed, FailingDisk, seal
from support.removal import OPERATIONS, removals, remove, segments, unaccounted, verify, write_sessions


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


def test_au_08_a_disk_that_fails_at_any_step_of_a_removal_loses_nothing(tmp_path: Path) -> None:
    template = prepare(tmp_path / "template")
    counting = FailingDisk()
    remove(copied(template, tmp_path / "steps"), counting)
    last = segments(tmp_path / "steps")
    assert {*counting.names} == {"write", "sync", "replace", "sync_data", "remove", "extend", "sync_folder"}
    assert len(counting.names) > 30
    for at in range(1, counting.steps + 1):
        for persists in (False, True):
            where = (at, counting.names[at - 1], persists)
            root = copied(template, tmp_path / f"{at}-{persists}")
            with contextlib.suppress(DiskFailed):  # what fails of removing alone is told, and sealing goes on
                remove(root, FailingDisk(at, persists=persists))
            assert unaccounted(root) == [], where
            report = verify(root)
            assert report.ok, (where, report.findings)
            remove(root)
            assert segments(root) == last, where
            assert unaccounted(root) == [], where
            report = verify(root)
            assert report.ok, (where, report.findings)
            assert report.checked["private parts opened"] == 4 * OPERATIONS
            assert {one.first for one in removals(root)} == {one.first for one in removals(tmp_path / "steps")}
            shutil.rmtree(root)
