# SPDX-License-Identifier: Apache-2.0
"""`gatebook sessions export`: a session's timeline as a file, for people, programs or players of terminal sessions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, load
from gatebook.cli.files import check_absent, whole_file
from gatebook.cli.output import say
from gatebook.cli.viewing import PLACE, begin_viewing

if TYPE_CHECKING:
    from gatebook.evidence.timeline import Place
    from gatebook.evidence.transcript import About
    from gatebook.views.looking import Viewing

MAX_ROWS = 1_000_000
STANDARD_OUTPUT = Path("-")


@click.command("export")
@click.argument("session")
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(["text", "jsonl", "asciicast"]),
    help="Readable text, JSON Lines, or asciicast v3 for terminal players.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="File to write, for its owner only; `-` is standard output.",
)
@click.option("--purpose", required=True, help="Why it is exported; it is entered into the book first.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option(
    "--rows", type=click.IntRange(0, MAX_ROWS), default=1000, show_default=True, help="Rows kept of each result."
)
@click.option("--from", "begin", type=PLACE, help="Begin there: `+MM:SS`, `HH:MM:SS` (UTC) or an operation's number.")
@click.option("--until", "end", type=PLACE, help="End there, included.")
@click.option(
    "--max-pause",
    type=click.FloatRange(0.1, 86_400),
    default=2.0,
    show_default=True,
    help="Of a cast: seconds to which players shorten pauses; the times in it stay as they are.",
)
@config_option
def export(
    *,
    session: str,
    form: str,
    output: Path,
    purpose: str,
    force: bool,
    rows: int,
    begin: Place | None,
    end: Place | None,
    max_pause: float,
    config: Path,
) -> None:
    """Export a session: what the client sent and saw, as one file. That somebody did is entered into the book first.

    The file is there as a whole or not at all. It holds statements and results readable, for whoever has it.
    """
    from gatebook.evidence.transcript import FORMS  # noqa: PLC0415  zstd, only where recordings are read

    settings = load(config)
    if output != STANDARD_OUTPUT:
        check_absent(output, force=force)
    viewing = begin_viewing(settings, session, purpose=purpose, form=f"export {form}")
    pieces = FORMS[form](_about(viewing, max_pause), viewing.points(rows, begin, end))
    if output == STANDARD_OUTPUT:
        _print(pieces)
        return
    with whole_file(output, force=force) as file:
        file.writelines(pieces)
    say(f"the session is in {output}, readable for whoever has the file")


def _about(viewing: Viewing, max_pause: float) -> About:
    from gatebook.evidence.transcript import About, session_facts  # noqa: PLC0415  as above

    story = viewing.story()
    if story is None:  # entries were removed; the recording is what there is
        return About(viewing.session, idle_limit_s=max_pause)
    told = story.session
    words = {
        "agent": told.principal,
        "owner": told.owner,
        "role": told.role,
        "target": told.target,
        "database": told.database,
        "account": told.account,
        "from": told.address,
        "end": told.cause,
    }
    return About(viewing.session, session_facts(told.started_at, words), viewing.offsets(), max_pause)


def _print(pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        sys.stdout.write(piece.decode())
    sys.stdout.flush()
