# SPDX-License-Identifier: Apache-2.0
"""The reference page is what the commands' own help says."""

from __future__ import annotations

from pathlib import Path

from gatebook.cli.reference import render_reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render_reference()


def test_page_has_every_command() -> None:
    page = render_reference()
    for path in ("init", "serve", "try", "target test", "key create", "policy explain", "sessions replay"):
        assert f"\n## `gatebook {path}`\n" in page
