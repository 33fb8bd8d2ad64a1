# SPDX-License-Identifier: Apache-2.0
"""`gatebook search`: who touched this table, what did this agent run, everything of a session."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import config_option, folders_of, json_option, load
from gatebook.cli.names import MOMENT
from gatebook.cli.output import json_time, print_json, print_table, say
from gatebook.config import Settings
from gatebook.evidence.entry import Leaf, parse_time
from gatebook.evidence.faults import EvidenceFault
from gatebook.views.telling import hit_object, operation_of, outcome_words, part_of, text_of, what, who

if TYPE_CHECKING:
    from gatebook.evidence.query import Question
    from gatebook.store.indexing import Behind, Ledger
    from gatebook.store.searching import Answer

CATCH_UP_S = 2.0  # what little is missing is taken up before an answer; more is told
LOCK_WAIT_S = 0.5  # another process takes it up meanwhile
MAX_LAST = 10_000  # LIMIT: held in memory, decoded: some 10 KB each


@click.command("search")
@click.option("--object", "named", metavar="OBJECT", help="Touched this: `orders`, `public.orders`, `public.*`.")
@click.option("--action", default="", help="Did this: `select`, `delete`, `execute`; with --object, to that object.")
@click.option("--agent", default="", help="By this agent, also as one of a chain.")
@click.option("--owner", default="", help="By agents of this person.")
@click.option("--person", default="", help="By this person, their agents, or a chain they are in.")
@click.option("--target", default="", help="At this target.")
@click.option("--session", default="", help="Everything of this session.")
@click.option("--approval", default="", metavar="ID", help="Everything that names this approval.")
@click.option("--decision", type=click.Choice(["allow", "refuse"]), default=None, help="Was allowed, or refused.")
@click.option("--event", default="", metavar="KIND", help="Entries of this kind, such as `session.end`.")
@click.option("--shape", default="", metavar="WORDS", help="All these words are in the statement without literals.")
@click.option("--from", "begin", type=MOMENT, help="At or after this time; without a zone it is UTC.")
@click.option("--to", "end", type=MOMENT, help="Before this time.")
@click.option("--unclear", is_flag=True, help="Operations whose objects no entry tells whole: opaque, or too many.")
@click.option("--last", type=click.IntRange(1, MAX_LAST), default=100, show_default=True, help="How many, the newest.")
@click.option(
    "--prove", is_flag=True, help="Read the whole ledger too: nothing that the index left out is missed. Slow."
)
@config_option
@json_option
def command(
    *,
    named: str | None,
    begin: datetime | None,
    end: datetime | None,
    decision: str | None,
    unclear: bool,
    last: int,
    prove: bool,
    config: Path,
    as_json: bool,
    **texts: str,
) -> None:
    """Search the book: who touched a table, what an agent ran.

    Looks through all that is sealed: operations with their outcomes, logins, keys, all other entries. All that is asked
    for must hold. Names of objects and words of statements fold case. What is found is read from the ledger and proved
    to be in it: ENTRY is its number there, for `gatebook receipt make`. How far the index is behind is always told.
    """
    from gatebook.evidence.object_pattern import ObjectPattern  # noqa: PLC0415  as above
    from gatebook.evidence.query import Question  # noqa: PLC0415  as above
    from gatebook.store.indexing import behind  # noqa: PLC0415  as above
    from gatebook.store.searching import search  # noqa: PLC0415  as above
    from gatebook.views.indexed import open_ledger, opened_index  # noqa: PLC0415  cryptography, only here

    question = Question(
        object=ObjectPattern.parse(named) if named is not None else None,
        decision=decision or "",
        begin=begin,
        end=end,
        unclear=unclear,
        **texts,
    )
    settings = load(config)
    ledger = open_ledger(settings)
    _catch_up(settings, ledger)
    with opened_index(settings.index_path) as index:
        answer = search(index, ledger, question, last, prove=prove)
    missing, not_sealed = behind(answer.cursor, ledger), _not_sealed(settings)
    if as_json:
        print_json(_object(answer, ledger, missing, not_sealed))
        return
    print_table(("entry", "time", "who", "target", "session", "decision", "outcome", "rows", "what"), _rows(answer))
    _tell(question, answer, missing, not_sealed)


def _catch_up(settings: Settings, ledger: Ledger) -> None:
    """Take up what little is missing, if this user and the disk let: what is missing afterwards is told."""
    from gatebook.store.index import IndexFault  # noqa: PLC0415  as above
    from gatebook.views.indexed import take_up  # noqa: PLC0415  cryptography, only here

    try:
        take_up(settings.index_path, ledger, CATCH_UP_S, LOCK_WAIT_S)
    except IndexFault as fault:
        say(f"warning: {fault.message}")  # what is indexed may do all the same; if not, that is told now
    except OSError:
        return  # best effort: an auditor may only read


def _not_sealed(settings: Settings) -> int | None:
    """Return how many entries no checkpoint covers yet; None where this user cannot see."""
    from gatebook.vault.standing import read_standing  # noqa: PLC0415  cryptography, only here

    try:
        return sum(count for _, count in read_standing(folders_of(settings)).behind)
    except (EvidenceFault, OSError):
        return None


def _rows(answer: Answer) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for hit in answer.hits:
        leaf, told = hit.leaf, operation_of(hit)
        rows.append(
            (
                str(hit.index),
                f"{parse_time(str(leaf['time'])):%Y-%m-%d %H:%M:%SZ}",
                who(leaf),
                text_of(leaf, "target") or text_of(part_of(leaf, "where"), "target"),
                text_of(leaf, "session") or text_of(leaf, "admitted"),
                told.result if told else text_of(leaf, "result"),
                outcome_words(told) if told else "",
                str(told.rows) if told and hit.outcomes else "",
                what(leaf, told),
            )
        )
    return rows


def _object(answer: Answer, ledger: Ledger, missing: Behind, not_sealed: int | None) -> Leaf:
    from gatebook.cli.index import behind_object  # noqa: PLC0415  its group is not needed elsewhere
    from gatebook.evidence.query import moment  # noqa: PLC0415  cryptography, only here

    told: Leaf = {
        "hits": [hit_object(hit) for hit in answer.hits],
        "more": answer.more,
        "unclear": answer.unclear,
        "proved": answer.proved,
        "indexed": answer.cursor.size,
        "sealed": ledger.checkpoint.size,
        "newest": json_time(moment(answer.cursor.newest_us)) if answer.cursor.newest_us else "",
        "behind": behind_object(missing),
    }
    return told if not_sealed is None else told | {"not_sealed": not_sealed}


def _tell(question: Question, answer: Answer, missing: Behind, not_sealed: int | None) -> None:
    from gatebook.cli.index import behind_words  # noqa: PLC0415  its group is not needed elsewhere
    from gatebook.evidence.query import moment  # noqa: PLC0415  cryptography, only here
    from gatebook.store.searching import MAX_UNCLEAR  # noqa: PLC0415  as above

    if answer.more:
        say(f"there are older ones: these are the newest {len(answer.hits):,}; ask for more with --last, or less")
    if answer.unclear:
        count = f"{answer.unclear:,} or more" if answer.unclear >= MAX_UNCLEAR else f"{answer.unclear:,}"
        what = "objects" if question.object is not None or question.action else "statement"
        say(f"operations that may answer too, whose {what} no entry tells whole: {count}; see them with --unclear")
    cursor = answer.cursor
    newest = f", up to {moment(cursor.newest_us):%Y-%m-%d %H:%M:%SZ}" if cursor.newest_us else ""
    said = "read" if answer.proved else "indexed"
    waiting = "not known" if not_sealed is None else f"{not_sealed:,} entries"
    late = f"behind the ledger: {behind_words(missing)}; not sealed yet: {waiting}"
    say(f"{said}: {cursor.size:,} entries{newest}; {late}")
    if missing.entries:
        say("warning: what is not indexed yet was not looked at; `gatebook index update` takes it up")
