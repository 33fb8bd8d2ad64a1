# SPDX-License-Identifier: Apache-2.0
"""`gatebook purge`: erase what is due, by two people, with a tombstone for each session."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, folders_of, json_option, load, now, operator, recordings_of, stamp
from gatebook.cli.custody import LIFE, Desk, new_request, opened_desk, read_desk, requests_of, tell_signing
from gatebook.cli.names import LIFETIME
from gatebook.cli.output import json_time, print_json, print_table, say, show_time
from gatebook.config import Settings
from gatebook.evidence import builders
from gatebook.model.errors import OperatorFault, quoted

if TYPE_CHECKING:
    from gatebook.evidence.custody import Custody
    from gatebook.evidence.retention import Listed
    from gatebook.vault.purging import Keeping

ERASE = click.Choice(["contents", "recording"])
PROGRESS = 1000


@click.group("purge")
def command() -> None:
    """Purging: end the keeping of contents, by two people."""


@command.command("due")
@click.option("--erase", type=ERASE, default="contents", show_default=True, help="What would go.")
@config_option
@json_option
def due(*, erase: str, config: Path, as_json: bool) -> None:
    """List what is due and not held."""
    settings = load(config)
    found = _keeping(settings, read_desk(settings)).due(erase, now())
    if as_json:
        print_json(
            [{"session": one.session, "class": one.retention, "ended": json_time(one.ended_at)} for one in found]
        )
        return
    print_table(("session", "ended", "class"), [(one.session, show_time(one.ended_at), one.retention) for one in found])


@command.command("request")
@click.option("--due", "all_due", is_flag=True, help="Everything that is due and not held, 100,000 sessions at most.")
@click.option("--session", "sessions", multiple=True, help="This session; may be given again.")
@click.option(
    "--erase",
    type=ERASE,
    default="contents",
    show_default=True,
    help="`contents`: recording, statements, parameters, error texts. `recording`: that alone.",
)
@click.option("--reason", required=True, help="Why; it is signed, and entered into the book.")
@click.option("--valid-for", "life", type=LIFETIME, default=LIFE, help="How long people may consent, as in 12h; 7d.")
@config_option
def request(
    *, all_due: bool, sessions: tuple[str, ...], erase: str, reason: str, life: timedelta, config: Path
) -> None:
    """Ask two custodians to let sessions be erased. Nothing goes before both have signed."""
    from gatebook.evidence.entry import format_hash  # noqa: PLC0415  as below
    from gatebook.evidence.retention import MAX_LISTED, encode_list  # noqa: PLC0415  the book is read only here

    if all_due == bool(sessions):
        raise OperatorFault("nothing is asked for, or too much", "give either --due or --session")
    settings = load(config)
    with opened_desk(settings) as desk:
        keeping = _keeping(settings, desk.custody)
        if all_due:
            listed = keeping.due(erase, now())[:MAX_LISTED]
        else:
            listed = [keeping.judge(one, erase, now()) for one in sorted(set(sessions))]
        if not listed:
            raise OperatorFault("nothing is due", "see `gatebook purge due`, and the classes in the configuration")
        data = encode_list(listed)
        asked = new_request(
            settings, "purge", reason, life, erase=erase, sessions=len(listed), list_hash=format_hash(data)
        )
        path = desk.ask(asked, data)
    tell_signing(settings, asked, path)


@command.command("run")
@click.argument("request")
@config_option
@json_option
def run(request: str, config: Path, *, as_json: bool) -> None:
    """Erase what two custodians consented to. Run it again if it was cut."""
    settings = load(config)
    with opened_desk(settings) as desk:
        asked = desk.asked(request)
        if asked.request.kind != "purge":
            raise OperatorFault(f"request {quoted(request)} is not to purge", "see `gatebook consent show`")
        if asked.done:
            raise OperatorFault("the request is done already", "see `gatebook consent list --all`")
        listed = requests_of(settings).read_list(asked.request)
        if listed is None:
            raise OperatorFault("the list of its sessions is gone", "make a new request")
        to_do = _to_enter(settings, desk, request, listed)
        if to_do and not (asked.is_granted and asked.request.is_open(now())):
            raise OperatorFault(
                "two people have to consent before it expires", f"see `gatebook consent show {request}`"
            )
        files, size = _erase(desk, request, asked.request.erase, listed, to_do)
    if as_json:
        print_json({"request": request, "sessions": len(listed), "files": files, "bytes": size})
    else:
        say(f"the {asked.request.erase} of {len(listed):,} sessions are gone: {files:,} files, {size:,} bytes")


def _to_enter(settings: Settings, desk: Desk, request: str, listed: list[Listed]) -> list[Listed]:
    """Return the sessions without tombstone of this request, each judged anew. OperatorFault if one may not go."""
    keeping, custody = _keeping(settings, desk.custody), desk.custody
    erase = custody.asked[request].request.erase
    entered = {stone.session for stones in custody.tombstones.values() for stone in stones if stone.request == request}
    waiting = [one for one in listed if one.session not in entered]
    return [keeping.judge(one.session, erase, now()) for one in waiting]


def _erase(desk: Desk, request: str, erase: str, listed: list[Listed], to_do: list[Listed]) -> tuple[int, int]:
    from gatebook.vault.purging import destroy  # noqa: PLC0415  as above

    for index, one in enumerate(to_do):
        leaf = builders.evidence_purged(
            stamp(), session=one.session, request=request, erased=erase, retention=one.retention, by=operator()
        )
        desk.journal.append(leaf, durable=index == len(to_do) - 1)
    recordings = recordings_of(desk.settings, need_key=False)
    files = size = 0
    for index, one in enumerate(listed, 1):
        try:
            for gone in destroy(recordings, one.session, erase):
                files, size = files + 1, size + gone
        except OSError as fault:
            words = f"session {one.session} cannot be erased: {(fault.strerror or 'unknown error').lower()}"
            raise OperatorFault(words, "mend that, then run it again: what has a tombstone has to go") from fault
        if index % PROGRESS == 0:
            say(f"{index:,} of {len(listed):,} sessions")
    leaf = builders.purge_done(stamp(), request=request, sessions=len(listed), files=files, size=size, by=operator())
    desk.journal.append(leaf)
    return files, size


def _keeping(settings: Settings, custody: Custody) -> Keeping:
    from gatebook.evidence.retention import RetentionClass  # noqa: PLC0415  as above
    from gatebook.vault.book import Book  # noqa: PLC0415  as above
    from gatebook.vault.purging import Keeping  # noqa: PLC0415  as above

    classes = tuple(
        RetentionClass(one.name, one.target_names, one.kinds, one.recording_days, one.contents_days)
        for one in settings.retention.classes
    )
    kinds = {target.name: target.kind for target in settings.targets}
    book = Book(folders_of(settings), recordings_of(settings, need_key=False))
    return Keeping(book, custody, classes, kinds, erase_early=settings.retention.erase_early)
