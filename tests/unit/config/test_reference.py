# SPDX-License-Identifier: Apache-2.0
"""The reference page is what the settings classes say."""

from __future__ import annotations

from pathlib import Path

from gatebook.config.reference import render_reference

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "config.md"


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render_reference()


def test_page_shows_defaults_and_what_is_needed() -> None:
    page = render_reference()
    assert "| `port` | 0 to 65535 | `5433` | Port to listen on; 0 takes a free one. |" in page
    assert "| `data` | path | needed |" in page
    assert "| `insecure_plaintext` | `true` or `false` | `false` |" in page
    assert '| `sync` | `privileged` or `every` | `"privileged"` |' in page
    assert "| `role` | array of tables | needed |" in page
