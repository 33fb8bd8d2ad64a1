# SPDX-License-Identifier: Apache-2.0
"""The notary's disk fails at every step with a witness beside it: the witness never sees what the notary forgets."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.notary import DiskFailed, FailingDisk, findings, verify, write_entries
from support.rotation import NEW, OLD, carry_out, wish
from support.witness import NOTARY, Stranger, open_witness, seal

from gatebook.vault.cosigning import Witnesses


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


def test_au_09_a_change_of_key_that_fails_at_any_step_never_sets_notary_and_witness_at_odds(tmp_path: Path) -> None:
    def prepare_change(root: Path) -> Stranger:
        stranger = Stranger(open_witness(root / "elsewhere", also=[NEW.verifier]))
        write_entries(root, "gate", 300)
        assert seal(root, [stranger]) == 300
        write_entries(root, "gate", 7, first=1000)
        wish(root)
        return stranger

    counting = FailingDisk()
    carry_out(tmp_path / "steps", counting, Witnesses([prepare_change(tmp_path / "steps").asker]))
    assert counting.steps > 10
    for at in range(1, counting.steps + 1):
        for persists in (False, True):
            root = tmp_path / f"{at}-{persists}"
            stranger = prepare_change(root)
            with pytest.raises(DiskFailed):
                carry_out(root, FailingDisk(at, persists=persists), Witnesses([stranger.asker]))
            write_entries(root, "other", 30)
            assert carry_out(root, witnesses=Witnesses([stranger.asker])) == NEW.verifier.text()
            by_old = verify(root, key=OLD.verifier.text(), witnesses=(stranger.key,))
            report = verify(root, key=NEW.verifier.text(), witnesses=(stranger.key,))
            assert findings(by_old) == findings(report) == [], (at, counting.names[at - 1], persists)
            assert report.checked["entries witnessed"] == 300 + 7 + 1 + 30
