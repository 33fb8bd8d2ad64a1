# SPDX-License-Identifier: Apache-2.0
"""A console on an installation of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.control import Desk
from support.control import desk as made_desk
from support.installation import Installation, install


@pytest.fixture
def gate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.delenv("GATEBOOK_CONFIG", raising=False)
    monkeypatch.setenv("GATEBOOK_TEST_PASSWORD", "hunter2")
    return install(tmp_path / "gate", capsys)


@pytest.fixture
def desk(gate: Installation) -> Iterator[Desk]:
    with made_desk(gate) as made:
        yield made
