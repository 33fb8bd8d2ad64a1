# SPDX-License-Identifier: Apache-2.0
"""The application has what the command line asks of it."""

from __future__ import annotations

import inspect

import pytest

from gatebook.cli.application import Application, load_application


@pytest.mark.parametrize("name", ["serve", "run_witness", "try_database", "test_target", "explain"])
def test_application_can_be_called_as_the_command_line_calls_it(name: str) -> None:
    asked = inspect.signature(getattr(Application, name)).parameters
    given = inspect.signature(getattr(load_application(), name)).parameters
    assert [(one.name, one.kind) for one in asked.values() if one.name != "self"] == [
        (one.name, one.kind) for one in given.values()
    ]
