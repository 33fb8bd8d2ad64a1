# SPDX-License-Identifier: Apache-2.0
"""`gatebook reload` where no gate runs, and where one is found. tests/real reloads gates that run."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.installation import install

from gatebook.cli import reload
from gatebook.config import ConfigFault
from gatebook.serve.reload import PID_FILE


def test_tells_that_no_gate_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = install(folder, capsys).run("reload")
    assert told.status == 1
    assert "error: no gate runs on this data folder" in told.err


def test_a_stale_pid_is_never_signalled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = install(folder, capsys)
    place.settings.gate.data.mkdir(exist_ok=True)
    (place.settings.gate.data / PID_FILE).write_text("1\n")
    assert "no gate runs" in place.run("reload").err


def test_finds_the_gate_of_a_file_that_is_wrong_elsewhere(tmp_path: Path) -> None:
    config = tmp_path / "gatebook.toml"
    config.write_text('[gate]\ndata = "here"\nzzz = 1\n')
    assert reload.find_gate(config) == (tmp_path / "here", "gatebook")
    config.write_text("[gate\n")
    with pytest.raises(ConfigFault, match="not TOML"):
        reload.find_gate(config)


def test_both_sides_know_the_file_by_one_name() -> None:
    assert reload.PID_FILE == PID_FILE
