# SPDX-License-Identifier: Apache-2.0
"""The reference of the API is that of the routes as they are."""

from __future__ import annotations

import json
from pathlib import Path

from gatebook.control.reference import describe, render_page

PAGES = Path(__file__).resolve().parents[3] / "docs/reference"


def test_description_and_page_are_up_to_date() -> None:
    made = describe()
    assert json.loads((PAGES / "openapi.json").read_text()) == made, "run `make docs`"
    assert (PAGES / "api.md").read_text() == render_page(made), "run `make docs`"


def test_every_operation_says_what_it_does_and_for_whom() -> None:
    for path, methods in describe()["paths"].items():
        for operation in methods.values():
            assert operation["x-access"], path
            assert operation["description"].count(".") >= 2, path
            assert "422" not in operation["responses"]
