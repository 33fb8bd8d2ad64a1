# SPDX-License-Identifier: Apache-2.0
"""`gatebook doctor`: tells, and fails only on what is wrong."""

from __future__ import annotations

from support.installation import Installation


def test_tells_what_is_weak_without_failing(gate: Installation) -> None:
    told = gate.run("doctor", "--offline")
    assert told.status == 0, told.out
    assert "weak" in told.out
    assert "no boundary against that user" in told.out


def test_fails_on_what_is_wrong(gate: Installation) -> None:
    (gate.folder / "recording.key").chmod(0o644)
    told = gate.run("doctor", "--offline", "--json")
    assert told.status == 1
    wrong = [check for check in told.json if check["verdict"] == "WRONG"]
    assert len(wrong) == 1
    assert wrong[0]["name"] == "permissions"
    assert "recording.key is open to others (0644)" in wrong[0]["words"]
