# SPDX-License-Identifier: Apache-2.0
"""What commands print: data to standard output, talk to standard error, tables on a terminal, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import click

from gatebook.evidence.entry import Value
from gatebook.evidence.harmless import harmless, harmless_json
from gatebook.views.telling import json_time, show_time

__all__ = ["json_time", "print_error", "print_facts", "print_json", "print_table", "say", "show_time"]


def print_json(value: Value) -> None:
    """Print one JSON object or array on a line of its own; what a terminal could act on is escaped."""
    click.echo(harmless_json(value))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: framed on a terminal, else columns apart by two blanks. Cells are made harmless."""
    cells = [[harmless(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_framed(columns, cells)
        return
    widths = [max([len(name), *(len(row[index]) for row in cells)]) for index, name in enumerate(columns)]
    for row in [[name.upper() for name in columns], *cells]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values, one pair on a line."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        click.echo(f"{name.ljust(width)}  {harmless(value)}".rstrip())


def say(words: str) -> None:
    """Print talk to standard error."""
    click.echo(words, err=True)


def print_error(message: str, hint: str) -> None:
    """Print an error and what to do next to standard error."""
    click.echo(f"error: {harmless(message)}", err=True)
    if hint:
        click.echo(f"hint: {harmless(hint)}", err=True)


def _print_framed(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415  0.1 s that only tables on a terminal pay
    from rich.table import Table  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415  as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
