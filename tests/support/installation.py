# SPDX-License-Identifier: Apache-2.0
"""A gate's installation in a folder, as `gatebook init` makes it, and commands run on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gatebook.cli.main import run
from gatebook.config import Settings, load_settings
from gatebook.evidence.entry import Leaf, decode_leaf
from gatebook.vault.journal import Faults, JournalReader

TARGET = """
[[target]]
name = "shop"
host = "127.0.0.1"
port = 1
database = "shop"
tls = "disable"

[[target.role]]
name = "reader"
account = "shop_reader"
password = "env:GATEBOOK_TEST_PASSWORD"
groups = ["shop-agents"]
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401  JSON
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True, slots=True)
class Installation:
    """A folder with everything `gatebook init` made, and one target."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        return self.folder / "gatebook.toml"

    @property
    def settings(self) -> Settings:
        return load_settings(self.config)

    def run(self, *arguments: str) -> Told:
        """Run a command with this configuration."""
        return command(self.capsys, *arguments, "--config", str(self.config))

    def entries(self, writer: str = "cli") -> list[Leaf]:
        """Return what a journal says."""
        reader = JournalReader(self.settings.journal_path / writer, Faults())
        return [decode_leaf(record.leaf) for record in reader.read()]


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> Told:
    """Run a command of the command line."""
    capsys.readouterr()
    status = run_to_end(arguments)
    printed = capsys.readouterr()
    return Told(status, printed.out, printed.err)


def run_to_end(arguments: tuple[str, ...]) -> int:
    """Return the exit status, also of a command that ends the process."""
    try:
        return run(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def install(folder: Path, capsys: pytest.CaptureFixture[str]) -> Installation:
    """Make an installation with the admin `alice` and the target `shop`."""
    told = command(capsys, "init", str(folder), "--admin", "alice", "--name", "gate")
    assert told.status == 0, told.err
    config = folder / "gatebook.toml"
    config.write_text(config.read_text() + TARGET)
    return Installation(folder, capsys)
