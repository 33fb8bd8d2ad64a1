# SPDX-License-Identifier: Apache-2.0
"""`gatebook sessions`: list sessions and logins, show what was decided in one; replay and export are added here."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, folders_of, json_option, load, recordings_of
from gatebook.cli.export import export
from gatebook.cli.output import json_time, print_facts, print_json, print_table, say, show_time
from gatebook.cli.replay import replay
from gatebook.cli.viewing import NOT_STATED, enter_view
from gatebook.evidence.sessions import SessionSummary
from gatebook.views.looking import unknown
from gatebook.views.telling import operation_object, outcome_words, session_object

if TYPE_CHECKING:
    from gatebook.vault.book import Operation, SessionStory

MAX_SHAPE = 100  # characters of a statement in a table


@click.group("sessions")
def command() -> None:
    """Sessions: what agents did."""


command.add_command(replay)
command.add_command(export)


@command.command("list")
@click.option("--agent", help="Only sessions of this agent.")
@click.option("--target", help="Only sessions at this target.")
@click.option("--last", type=click.IntRange(1), default=100, show_default=True, help="How many, the newest.")
@config_option
@json_option
def list_sessions(*, agent: str | None, target: str | None, last: int, config: Path, as_json: bool) -> None:
    """List sessions, oldest first."""
    from gatebook.vault.book import Book  # noqa: PLC0415  cryptography, only where the book is read
    from gatebook.vault.recordings import Recordings  # noqa: PLC0415  as above

    settings = load(config)
    book = Book(folders_of(settings), Recordings(settings.recordings_path))
    found = [
        session
        for session in book.list_sessions()
        if agent in {None, session.principal} and target in {None, session.target}
    ][-last:]
    if as_json:
        print_json([session_object(session) for session in found])
    else:
        rows = [
            (
                session.id,
                show_time(session.started_at),
                session.principal,
                session.target,
                session.role,
                _count(session, "operations"),
                _count(session, "refused"),
                _count(session, "rows"),
                session.cause or "open",
            )
            for session in found
        ]
        print_table(("session", "started", "agent", "target", "role", "ran", "refused", "rows", "end"), rows)
    _warn(book.faults)


@command.command("logins")
@click.option("--failed", is_flag=True, help="Only those that were refused.")
@click.option("--last", type=click.IntRange(1), default=100, show_default=True, help="How many, the newest.")
@config_option
@json_option
def list_logins(*, failed: bool, last: int, config: Path, as_json: bool) -> None:
    """List attempts to log in, oldest first, and of those that were refused the check that failed.

    Clients are never told which check it was. Many failures of one source in a short time are one line.
    """
    from gatebook.vault.book import Book  # noqa: PLC0415  cryptography, only where the book is read
    from gatebook.vault.recordings import Recordings  # noqa: PLC0415  as above

    settings = load(config)
    book = Book(folders_of(settings), Recordings(settings.recordings_path))
    found = book.list_logins(last, failed=failed)
    if as_json:
        print_json([{**dataclasses.asdict(login), "at": json_time(login.at)} for login in found])
    else:
        rows = [
            (
                show_time(login.at),
                login.source,
                f"({login.times} times)" if login.times != 1 else login.user,
                login.target,
                login.result,
                f"{login.failed}: {login.reason}" if login.reason else login.failed,
                login.session or login.credential,
            )
            for login in found
        ]
        print_table(("at", "from", "user", "target", "result", "failed check", "session or credential"), rows)
    _warn(book.faults)


@command.command("show")
@click.argument("session")
@click.option(
    "--text", "with_text", is_flag=True, help="Show statements as sent, with their literals. Entered as viewed."
)
@click.option("--purpose", default=NOT_STATED, help="Why you look; entered with `--text`.")
@config_option
@json_option
def show(*, session: str, with_text: bool, purpose: str, config: Path, as_json: bool) -> None:
    """Show a session: who, where, and each operation with its decision and outcome."""
    from gatebook.vault.book import Book  # noqa: PLC0415  as above

    settings = load(config)
    recordings = recordings_of(settings, need_key=with_text)
    recordings.path_of(session)  # refuses what is no session id
    book = Book(folders_of(settings), recordings)
    parts = recordings.private_parts(session) if with_text else None
    story = book.read_session(session, parts)
    if story is None:
        raise unknown(session)
    if with_text:
        enter_view(settings, session, purpose, "text")
        if parts is None:
            say("the key of this session is gone: statements are shown without their literals")
    if as_json:
        told = session_object(story.session)
        told["operations"] = [operation_object(operation) for operation in story.operations]
        print_json(told)
    else:
        _print_story(story)
    _warn(book.faults)


def _print_story(story: SessionStory) -> None:
    session = story.session
    facts = {
        "session": session.id,
        "agent": session.principal,
        "owner": session.owner,
        "role": session.role,
        "target": f"{session.target}, database {session.database}, as {session.account}",
        "from": session.address,
        "started": show_time(session.started_at),
        "ended": f"{show_time(session.ended_at)} {session.cause}".strip() or "open",
    }
    print_facts(facts)
    click.echo("")
    rows = [
        (
            str(operation.summary.number),
            f"{operation.summary.at:%H:%M:%S}",
            operation.summary.decided,
            outcome_words(operation.summary, session),
            str(operation.summary.rows),
            f"{operation.summary.duration_us / 1000:.1f}",
            ", ".join(operation.summary.policies) or operation.summary.refusal,
            _statement(operation),
        )
        for operation in story.operations
    ]
    print_table(("nr", "time", "decision", "outcome", "rows", "ms", "decided by", "statement"), rows)


def _statement(operation: Operation) -> str:
    text = operation.private.get("text")
    shown = text if isinstance(text, str) else operation.summary.shape or operation.summary.verb
    return shown if len(shown) <= MAX_SHAPE else shown[: MAX_SHAPE - 3] + "..."


def _count(session: SessionSummary, name: str) -> str:
    return str(session.counts[name]) if name in session.counts else ""


def _warn(faults: int) -> None:
    if faults:
        say(f"warning: {faults} places of the book could not be read; `gatebook ledger verify` names them")
