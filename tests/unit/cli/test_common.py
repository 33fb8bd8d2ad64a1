# SPDX-License-Identifier: Apache-2.0
"""What commands share."""

from __future__ import annotations

import os

import pytest
from support.installation import Installation

from gatebook.cli import common
from gatebook.config import ConfigFault
from gatebook.model.errors import OperatorFault


def test_says_that_there_is_no_store(gate: Installation) -> None:
    gate.settings.store_path.unlink()
    with pytest.raises(OperatorFault, match="there is no store yet"), common.opened_store(gate.settings):
        pass
    assert not gate.settings.store_path.exists()


def test_knows_who_runs_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert common.operator() != ""
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert common.operator() == "uid 4000000"


def test_goes_without_the_recording_key_unless_it_is_needed(gate: Installation) -> None:
    assert common.recordings_of(gate.settings, need_key=True).key is not None
    (gate.folder / "recording.key").unlink()
    assert common.recordings_of(gate.settings, need_key=False).key is None
    with pytest.raises(ConfigFault):
        common.recordings_of(gate.settings, need_key=True)


def test_entries_of_the_command_line_bear_its_name_and_the_moment() -> None:
    made = common.stamp()
    assert made.writer == "cli"
    assert made.now.tzinfo is not None
