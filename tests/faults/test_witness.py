# SPDX-License-Identifier: Apache-2.0
"""The notary's disk fails at every step with a witness beside it: the witness never sees what the notary forgets."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.notary import DiskFailed, FailingDisk, findings, verify, write_entries
from support.witness import NOTARY, Stranger, open_witness, seal


def prepare(root: Path) -> Stranger:
    stranger = Stranger(open_witness(root / "elsewhere"))
    write_entries(root, "gate", 300)
    assert seal(root, [stranger]) == 300
    write_entries(root, "gate", 700, first=1000)
    return stranger


def test_au_09_a_disk_that_fails_at_any_step_never_sets_notary_and_witness_at_odds(tmp_path: Path) -> None:
    counting = FailingDisk()
    seal(tmp_path / "steps", [prepare(tmp_path / "steps")], disk=counting)
    assert counting.steps > 15
    for at in range(1, counting.steps + 1):
        for persists in (False, True):
            root = tmp_path / f"{at}-{persists}"
            stranger = prepare(root)
            with pytest.raises(DiskFailed):
                seal(root, [stranger], disk=FailingDisk(at, persists=persists))
            write_entries(root, "other", 30)  # what comes next is in another order than it was
            write_entries(root, "gate", 1, first=5000)
            assert seal(root, [stranger]) == 1031
            report = verify(root, key=NOTARY.verifier.text(), witnesses=(stranger.key,))
            assert findings(report) == [], (at, counting.names[at - 1], persists)
            assert report.checked["entries witnessed"] == 1031
