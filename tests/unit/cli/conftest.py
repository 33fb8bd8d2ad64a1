# SPDX-License-Identifier: Apache-2.0
"""An installation for each test of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.installation import Installation, install


@pytest.fixture
def gate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.delenv("GATEBOOK_CONFIG", raising=False)
    monkeypatch.setenv("GATEBOOK_TEST_PASSWORD", "hunter2")
    return install(tmp_path / "gate", capsys)
