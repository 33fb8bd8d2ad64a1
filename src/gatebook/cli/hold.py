# SPDX-License-Identifier: Apache-2.0
"""`gatebook hold`: sessions that nobody may purge, whatever their class says."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, json_option, load, operator, stamp
from gatebook.cli.custody import LIFE, new_id, new_request, opened_desk, read_desk, tell_signing
from gatebook.cli.names import LIFETIME, MOMENT
from gatebook.cli.output import json_time, print_json, print_table, say, show_time
from gatebook.evidence import builders
from gatebook.evidence.entry import Leaf
from gatebook.model.errors import OperatorFault, quoted

if TYPE_CHECKING:
    from gatebook.evidence.bundle_selection import Selection
    from gatebook.evidence.custody import Hold


@click.group("hold")
def command() -> None:
    """Legal holds: what must be kept until two people release it."""


@command.command("place")
@click.option("--session", "sessions", multiple=True, help="This session; may be given again.")
@click.option("--agent", default="", help="Sessions of this agent.")
@click.option("--target", default="", help="Sessions at this target.")
@click.option("--from", "begin", type=MOMENT, help="Sessions that were alive at or after this time.")
@click.option("--to", "end", type=MOMENT, help="Sessions that began before this time.")
@click.option("--reason", required=True, help="Why; it is entered into the book.")
@config_option
def place(
    *,
    sessions: tuple[str, ...],
    agent: str,
    target: str,
    begin: datetime | None,
    end: datetime | None,
    reason: str,
    config: Path,
) -> None:
    """Hold every session that matches all that is asked for, now and later. One person is enough."""
    from gatebook.evidence.bundle_selection import Selection  # noqa: PLC0415  cryptography, only here

    selection = Selection(tuple(sorted(set(sessions))), agent, target, begin, end)
    if selection.is_empty():
        raise OperatorFault("nothing is asked for", "give --session, --agent, --target, --from or --to")
    name = new_id()
    with opened_desk(load(config)) as desk:
        leaf = builders.hold_placed(stamp(), hold=name, selection=selection, reason=reason, by=operator())
        desk.journal.append(leaf)
    say(f"hold {name} is in force: {_words(selection)}")


@command.command("list")
@click.option("--all", "with_released", is_flag=True, help="Released ones too.")
@config_option
@json_option
def list_holds(config: Path, *, with_released: bool, as_json: bool) -> None:
    """List the holds."""
    holds = [hold for hold in read_desk(load(config)).holds.values() if with_released or hold.released_at is None]
    if as_json:
        print_json([_object(hold) for hold in holds])
        return
    rows = [
        (hold.id, show_time(hold.placed_at), hold.by, _words(hold.selection), hold.reason, show_time(hold.released_at))
        for hold in holds
    ]
    print_table(("hold", "since", "by", "what", "why", "released"), rows)


@command.command("release")
@click.argument("hold")
@click.option("--reason", required=True, help="Why; it is entered into the book.")
@click.option("--valid-for", "life", type=LIFETIME, default=LIFE, help="How long people may consent; 7d.")
@config_option
def release(hold: str, reason: str, life: timedelta, config: Path) -> None:
    """Ask for the release of a hold. It ends when two custodians have consented."""
    settings = load(config)
    with opened_desk(settings) as desk:
        found = desk.custody.holds.get(hold)
        if found is None or found.released_at is not None:
            raise OperatorFault(f"no hold {quoted(hold)} is in force", "list them with `gatebook hold list`")
        request = new_request(settings, "release", reason, life, hold=hold)
        path = desk.ask(request)
    tell_signing(settings, request, path)


def _words(selection: Selection) -> str:
    told = selection.to_value()
    return ", ".join(
        f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}" for name, value in told.items()
    )


def _object(hold: Hold) -> Leaf:
    return {
        "hold": hold.id,
        "placed": json_time(hold.placed_at),
        "by": hold.by,
        "selection": hold.selection.to_value(),
        "reason": hold.reason,
        "released": json_time(hold.released_at),
    }
