# SPDX-License-Identifier: Apache-2.0
"""`gatebook serve`: hands over to the application."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.installation import Installation

from gatebook.model.errors import OperatorFault


class App:
    """Serves, or cannot."""

    served: Path | None = None

    def serve(self, config: Path) -> None:
        App.served = config
        raise OperatorFault("the port is taken", "choose another")


def test_runs_the_gate_of_the_configuration(gate: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.cli.serve.load_application", App)
    told = gate.run("serve")
    assert App.served == gate.config
    assert told.status == 1
    assert told.err == "error: the port is taken\nhint: choose another\n"
