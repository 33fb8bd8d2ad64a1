# SPDX-License-Identifier: Apache-2.0
"""`gatebook export`: what is sealed goes to other systems, in order, until they acknowledge."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.application import load_application
from gatebook.cli.common import config_option, json_option, load, now
from gatebook.cli.output import json_time, print_error, print_json, print_table, say, show_time
from gatebook.evidence.faults import EvidenceFault

if TYPE_CHECKING:
    from gatebook.vault.outgoing import ExportStanding


@click.group("export")
def command() -> None:
    """Exports: what is sealed goes to other systems, such as a SIEM."""


@command.command("run")
@click.argument("name")
@click.option("--until-input-ends", is_flag=True, hidden=True, help="Stop when standard input is closed.")
@config_option
def run(config: Path, *, name: str, until_input_ends: bool) -> None:
    """Send what is sealed, in order, until it is told to stop.

    `gatebook serve` starts one for each `[[export]]`. It stops on SIGINT or SIGTERM. The exit status is 3 where the
    ledger or the cursor is not what it was: then nothing is exported, and `gatebook export show` says why.
    """
    with _refusing():
        load_application().run_export(config, name, until_input_ends=until_input_ends)


@command.command("once")
@click.argument("name")
@config_option
def once(config: Path, *, name: str) -> None:
    """Send what is sealed now, and stop.

    The exit status is 0 where all of it is acknowledged, 1 where some waits, 3 where ledger or cursor are not what they
    were. An export that `gatebook serve` runs is refused.
    """
    with _refusing():
        count = load_application().send_export(config, name)
    say(f"{count:,} entries are acknowledged")


@command.command("show")
@config_option
@json_option
def show(config: Path, *, as_json: bool) -> None:
    """Show how far each export is.

    The next index, the entries that wait and for how long, the last acknowledgement, and what went wrong last. Only
    reads; exports may be running.
    """
    from gatebook.vault.cursor import ExportFolder  # noqa: PLC0415  cryptography, only here
    from gatebook.vault.ledger import LedgerFolder  # noqa: PLC0415  as above
    from gatebook.vault.outgoing import read_export_standing  # noqa: PLC0415  as above

    settings = load(config)
    ledger, origin = LedgerFolder(settings.ledger_path), settings.ledger_origin
    found = [
        read_export_standing(ledger, origin, ExportFolder(settings.export_path, one.name), one.name, now)
        for one in settings.exports
    ]
    if as_json:
        print_json(
            [
                {
                    "name": one.name,
                    "next": one.next,
                    "behind_entries": one.behind,
                    "behind_s": int(one.waiting_s),
                    "acknowledged": json_time(one.acknowledged),
                    "error": one.error,
                    "error_at": one.error_at,
                    "alarm": one.alarm,
                    "runs": one.runs,
                    "refused": one.refused,
                }
                for one in found
            ]
        )
        return
    columns = ("name", "next", "behind", "for", "acknowledged", "state")
    print_table(columns, [_row(one) for one in found])


def _row(one: ExportStanding) -> tuple[str, ...]:
    state = one.refused or one.error or ("runs" if one.runs else "does not run")
    told = ("alarm: " if one.alarm else "") + state
    return (
        one.name,
        f"{one.next:,}",
        f"{one.behind:,}",
        f"{int(one.waiting_s):,} s",
        show_time(one.acknowledged),
        told,
    )


@contextmanager
def _refusing() -> Iterator[None]:
    """Exit with a status of its own where evidence is not what it was."""
    from gatebook.vault.sealing import EXIT_TAMPERED  # noqa: PLC0415  cryptography, only where it is needed

    try:
        yield
    except EvidenceFault as fault:
        print_error(f"{fault.finding}: {fault.message}", fault.hint or "see `gatebook ledger verify`")
        sys.exit(EXIT_TAMPERED)
