# SPDX-License-Identifier: Apache-2.0
"""`gatebook try`: its options reach the application as they were meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from support.installation import command

from gatebook.cli.trial import Listen


class App:
    """Takes what it is asked to try."""

    asked: tuple[str, dict[str, Any]] = ("", {})

    def try_database(self, url: str, **asked: Any) -> None:  # noqa: ANN401  what it was asked
        App.asked = (url, asked)


@pytest.fixture(autouse=True)
def app(monkeypatch: pytest.MonkeyPatch) -> type[App]:
    monkeypatch.setattr("gatebook.cli.trial.load_application", App)
    return App


def test_tries_with_what_one_gets_by_saying_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "try", "postgresql://u@h/db").status == 0
    assert App.asked == (
        "postgresql://u@h/db",
        {"policy": None, "listen": ("127.0.0.1", 0), "data": None, "insecure_plaintext": False, "as_json": False},
    )


def test_tries_with_everything_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "p.cedar").touch()
    options = ["--policy", str(tmp_path / "p.cedar"), "--listen", "[::1]:6000", "--data", str(tmp_path / "book")]
    assert command(capsys, "try", "url", *options, "--insecure-plaintext", "--json").status == 0
    assert App.asked[1] == {
        "policy": tmp_path / "p.cedar",
        "listen": ("::1", 6000),
        "data": tmp_path / "book",
        "insecure_plaintext": True,
        "as_json": True,
    }


@pytest.mark.parametrize("text", ["", "5433", ":5433", "host:", "host:x", "host:65536", "host:-1", "host:99999999999"])
def test_refuses_to_listen_at_what_is_no_place(text: str) -> None:
    with pytest.raises(click.UsageError, match="must be HOST:PORT"):
        Listen().convert(text, None, None)


def test_listens_at_a_port_of_its_own_choice() -> None:
    assert Listen().convert("localhost:0", None, None) == ("localhost", 0)
    assert Listen().convert(("localhost", 0), None, None) == ("localhost", 0)
