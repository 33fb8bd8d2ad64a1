# SPDX-License-Identifier: Apache-2.0
"""The command line as a whole: quick help, honest exit statuses, errors that say what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.installation import Installation, command

from gatebook.cli import main


def test_help_imports_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    told = command(capsys, "--help")
    assert told.status == 0
    code = (
        "import sys; from gatebook.cli.main import run; run(['--help']);"
        "heavy = {'rich', 'cryptography', 'zstandard', 'cedarpy', 'asyncpg', 'gatebook._native'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", main.COMMANDS)
def test_list_of_commands_says_what_their_own_help_says(name: str) -> None:
    found = main.gatebook.get_command(click.Context(main.gatebook), name)
    assert found is not None
    assert found.name == name
    assert (found.help or "").split("\n")[0] == main.COMMANDS[name][1]


def test_shows_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(capsys, "--version").out == "gatebook, version 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["frobnicate"], "no such command 'frobnicate'", "see `gatebook --help`"),
        (["key", "create"], "missing option '--agent'", "see `gatebook key create --help`"),
        (["key", "list", "--frob"], "no such option '--frob'", "see `gatebook key list --help`"),
        (["key", "list", "x"], "got unexpected extra argument (x)", "see `gatebook key list --help`"),
    ],
)
def test_wrong_usage_is_2_with_a_hint(
    capsys: pytest.CaptureFixture[str], arguments: list[str], error: str, hint: str
) -> None:
    told = command(capsys, *arguments)
    assert told.status == 2
    assert told.out == ""
    assert error in told.err
    assert told.err.startswith("error: ")
    assert f"hint: {hint}" in told.err


def test_a_fault_is_1_with_its_hint(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    told = command(capsys, "key", "list", "--config", str(tmp_path / "absent.toml"))
    assert told.status == 1
    assert told.err == (
        f"error: configuration `{tmp_path / 'absent.toml'}` cannot be read: no such file or directory\n"
        "hint: make one with `gatebook init`, or name another with `--config`\n"
    )


def test_takes_the_configuration_from_the_environment(
    gate: Installation, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEBOOK_CONFIG", str(gate.config))
    assert command(capsys, "person", "list", "--json").json[0]["name"] == "alice"


def test_an_interruption_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main.gatebook, "main", interrupted)
    assert main.run([]) == 130


def test_a_fault_of_click_itself_is_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def failing(**_: object) -> None:
        raise click.ClickException("no")

    monkeypatch.setattr(main.gatebook, "main", failing)
    assert main.run([]) == 1
    assert capsys.readouterr().err == "error: no\n"


def test_a_reader_that_goes_away_is_no_crash(gate: Installation) -> None:
    code = "from gatebook.cli.main import main; main()"
    line = f"{sys.executable} -c '{code}' person list --config {gate.config} | true"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_runs_as_a_process() -> None:
    code = "import sys; sys.argv = ['gatebook', 'frobnicate']; from gatebook.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
